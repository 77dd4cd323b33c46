"""`signed-log`: sign(x) log(1 + |x| / s), with one scale s per feature."""

from __future__ import annotations

import math

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench.errors import UsageError
from harmbench_builtin.harmonizers.table_method import TableMethod


def scales(values: Floats, level: float) -> Floats:
    """Where each feature's scale ends being linear and begins to be logarithmic.

    A quantile of |x| among the values that are not 0. Its level is `level` for a feature of one sign and rises to the
    median for one whose signs are equally common: a small scale makes sign(x) log(1 + |x| / s) close to log |x|, which
    is what a skewed positive feature needs, but would tear a feature that crosses zero into two heaps.

    Parameters
    ----------
    values : float64 (n, p)
    level : float
        In (0, 0.5].

    Returns
    -------
    float64 (p,)
        Positive; 1 for a feature that is 0 throughout.
    """
    n = len(values)
    size = np.sort(np.abs(values), axis=0)
    zeros = n - np.count_nonzero(values, axis=0)
    positive, rest = np.count_nonzero(values > 0, axis=0), np.maximum(n - zeros, 1)
    minority = np.minimum(positive, n - zeros - positive) / rest
    place = zeros + (level + (1 - 2 * level) * minority) * (rest - 1)
    below = np.minimum(place.astype(np.intp), n - 1)
    column = np.arange(values.shape[1])
    low, high = size[below, column], size[np.minimum(below + 1, n - 1), column]
    scale = low + (place - below) * (high - low)
    return np.where(scale > 0, scale, 1.0)


class SignedLog(TableMethod[Floats]):
    """Logarithm of the size of a value, sign kept: y = sign(x) log(1 + |x| / s).

    It knows nothing of manufacturers, so it serves any of them. The scale s of each feature comes from the training
    rows, because log(1 + |x|) without one depends on the unit: it leaves a feature of the order of 1e-4 as it is and
    turns one of the order of 1e6 into its plain logarithm. With s, a change of unit changes nothing.

    Parameters
    ----------
    level : float, default 0.05
        s is this quantile of the training rows' |x| (those that are not 0) for a feature of one sign, and goes to
        their median as the signs become equally common; see `scales`. In (0, 0.5].

    References
    ----------
    The log-modulus transform of John and Draper (1980), doi:10.2307/2986305, with a scale.
    """

    name = "signed-log"

    def __init__(self, level: float = 0.05) -> None:
        super().__init__()
        if (
            isinstance(level, bool)
            or not isinstance(level, int | float)
            or not (math.isfinite(level) and 0 < level <= 0.5)
        ):
            raise UsageError(f"signed-log.level must be a number above 0 and at most 0.5, not {level!r}.")
        self.level = float(level)

    def learn(self, table: FeatureTable, context: Context) -> Floats:
        return scales(table.values, self.level)

    def apply(self, state: Floats, table: FeatureTable) -> Floats:
        # Two logarithms, not the quotient: |x| / s may overflow where both are finite.
        size = np.abs(table.values)
        with np.errstate(over="ignore"):
            ratio = size / state
        out = np.log1p(ratio)
        huge = np.isinf(ratio)
        if huge.any():
            out[huge] = np.log(size[huge]) - np.broadcast_to(np.log(state), size.shape)[huge]
        return np.copysign(out, table.values)
