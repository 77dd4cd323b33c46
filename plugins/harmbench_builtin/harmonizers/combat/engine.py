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

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmbench.errors import DataError, NotApplicable, UnseenManufacturer, UsageError, suggestion
from harmbench_builtin.harmonizers.combat import empirical_bayes
from harmbench_builtin.harmonizers.combat.design import Covariates, Floats
from harmbench_builtin.harmonizers.combat.least_squares import spans, statistics

CONSTANT = 1e-13
"""A spread below this share of the feature's size is rounding, not variation."""


@dataclass(frozen=True)
class Options:
    """Which ComBat.

    Parameters
    ----------
    parametric : bool, default True
        Parametric prior; False: the empirical one of the other features.
    eb : bool, default True
        False: each feature's own estimates, without shrinkage.
    mean_only : bool, default False
        Adjust locations only.
    reference : str, default ""
        Manufacturer whose rows stay as they are and to which the others are brought; "": all meet in the middle.
    """

    parametric: bool = True
    eb: bool = True
    mean_only: bool = False
    reference: str = ""


@dataclass(frozen=True)
class Fitted:
    """What the training rows taught.

    Parameters
    ----------
    batches : tuple of str, length L
        Manufacturers of the fit, sorted.
    grand_mean : float64 (p,)
        Location of a row whose coded covariates are 0.
    coefficients : float64 (q, p)
        Covariate effects, kept in the adjusted values.
    pooled_variance : float64 (p,)
        Residual variance (divisor n; of the reference alone if there is one). 1 where it is zero.
    gamma_star : float64 (L, p)
        Locations in units of the pooled standard deviation.
    delta_star : float64 (L, p)
        Variances in units of the pooled variance.
    location_only : bool (p,)
        Features without variation, adjusted by plain means.
    reference : str
    covariates : tuple of str, length q
    """

    batches: tuple[str, ...]
    grand_mean: Floats
    coefficients: Floats
    pooled_variance: Floats
    gamma_star: Floats
    delta_star: Floats
    location_only: npt.NDArray[np.bool_]
    reference: str
    covariates: tuple[str, ...]


def _matrix(values: npt.ArrayLike, rows: int) -> Floats:
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.ndim != 2 or len(matrix) != rows:
        raise DataError(
            f"ComBat got values of shape {matrix.shape} for {rows} rows of manufacturers.",
            remedy="Values must be samples x features.",
        )
    return matrix


def _columns(covariates: Covariates | None, rows: int) -> Covariates:
    if covariates is None:
        return Covariates(np.zeros((rows, 0)), ())
    if covariates.columns.shape != (rows, len(covariates.names)):
        raise DataError(
            f"ComBat got covariates of shape {covariates.columns.shape} with {len(covariates.names)} names "
            f"for {rows} rows."
        )
    return covariates


def _check_groups(batches: tuple[str, ...], counts: npt.NDArray[np.intp], q: int, options: Options) -> None:
    if len(batches) < 2:
        only = batches[0] if batches else "nothing"
        raise NotApplicable(f"ComBat needs at least two manufacturers; the training rows hold only {only}")
    if options.reference and options.reference not in batches:
        raise UsageError(
            f"ComBat's reference manufacturer '{options.reference}' is not among the training rows "
            f"({', '.join(batches)}).{suggestion(options.reference, batches)}"
        )
    single = [batch for batch, count in zip(batches, counts, strict=True) if count < 2]
    if single and not options.mean_only:
        raise DataError(
            f"manufacturer '{single[0]}' has a single training row, from which no variance can be estimated.",
            remedy="Add rows, drop that manufacturer, or adjust means only (mean_only=true).",
        )
    if counts.sum() <= len(batches) + q:
        raise DataError(
            f"{counts.sum()} training rows cannot determine {len(batches)} manufacturers and {q} covariate columns.",
            remedy="Add rows or use fewer covariates.",
        )


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

    Raises
    ------
    NotApplicable
        Fewer than two manufacturers.
    UsageError
        The reference is not among the manufacturers.
    DataError
        A manufacturer with one row, covariates that cannot be told apart, shapes that do not fit, values too large.
    """
    options = options or Options()
    names = np.asarray(batch).astype(str)
    matrix = _matrix(values, len(names))
    coded = _columns(covariates, len(names))
    levels, codes, counts = np.unique(names, return_inverse=True, return_counts=True)
    batches = tuple(levels.tolist())
    _check_groups(batches, counts, len(coded.names), options)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(counts)
    groups = [slice(int(end - count), int(end)) for end, count in zip(ends, counts, strict=True)]
    with np.errstate(over="ignore", invalid="ignore"):
        stats = statistics(matrix, order, groups, coded)
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
        grand_mean = (counts / counts.sum()) @ stats.intercept
        pooled = stats.squares.sum(axis=0) / counts.sum()
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
        batches, grand_mean, stats.coefficients, pooled, gamma, delta, location_only, options.reference, coded.names
    )


def apply(
    fitted: Fitted,
    values: npt.ArrayLike,
    batch: npt.ArrayLike,
    covariates: Covariates | None = None,
    *,
    keep_unseen: bool = False,
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
    keep_unseen : bool, default False
        Return the rows of manufacturers that the fit has not seen as they are.

    Returns
    -------
    float64 (m, p)

    Raises
    ------
    UnseenManufacturer
        Unless `keep_unseen`.
    DataError
        Shapes or covariates that are not those of the fit.
    """
    names = np.asarray(batch).astype(str)
    matrix = _matrix(values, len(names))
    coded = _columns(covariates, len(names))
    if matrix.shape[1] != len(fitted.grand_mean) or coded.names != fitted.covariates:
        raise DataError(
            f"ComBat was fitted on {len(fitted.grand_mean)} features with covariates {list(fitted.covariates)} and got "
            f"{matrix.shape[1]} features with covariates {list(coded.names)}."
        )
    out = np.empty_like(matrix, order="C")
    sd = np.sqrt(fitted.pooled_variance)
    for name in np.unique(names).tolist():
        rows = np.flatnonzero(names == name)
        if name not in fitted.batches:
            if not keep_unseen:
                raise UnseenManufacturer(
                    f"ComBat cannot adjust manufacturer '{name}': the training rows hold only "
                    f"{', '.join(fitted.batches)}. With unseen=pooled its rows are left as they are."
                )
            out[rows] = matrix[rows]
            continue
        i = fitted.batches.index(name)
        scale = 1 / np.sqrt(fitted.delta_star[i])
        rest = 1 - scale
        offset = fitted.grand_mean * rest - fitted.gamma_star[i] * sd * scale
        # The adjusted value, (y - a - x b - sd gamma*) scale + a + x b, collected by powers of y and x.
        slopes = fitted.coefficients * rest
        for span in spans(len(rows), 8 * matrix.shape[1]):
            chunk = matrix[rows[span]]
            chunk *= scale
            chunk += offset
            # A loop, not a matrix product: a product's rounding depends on how many rows come together.
            for column, slope in zip(coded.columns[rows[span]].T, slopes, strict=True):
                chunk += column[:, None] * slope
            out[rows[span]] = chunk
    return out
