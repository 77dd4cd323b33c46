"""Maps handed to Nyxus, its columns taken back."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench import Context, DataError, Features, FilteredImage, UsageError
from harmbench_nyxus.columns import NAMES, first_order, texture

FINE = 4095
"""Levels for first-order features: a map is not coarsened by more than 1/4095 of its range."""
MAX_LEVELS = 256
_INTENSITY = ["*ALL_INTENSITY*"]
_TEXTURE = ["*ALL_GLCM*", "*ALL_GLRLM*", "*ALL_GLSZM*", "*ALL_GLDM*", "*ALL_NGTDM*"]


class NyxusExtractor:
    """First-order and texture features by Nyxus (`Nyxus(features, ...).featurize(images, labels)`).

    Every map is scaled to whole levels between its smallest and its largest value in the mask, because Nyxus takes
    whole numbers: to 4095 levels for first-order features, which are brought back to the units of the map, and to
    `levels` for texture. Nyxus runs with `ibsi=True` (its default counts the background inside the bounding box) and
    with GLCM neighbours one pixel apart (the default of 0.11 is zero).

    Parameters
    ----------
    levels : int, default 32
        Grey levels for texture, 2 to 256.

    References
    ----------
    https://github.com/PolusAI/nyxus
    """

    def __init__(self, levels: int = 32) -> None:
        if isinstance(levels, bool) or not isinstance(levels, int) or not 2 <= levels <= MAX_LEVELS:
            raise UsageError(f"nyxus.levels={levels!r} must be a whole number from 2 to {MAX_LEVELS}.")
        self.levels = levels

    def extract(self, images: Sequence[FilteredImage], context: Context) -> Features:
        """One row per image.

        Raises
        ------
        DataError
            Pixels in the mask that are not finite, a map of one grey level, or a feature that Nyxus cannot give.
        """
        with _silent():
            intensity, grey = _nyxus(_INTENSITY, FINE), _nyxus(_TEXTURE, self.levels)
            rows = [
                [value for k, name in enumerate(image.names) for value in self._map(intensity, grey, image, k, name)]
                for image in images
            ]
        maps = images[0].names if images else ()
        names = tuple(f"{m}_{name}" for m in maps for name in NAMES)
        return Features(tuple(i.sample for i in images), names, np.array(rows, dtype=np.float64))

    def _map(self, intensity: Any, grey: Any, image: FilteredImage, k: int, name: str) -> list[float]:
        rows, columns = (np.flatnonzero(image.mask.any(axis=axis)) for axis in (1, 0))
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        mask, values = image.mask[box], image.maps[k][box]
        inside = values[mask]
        where = f"sample '{image.sample}', map '{name}'"
        if not np.isfinite(inside).all():
            raise DataError(f"{where}: pixels in the mask are not finite.", remedy="Repair the image or the filter.")
        low, high = float(inside.min()), float(inside.max())
        if not high > low:
            raise DataError(
                f"{where}: the mask holds one grey level, of which Nyxus makes no texture.",
                remedy="Look at the image and its mask; leave the sample out if it is broken.",
            )
        step = (high - low) / (FINE - 1)
        share = np.where(mask, (values - low) / (high - low), 0.0)
        fine = np.rint(share * (FINE - 1)) + 1
        coarse = np.minimum(np.floor(share * self.levels), self.levels - 1) + 1
        found = [
            *first_order(_row(intensity, fine, mask), low, step),
            *texture(_row(grey, coarse, mask)),
        ]
        bad = [NAMES[i] for i in np.flatnonzero(~np.isfinite(found))]
        if bad:
            raise DataError(
                f"{where}: Nyxus gave no number for {len(bad)} features, first '{bad[0]}'.",
                remedy="Draw a larger mask, or leave the sample out.",
            )
        return found


def _nyxus(features: list[str], levels: int) -> Any:
    from nyxus import Nyxus

    made = Nyxus(features, coarse_gray_depth=levels, n_feature_calc_threads=1, ibsi=True)
    made.set_metaparam("glcm/offset=1")
    return made


def _row(nyxus: Any, levels: npt.NDArray[np.float64], mask: npt.NDArray[np.bool_]) -> dict[str, float]:
    image = np.where(mask, levels, 0).astype(np.uint32)
    return dict(nyxus.featurize(image, mask.astype(np.uint32)).iloc[0])


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Nyxus writes on standard output, which belongs to the command."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is no standard output
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123  # a device
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
