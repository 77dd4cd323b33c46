"""A random intercept for every patient: y = x b + u[patient] + e, by restricted maximum likelihood.

With theta = var(u) / var(e), the covariance of a patient's n_j rows is var(e) (I + theta J), whose inverse is
I - theta / (1 + n_j theta) J. Patients with equally many rows share that factor, so x'V^-1 x and x'V^-1 y are sums of
a few fixed matrices, and theta is the only thing to search for: by golden section over log theta, for every feature
side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmbench_builtin.harmonizers.combat.design import Floats
from harmbench_builtin.harmonizers.combat.least_squares import spans

_LOG_RANGE = (-14.0, 14.0)
_GOLDEN = (np.sqrt(5.0) - 1) / 2
_STEPS = 60  # 28 * 0.618^60 is 1e-11


@dataclass(frozen=True)
class MixedModel:
    """Estimates of every feature.

    Parameters
    ----------
    coefficients : float64 (q, p)
    variance : float64 (p,)
        Residual variance, REML.
    ratio : float64 (p,)
        Variance of the intercepts over the residual variance; 0 where none is supported.
    intercepts : float64 (patients, p)
        Best linear unbiased predictions, in the order of the patients' codes.
    """

    coefficients: Floats
    variance: Floats
    ratio: Floats
    intercepts: Floats


@dataclass(frozen=True)
class _Sums:
    """Everything the likelihood needs of a block of features."""

    sizes: Floats  # distinct numbers of rows per patient (s,)
    patients: Floats  # how many patients have each (s,)
    xx: Floats  # (q, q)
    xx_by_size: Floats  # (s, q, q), of patients' sums
    xy: Floats  # (q, b)
    xy_by_size: Floats  # (s, q, b)
    yy: Floats  # (b,)
    yy_by_size: Floats  # (s, b)
    rows: int


def _fit_at(theta: Floats, sums: _Sums) -> tuple[Floats, Floats, Floats]:
    """Coefficients (q, b), weighted residual sum of squares (b,) and minus twice the REML log-likelihood (b,)."""
    w = theta / (1 + np.outer(sums.sizes, theta))  # (s, b)
    a = sums.xx - np.einsum("sb,sij->bij", w, sums.xx_by_size)
    c = sums.xy - np.einsum("sb,sib->ib", w, sums.xy_by_size)
    d = sums.yy - (w * sums.yy_by_size).sum(axis=0)
    b = np.linalg.solve(a, c.T[:, :, None])[:, :, 0].T
    rss = np.maximum(d - (b * c).sum(axis=0), 1e-300)
    freedom = sums.rows - len(sums.xx)
    log_v = sums.patients @ np.log1p(np.outer(sums.sizes, theta))
    return b, rss, freedom * np.log(rss) + log_v + np.linalg.slogdet(a)[1]


def _search(sums: _Sums, count: int) -> Floats:
    """theta of the least criterion for each of `count` features; 0 where no intercept does at least as well."""
    low, high = np.full(count, _LOG_RANGE[0]), np.full(count, _LOG_RANGE[1])
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = _fit_at(np.exp(left), sums)[2], _fit_at(np.exp(right), sums)[2]
    for _ in range(_STEPS):
        go_left = at_left <= at_right
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
        probe = np.where(go_left, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        at_probe = _fit_at(np.exp(probe), sums)[2]
        left, right, at_left, at_right = (
            np.where(go_left, probe, right),
            np.where(go_left, left, probe),
            np.where(go_left, at_probe, at_right),
            np.where(go_left, at_left, at_probe),
        )
    theta = np.exp((low + high) / 2)
    at_zero, at_theta = _fit_at(np.zeros(count), sums)[2], _fit_at(theta, sums)[2]
    return np.where(at_zero <= at_theta, 0.0, theta)


def fit(values: Floats, design: Floats, patients: npt.NDArray[np.intp]) -> MixedModel:
    """Fit every feature.

    Parameters
    ----------
    values : float64 (n, p)
    design : float64 (n, q)
        Fixed effects, of full column rank, n > q.
    patients : int (n,)
        Codes 0 to J - 1.
    """
    n, p = values.shape
    q, per_patient = design.shape[1], np.bincount(patients)
    sizes, counts = np.unique(per_patient, return_counts=True)
    order = np.argsort(patients, kind="stable")
    starts = np.concatenate([[0], np.cumsum(per_patient)[:-1]])
    x_sum = np.add.reduceat(design[order], starts, axis=0)
    xx_by_size = np.stack([x_sum[per_patient == s].T @ x_sum[per_patient == s] for s in sizes])
    result = MixedModel(np.empty((q, p)), np.empty(p), np.empty(p), np.empty((len(per_patient), p)))
    for span in spans(p, 8 * (n + q * q * 4)):
        block = values[:, span]
        # Centring and scaling leave theta alone and keep the sums of squares free of cancellation.
        centre = block.mean(axis=0)
        scale = block.std(axis=0)
        scale = np.where(scale > 1e-13 * (np.abs(centre) + scale), scale, 1.0)
        y = (block - centre) / scale
        y_sum = np.add.reduceat(y[order], starts, axis=0)
        sums = _Sums(
            sizes.astype(np.float64),
            counts.astype(np.float64),
            design.T @ design,
            xx_by_size,
            design.T @ y,
            np.stack([x_sum[per_patient == s].T @ y_sum[per_patient == s] for s in sizes]),
            np.einsum("ij,ij->j", y, y),
            np.stack([(y_sum[per_patient == s] ** 2).sum(axis=0) for s in sizes]),
            n,
        )
        theta = _search(sums, block.shape[1])
        b, rss, _ = _fit_at(theta, sums)
        shrink = theta / (1 + np.outer(per_patient, theta))
        result.intercepts[:, span] = shrink * (y_sum - x_sum @ b) * scale
        result.variance[span] = rss / (n - q) * scale**2
        result.ratio[span] = theta
        # What was taken off is given back through the fixed effects of a constant column.
        constant = np.linalg.lstsq(design, np.ones(n), rcond=None)[0]
        result.coefficients[:, span] = b * scale + np.outer(constant, centre)
    return result
