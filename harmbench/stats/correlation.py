"""Rank correlation inside groups, and put together over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, norm, rankdata

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
FIELLER = 1.06
"""n - 3 times the variance of Fisher's z of a rank correlation, where there is none (Fieller et al. 1957)."""


@dataclass(frozen=True)
class Combined:
    """Correlations of several groups as one. All arrays (p,).

    Parameters
    ----------
    rho : float64
        Fisher's z averaged with weights n - 3, turned back.
    low, high : float64
        Interval; its variance is (1 + rho^2/2) / (n - 3) in each group (Bonett and Wright 2000).
    p_value : float64
        Two-sided, of no correlation in any group; its variance is 1.06 / (n - 3) in each.
    heterogeneity : float64
        p of Cochran's Q: small when the groups disagree. NaN with one group.
    groups : int
        How many groups took part.
    n : int
        Independent rows in them.
    """

    rho: Floats
    low: Floats
    high: Floats
    p_value: Floats
    heterogeneity: Floats
    groups: npt.NDArray[np.int_]
    n: npt.NDArray[np.int_]


def spearman(values: Array, other: Array) -> tuple[Floats, npt.NDArray[np.int_]]:
    """Spearman correlation of each column with one variable; a row counts where both are known.

    Parameters
    ----------
    values : float (n, p)
    other : float (n,)

    Returns
    -------
    float64 (p,), int (p,)
        The correlations (NaN where either side does not vary), and the rows they rest on.
    """
    x, y = np.asarray(values, dtype=np.float64), np.asarray(other, dtype=np.float64)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    finite = np.isfinite(x)
    n = finite.sum(axis=0)
    rho = np.full(x.shape[1], np.nan)
    whole = n == len(x)
    if len(x) > 1:
        rho[whole] = _of_ranks(rankdata(x[:, whole], axis=0), rankdata(y))
    for j in np.flatnonzero(~whole & (n > 1)):
        rows = finite[:, j]
        rho[j] = _of_ranks(rankdata(x[rows, j])[:, None], rankdata(y[rows]))[0]
    return rho, n


def _of_ranks(x: Floats, y: Floats) -> Floats:
    x, y = x - x.mean(axis=0), y - y.mean()
    below = np.sqrt((x * x).sum(axis=0) * (y * y).sum())
    rho = np.divide(y @ x, below, out=np.full(x.shape[1], np.nan), where=below > 0)
    return np.clip(rho, -1.0, 1.0)


def combine(rho: npt.ArrayLike, n: npt.ArrayLike, least: int = 10, level: float = 0.95) -> Combined:
    """Correlations inside groups, put together by Fisher's z.

    Parameters
    ----------
    rho : float (G, p)
        Of each group; NaN where it has none.
    n : int (G, p) or (G, 1)
        Independent rows that each rests on.
    least : int
        Groups with fewer are left out: the variances above are those of ten rows or more.
    level : float
        Of the interval.

    Notes
    -----
    A correlation of 1 has no z; it counts as 1 - 6 / (n (n^2 - 1)), half way to the next possible value.
    """
    r = np.asarray(rho, dtype=np.float64)
    sizes = np.broadcast_to(np.asarray(n), r.shape)
    known = np.isfinite(r) & (sizes >= max(least, 4))
    count = np.where(known, sizes, 4).astype(np.float64)
    most = 1.0 - 6.0 / (count * (count**2 - 1.0))
    inside = np.clip(np.where(known, r, 0.0), -most, most)
    weight = np.where(known, count - 3.0, 0.0)
    total = weight.sum(axis=0)
    there = total > 0
    safe = np.where(there, total, 1.0)
    z = (weight * np.arctanh(inside)).sum(axis=0) / safe
    # Weights w = n - 3 and variances v / w give the mean's variance, sum(w v) / sum(w)^2.
    error = np.sqrt((weight * (1.0 + inside**2 / 2.0)).sum(axis=0)) / safe
    half = norm.ppf(0.5 + level / 2.0) * error
    p_value = 2.0 * norm.sf(np.abs(z) / np.sqrt(FIELLER / safe))
    q = (weight * (np.arctanh(inside) - z) ** 2 / (1.0 + inside**2 / 2.0)).sum(axis=0)
    groups = known.sum(axis=0)
    return Combined(
        rho=np.where(there, np.tanh(z), np.nan),
        low=np.where(there, np.tanh(z - half), np.nan),
        high=np.where(there, np.tanh(z + half), np.nan),
        p_value=np.where(there, p_value, np.nan),
        heterogeneity=np.where(groups > 1, chi2.sf(q, np.maximum(groups - 1, 1)), np.nan),
        groups=groups,
        n=np.where(known, sizes, 0).sum(axis=0),
    )
