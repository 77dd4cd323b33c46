"""Johnson's formulas against calculations by hand and against the likelihood written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harmbench.errors import DataError
from harmbench_builtin.harmonizers.combat import empirical_bayes
from harmbench_builtin.harmonizers.combat.empirical_bayes import Prior, moments, non_parametric, parametric


def test_prior_of_two_features_by_hand() -> None:
    # locations 1, 3: mean 2, variance 2. Scales 1, 2: mean 3/2, variance 1/2, so
    # shape (9/4 + 1) / (1/2) = 13/2 and rate (27/8 + 3/4) / (1/2) = 33/4.
    prior = moments(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    assert prior == Prior(2.0, 2.0, 1.5, 0.5)
    assert (prior.shape, prior.rate) == (6.5, 8.25)


def test_prior_has_the_mean_and_variance_of_the_scales_it_came_from() -> None:
    scales = np.random.default_rng(1).gamma(3, size=50)
    prior = moments(np.zeros(50), scales)
    inverse_gamma = stats.invgamma(prior.shape, scale=prior.rate)
    assert inverse_gamma.mean() == pytest.approx(scales.mean(), rel=1e-12)
    assert inverse_gamma.var() == pytest.approx(scales.var(ddof=1), rel=1e-12)


def test_posteriors_by_hand() -> None:
    prior = Prior(2.0, 2.0, 1.5, 0.5)
    # (n t^2 g + d gbar) / (n t^2 + d) with n = 4, d = 1: (8 + 2) / 9 and (24 + 2) / 9.
    np.testing.assert_allclose(prior.posterior_gamma(np.array([1.0, 3.0]), 1.0, 4), [10 / 9, 26 / 9], rtol=1e-15)
    # (rate + squares / 2) / (n / 2 + shape - 1) = (33/4 + 3) / (2 + 13/2 - 1) = 3/2.
    np.testing.assert_allclose(prior.posterior_delta(np.array([6.0]), 4), [1.5], rtol=1e-15)


def test_equal_scales_leave_no_doubt_and_no_nan() -> None:
    prior = Prior(0.0, 1.0, 1.5, 0.0)
    assert prior.shape == prior.rate == np.inf
    np.testing.assert_array_equal(prior.posterior_delta(np.array([1.0, 100.0]), 10), [1.5, 1.5])


def test_parametric_estimates_satisfy_both_posterior_equations() -> None:
    rng = np.random.default_rng(2)
    n, gamma_hat, squares = 30, rng.normal(0.5, 0.4, 60), 29 * rng.gamma(5, 0.2, 60)
    gamma, delta = parametric(gamma_hat, squares, n)
    prior = moments(gamma_hat, squares / (n - 1))
    np.testing.assert_allclose(gamma, prior.posterior_gamma(gamma_hat, delta, n), rtol=1e-4)
    np.testing.assert_allclose(delta, prior.posterior_delta(squares + n * (gamma_hat - gamma) ** 2, n), rtol=1e-4)


def test_iteration_that_does_not_settle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(empirical_bayes, "CONVERGENCE", -1.0)
    with pytest.raises(DataError, match="did not settle"):
        parametric(np.array([0.1, 0.2, 0.4]), np.array([9.0, 8.0, 12.0]), 10)


def test_non_parametric_estimates_are_likelihood_weighted_means_of_the_other_features() -> None:
    rng = np.random.default_rng(3)
    data = rng.normal([0.2, -0.4, 0.5], [1.0, 0.7, 1.4], (12, 3))
    gamma_hat, delta_hat = data.mean(axis=0), data.var(axis=0, ddof=1)
    expected = []
    for f in range(3):
        others = [g for g in range(3) if g != f]
        weight = [stats.norm.pdf(data[:, f], gamma_hat[g], np.sqrt(delta_hat[g])).prod() for g in others]
        expected.append([np.average(gamma_hat[others], weights=weight), np.average(delta_hat[others], weights=weight)])
    gamma, delta = non_parametric(gamma_hat, 11 * delta_hat, delta_hat, 12)
    np.testing.assert_allclose(np.column_stack((gamma, delta)), expected, rtol=1e-12)


def test_non_parametric_result_does_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    gamma_hat, delta_hat = rng.normal(size=37), rng.gamma(5, 0.2, 37)
    whole = non_parametric(gamma_hat, 19 * delta_hat, delta_hat, 20)
    monkeypatch.setattr(empirical_bayes, "_CHUNK_BYTES", 8 * 37 * 5)
    np.testing.assert_allclose(non_parametric(gamma_hat, 19 * delta_hat, delta_hat, 20), whole, rtol=1e-13)
