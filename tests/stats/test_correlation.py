"""Rank correlation inside groups and over them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from harmbench.stats.correlation import combine, spearman


def test_it_is_scipys_with_ties_and_missing_values():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (40, 3)).astype(float), rng.standard_normal(40)
    x[:, 0] += y
    x[3:7, 1], y[10] = np.nan, np.nan
    rho, n = spearman(x, y)
    for j in range(3):
        rows = np.isfinite(x[:, j]) & np.isfinite(y)
        assert rho[j] == pytest.approx(spearmanr(x[rows, j], y[rows]).statistic)
        assert n[j] == rows.sum()
    assert n.tolist() == [39, 35, 39]


def test_what_does_not_vary_has_no_correlation():
    rho, n = spearman(np.ones((12, 2)), np.arange(12.0))
    assert np.isnan(rho).all() and n.tolist() == [12, 12]


def test_two_groups_by_hand():
    found = combine([[0.5], [0.2]], [[23], [13]])
    z = (20 * np.arctanh(0.5) + 10 * np.arctanh(0.2)) / 30
    error = np.sqrt(20 * (1 + 0.5**2 / 2) + 10 * (1 + 0.2**2 / 2)) / 30
    assert found.rho[0] == pytest.approx(np.tanh(z))
    assert found.low[0] == pytest.approx(np.tanh(z - 1.959964 * error), abs=1e-6)
    assert found.high[0] == pytest.approx(np.tanh(z + 1.959964 * error), abs=1e-6)
    assert found.p_value[0] == pytest.approx(2 * norm.sf(z * np.sqrt(30 / 1.06)))
    assert (found.groups[0], found.n[0]) == (2, 36)


def test_groups_that_are_too_small_or_have_no_correlation_are_left_out():
    whole, alone = combine([[0.5], [0.9], [np.nan]], [[30], [9], [50]]), combine([[0.5]], [[30]])
    assert (whole.rho[0], whole.p_value[0], whole.n[0]) == (alone.rho[0], alone.p_value[0], 30)
    none = combine([[0.9], [np.nan]], [[9], [50]])
    assert np.isnan([none.rho[0], none.low[0], none.high[0], none.p_value[0], none.heterogeneity[0]]).all()
    assert (none.groups[0], none.n[0]) == (0, 0)


def test_a_perfect_correlation_has_finite_bounds_that_hold_the_next_possible_one():
    found = combine([[1.0]], [[20]])
    next_one = 1 - 6 * 2 / (20 * (20**2 - 1))  # two neighbours exchanged: the squared rank differences sum to 2
    assert found.low[0] < next_one < found.rho[0] < 1.0


def _drawn(rng: np.random.Generator, draws: int, sizes: tuple[int, ...], r: float) -> tuple[np.ndarray, np.ndarray]:
    rho = np.empty((len(sizes), draws))
    for g, n in enumerate(sizes):
        for b in range(draws):
            x = rng.standard_normal(n)
            rho[g, b] = spearman(x[:, None], r * x + np.sqrt(1 - r * r) * rng.standard_normal(n))[0][0]
    return rho, np.broadcast_to(np.array(sizes)[:, None], rho.shape)


def test_without_correlation_five_percent_are_called_significant():
    found = combine(*_drawn(np.random.default_rng(3), 1500, (40, 12), 0.0))
    assert 0.035 < (found.p_value < 0.05).mean() < 0.065
    assert 0.03 < (found.heterogeneity < 0.05).mean() < 0.075


def test_intervals_hold_the_truth_of_a_normal_pair():
    """Its rank correlation is 6/pi asin(r/2)."""
    found = combine(*_drawn(np.random.default_rng(4), 1000, (60, 20), 0.7))
    truth = 6 / np.pi * np.arcsin(0.35)
    assert 0.93 < ((found.low < truth) & (truth < found.high)).mean() < 0.975


def test_groups_that_disagree_are_heterogeneous():
    apart = combine([[0.6], [-0.6]], [[50], [50]])
    assert apart.heterogeneity[0] < 1e-6 and abs(apart.rho[0]) < 1e-9
    assert combine([[0.6], [0.6]], [[50], [50]]).heterogeneity[0] == pytest.approx(1.0)
