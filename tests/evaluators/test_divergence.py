"""The JSD engine against the definition, written down in exact fractions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from definition import by_definition

from harmbench_builtin.evaluators import divergence
from harmbench_builtin.evaluators.divergence import bias, divergences, jsd


def one_hot(code: np.ndarray, groups: int) -> np.ndarray:
    return (np.arange(groups)[:, None] == code)[:, :, None].astype(int)


@pytest.mark.parametrize(("groups", "levels", "bins"), [(2, 1000, 10), (2, 7, 10), (3, 40, 10), (4, 12, 5), (2, 3, 2)])
def test_equals_the_definition_on_random_data_with_ties_and_weights(groups: int, levels: int, bins: int):
    rng = np.random.default_rng(levels)
    values = rng.integers(0, levels, (45, 6)).astype(float)
    code = np.arange(45) % groups
    weights = one_hot(code, groups) * rng.poisson(1.0, (45, 8))
    found = jsd(values, weights, bins)
    for j in range(6):
        for b in range(8):
            expected, _ = by_definition(values[:, j].tolist(), weights[:, :, b].tolist(), bins)
            assert found[j, b] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [4, 15, 16, 17, 31, 33, 64])
@pytest.mark.parametrize("whole", [True, False], ids=["whole weights", "fractional weights"])
def test_equals_the_definition_around_multiples_of_the_search_step_for_few_and_many_replicates(n: int, whole: bool):
    rng = np.random.default_rng(n)
    values = rng.integers(0, 20, (n, 3)).astype(float)
    weights = one_hot(np.arange(n) % 2, 2) * rng.integers(1, 4, (n, 20)) * (1 if whole else 0.5)
    wide, narrow = jsd(values, weights), jsd(values, weights[:, :, :7])
    for j in range(3):
        for b in range(20):
            expected, _ = by_definition(values[:, j].tolist(), (2 * weights[:, :, b]).astype(int).tolist(), 10)
            assert wide[j, b] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(narrow, wide[:, :7], atol=1e-15)


@pytest.mark.parametrize(("n1", "n2"), [(20, 20), (30, 10), (49, 7), (160, 40), (33, 27)])
def test_an_edge_that_falls_exactly_on_a_multiple_of_one_over_k_is_not_missed(n1: int, n2: int):
    """Interleaved groups: many cumulative masses are exact multiples of 1/10, which floats only approximate."""
    order = np.argsort(np.concatenate([np.arange(n1) / n1, np.arange(n2) / n2]), kind="stable")
    values = np.empty(n1 + n2)
    values[order] = np.arange(n1 + n2)
    weights = one_hot((np.arange(n1 + n2) >= n1).astype(int), 2)
    expected, bins = by_definition(values.tolist(), weights[:, :, 0].tolist(), 10)
    found, effective = next(divergences(values[:, None], weights, np.eye(2)[None]))
    assert found[0, 0] == pytest.approx(expected, abs=1e-13)
    assert effective[0, 0] == bins


def test_by_hand_two_bins():
    # A holds 1, 2, 3, 4 and B holds 3, 4, 5, 6. The balanced mass reaches 1/2 at 3 (3/8 + 1/8), so the bins are
    # x <= 3 and x > 3: A has (3/4, 1/4), B has (1/4, 3/4), their mean (1/2, 1/2). D = 1 - H(1/4).
    values = np.array([[1.0], [2], [3], [4], [3], [4], [5], [6]])
    found = jsd(values, one_hot(np.repeat([0, 1], 4), 2), bins=2)
    assert found[0, 0] == pytest.approx(1 + 0.25 * math.log2(0.25) + 0.75 * math.log2(0.75), abs=1e-14)


def test_separated_groups_read_one_and_constant_features_zero_for_any_number_of_groups():
    for groups in (2, 3, 5):
        code = np.repeat(np.arange(groups), 10)
        values = np.column_stack([code + np.linspace(0, 0.5, len(code)), np.full(len(code), 3.0)])
        found = jsd(values, one_hot(code, groups), bins=10 * groups)[:, 0]
        assert found[0] == pytest.approx(1.0, abs=1e-12)
        assert found[1] == 0.0


def test_a_monotone_map_changes_nothing_at_all():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((150, 20))
    weights = one_hot((np.arange(150) >= 100).astype(int), 2) * rng.poisson(1, (150, 5))
    plain = jsd(values, weights)
    for mapped in (np.exp(values), values**3, np.argsort(np.argsort(values, axis=0), axis=0)):
        assert (jsd(mapped, weights) == plain).all()


def test_replicates_equal_the_estimate_on_repeated_rows():
    rng = np.random.default_rng(2)
    values, code = rng.standard_normal((40, 5)), np.arange(40) % 2
    counts = rng.poisson(1, 40)
    weighted = jsd(values, one_hot(code, 2) * counts[:, None])
    repeated = jsd(np.repeat(values, counts, axis=0), one_hot(np.repeat(code, counts), 2))
    assert (weighted == repeated).all()


def test_fractional_weights_that_say_the_same_read_the_same():
    rng = np.random.default_rng(3)
    values = rng.integers(0, 9, (60, 5)).astype(float)
    weights = one_hot(np.arange(60) % 2, 2) * rng.poisson(1, (60, 4))
    np.testing.assert_allclose(jsd(values, weights * 0.37), jsd(values, weights), atol=1e-12)


def test_more_replicates_than_a_block_holds_are_each_their_own(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(4)
    values = rng.standard_normal((60, 2))
    weights = one_hot(np.arange(60) % 2, 2) * rng.poisson(1, (60, 600))
    together = jsd(values, weights)
    monkeypatch.setattr(divergence, "_BLOCK_BYTES", 1)  # 256 replicates a block, the least there is
    np.testing.assert_allclose(jsd(values, weights), together, atol=1e-13)
    for b in (0, 255, 256, 599):
        np.testing.assert_allclose(jsd(values, weights[:, :, b : b + 1])[:, 0], together[:, b], atol=1e-13)


def test_a_group_that_weighs_nothing_gives_nan():
    weights = np.ones((2, 4, 1), dtype=int)
    weights[1] = 0
    assert np.isnan(jsd(np.arange(4.0)[:, None], weights)).all()


def test_missing_values_count_as_one_value_above_all_others():
    values = np.array([1.0, 2.0, np.nan, np.nan, 1.0, 2.0, 3.0, 3.0])[:, None]
    weights = one_hot(np.repeat([0, 1], 4), 2)
    stand_in = np.where(np.isnan(values), 99.0, values)
    assert jsd(values, weights)[0, 0] == jsd(stand_in, weights)[0, 0] > 0


def test_the_rest_is_the_balanced_mixture_of_the_others_not_their_pool():
    """With Philips 9 times as many as Siemens the rest must not look like Philips."""
    code = np.repeat([0, 1, 2], [20, 90, 10])
    values = np.random.default_rng(0).standard_normal((120, 1)) + 2 * code[:, None]
    mixture = np.array([[[1, 0, 0], [0, 0.5, 0.5]]])
    found = next(divergences(values, one_hot(code, 3), mixture))[0][0, 0]
    # The same by hand: repeat rows until Philips and Siemens are equally many, then two plain groups.
    counts = np.where(code == 2, 9, 1)
    repeated, again = np.repeat(values, counts, axis=0), np.repeat(code, counts)
    assert found == pytest.approx(jsd(repeated, one_hot((again > 0).astype(int), 2))[0, 0], abs=1e-12)


def test_bias_for_two_groups_is_the_textbook_formula():
    found = bias(np.array([[10]]), np.array([200, 50]), np.eye(2)[None])
    assert found[0, 0] == pytest.approx(9 / (8 * math.log(2)) * (1 / 200 + 1 / 50))


def test_bias_for_three_groups_is_divided_by_log2_of_three():
    found = bias(np.array([[10]]), np.array([300, 200, 100]), np.eye(3)[None])
    expected = 9 / (2 * math.log(2)) * (2 / 9) * (1 / 300 + 1 / 200 + 1 / 100) / math.log2(3)
    assert found[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("sizes", [(200, 50), (800, 200), (100, 100, 100)])
def test_identical_distributions_read_what_the_bias_formula_says(sizes: tuple[int, ...]):
    """An independent measurement gave .043 at 200/50 (formula .041) and .010 at 800/200 (formula .0101)."""
    groups = len(sizes)
    values = np.random.default_rng(1).standard_normal((sum(sizes), 400))
    raw = jsd(values, one_hot(np.repeat(np.arange(groups), sizes), groups)).mean()
    formula = bias(np.array([[10]]), np.array(sizes), np.eye(groups)[None])[0, 0]
    assert abs(raw - formula) < max(0.0035, 0.04 * formula)


def test_a_mixture_group_is_less_biased_than_its_members():
    """One against the balanced mixture of two: 1/n of the mixture is (1/4)(1/n2 + 1/n3)."""
    sizes = (100, 100, 100)
    mixture = np.array([[[1, 0, 0], [0, 0.5, 0.5]]])
    values = np.random.default_rng(2).standard_normal((300, 400))
    weights = one_hot(np.repeat([0, 1, 2], sizes), 3)
    raw = np.mean([d[0, 0] for d, _ in divergences(values, weights, mixture)])
    formula = bias(np.array([[10]]), np.array(sizes), mixture)[0, 0]
    assert formula == pytest.approx(9 / (8 * math.log(2)) * (1 / 100 + 0.25 * 2 / 100))
    assert abs(raw - formula) < 0.0025


def test_the_divergence_of_a_known_shift_is_the_binned_truth():
    """Normal against normal + 0.5 at K=10: the population value, from the normal quantiles, without any sampling."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    def mixture(x: float) -> float:
        return 0.5 * norm.cdf(x) + 0.5 * norm.cdf(x - 0.5)

    edges = [brentq(lambda x, k=k: mixture(x) - k / 10, -9, 9) for k in range(1, 10)]
    p = [np.diff([0, *norm.cdf(np.array(edges) - s), 1]) for s in (0, 0.5)]
    mean = (p[0] + p[1]) / 2
    truth = -(mean * np.log2(mean)).sum() + np.mean([(q * np.log2(q)).sum() for q in p])
    rng = np.random.default_rng(0)
    for n1, n2 in ((800, 200), (200, 200)):
        values = rng.standard_normal((n1 + n2, 150))
        values[n1:] += 0.5
        raw = jsd(values, one_hot(np.repeat([0, 1], [n1, n2]), 2)).mean()
        corrected = raw - bias(np.array([[10]]), np.array([n1, n2]), np.eye(2)[None])[0, 0]
        assert corrected == pytest.approx(truth, abs=0.003)
