"""ComBat as functions of arrays: `fit` learns from training rows, `apply` adjusts any rows.

The model of feature f in row i of manufacturer b is

    y[i, f] = alpha[f] + x[i] beta[f] + sigma[f] (gamma[b, f] + sqrt(delta[b, f]) e[i, f])

and the adjusted value is alpha + x beta + sigma * (z - gamma*) / sqrt(delta*), where z is the standardised residual
and gamma*, delta* are the (empirical-Bayes) estimates. On the rows of the fit this equals the classical
algorithm of R's sva and of neuroCombat.

What is done where the classical algorithm breaks:

- A feature that does not vary (over all rows; under scale adjustment, also within any one manufacturer) has no scale
  to compare. It is adjusted in location only, by its plain means, in all manufacturers; it enters no prior, so no
  other feature notices it. A feature with one value everywhere is returned bit for bit.
- With fewer than two features that vary there is nothing to borrow strength from: no shrinkage.
- A manufacturer with a single row has no variance: an error, unless only means are adjusted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from harmbench.errors import DataError, UnseenManufacturer
from harmbench_builtin.harmonizers.combat import empirical_bayes
from harmbench_builtin.harmonizers.combat.design import Covariates, Floats
from harmbench_builtin.harmonizers.combat.inputs import check_groups, check_sizes, columns_of, matrix_of
from harmbench_builtin.harmonizers.combat.least_squares import Statistics, spans, statistics
from harmbench_builtin.harmonizers.combat.state import Fitted, Options
from harmbench_builtin.harmonizers.combat.unseen import known_batches, standardised

CONSTANT = 1e-13
"""A spread below this share of the feature's size is rounding, not variation."""

Regression = Callable[[Floats, npt.NDArray[np.intp], list[slice], Covariates], Statistics]
"""What takes the covariates' effects out before manufacturers are compared; `least_squares.statistics` by default."""


def _estimates(
    gamma_hat: Floats, squares: Floats, counts: npt.NDArray[np.intp], varies: npt.NDArray[np.bool_], options: Options
) -> tuple[Floats, Floats]:
    """gamma*, delta* (L, p) from standardised locations and sums of squares; plain means where nothing varies."""
    gamma, delta = gamma_hat.copy(), np.ones_like(squares)
    enough = options.eb and np.count_nonzero(varies) > 1
    for i, n in enumerate(counts.tolist()):
        g, ss = gamma_hat[i, varies], squares[i, varies]
        delta_hat = np.ones_like(ss) if options.mean_only else ss / (n - 1)
        if not enough:
            delta[i, varies] = delta_hat
        elif not options.parametric:
            gamma[i, varies], posterior = empirical_bayes.non_parametric(g, ss, delta_hat, n)
            delta[i, varies] = 1.0 if options.mean_only else posterior
        elif options.mean_only:
            gamma[i, varies] = empirical_bayes.parametric_location(g)
        else:
            gamma[i, varies], delta[i, varies] = empirical_bayes.parametric(g, ss, n)
    return gamma, delta


def fit(
    values: npt.ArrayLike,
    batch: npt.ArrayLike,
    covariates: Covariates | None = None,
    options: Options | None = None,
    regression: Regression = statistics,
) -> Fitted:
    """Learn the manufacturers' effects.

    Parameters
    ----------
    values : float64 (n, p)
        Finite; never written to. Extra memory is a few MiB, whatever n and p.
    batch : str (n,)
        Manufacturer of each row.
    covariates : Covariates, optional
        Effects to keep, coded by `design.encode`.
    options : Options, optional
    regression : callable, optional
        Least squares, or what stands in its place (penalised, smooth, with random intercepts).

    Raises
    ------
    NotApplicable
        Fewer than two manufacturers, or the reference is not among them.
    DataError
        A manufacturer with one row, covariates that cannot be told apart, too few rows, shapes that do not fit, values
        too large.
    """
    options = options or Options()
    names = np.asarray(batch).astype(str)
    matrix = matrix_of(values, len(names))
    coded = columns_of(covariates, len(names))
    levels, codes, counts = np.unique(names, return_inverse=True, return_counts=True)
    batches = tuple(levels.tolist())
    check_groups(batches, counts, options.reference, options.mean_only, options.unit)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(counts)
    groups = [slice(int(end - count), int(end)) for end, count in zip(ends, counts, strict=True)]
    with np.errstate(over="ignore", invalid="ignore"):
        stats = regression(matrix, order, groups, coded)
    wrong = np.flatnonzero(~np.isfinite(stats.squares).all(axis=0))
    if len(wrong):
        raise DataError(
            f"feature column {wrong[0]} (counted from 0) holds values that are not finite or too large to be squared.",
            remedy="Drop or rescale it.",
        )

    if options.reference:
        reference = batches.index(options.reference)
        grand_mean = stats.intercept[reference].copy()
        pooled = stats.squares[reference] / counts[reference]
    else:
        grand_mean = (counts / counts.sum()) @ (stats.intercept if stats.effects is None else stats.effects)
        pooled = stats.squares.sum(axis=0) / counts.sum() if stats.variance is None else stats.variance.copy()
    floor = (CONSTANT * stats.size) ** 2
    no_spread = pooled <= floor
    location_only = no_spread.copy()
    if not options.mean_only:
        location_only |= (stats.squares <= floor * counts[:, None]).any(axis=0)
    pooled = np.where(no_spread, 1.0, pooled)
    shift = stats.intercept - grand_mean
    shift[:, no_spread & (np.abs(shift).max(axis=0) <= CONSTANT * stats.size)] = 0.0
    gamma, delta = _estimates(shift / np.sqrt(pooled), stats.squares / pooled, counts, ~location_only, options)
    if options.reference:
        gamma[reference], delta[reference] = 0.0, 1.0
    return Fitted(
        batches,
        grand_mean,
        stats.coefficients,
        pooled,
        gamma,
        delta,
        location_only,
        options.reference,
        coded.names,
        unit=options.unit,
    )


