"""Johnson's empirical-Bayes estimates, from each manufacturer's means and sums of squares alone.

For one manufacturer with n rows and features f, `gamma_hat[f]` is the mean of the standardised values and
`squares[f]` their sum of squares about that mean. Nothing else of the data enters the posterior, because
sum((z - g)^2) = squares + n (gamma_hat - g)^2. An iteration thus costs O(p), not O(n p).

Source: Johnson, Li, Rabinovic (2007), Biostatistics 8:118-127, sections 3.1-3.2 and supplement A.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harmbench.errors import DataError

Floats = npt.NDArray[np.float64]

CONVERGENCE = 1e-4
"""Largest relative change at which iteration stops; R and neuroCombat use it, and results depend on it at 1e-5."""
MAX_ITERATIONS = 10_000
_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True)
class Prior:
    """Parametric prior of one manufacturer: normal for locations, inverse gamma for scales.

    Parameters
    ----------
    gamma_mean, gamma_variance : float
        Mean and variance (divisor p - 1) of `gamma_hat` over features.
    delta_mean, delta_variance : float
        Mean and variance (divisor p - 1) of `delta_hat` over features.
    """

    gamma_mean: float
    gamma_variance: float
    delta_mean: float
    delta_variance: float

    @property
    def shape(self) -> float:
        """lambda of the inverse gamma, by moments: (m^2 + 2 v) / v; infinite when all scales are equal."""
        m, v = self.delta_mean, self.delta_variance
        return (m * m + 2 * v) / v if v > 0 else float("inf")

    @property
    def rate(self) -> float:
        """theta of the inverse gamma, by moments: (m^3 + m v) / v."""
        m, v = self.delta_mean, self.delta_variance
        return (m**3 + m * v) / v if v > 0 else float("inf")

    def posterior_gamma(self, gamma_hat: Floats, delta: Floats | float, n: float) -> Floats:
        """Posterior mean of the location given the scale."""
        weight = n * self.gamma_variance
        return (weight * gamma_hat + delta * self.gamma_mean) / (weight + delta)

    def posterior_delta(self, squares: Floats, n: float) -> Floats:
        """Posterior mean of the scale given the sum of squares about the location.

        (rate + squares/2) / (n/2 + shape - 1) with both sides multiplied by the variance of the scales, which keeps
        it finite when all scales are equal.
        """
        m, v = self.delta_mean, self.delta_variance
        return (0.5 * squares * v + m**3 + m * v) / ((0.5 * n + 1) * v + m * m)


def moments(gamma_hat: Floats, delta_hat: Floats) -> Prior:
    """The prior of one manufacturer from its estimates over at least two features, by the method of moments."""
    return Prior(
        float(gamma_hat.mean()),
        float(gamma_hat.var(ddof=1)),
        float(delta_hat.mean()),
        float(delta_hat.var(ddof=1)),
    )


def parametric(gamma_hat: Floats, squares: Floats, n: int) -> tuple[Floats, Floats]:
    """Parametric posterior means of location and scale.

    Parameters
    ----------
    gamma_hat, squares : float64 (p,)
        See the module's head; p >= 2, squares > 0.
    n : int
        Rows of the manufacturer, at least 2.

    Returns
    -------
    gamma_star, delta_star : float64 (p,)
    """
    delta_hat = squares / (n - 1)
    prior = moments(gamma_hat, delta_hat)
    gamma, delta = gamma_hat, delta_hat
    for _ in range(MAX_ITERATIONS):
        new_gamma = prior.posterior_gamma(gamma_hat, delta, n)
        new_delta = prior.posterior_delta(squares + n * (gamma_hat - new_gamma) ** 2, n)
        # The location's change is divided by its signed value, as R's sva does: negative locations never delay the
        # stop. A better rule would stop elsewhere and differ from every published ComBat in the fifth digit.
        with np.errstate(divide="ignore", invalid="ignore"):
            in_gamma = np.nan_to_num(np.abs(new_gamma - gamma) / gamma, nan=0.0, posinf=np.inf).max()
        change = max(in_gamma, (np.abs(new_delta - delta) / delta).max())
        gamma, delta = new_gamma, new_delta
        if change <= CONVERGENCE:
            return gamma, delta
    raise DataError(
        f"the empirical-Bayes iteration did not settle in {MAX_ITERATIONS} steps.",
        remedy="Use parametric=false or eb=false, and look for features of extreme range.",
    )


def parametric_location(gamma_hat: Floats) -> Floats:
    """Posterior location when only means are adjusted: one observation of unit variance, as R's sva has it."""
    return moments(gamma_hat, np.ones_like(gamma_hat)).posterior_gamma(gamma_hat, 1.0, 1)


def non_parametric(gamma_hat: Floats, squares: Floats, delta_hat: Floats, n: int) -> tuple[Floats, Floats]:
    """Non-parametric posterior means: every other feature's estimate, weighted by its likelihood of this feature.

    Works on log-likelihoods, so thousands of rows do not underflow. O(p^2) time, in chunks of a few MiB.

    Parameters
    ----------
    gamma_hat, squares, delta_hat : float64 (p,)
        p >= 2; delta_hat > 0 (ones when only means are adjusted).
    n : int

    Returns
    -------
    gamma_star, delta_star : float64 (p,)
    """
    p = len(gamma_hat)
    gamma_star, delta_star = np.empty(p), np.empty(p)
    precision = -0.5 / delta_hat
    constant = -0.5 * n * np.log(delta_hat)  # (2 pi)^(-n/2) is common to all and cancels
    support = np.column_stack((gamma_hat, delta_hat, np.ones(p)))
    rows = max(1, _CHUNK_BYTES // (8 * p))
    for start in range(0, p, rows):
        stop = min(p, start + rows)
        weight = np.subtract.outer(gamma_hat[start:stop], gamma_hat)
        weight *= weight
        weight *= n
        weight += squares[start:stop, None]
        weight *= precision
        weight += constant
        weight[np.arange(stop - start), np.arange(start, stop)] = -np.inf  # a feature is no prior for itself
        weight -= weight.max(axis=1, keepdims=True)
        np.exp(weight, out=weight)
        sums = weight @ support
        gamma_star[start:stop] = sums[:, 0] / sums[:, 2]
        delta_star[start:stop] = sums[:, 1] / sums[:, 2]
    return gamma_star, delta_star
