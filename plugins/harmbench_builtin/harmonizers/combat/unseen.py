"""What to do with rows of a manufacturer that the fit has not seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmbench_builtin.harmonizers.combat.design import Covariates, Floats
from harmbench_builtin.harmonizers.combat.inputs import columns_of, matrix_of
from harmbench_builtin.harmonizers.combat.least_squares import spans
from harmbench_builtin.harmonizers.combat.state import Fitted

POLICIES = ("error", "pooled", "nearest")
"""Policies that look at each row by itself, and so leave a method inductive."""


def nearest(standardised: Floats, locations: Floats) -> npt.NDArray[np.intp]:
    """Which known manufacturer each row resembles most.

    The distance is the mean over features of |z - gamma*|: in units of the pooled standard deviation, so that no
    feature counts for its unit, and not squared, so that a few heavy-tailed features do not decide. Each row is
    assigned by itself: which rows come together changes nothing.

    Parameters
    ----------
    standardised : float64 (m, p)
        Rows, less grand mean and covariate effects, over the pooled standard deviation; varying features only.
    locations : float64 (L, p)
        gamma* of the known manufacturers.

    Returns
    -------
    int (m,)
        Positions in `locations`; the first of equals.
    """
    m, p = standardised.shape
    distance = np.zeros((m, len(locations)))
    if p:
        for span in spans(m, 8 * p):
            for i, location in enumerate(locations):
                distance[span, i] = np.abs(standardised[span] - location).mean(axis=1)
    return distance.argmin(axis=1)


def standardised(fitted: Fitted, matrix: Floats, columns: Floats) -> Floats:
    """Standardised residuals (m, p) before any adjustment for the manufacturer."""
    out = matrix - fitted.grand_mean
    # A loop, not a matrix product: a product's rounding depends on how many rows come together.
    for column, effect in zip(columns.T, fitted.coefficients, strict=True):
        out -= column[:, None] * effect
    out /= np.sqrt(fitted.pooled_variance)
    return out


def known_batches(
    fitted: Fitted, values: npt.ArrayLike, batch: npt.ArrayLike, covariates: Covariates | None = None
) -> npt.NDArray[np.str_]:
    """The manufacturers, with every unseen one replaced by the known one its row resembles; see `unseen.nearest`."""
    names = np.asarray(batch).astype(str)
    strange = np.flatnonzero(~np.isin(names, fitted.batches))
    if len(strange) == 0:
        return names
    columns, varies = columns_of(covariates, len(names)).columns[strange], ~fitted.location_only
    z = standardised(fitted, matrix_of(values, len(names))[strange], columns)[:, varies]
    found = names.astype(object)
    found[strange] = np.asarray(fitted.batches, dtype=object)[nearest(z, fitted.gamma_star[:, varies])]
    return found.astype(str)
