"""What no engine can make numbers of, said with the sample's name."""

from __future__ import annotations

import numpy as np

from harmbench.data import Bools, Floats
from harmbench.errors import DataError
from harmbench_builtin.extractors.fast2d.settings import MAX_LEVELS, Settings


def check_mask(mask: Bools, sample: str) -> None:
    """Refuse an empty mask."""
    if not mask.any():
        raise DataError(f"sample '{sample}': the mask is empty.", remedy="Draw it, or leave the sample out.")


def check_values(values: Floats, settings: Settings, sample: str, name: str) -> None:
    """Refuse values (n,) of a map inside the mask that cannot become grey levels.

    Raises
    ------
    DataError
        Naming sample and map: a value is not finite; the bin width makes more than `MAX_LEVELS` levels; the range is
        so small beside the values that two edges of bins coincide.
    """
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise DataError(
            f"sample '{sample}', map '{name}': {bad} of {values.size} pixels inside the mask are NaN or infinite.",
            remedy="Repair the image or the filter that made the map.",
        )
    low, high = float(values.min()), float(values.max())
    if settings.bin_width > 0:
        width = settings.bin_width
        if (high - low) / width >= MAX_LEVELS - 1:
            raise DataError(
                f"sample '{sample}', map '{name}': values from {low:g} to {high:g} in bins of {width:g} make more than "
                f"{MAX_LEVELS} grey levels.",
                remedy="Choose a larger bin_width, or bin_count for maps of differing range.",
            )
        # A width below the spacing of float64 numbers at these values moves no edge.
        apart = low + width > low and high + width > high
    else:
        apart = bool((np.diff(count_edges(low, high, settings.bin_count)) > 0).all())
    if not apart or not np.isfinite(high - low):
        raise DataError(
            f"sample '{sample}', map '{name}': values from {low:g} to {high:g} cannot be parted into grey levels.",
            remedy="Subtract the large constant that the values carry, or choose fewer levels.",
        )


def count_edges(low: float, high: float, bins: int) -> Floats:
    """The edges of equal bins from the smallest to the largest value; of a constant, from 0.5 below to 0.5 above."""
    flat = 0.5 if low == high else 0.0
    return np.linspace(low - flat, high + flat, bins + 1)
