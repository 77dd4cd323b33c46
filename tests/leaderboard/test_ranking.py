from __future__ import annotations

import numpy as np

from harmbench.stats.ranking import Contender, gate_then_goal

B = np.linspace(-1, 1, 401)


def one(name, signal, goal, signal_spread=0.01, goal_spread=0.01, seed=0):
    """A contender whose replicates move with those of the others (paired) plus a little of its own."""
    own = np.random.default_rng(seed).normal(size=len(B)) * 1e-4
    return Contender(name, signal, goal, signal + B * signal_spread + own, goal + B * goal_spread + own)


NONE = one("none", 0.70, 0.30)


def test_a_method_that_keeps_the_signal_passes_and_is_ordered_by_the_goal():
    result = gate_then_goal([NONE, one("a", 0.70, 0.10, seed=1), one("b", 0.69, 0.05, seed=2)], NONE, delta=0.02)
    assert list(result) == ["b", "a", "none"]
    assert [result[m].rank for m in result] == [(1, 1), (2, 2), (3, 3)]
    assert all(s.passed for s in result.values())


def test_a_method_that_may_lose_more_than_delta_fails_however_good_its_goal():
    result = gate_then_goal([NONE, one("erases", 0.60, 0.0, seed=1)], NONE, delta=0.02)
    assert list(result) == ["none", "erases"]
    assert not result["erases"].passed
    assert result["erases"].rank is None
    assert "may fall by 0.1" in result["erases"].reason


def test_the_gate_looks_at_the_lower_bound_not_at_the_point():
    wide = Contender("wide", 0.75, 0.1, 0.75 + B * 0.2, 0.1 + B * 0.01)  # not paired with none: spread 0.2
    result = gate_then_goal([NONE, wide], NONE, delta=0.02)
    assert not result["wide"].passed
    assert result["wide"].difference[0] > 0 > result["wide"].difference[1]


def test_methods_whose_paired_difference_includes_0_share_a_rank():
    a = one("a", 0.7, 0.100, seed=1)
    b = Contender("b", 0.7, 0.102, a.signal_replicates, 0.102 + B[::-1] * 0.01)
    result = gate_then_goal([NONE, a, b], NONE, delta=0.02)
    assert result["a"].rank == (1, 2)
    assert result["b"].rank == (1, 2)
    assert result["none"].rank == (3, 3)


def test_paired_replicates_separate_what_unpaired_intervals_would_not():
    a, b = one("a", 0.7, 0.10, goal_spread=0.2, seed=1), one("b", 0.7, 0.11, goal_spread=0.2, seed=2)
    result = gate_then_goal([NONE, a, b], NONE, delta=0.02)
    assert result["a"].rank[1] < result["b"].rank[0]


def test_directions_can_be_turned_round():
    high = one("high", 0.7, 0.9, seed=1)
    result = gate_then_goal([NONE, high], NONE, delta=0.02, goal_direction="max")
    assert list(result) == ["high", "none"]


def test_without_replicates_nothing_passes_but_the_reference():
    result = gate_then_goal([NONE, Contender("x", 0.9, 0.0, None, None)], NONE, delta=0.02)
    assert not result["x"].passed