def add_batches(
    fitted: Fitted, values: npt.ArrayLike, batch: npt.ArrayLike, covariates: Covariates | None, options: Options
) -> Fitted:
    """Estimate further manufacturers from rows of their own, everything else staying as it was learned.

    Parameters
    ----------
    fitted : Fitted
    values : float64 (m, p)
    batch : str (m,)
        None of them known to `fitted`.
    covariates : Covariates or None
        Coded as in the fit.
    options : Options
        Those of the fit.

    Raises
    ------
    DataError
        A manufacturer of one row where variances are adjusted.
    """
    names = np.asarray(batch).astype(str)
    z = standardised(fitted, matrix_of(values, len(names)), columns_of(covariates, len(names)).columns)
    levels, counts = np.unique(names, return_counts=True)
    check_sizes(tuple(levels.tolist()), counts, options.mean_only, fitted.unit)
    gamma_hat = np.stack([z[names == level].mean(axis=0) for level in levels])
    squares = np.stack([((z[names == level] - g) ** 2).sum(axis=0) for level, g in zip(levels, gamma_hat, strict=True)])
    varies = ~fitted.location_only
    if not options.mean_only:
        varies &= (squares > CONSTANT**2 * counts[:, None]).all(axis=0)
    gamma, delta = _estimates(gamma_hat, squares, counts, varies, options)
    return replace(
        fitted,
        batches=(*fitted.batches, *levels.tolist()),
        gamma_star=np.concatenate([fitted.gamma_star, gamma]),
        delta_star=np.concatenate([fitted.delta_star, delta]),
    )


def apply(
    fitted: Fitted,
    values: npt.ArrayLike,
    batch: npt.ArrayLike,
    covariates: Covariates | None = None,
    *,
    unseen: str = "error",
) -> Floats:
    """Adjust rows, each by itself: which rows come together, and in what order, changes nothing.

    Parameters
    ----------
    fitted : Fitted
    values : float64 (m, p)
        Never written to.
    batch : str (m,)
    covariates : Covariates, optional
        Coded as in the fit.
    unseen : {"error", "pooled", "nearest"}, default "error"
        Rows of manufacturers that the fit has not seen: refused; taken to lie on the pooled scale already (only
        effects to be removed are taken out); or adjusted as the manufacturer they resemble most.

    Returns
    -------
    float64 (m, p)

    Raises
    ------
    UnseenManufacturer
        With `unseen="error"`.
    DataError
        Shapes or covariates that are not those of the fit.
    """
    names = np.asarray(batch).astype(str)
    matrix = matrix_of(values, len(names))
    coded = columns_of(covariates, len(names))
    if matrix.shape[1] != len(fitted.grand_mean) or coded.names != fitted.covariates:
        raise DataError(
            f"ComBat was fitted on {len(fitted.grand_mean)} features with covariates {list(fitted.covariates)} and got "
            f"{matrix.shape[1]} features with covariates {list(coded.names)}."
        )
    strange = ~np.isin(names, fitted.batches)
    if strange.any() and unseen == "error":
        raise UnseenManufacturer(
            f"ComBat cannot adjust {fitted.unit} '{names[strange][0]}': the training rows hold only "
            f"{', '.join(fitted.batches)}. With unseen=pooled its rows are left as they are; with unseen=nearest "
            f"each is adjusted as the {fitted.unit} it resembles most."
        )
    if unseen == "nearest":
        names = known_batches(fitted, matrix, names, coded)
    out, sd = np.empty_like(matrix, order="C"), np.sqrt(fitted.pooled_variance)
    gone = np.isin(fitted.covariates, fitted.removed)
    for name in np.unique(names).tolist():
        rows = np.flatnonzero(names == name)
        if name in fitted.batches:
            i = fitted.batches.index(name)
            scale = 1 / np.sqrt(fitted.delta_star[i])
            offset = fitted.grand_mean * (1 - scale) - fitted.gamma_star[i] * sd * scale
        else:
            scale, offset = np.ones_like(sd), np.zeros_like(sd)
        # The adjusted value, (y - a - x b - sd gamma*) scale + a + x b, collected by powers of y and x; x b is not
        # given back where it is to be removed.
        slopes = np.where(gone[:, None], -fitted.coefficients * scale, fitted.coefficients * (1 - scale))
        for span in spans(len(rows), 8 * matrix.shape[1]):
            chunk = matrix[rows[span]]
            chunk *= scale
            chunk += offset
            for column, slope in zip(coded.columns[rows[span]].T, slopes, strict=True):
                chunk += column[:, None] * slope
            out[rows[span]] = chunk
    return out
