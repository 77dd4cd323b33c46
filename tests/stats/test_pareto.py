"""Pareto front, weight sweep, tie groups."""

from __future__ import annotations

import numpy as np
import pytest

from harmbench.stats.pareto import between_controls, dominated, pareto_front, weight_sweep
from harmbench.stats.ranking import Contender, gate_then_goal, tie_groups


def test_the_front_by_hand():
    signal = np.array([0.9, 0.8, 0.8, 0.7, 0.9])
    harmony = np.array([0.1, 0.5, 0.4, 0.6, 0.1])
    # The third loses to the second; the last equals the first, and equals do not dominate each other.
    assert dominated(signal, harmony).tolist() == [False, False, True, False, False]


def test_dominated_is_what_pairwise_comparison_says():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (7, 50)).astype(float), rng.integers(0, 4, (7, 50)).astype(float)
    found = dominated(a, b)
    for r in range(50):
        for i in range(7):
            expected = any(
                a[j, r] >= a[i, r] and b[j, r] >= b[i, r] and (a[j, r], b[j, r]) != (a[i, r], b[i, r]) for j in range(7)
            )
            assert found[i, r] == expected


def test_a_missing_value_is_never_on_the_front_and_dominates_nobody():
    assert dominated(np.array([np.nan, 0.1]), np.array([9.0, 0.1])).tolist() == [True, False]


def test_probabilities_are_shares_of_replicates():
    signal = np.array([[0.5, 0.5, 0.5, 0.5], [0.6, 0.6, 0.4, 0.4]])
    harmony = np.array([[0.5, 0.5, 0.5, 0.5], [0.6, 0.4, 0.6, 0.4]])
    front = pareto_front(signal.mean(axis=1), harmony.mean(axis=1), signal, harmony, reference=0)
    # Replicate 1: the second dominates; 4: the first does; 2 and 3: neither.
    np.testing.assert_allclose(front.probability, [0.75, 0.75])
    np.testing.assert_allclose(front.dominates, [0.0, 0.25])
    assert front.on_front.tolist() == [True, True]


def test_two_methods_change_places_where_their_lines_cross():
    # w 0.2 + (1 - w) 1.0 against w 1.0 + (1 - w) 0.6: equal at 1 - 0.8 w = 0.6 + 0.4 w, w = 1/3.
    sweep = weight_sweep(np.array([0.2, 1.0, 0.5]), np.array([1.0, 0.6, 0.5]))
    assert sweep.wins[0] == pytest.approx((0.0, 1 / 3)) and sweep.wins[1] == pytest.approx((1 / 3, 1.0))
    assert sweep.wins[2] is None
    assert sweep.rank[:, 0].tolist() == [1, 2, 3] and sweep.rank[:, -1].tolist() == [3, 1, 2]


def test_winning_intervals_agree_with_the_ranks_on_a_grid():
    rng = np.random.default_rng(1)
    for _ in range(20):
        sweep = weight_sweep(rng.random(6), rng.random(6), np.linspace(0, 1, 1001))
        for ranks, wins in zip(sweep.rank, sweep.wins, strict=True):
            first = sweep.weights[ranks == 1]
            if len(first):
                assert wins is not None and wins == pytest.approx((first[0], first[-1]), abs=1.1e-3)


def test_shares_of_being_first_add_up_to_one_and_split_ties():
    rng = np.random.default_rng(2)
    a, b = rng.random((3, 200)), rng.random((3, 200))
    a[1], b[1] = a[0], b[0]
    sweep = weight_sweep(a.mean(axis=1), b.mean(axis=1), [0.0, 0.4, 1.0], a, b)
    assert sweep.first is not None
    np.testing.assert_allclose(sweep.first.sum(axis=0), 1.0)
    np.testing.assert_allclose(sweep.first[0], sweep.first[1])


def test_what_cannot_be_weighed_is_refused():
    with pytest.raises(ValueError, match="finite"):
        weight_sweep(np.array([0.1, np.nan]), np.zeros(2))
    with pytest.raises(ValueError, match="between 0 and 1"):
        weight_sweep(np.zeros(2), np.zeros(2), [1.5])


def test_controls_set_the_scale_and_nothing_is_clipped():
    np.testing.assert_allclose(between_controls([0.3, 0.1, 0.4], zero=0.3, one=0.1), [0.0, 1.0, -0.5])
    assert np.isnan(between_controls([1.0], 0.2, 0.2)).all()


def contender(name: str, goal: float, noise: np.ndarray) -> Contender:
    return Contender(name, 0.7, goal, np.full(len(noise), 0.7), goal + noise)


def test_groups_are_chains_of_neighbours_whose_difference_includes_zero():
    rng = np.random.default_rng(3)
    field = [contender(name, goal, rng.normal(0, 0.01, 500)) for name, goal in
             (("none", 0.30), ("a", 0.10), ("b", 0.11), ("c", 0.13), ("d", 0.20))]  # fmt: skip
    assert tie_groups(field) == {"a": 1, "b": 1, "c": 1, "d": 2, "none": 3}
    standings = gate_then_goal(field, field[0], 0.02)
    assert [standings[name].group for name in ("a", "d", "none")] == [1, 2, 3]
    # The two ends of a chain may differ, which the rank intervals show: a is surely better than c, b is not.
    assert standings["a"].rank == (1, 2) and standings["b"].rank == (1, 3) and standings["c"].rank == (2, 3)


def test_larger_is_better_turns_the_order_of_the_groups():
    still = np.zeros(10)
    field = [contender("low", 0.1, still), contender("high", 0.9, still)]
    assert tie_groups(field, "max") == {"high": 1, "low": 2}


def test_replicates_without_a_value_are_left_out_of_the_share():
    first = np.array([[0.0, 0.0, np.nan], [1.0, -1.0, 5.0]])
    sweep = weight_sweep(np.array([0.0, 0.5]), np.zeros(2), np.array([1.0]), first, np.zeros((2, 3)))
    assert sweep.first is not None and sweep.first[:, 0].tolist() == [0.5, 0.5]


def test_a_replicate_without_a_value_says_nothing_of_the_front():
    goal = np.array([[0.5, 0.5, np.nan, np.nan], [0.6, 0.6, 0.6, 0.6]])
    signal = np.array([[0.9, 0.9, 0.9, 0.9], [0.8, 0.8, 0.8, 0.8]])
    front = pareto_front(np.array([0.5, 0.6]), np.array([0.9, 0.8]), goal, signal, reference=0)
    np.testing.assert_array_equal(front.probability, [1.0, 1.0])
    nothing = pareto_front(np.array([0.5, 0.6]), np.array([0.9, 0.8]), np.full((2, 4), np.nan), signal, reference=0)
    assert np.isnan(nothing.probability).all() and nothing.on_front.all()


def test_names_decide_nothing_among_methods_that_are_equal_at_the_bound():
    rng = np.random.default_rng(1)
    flat, wide = np.zeros(2000), np.maximum(rng.normal(-0.001, 0.02, 2000), 0)
    third, signal = np.maximum(rng.normal(0.01, 0.004, 2000), 0), np.full(2000, 0.9)
    for first, second in (("a", "z"), ("z", "a")):
        field = [
            Contender(first, 0.9, 0.0, signal, flat, measured=-0.02),
            Contender(second, 0.9, 0.0, signal, wide, measured=-0.001),
            Contender("c", 0.9, 0.01, signal, third),
        ]
        groups = tie_groups(field)
        assert (groups[first], groups[second], groups["c"]) == (1, 1, 1)  # "c" is not apart from the wide one before it
        assert list(gate_then_goal(field, field[0], 0.02)) == [first, second, "c"]
