"""NGTDM: how far a pixel's level is from the mean level of its neighbours."""

from __future__ import annotations

import numpy as np

from harmbench.data import Integers
from harmbench_builtin.extractors.fast2d.oracle.levels import neighbours

_BLOCK = 512


def ngtdm(levels: Integers, distance: int) -> dict[str, float]:
    """The 5 features of the neighbouring grey-tone difference matrix.

    n_i counts the pixels of level i, p_i = n_i / N, s_i = sum |i - mean level of the neighbours in the mask| over
    them; a pixel without neighbours counts in n_i and adds 0 to s_i. Sums run over the G levels that occur.

    Coarseness = 1 / sum p_i s_i (10^6 when that is 0)
    Contrast = sum_ij p_i p_j (i - j)^2 / (G (G - 1)) * sum s_i / N (0 for one level)
    Busyness = sum p_i s_i / sum_ij |i p_i - j p_j| (0 when that is 0)
    Complexity = sum_ij |i - j| (p_i s_i + p_j s_j) / (p_i + p_j) / N
    Strength = sum_ij (p_i + p_j) (i - j)^2 / sum s_i (0 when that is 0)
    """
    level = levels[levels > 0]
    total, number = np.zeros_like(level), np.zeros_like(level)
    for other in neighbours(levels, distance):
        total += other
        number += other > 0
    # |i - total / number| in one rounding; an exact 0 stays one.
    difference = np.abs(level * number - total) / np.maximum(number, 1)
    present, which, count = np.unique(level, return_inverse=True, return_counts=True)
    s, n, pixels = np.bincount(which, weights=difference), count, level.size
    p, i = n / pixels, present.astype(np.float64)
    coarse, groups = (p * s).sum(), present.size

    contrast = complexity = strength = busy = 0.0
    for start in range(0, groups, _BLOCK):  # the double sums, some rows at a time
        row = slice(start, start + _BLOCK)
        apart = np.abs(i[row, None] - i)
        both = p[row, None] + p
        contrast += (p[row, None] * p * apart**2).sum()
        complexity += (apart * ((p * s)[row, None] + p * s) / both).sum()
        strength += (both * apart**2).sum()
        # Whole numbers, so that equal i p_i cancel exactly.
        busy += float(np.abs((present * n)[row, None] - present * n).sum()) / pixels
    return {
        "Busyness": coarse / busy if busy else 0.0,
        "Coarseness": 1 / coarse if coarse else 1e6,
        "Complexity": complexity / pixels,
        "Contrast": contrast / (groups * (groups - 1)) * s.sum() / pixels if groups > 1 else 0.0,
        "Strength": strength / s.sum() if s.sum() else 0.0,
    }
