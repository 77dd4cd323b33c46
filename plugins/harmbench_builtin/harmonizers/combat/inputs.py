"""What the engine asks of the arrays and groups it gets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmbench.errors import DataError, NotApplicable, suggestion
from harmbench_builtin.harmonizers.combat.design import Covariates, Floats


def matrix_of(values: npt.ArrayLike, rows: int) -> Floats:
    """The values as float64 (rows, p).

    Raises
    ------
    DataError
        Not two-dimensional, or another number of rows.
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) != rows:
        raise DataError(
            f"ComBat got values of shape {matrix.shape} for {rows} rows of manufacturers.",
            remedy="Values must be samples x features.",
        )
    return matrix


def columns_of(covariates: Covariates | None, rows: int) -> Covariates:
    """The covariates, or none of them (rows, 0).

    Raises
    ------
    DataError
        Columns, names and rows do not fit together.
    """
    if covariates is None:
        return Covariates(np.zeros((rows, 0)), ())
    if covariates.columns.shape != (rows, len(covariates.names)):
        raise DataError(
            f"ComBat got covariates of shape {covariates.columns.shape} with {len(covariates.names)} names "
            f"for {rows} rows."
        )
    return covariates


def check_groups(
    batches: tuple[str, ...], counts: npt.NDArray[np.intp], reference: str, mean_only: bool, unit: str
) -> None:
    """Refuse groups whose effects cannot be estimated.

    Parameters
    ----------
    batches : tuple of str, length L
    counts : int (L,)
        Rows of each.
    reference : str
        "" for none.
    mean_only : bool
        Whether a group of one row is enough.
    unit : str
        What a group is, in messages.

    Raises
    ------
    NotApplicable
        Fewer than two groups, or the reference is not among them (it may be the manufacturer that is left out).
    DataError
        A group of one row where variances are adjusted.
    """
    if len(batches) < 2:
        only = batches[0] if batches else "nothing"
        raise NotApplicable(f"ComBat needs at least two {unit}s; the training rows hold only {only}")
    if reference and reference not in batches:
        raise NotApplicable(
            f"ComBat's reference {unit} '{reference}' is not among the training rows "
            f"({', '.join(batches)}).{suggestion(reference, batches)}"
        )
    check_sizes(batches, counts, mean_only, unit)


def check_sizes(batches: tuple[str, ...], counts: npt.NDArray[np.intp], mean_only: bool, unit: str) -> None:
    """Raise `DataError` for a group of one row where variances are adjusted; parameters as in `check_groups`."""
    single = [batch for batch, count in zip(batches, counts, strict=True) if count < 2]
    if single and not mean_only:
        raise DataError(
            f"{unit} '{single[0]}' has a single training row, from which no variance can be estimated.",
            remedy=f"Add rows, drop that {unit}, or adjust means only (mean_only=true).",
        )
