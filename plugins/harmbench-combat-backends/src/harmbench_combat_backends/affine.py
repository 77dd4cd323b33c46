"""A whole-cohort ComBat made applicable to new rows.

Without covariates ComBat maps every feature of a manufacturer by one straight line, x -> slope * x + offset. A package
that only returns the harmonized training rows has thereby told both numbers: the line through them is the map, and new
rows can be put on it. Nothing is fitted anew, and what the package computed is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmbench import HarmbenchError

Floats = npt.NDArray[np.float64]

TOLERANCE = 1e-6
"""Largest distance of a harmonized training value from its line, in standard deviations of the feature."""


class NotAffine(HarmbenchError):
    """The package did something else than moving and scaling each feature of each manufacturer."""


@dataclass(frozen=True)
class Lines:
    """One line per manufacturer and feature.

    Parameters
    ----------
    slope, offset : mapping of manufacturer to float64 (p,)
    """

    slope: dict[str, Floats]
    offset: dict[str, Floats]

    def apply(self, values: Floats, manufacturer: npt.NDArray[np.str_]) -> Floats:
        """Put rows of known manufacturers on their lines."""
        out = np.empty_like(values)
        for name in np.unique(manufacturer).tolist():
            rows = manufacturer == name
            out[rows] = values[rows] * self.slope[name] + self.offset[name]
        return out


def lines_through(raw: Floats, harmonized: Floats, manufacturer: npt.NDArray[np.str_], package: str) -> Lines:
    """The lines that take the raw training rows to the harmonized ones.

    Parameters
    ----------
    raw, harmonized : float64 (n, p)
    manufacturer : str (n,)
    package : str
        For messages.

    Raises
    ------
    NotAffine
        Some harmonized value lies off its line.
    """
    slope: dict[str, Floats] = {}
    offset: dict[str, Floats] = {}
    spread = np.maximum(raw.std(axis=0), 1e-300)
    for name in np.unique(manufacturer).tolist():
        rows = manufacturer == name
        x, y = raw[rows], harmonized[rows]
        centred = x - x.mean(axis=0)
        power = (centred**2).sum(axis=0)
        # A feature that does not vary here has no slope; its rows are only moved.
        slope[name] = np.divide((centred * y).sum(axis=0), power, out=np.ones_like(power), where=power > 0)
        offset[name] = y.mean(axis=0) - slope[name] * x.mean(axis=0)
        gap = (np.abs(x * slope[name] + offset[name] - y) / spread).max(initial=0.0)
        if gap > TOLERANCE:
            raise NotAffine(
                f"{package} did not give the rows of '{name}' by moving and scaling them (off by {gap:.2g} standard "
                "deviations); this version of it cannot be used here."
            )
    return Lines(slope, offset)
