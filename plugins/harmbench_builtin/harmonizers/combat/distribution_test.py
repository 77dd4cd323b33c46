"""The k-sample Anderson-Darling test for all features at once: do groups come from one distribution?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmbench_builtin.harmonizers.combat.design import Floats
from harmbench_builtin.harmonizers.combat.least_squares import spans

# Scholz and Stephens (1987), table 1: the critical value at 5 % for k samples is a + b / sqrt(k - 1) + c / (k - 1).
_CRITICAL_5 = (1.645, 0.678, -0.362)


def _spread(counts: npt.NDArray[np.intp]) -> float:
    """Standard deviation of the statistic under the null (Scholz and Stephens, formula 4)."""
    k, n = len(counts), int(counts.sum())
    harmonic = float((1.0 / counts).sum())
    series = 1.0 / np.arange(1, n)
    h = float(series.sum())
    # g = sum over i < j of 1 / ((n - i) j) = sum over i of (H(n-1) - H(i)) / (n - i)
    tails = h - np.cumsum(series)[:-1]
    g = float((tails / np.arange(n - 1, 1, -1)).sum())
    a = (4 * g - 6) * (k - 1) + (10 - 6 * g) * harmonic
    b = (2 * g - 4) * k**2 + 8 * h * k + (2 * g - 14 * h - 4) * harmonic - 8 * h + 4 * g - 6
    c = (6 * h + 2 * g - 2) * k**2 + (4 * h - 4 * g + 6) * k + (2 * h - 6) * harmonic + 4 * h
    d = (2 * h + 6) * k**2 - 4 * h * k
    return float(np.sqrt((a * n**3 + b * n**2 + c * n + d) / ((n - 1.0) * (n - 2.0) * (n - 3.0))))


def anderson_darling(values: Floats, batch: npt.NDArray[np.str_]) -> Floats:
    """Normalised statistic of every column, midrank version (ties allowed).

    Parameters
    ----------
    values : float64 (n, p)
    batch : str (n,)
        At least two groups, four rows.

    Returns
    -------
    float64 (p,)
        -inf for a constant column, which cannot differ.
    """
    _, codes, counts = np.unique(batch, return_inverse=True, return_counts=True)
    n, k = len(values), len(counts)
    sigma = _spread(counts)
    out = np.full(values.shape[1], -np.inf)
    for span in spans(values.shape[1], 8 * n * (k + 4)):
        block = values[:, span]
        order = np.argsort(block, axis=0, kind="stable")
        ordered = np.take_along_axis(block, order, axis=0)
        new = np.ones(ordered.shape, dtype=bool)
        new[1:] = ordered[1:] != ordered[:-1]
        place = np.arange(n)[:, None]
        first = np.maximum.accumulate(np.where(new, place, 0), axis=0)
        last_here = np.ones(ordered.shape, dtype=bool)
        last_here[:-1] = new[1:]
        last = np.minimum.accumulate(np.where(last_here, place, n)[::-1], axis=0)[::-1]
        ties = (last - first + 1).astype(np.float64)
        below = first + ties / 2
        # Each distinct value weighs its number of ties: summing over rows does that.
        denominator = below * (n - below) - n * ties / 4
        varies = denominator > 0
        total = np.zeros(block.shape[1])
        for i, count in enumerate(counts):
            cumulated = np.cumsum((codes == i)[order], axis=0)
            start = np.take_along_axis(np.vstack([np.zeros((1, block.shape[1]), np.intp), cumulated]), first, axis=0)
            inside = np.take_along_axis(cumulated, last, axis=0) - start
            middle = start + inside / 2
            terms = np.zeros(ordered.shape)
            np.divide((n * middle - below * count) ** 2, denominator, out=terms, where=varies)
            total += terms.sum(axis=0) / n / count
        total *= (n - 1) / n
        constant = ordered[0] == ordered[-1]
        out[span] = np.where(constant, -np.inf, (total - (k - 1)) / sigma)
    return out


def count_differing(values: Floats, batch: npt.NDArray[np.str_]) -> int:
    """Features whose distribution differs between groups at the 5 % level."""
    m = len(np.unique(batch)) - 1
    critical = _CRITICAL_5[0] + _CRITICAL_5[1] / np.sqrt(m) + _CRITICAL_5[2] / m
    return int(np.count_nonzero(anderson_darling(values, batch) > critical))
