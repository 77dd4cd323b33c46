"""Median and median absolute deviation, with an answer for features of which most values are equal."""

from __future__ import annotations

import numpy as np

from harmbench.data import Floats

NORMAL = 1.4826022185056018
"""1 / (75 % point of the standard normal): the median absolute deviation times this is the sd of normal values."""


def centre_and_scale(values: Floats) -> tuple[Floats, Floats]:
    """Robust location and spread of each feature.

    Parameters
    ----------
    values : float64 (n, p)

    Returns
    -------
    centre : float64 (p,)
        Median.
    scale : float64 (p,)
        Median absolute deviation times 1.4826; the standard deviation (divisor n) where that is 0 because at least
        half of the values are equal; 1 for a constant feature.
    """
    centre = np.median(values, axis=0)
    scale = NORMAL * np.median(np.abs(values - centre), axis=0)
    ties = np.flatnonzero(scale == 0)
    if len(ties):
        tied = values[:, ties]
        scale[ties] = np.where(tied.max(axis=0) > tied.min(axis=0), tied.std(axis=0), 0)
    return centre, np.where(scale > 0, scale, 1.0)
