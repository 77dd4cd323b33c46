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
from harmbench_builtin.harmonizers.combat.least_squares import spans

SMALLEST_SHARE = 0.25
"""A component must hold more than this share of the rows."""
_FIRST_STEPS = 25
_MOST_STEPS = 1000
_FINALISTS = 50
_TOLERANCE = 1e-7
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


@dataclass(frozen=True)
class Mixtures:
    """Two-component mixtures of many columns.

    Parameters
    ----------
    weights, means, variances : float64 (2, p)
    """

    weights: Floats
    means: Floats
    variances: Floats

    def judge(self, z: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Log-likelihood (p,), and whether both components hold enough of the rows (p,)."""
        joint = _log_joint(z, self.weights, self.means, self.variances)
        share = np.mean(joint[1] > joint[0], axis=0)
        likelihood = np.asarray(np.logaddexp(joint[0], joint[1]).sum(axis=0))
        return likelihood, (share > SMALLEST_SHARE) & (share < 1 - SMALLEST_SHARE)


def halves(z: Floats) -> Mixtures:
    """The lower and the upper half of every column (n, p): a start that is no random draw."""
    ordered = np.sort(z, axis=0)
    parts = (ordered[: len(z) // 2], ordered[len(z) // 2 :])
    means = np.stack([part.mean(axis=0) for part in parts])
    variances = np.maximum(np.stack([part.var(axis=0) for part in parts]), _LEAST_VARIANCE)
    return Mixtures(np.full((2, z.shape[1]), 0.5), means, variances)


def improve(z: Floats, start: Mixtures, steps: int) -> Mixtures:
    """Steps of expectation-maximisation, until nothing moves by more than `_TOLERANCE` in any column."""
    first, second = z.sum(axis=0), np.einsum("np,np->p", z, z)
    weights, means, variances = start.weights, start.means, start.variances
    for _ in range(steps):
        # The log odds of the components are a parabola in z: one exponential for each value is all it takes.
        curve = 0.5 / variances
        square, slope = curve[0] - curve[1], 2 * (curve[1] * means[1] - curve[0] * means[0])
        level = np.log(weights[1] / weights[0]) + 0.5 * np.log(variances[0] / variances[1])
        level = level + curve[0] * means[0] ** 2 - curve[1] * means[1] ** 2
        odds = z * square
        odds += slope
        odds *= z
        odds += level
        np.clip(odds, -500, 500, out=odds)
        np.negative(odds, out=odds)
        np.exp(odds, out=odds)
        odds += 1
        upper = np.reciprocal(odds, out=odds)
        mass = upper.sum(axis=0)
        one = np.einsum("np,np->p", upper, z)
        two = np.einsum("np,np,np->p", upper, z, z)
        masses = np.maximum(np.stack([len(z) - mass, mass]), 1e-9)
        new_weights = masses / masses.sum(axis=0)
        new_means = np.stack([first - one, one]) / masses
        new_variances = np.maximum(np.stack([second - two, two]) / masses - new_means**2, _LEAST_VARIANCE)
        moved = max(
            float(np.abs(new - old).max(initial=0.0))
            for new, old in ((new_weights, weights), (new_means, means), (new_variances, variances))
        )
        weights, means, variances = new_weights, new_means, new_variances
        if moved <= _TOLERANCE:
            break
    return Mixtures(weights, means, variances)


def find(values: Floats) -> Mixture:
    """The feature whose two groups are the clearest, and its mixture.

    All features get `_FIRST_STEPS` steps; the `_FINALISTS` likeliest of those with two large components go on until
    they have settled, and the likeliest of them wins.

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
    # All mixtures have five parameters: the lowest AIC is the highest likelihood.
    likelihood = np.full(len(columns), -np.inf)
    for span in spans(len(columns), 8 * len(values)):
        some = columns[span]
        z = (values[:, some] - centre[some]) / scale[some]
        found, large = improve(z, halves(z), _FIRST_STEPS).judge(z)
        likelihood[span] = np.where(large, found, -np.inf)
    finalists = columns[np.argsort(-likelihood, kind="stable")[:_FINALISTS]]
    z = (values[:, finalists] - centre[finalists]) / scale[finalists]
    settled = improve(z, halves(z), _MOST_STEPS)
    found, large = settled.judge(z)
    if not large.any():
        raise NotApplicable("no feature falls into two groups that each hold more than a quarter of the training rows")
    j = int(np.where(large, found, -np.inf).argmax())
    column, order = int(finalists[j]), np.argsort(settled.means[:, j], kind="stable")
    parts = (part[order, j] for part in (settled.weights, settled.means, settled.variances))
    return Mixture(column, float(centre[column]), float(scale[column]), *parts)
