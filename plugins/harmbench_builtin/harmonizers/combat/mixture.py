"""A hidden batch: two groups that the distribution of one feature shows.

Horng et al. fit a two-component Gaussian mixture to every feature, drop those where a component holds no more than a
quarter of the rows, and group the rows by the feature whose mixture has the lowest AIC. A feature's AIC depends on its
unit (a feature in metres beats the same one in millimetres), so features are standardised here before they compete.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmbench.errors import NotApplicable
from harmbench_builtin.harmonizers.combat.design import Floats

SMALLEST_SHARE = 0.25
"""A component must hold more than this share of the rows."""
_ITERATIONS = 200
_TOLERANCE = 1e-6
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Mixture:
    """Two Gaussian components of one standardised feature.

    Parameters
    ----------
    feature : int
        Its column.
    centre, scale : float
        Mean and standard deviation of the training rows.
    weights, means, variances : float64 (2,)
        Lower mean first.
    """

    feature: int
    centre: float
    scale: float
    weights: Floats
    means: Floats
    variances: Floats

    def assign(self, values: Floats) -> npt.NDArray[np.str_]:
        """ "low" or "high" for each row of a table's values (m, p): the component of higher posterior probability."""
        z = (values[:, self.feature] - self.centre) / self.scale
        scores = _log_joint(z[:, None], self.weights[:, None], self.means[:, None], self.variances[:, None])[:, :, 0]
        return np.where(scores[1] > scores[0], "high", "low")


def _log_joint(z: Floats, weights: Floats, means: Floats, variances: Floats) -> Floats:
    """log weight + log density (2, n, p) of values (n, p) under components (2, p)."""
    w, m, v = weights[:, None, :], means[:, None, :], variances[:, None, :]
    return np.asarray(np.log(w) - 0.5 * (np.log(2 * np.pi * v) + (z - m) ** 2 / v))


def fit_all(z: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Two-component mixtures of all columns by expectation-maximisation from the two halves of the sorted values.

    The start is no random draw, so the result is a function of the values alone.

    Parameters
    ----------
    z : float64 (n, p)
        Standardised columns.

    Returns
    -------
    weights, means, variances : float64 (2, p)
    log_likelihood : float64 (p,)
    """
    ordered = np.sort(z, axis=0)
    half = len(z) // 2
    parts = (ordered[:half], ordered[half:])
    weights = np.full((2, z.shape[1]), 0.5)
    means = np.stack([part.mean(axis=0) for part in parts])
    variances = np.maximum(np.stack([part.var(axis=0) for part in parts]), _LEAST_VARIANCE)
    before = np.full(z.shape[1], -np.inf)
    for _ in range(_ITERATIONS):
        joint = _log_joint(z, weights, means, variances)
        total = np.logaddexp(joint[0], joint[1])
        now = total.sum(axis=0)
        if (now - before <= _TOLERANCE * len(z)).all():
            break
        before = now
        share = np.exp(joint - total)
        mass = np.maximum(share.sum(axis=1), 1e-12)
        weights = mass / mass.sum(axis=0)
        means = np.einsum("knp,np->kp", share, z) / mass
        variances = np.maximum(np.einsum("knp,np->kp", share, z**2) / mass - means**2, _LEAST_VARIANCE)
    return weights, means, variances, now


def find(values: Floats) -> Mixture:
    """The feature whose two groups are the clearest, and its mixture.

    Parameters
    ----------
    values : float64 (n, p)
        Training rows.

    Raises
    ------
    NotApplicable
        No feature has two components that both hold more than a quarter of the rows.
    """
    centre, scale = values.mean(axis=0), values.std(axis=0)
    columns = np.flatnonzero(scale > 1e-12 * (np.abs(centre) + scale))
    best: tuple[float, Mixture] | None = None
    chunk = max(1, (8 << 20) // max(1, 8 * len(values)))
    for start in range(0, len(columns), chunk):
        some = columns[start : start + chunk]
        z = (values[:, some] - centre[some]) / scale[some]
        weights, means, variances, likelihood = fit_all(z)
        joint = _log_joint(z, weights, means, variances)
        share = np.mean(joint[1] > joint[0], axis=0)
        balanced = (share > SMALLEST_SHARE) & (share < 1 - SMALLEST_SHARE)
        # All mixtures have five parameters: the lowest AIC is the highest likelihood.
        score = np.where(balanced, likelihood, -np.inf)
        j = int(score.argmax()) if len(some) else -1
        if j < 0 or not np.isfinite(score[j]) or (best is not None and score[j] <= best[0]):
            continue
        order = np.argsort(means[:, j], kind="stable")
        column = int(some[j])
        mixture = Mixture(
            column, float(centre[column]), float(scale[column]), weights[order, j], means[order, j], variances[order, j]
        )
        best = (float(score[j]), mixture)
    if best is None:
        raise NotApplicable("no feature falls into two groups that each hold more than a quarter of the training rows")
    return best[1]
