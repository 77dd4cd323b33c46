"""What turns a map into grey levels, and grey levels into matrices: the settings all engines share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harmbench.errors import UsageError

MAX_LEVELS = 65_535
"""Levels are stored in 16 bits, 0 being outside the mask."""
MAX_DISTANCE = 255


@dataclass(frozen=True)
class Settings:
    """PyRadiomics' settings as far as they matter to one 2-D map.

    Parameters
    ----------
    bin_count : int, default 32
        Grey levels between the smallest and the largest value inside the mask, 2 to 65 535 (`binCount`).
    bin_width : float, default 0.0
        When above 0, levels are this wide instead, in the map's own units, and `bin_count` is not used (`binWidth`).
    distance : int, default 1
        Pixels between neighbours in GLCM, GLDM and NGTDM, 1 to 255 (`distances`, of which we take one).
    symmetrical_glcm : bool, default True
        Whether a pair of pixels counts in both orders (`symmetricalGLCM`).

    Raises
    ------
    UsageError
        A value is out of range or of the wrong type.
    """

    bin_count: int = 32
    bin_width: float = 0.0
    distance: int = 1
    symmetrical_glcm: bool = True

    def __post_init__(self) -> None:
        _whole("bin_count", self.bin_count, 2, MAX_LEVELS)
        _whole("distance", self.distance, 1, MAX_DISTANCE)
        if not isinstance(self.symmetrical_glcm, bool):
            raise UsageError(f"symmetrical_glcm={self.symmetrical_glcm!r} must be true or false.")
        width = self.bin_width
        number = isinstance(width, int | float) and not isinstance(width, bool)
        if not number or not math.isfinite(width) or width < 0:
            raise UsageError(f"bin_width={width!r} must be a number of grey levels, or 0 to use bin_count.")
        object.__setattr__(self, "bin_width", float(width))


def _whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"{name}={value!r} must be a whole number from {low} to {high}.")
