"""`rank-gauss`: each feature's rank among the training rows, as a normal score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench_builtin.harmonizers.table_method import TableMethod

Knots = tuple[Floats, Floats]
"""The distinct training values of a feature, rising, and the normal score of each."""


def knots(column: npt.NDArray[np.float64], scores: Floats) -> Knots:
    """Distinct values and normal scores of one feature.

    Parameters
    ----------
    column : float64 (n,)
        Sorted.
    scores : float64 (n,)
        Normal score of each place, (i - 0.5) / n for i = 1 .. n.
    """
    first = np.flatnonzero(np.r_[True, column[1:] > column[:-1]])
    if len(first) == len(column):
        return column, scores
    last = np.r_[first[1:], len(column)]
    return column[first], ndtri((first + last) / (2 * len(column)))


class RankGauss(TableMethod[tuple[Knots, ...]]):
    """Normal scores of ranks among the training rows.

    A training value with b smaller and c equal ones (itself included) becomes the (b + c/2) / n quantile of the normal.
    It knows nothing of manufacturers, so it serves any of them. Between two training values the score is interpolated;
    beyond the smallest and the largest it stays at theirs (tails are clipped), so no value is larger in size than the
    normal quantile of 1 - 1/(2n). A feature that is constant in the training rows becomes 0. The order of values is
    kept; distances in the tails are not.

    References
    ----------
    Rank-based inverse normal transformation with Hazen's plotting positions; see Beasley, Erickson, Allison (2009),
    doi:10.1007/s10519-009-9281-0.
    """

    name = "rank-gauss"

    def learn(self, table: FeatureTable, context: Context) -> tuple[Knots, ...]:
        ordered = np.sort(table.values.T, axis=1)
        scores = ndtri((np.arange(len(table)) + 0.5) / len(table))
        return tuple(knots(column, scores) for column in ordered)

    def apply(self, state: tuple[Knots, ...], table: FeatureTable) -> Floats:
        columns = np.ascontiguousarray(table.values.T)
        out = np.empty_like(columns)
        for j, (values, scores) in enumerate(state):
            out[j] = np.interp(columns[j], values, scores)
        return np.ascontiguousarray(out.T)
