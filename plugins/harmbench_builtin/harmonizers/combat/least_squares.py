"""Least squares of every feature on manufacturer and covariates, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmbench.errors import DataError
from harmbench_builtin.harmonizers.combat.design import Covariates, Floats, factorise

_BLOCK_BYTES = 2 << 20  # small enough to stay in the processor's cache through all passes over a block


@dataclass(frozen=True)
class Statistics:
    """What ComBat needs of the data.

    Parameters
    ----------
    intercept : float64 (L, p)
        Mean of each manufacturer where the coded covariates are 0.
    squares : float64 (L, p)
        Residual sum of squares of its rows.
    coefficients : float64 (q, p)
        Covariate effects, common to all manufacturers.
    size : float64 (p,)
        Magnitude of the feature (largest mean plus standard deviation): what its rounding error is measured by.
    effects : float64 (L, p), optional
        The model's own location of each manufacturer, where it is not the mean in `intercept` (mixed models): what
        the grand mean is made of.
    variance : float64 (p,), optional
        The model's own residual variance, where it is not that of `squares`.
    """

    intercept: Floats
    squares: Floats
    coefficients: Floats
    size: Floats
    effects: Floats | None = None
    variance: Floats | None = None


Solve = Callable[[Floats], Floats]
"""Covariate effects (q, b) of a block of features (n, b) that are centred within each manufacturer."""
Prepare = Callable[[Floats, Floats, Sequence[str], int], Solve]
"""prepare(within, spread, names, groups): covariates (n, q) centred within each manufacturer, the norm of each column
centred over all rows, their names, and the number of manufacturers."""


def spans(total: int, bytes_each: int) -> Iterator[slice]:
    """Slices that cover `total` rows or columns of `bytes_each` bytes in blocks of a few MiB."""
    step = max(8, _BLOCK_BYTES // max(1, bytes_each))
    return (slice(start, min(total, start + step)) for start in range(0, total, step))


def least_squares(within: Floats, spread: Floats, names: Sequence[str], groups: int) -> Solve:
    """Ordinary least squares: one small factorisation serves all features.

    Raises
    ------
    DataError
        Covariates that cannot be told apart (see `design.factorise`), or fewer rows than effects.
    """
    if len(within) <= groups + len(names):
        raise DataError(
            f"{len(within)} training rows cannot determine {groups} manufacturers and {len(names)} covariate columns.",
            remedy="Add rows or use fewer covariates.",
        )
    unit, triangle = factorise(within, spread, names)
    return lambda block: np.asarray(np.linalg.solve(triangle, unit.T @ block))


def statistics(
    values: Floats,
    order: npt.NDArray[np.intp],
    groups: list[slice],
    covariates: Covariates,
    prepare: Prepare = least_squares,
) -> Statistics:
    """Regression on manufacturer and covariates, in feature blocks.

    By Frisch, Waugh and Lovell the covariate effects are those of values and covariates that are centred within each
    manufacturer, penalised or not, as long as the manufacturers' means are not penalised. Nothing of the size of the
    table is held.

    Parameters
    ----------
    values : float64 (n, p)
    order : int (n,)
        Row positions, manufacturer after manufacturer.
    groups : list of slice
        Where each manufacturer lies in `order`.
    covariates : Covariates
        In the row order of `values`.
    prepare : callable, default `least_squares`
        How covariate effects come of centred covariates and features.

    Raises
    ------
    DataError
        No rows beyond one for each manufacturer, or what `prepare` refuses.
    """
    if len(order) <= len(groups):
        raise DataError(f"{len(order)} training rows cannot determine {len(groups)} manufacturers.", remedy="Add rows.")
    p, q, n_groups = values.shape[1], len(covariates.names), len(groups)
    columns = covariates.columns[order]
    column_means = np.stack([columns[g].mean(axis=0) for g in groups])
    within = columns.copy()
    for g, mean in zip(groups, column_means, strict=True):
        within[g] -= mean
    if q:
        spread = np.linalg.norm(columns - columns.mean(axis=0), axis=0)
        solve = prepare(within, spread, covariates.names, n_groups)

    means, squares = np.empty((n_groups, p)), np.empty((n_groups, p))
    coefficients = np.zeros((q, p))
    for span in spans(p, 8 * len(values)):
        block = np.take(values[:, span], order, axis=0)
        for i, g in enumerate(groups):
            # Taking the first row off before the mean makes a constant feature exactly zero.
            first = block[g.start].copy()
            block[g] -= first
            mean = block[g].mean(axis=0)
            block[g] -= mean
            means[i, span] = first + mean
        if q:
            coefficients[:, span] = solve(block)
            block -= within @ coefficients[:, span]
        for i, g in enumerate(groups):
            squares[i, span] = np.einsum("ij,ij->j", block[g], block[g])
    counts = np.array([g.stop - g.start for g in groups], dtype=np.float64)
    size = np.abs(means).max(axis=0) + np.sqrt(squares.sum(axis=0) / counts.sum())
    return Statistics(means - column_means @ coefficients, squares, coefficients, size)
