"""Which of Nyxus's columns are used, under which names, and in which units they come.

Nyxus works on whole, non-negative grey levels. A map is therefore given to it as levels between its own smallest and
largest value; what Nyxus says of levels is brought back to the units of the map here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Unit = Literal["location", "scale", "variance", "none"]

FIRST_ORDER: dict[str, tuple[str, Unit]] = {
    "MEAN": ("Mean", "location"),
    "MEDIAN": ("Median", "location"),
    "MIN": ("Minimum", "location"),
    "MAX": ("Maximum", "location"),
    "P10": ("10Percentile", "location"),
    "P90": ("90Percentile", "location"),
    "INTERQUARTILE_RANGE": ("InterquartileRange", "scale"),
    "RANGE": ("Range", "scale"),
    "MEAN_ABSOLUTE_DEVIATION": ("MeanAbsoluteDeviation", "scale"),
    "ROBUST_MEAN_ABSOLUTE_DEVIATION": ("RobustMeanAbsoluteDeviation", "scale"),
    "STANDARD_DEVIATION_BIASED": ("StandardDeviation", "scale"),
    "VARIANCE_BIASED": ("Variance", "variance"),
    "SKEWNESS": ("Skewness", "none"),
    "KURTOSIS": ("Kurtosis", "none"),
}
GLCM = (
    "ASM", "ACOR", "CLUPROM", "CLUSHADE", "CLUTEND", "CONTRAST", "CORRELATION", "DIFAVE", "DIFENTRO", "DIFVAR", "DIS",
    "ENERGY", "HOM1", "ID", "IDN", "IDM", "IDMN", "IV", "JAVE", "JE", "INFOMEAS1", "INFOMEAS2", "VARIANCE", "JMAX",
    "JVAR", "SUMAVERAGE", "SUMENTROPY", "SUMVARIANCE",
)  # fmt: skip
"""Averages over four directions. GLCM_ENTROPY is left out: it is no entropy (below -5000 on 8-bit images); JE is."""
GLRLM = (
    "SRE", "LRE", "GLN", "GLNN", "RLN", "RLNN", "RP", "GLV", "RV", "RE", "LGLRE", "HGLRE", "SRLGLE", "SRHGLE", "LRLGLE",
    "LRHGLE",
)  # fmt: skip
GLSZM = (
    "SAE", "LAE", "GLN", "GLNN", "SZN", "SZNN", "ZP", "GLV", "ZV", "ZE", "LGLZE", "HGLZE", "SALGLE", "SAHGLE", "LALGLE",
    "LAHGLE",
)  # fmt: skip
GLDM = (
    "SDE", "LDE", "GLN", "DN", "DNN", "GLV", "DV", "DE", "LGLE", "HGLE", "SDLGLE", "SDHGLE", "LDLGLE", "LDHGLE",
)  # fmt: skip
NGTDM = ("COARSENESS", "CONTRAST", "BUSYNESS", "COMPLEXITY", "STRENGTH")
TEXTURE: dict[str, str] = {
    **{f"GLCM_{name}_AVE": f"glcm_{name}" for name in GLCM},
    **{f"GLRLM_{name}_AVE": f"glrlm_{name}" for name in GLRLM},
    **{f"GLSZM_{name}": f"glszm_{name}" for name in GLSZM},
    **{f"GLDM_{name}": f"gldm_{name}" for name in GLDM},
    **{f"NGTDM_{name}": f"ngtdm_{name}" for name in NGTDM},
}
"""Nyxus's column to <class>_<Feature>."""

NAMES = (*(f"firstorder_{name}" for name, _ in FIRST_ORDER.values()), *TEXTURE.values())
"""The features of a map, without the map's name."""


def first_order(row: Mapping[str, float], low: float, step: float) -> list[float]:
    """First-order features in the units of the map.

    Parameters
    ----------
    row : mapping of Nyxus's columns to values
        In levels, of which level 1 is `low`.
    low, step : float
        Value of level 1, and of the distance between two levels.
    """
    found = []
    for column, (_, unit) in FIRST_ORDER.items():
        value = float(row[column])
        if unit == "location":
            value = low + (value - 1) * step
        elif unit == "scale":
            value *= step
        elif unit == "variance":
            value *= step * step
        found.append(value)
    return found


def texture(row: Mapping[str, float]) -> list[float]:
    """Texture features: of levels, so without a unit of the map."""
    return [float(row[column]) for column in TEXTURE]
