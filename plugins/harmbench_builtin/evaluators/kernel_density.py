"""JSD between Gaussian kernel density estimates on a common grid: near what publications report, never ranked.

It reads 0.57 on a skewed feature whose true divergence is 0.076, and it is not invariant under a monotone map; it is
offered because published figures were probably made this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
GRID = 256
_MARGIN = 3.0  # bandwidths beyond the outermost values


def kde_divergence(groups: Sequence[Floats], mixtures: npt.NDArray[Any], grid: int = GRID) -> Floats:
    """Divergence between kernel density estimates, over log2 of the number of groups.

    Parameters
    ----------
    groups : sequence of array (n_l, p)
        The rows of each manufacturer.
    mixtures : array (C, G, L)
        As in `divergence.divergences`.
    grid : int
        Points of the grid, which spans all groups and three bandwidths beyond.

    Returns
    -------
    float64 (C, p)
        0 for a feature that is constant over all groups; NaN where a value is not finite.

    Notes
    -----
    Silverman's rule for each group, h = 0.9 min(sd, IQR / 1.34) n^(-1/5) (sd where the IQR is 0); never below half a
    grid step, so that a group of equal values remains a density.
    """
    pooled = np.concatenate(groups)
    low, high = pooled.min(axis=0), pooled.max(axis=0)
    span = high - low
    varies = span > 0
    bandwidths = [np.maximum(_silverman(g), np.where(varies, span, 1.0) / (2.0 * grid)) for g in groups]
    reach = _MARGIN * np.max(bandwidths, axis=0)
    points = np.linspace(low - reach, high + reach, grid)  # (grid, p)
    density = np.empty((len(groups), grid, pooled.shape[1]))
    for i, (rows, width) in enumerate(zip(groups, bandwidths, strict=True)):
        density[i] = 0.0
        for row in rows:  # one row at a time: memory stays at grid x p
            density[i] += np.exp(-0.5 * ((points - row) / width) ** 2)
        density[i] /= density[i].sum(axis=0)
    result = []
    for mixture in np.asarray(mixtures):
        p = np.einsum("gl,lxp->gxp", mixture, density)
        d = _entropy(p.mean(axis=0)) - np.mean([_entropy(q) for q in p], axis=0)
        result.append(np.where(varies | np.isnan(span), d / np.log2(len(p)), 0.0))
    return np.array(result)


def _silverman(rows: Floats) -> Floats:
    sd = rows.std(axis=0, ddof=1) if len(rows) > 1 else np.zeros(rows.shape[1])
    quartiles = np.quantile(rows, (0.25, 0.75), axis=0)
    scale = (quartiles[1] - quartiles[0]) / 1.34
    return 0.9 * np.where(scale > 0, np.minimum(sd, scale), sd) * len(rows) ** -0.2


def _entropy(p: Floats) -> Floats:
    return -(p * np.log2(p + 1e-300)).sum(axis=0)
