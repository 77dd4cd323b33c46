"""Cubic regression splines of a covariate: basis learned from the training rows, roughness penalty, choice of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.interpolate import BSpline

from harmbench.errors import DataError, NotApplicable
from harmbench_builtin.harmonizers.combat.design import Floats, factorise
from harmbench_builtin.harmonizers.combat.least_squares import Solve

DEGREE = 3
LEAST_VALUES = DEGREE + 2
"""A covariate with fewer distinct values has no curve."""
_GRID = np.logspace(8, -8, 65)
"""Penalties that generalised cross-validation tries, relative to the size of the design; the smoothest first."""


@dataclass(frozen=True)
class Smooth:
    """A number, coded as cubic B-splines.

    The first basis function is dropped (their sum is 1, which the manufacturers' means hold already), and columns are
    centred by their means over the training rows. Outside the range of the training rows every function goes on along
    its tangent, so a new row never meets a polynomial that runs away.

    Parameters
    ----------
    name : str
    knots : float64 (k + 5,)
        With the range of the training rows, four times each, at the ends.
    means : float64 (k,)
        Of the basis functions but the first.
    """

    name: str
    knots: Floats
    means: Floats

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"smooth({self.name}).{j + 1}" for j in range(len(self.means)))

    def expand(self, values: Floats) -> Floats:
        return _basis(self.knots, values) - self.means

    @property
    def penalty(self) -> Floats:
        """Integral of the products of second derivatives (k, k): b' S b is the roughness of the curve."""
        # Second derivatives are linear between knots, so Simpson's rule integrates their products exactly.
        inner = np.unique(self.knots)
        second = _functions(self.knots).derivative(2)
        total = np.zeros((len(self.means), len(self.means)))
        for low, high in pairwise(inner):
            # The ends are taken from inside: at a knot the second derivative of the next piece would be met.
            at = second(np.array([low, (low + high) / 2]))[:, 1:]
            start, middle = at
            stop = 2 * middle - start
            total += (high - low) / 6 * sum(w * np.outer(v, v) for w, v in ((1, start), (4, middle), (1, stop)))
        return total


def _functions(knots: Floats) -> BSpline:
    """All basis functions at once: a spline with one output for each."""
    return BSpline(knots, np.eye(len(knots) - DEGREE - 1), DEGREE)


def _basis(knots: Floats, values: Floats) -> Floats:
    functions = _functions(knots)
    inside = np.clip(values, knots[0], knots[-1])
    out = functions(inside) + functions.derivative()(inside) * (values - inside)[:, None]
    return np.asarray(out[:, 1:], dtype=np.float64)


def learn_smooth(name: str, values: Floats, df: int) -> Smooth:
    """Knots at quantiles of the training rows.

    Parameters
    ----------
    name : str
    values : float64 (n,)
    df : int
        Number of basis functions, before one is dropped; fewer where values repeat.

    Raises
    ------
    NotApplicable
        Fewer than `LEAST_VALUES` distinct values: there is no curve to learn.
    """
    distinct = np.unique(values)
    if len(distinct) < LEAST_VALUES:
        raise NotApplicable(
            f"covariate '{name}' has {len(distinct)} distinct values in the training rows, too few for a curve; it can "
            "be a linear covariate (covariates=...) instead"
        )
    inner = np.unique(np.quantile(values, np.linspace(0, 1, df - DEGREE + 1)[1:-1]))
    inner = inner[(inner > distinct[0]) & (inner < distinct[-1])][: len(distinct) - DEGREE - 1]
    ends = DEGREE + 1
    knots = np.concatenate([np.repeat(distinct[0], ends), inner, np.repeat(distinct[-1], ends)])
    return Smooth(name, knots, _basis(knots, values).mean(axis=0))


def smooth_effects(
    within: Floats, spread: Floats, names: Sequence[str], groups: int, *, penalty: Floats, strength: float | None
) -> Solve:
    """Penalised least squares: |y - x b|^2 + strength b' penalty b.

    Parameters
    ----------
    within, spread, names, groups
        See `least_squares.Prepare`.
    penalty : float64 (q, q)
        Zero for linear covariates.
    strength : float or None
        None: for each feature the one that generalised cross-validation prefers among a fixed grid.

    Raises
    ------
    DataError
        Columns that cannot be told apart, or fewer rows than columns.
    """
    n, q = within.shape
    if n <= groups + q:
        raise DataError(
            f"{n} training rows cannot determine {groups} manufacturers and {q} columns of covariates and splines.",
            remedy="Add rows, use a smaller df, or fewer covariates.",
        )
    unit, triangle = factorise(within, spread, names)
    # In the orthonormal basis of the design the penalty is U diag(roughness) U'.
    root = np.linalg.solve(triangle.T, np.linalg.solve(triangle.T, penalty).T)
    roughness, turn = np.linalg.eigh((root + root.T) / 2)
    roughness = np.maximum(roughness, 0.0)
    forward = (unit @ turn).T
    back = np.linalg.solve(triangle, turn)
    if strength is not None:
        shrink = 1 / (1 + strength * roughness)
        return lambda block: np.asarray(back @ (shrink[:, None] * (forward @ block)))
    largest = roughness.max(initial=0.0)
    weights = 1 / (1 + np.outer(_GRID / largest if largest > 0 else _GRID, roughness))
    freedom = n - groups - weights.sum(axis=1)

    def solve(block: Floats) -> Floats:
        z = forward @ block
        total = np.einsum("ij,ij->j", block, block)
        left = total - (2 * weights - weights**2) @ z**2
        score = np.maximum(left, 0.0) / freedom[:, None] ** 2
        return np.asarray(back @ (weights[score.argmin(axis=0)].T * z))

    return solve
