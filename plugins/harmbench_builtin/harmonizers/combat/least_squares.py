"""Least squares of every feature on manufacturer and covariates, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    """

    intercept: Floats
    squares: Floats
    coefficients: Floats
    size: Floats


def spans(total: int, bytes_each: int) -> Iterator[slice]:
    """Slices that cover `total` rows or columns of `bytes_each` bytes in blocks of a few MiB."""
    step = max(8, _BLOCK_BYTES // max(1, bytes_each))
    return (slice(start, min(total, start + step)) for start in range(0, total, step))


def statistics(values: Floats, order: npt.NDArray[np.intp], groups: list[slice], covariates: Covariates) -> Statistics:
    """Least squares on manufacturer and covariates, in feature blocks.

    By Frisch, Waugh and Lovell the covariate effects are those of values and covariates that are centred within each
    manufacturer: one small factorisation serves all features, and nothing of the size of the table is held.

    Parameters
    ----------
    values : float64 (n, p)
    order : int (n,)
        Row positions, manufacturer after manufacturer.
    groups : list of slice
        Where each manufacturer lies in `order`.
    covariates : Covariates
        In the row order of `values`.

    Raises
    ------
    DataError
        Covariates that cannot be told apart; see `design.factorise`.
    """
    p, q, n_groups = values.shape[1], len(covariates.names), len(groups)
    columns = covariates.columns[order]
    column_means = np.stack([columns[g].mean(axis=0) for g in groups])
    within = columns.copy()
    for g, mean in zip(groups, column_means, strict=True):
        within[g] -= mean
    if q:
        spread = np.linalg.norm(columns - columns.mean(axis=0), axis=0)
        unit, triangle = factorise(within, spread, covariates.names)

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
            coefficients[:, span] = np.linalg.solve(triangle, unit.T @ block)
            block -= within @ coefficients[:, span]
        for i, g in enumerate(groups):
            squares[i, span] = np.einsum("ij,ij->j", block[g], block[g])
    counts = np.array([g.stop - g.start for g in groups], dtype=np.float64)
    size = np.abs(means).max(axis=0) + np.sqrt(squares.sum(axis=0) / counts.sum())
    return Statistics(means - column_means @ coefficients, squares, coefficients, size)
