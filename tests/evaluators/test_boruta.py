"""Boruta: its decisions against BorutaPy's on the same importances, and its statistics by hand."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from boruta import BorutaPy
from sklearn.base import BaseEstimator

from harmbench_builtin.evaluators import selection
from harmbench_builtin.evaluators.boruta import (
    CONFIRMED,
    REJECTED,
    UNDECIDED,
    Outcome,
    boruta,
    decide,
    iterate,
    with_shadows,
)


class Script:
    """Importances written down beforehand; a feature's column holds its number, and so do its shadows."""

    def __init__(self, real: np.ndarray, shadow: np.ndarray) -> None:
        self.real, self.shadow, self.calls = real, shadow, 0
        self.codes = np.repeat(np.arange(real.shape[1], dtype=np.uint8)[:, None], 6, axis=1)

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Of the columns of one forest: features in ascending order, then shadows."""
        steps = np.flatnonzero(np.diff(numbers) <= 0)
        features = int(steps[0]) + 1 if len(steps) else len(numbers)
        i, self.calls = self.calls, self.calls + 1
        return np.concatenate([self.real[i, numbers[:features]], self.shadow[i, numbers[features:]]])

    def __call__(self, codes: np.ndarray, seed: int) -> np.ndarray:
        return self.of(codes[:, 0].astype(int))


class ScriptedEstimator(BaseEstimator):
    """The same for BorutaPy."""

    def __init__(self, script: Any = None, n_estimators: int = 1, random_state: Any = None) -> None:
        self.script, self.n_estimators, self.random_state = script, n_estimators, random_state

    def fit(self, values: np.ndarray, label: np.ndarray) -> ScriptedEstimator:
        self.feature_importances_ = self.script.of(values[0].astype(int))
        return self


def history(seed: int, features: int, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Features from useless to always best, importances correlated over iterations by the feature's strength."""
    rng = np.random.default_rng(seed)
    strength = rng.choice([0.0, 1.0, 2.0, 4.0], features, p=[0.6, 0.2, 0.1, 0.1])
    shape = (iterations, features)
    return rng.standard_normal(shape) + strength, rng.standard_normal(shape)


@pytest.mark.parametrize("percentile", [100, 80])
@pytest.mark.parametrize(("features", "max_iter"), [(4, 15), (12, 40), (60, 30), (200, 60)])
def test_every_decision_is_borutapys_on_the_same_importances(features: int, max_iter: int, percentile: int):
    for seed in range(5):
        real, shadow = history(seed, features, max_iter)
        ours = iterate((s := Script(real, shadow)).codes, s, max_iter, seed, percentile)
        estimator = ScriptedEstimator(Script(real, shadow))
        theirs = BorutaPy(estimator, n_estimators=1, max_iter=max_iter, random_state=seed, perc=percentile)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.fit(s.codes.T.astype(float), np.array([0, 1] * 3))
        assert ours.iterations == len(theirs.importance_history_) - 1
        if (ours.confirmed | ours.tentative).all():
            continue  # BorutaPy then calls the tentative ones confirmed; see the test below
        np.testing.assert_array_equal(ours.confirmed, theirs.support_)
        np.testing.assert_array_equal(ours.tentative, theirs.support_weak_)


def test_decisions_equal_borutapys_tests_for_any_hits():
    rng = np.random.default_rng(0)
    reference = BorutaPy(None)
    for _ in range(300):
        iteration, p = int(rng.integers(1, 60)), int(rng.integers(1, 80))
        hits = rng.binomial(iteration, rng.choice([0.02, 0.5, 0.98], p))
        decision = rng.choice([CONFIRMED, UNDECIDED, REJECTED], p, p=[0.1, 0.7, 0.2])
        if (decision == REJECTED).all():
            continue
        expected = reference._do_tests(decision.copy(), hits, iteration)
        np.testing.assert_array_equal(decide(decision, hits, iteration), expected)


def test_tentative_features_stay_tentative_when_nothing_is_rejected():
    real = np.tile([9.0, 1.0], (20, 1))
    shadow = np.zeros((20, 2))
    shadow[1::2] = 3.0  # the second feature is above the shadows every other time
    real[::2, 1] = 5.0
    found = iterate((s := Script(real, shadow)).codes, s, 20, 0)
    assert found.confirmed.tolist() == [True, False] and found.tentative.tolist() == [False, True]


@pytest.mark.parametrize(("iterations", "decided"), [(7, False), (8, True)])
def test_one_feature_is_decided_at_the_eighth_iteration(iterations: int, decided: bool):
    """2^-7 = .0078 is above .05 / 7 = .0071; 2^-8 = .0039 is below .05 / 8 = .0063."""
    one = np.zeros(1, dtype=int)
    assert decide(one, np.array([iterations]), iterations)[0] == (CONFIRMED if decided else UNDECIDED)
    assert decide(one, np.array([0]), iterations)[0] == (REJECTED if decided else UNDECIDED)


def test_one_feature_among_a_hundred_undecided_ones_is_confirmed_at_the_eleventh_iteration():
    """Benjamini-Hochberg asks for p <= .05 / 100 of the only good one: 2^-11 = .00049, and 2^-10 is not enough."""
    for iteration, expected in ((10, UNDECIDED), (11, CONFIRMED)):
        hits = np.full(100, iteration // 2)
        hits[0] = iteration
        after = decide(np.zeros(100, dtype=int), hits, iteration)
        assert after[0] == expected and (after[1:] == UNDECIDED).all()


def test_rejected_features_no_longer_count_in_the_correction():
    hits, decision = np.full(100, 4), np.full(100, REJECTED)
    hits[0], decision[0] = 8, UNDECIDED
    assert decide(decision, hits, 8)[0] == CONFIRMED


def test_a_decision_is_final():
    decision = np.array([CONFIRMED, REJECTED, UNDECIDED])
    assert decide(decision, np.array([0, 30, 15]), 30).tolist() == decision.tolist()


def test_iterations_end_when_all_is_decided_and_rejected_features_leave_with_their_shadows():
    seen = []

    def importance(codes: np.ndarray, seed: int) -> np.ndarray:
        seen.append(len(codes))
        alive = len(codes) // 2 if len(codes) >= 10 else len(codes) - 8  # one feature has eight shadows
        return np.where(np.arange(len(codes)) == 0, 2.0, np.where(np.arange(len(codes)) < alive, 0.0, 1.0))

    codes = np.zeros((6, 10), dtype=np.uint8)
    found = iterate(codes, importance, 100, 0)
    # Feature 0 always hits, the others never. Among six, Benjamini-Hochberg asks for 6 * 2^-8 = .023 <= .05.
    assert found.iterations == 8 and found.hits.tolist() == [8, 0, 0, 0, 0, 0] and set(seen) == {12}
    assert found.decision.tolist() == [CONFIRMED] + 5 * [REJECTED] and not found.tentative.any()


def test_at_most_one_forest_less_than_max_iter_as_in_borutapy():
    calls = []
    iterate(np.zeros((5, 4), dtype=np.uint8), lambda codes, seed: calls.append(seed) or np.ones(len(codes)), 5, 0)
    assert len(calls) == 4 and len(set(calls)) == 4


def test_tied_with_the_best_shadow_is_no_hit():
    found = iterate(np.zeros((5, 4), dtype=np.uint8), lambda codes, seed: np.ones(len(codes)), 4, 0)
    assert found.hits.tolist() == [0] * 5 and not found.above_shadows.any()


@pytest.mark.parametrize(("features", "shadows"), [(1, 8), (2, 8), (3, 6), (4, 8), (5, 5), (9, 9)])
def test_shadows_are_the_features_with_their_rows_permuted(features: int, shadows: int):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 200, (features, 50)).astype(np.uint8)
    both = with_shadows(codes, rng)
    assert both.shape == (features + shadows, 50)
    np.testing.assert_array_equal(both[:features], codes)
    for i, shadow in enumerate(both[features:]):
        assert (shadow != codes[i % features]).any()
        np.testing.assert_array_equal(np.sort(shadow), np.sort(codes[i % features]))
    # Each row of bytes is permuted by itself: two shadows of equal features differ.
    twins = with_shadows(np.tile(codes[:1], (6, 1)), rng)[6:]
    assert (twins[0] != twins[1]).any()


def planted(n: int, p: int, seed: int, relevant: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.permutation(np.arange(n) < 0.3 * n)
    values = rng.standard_normal((n, p))
    values[:, :relevant] += 1.5 * positive[:, None]
    return values, positive


def run(values: np.ndarray, positive: np.ndarray, seed: int = 0) -> Outcome:
    return boruta(values, positive, 30, 100, 5, seed)


def test_planted_features_are_confirmed_and_hardly_any_other():
    for seed in range(3):
        values, positive = planted(150, 80, seed)
        found = run(values, positive, seed)
        assert found.confirmed[:6].all() and found.confirmed[6:].sum() <= 1
        assert found.decision[6:].tolist().count(REJECTED) >= 65


def test_noise_alone_confirms_hardly_anything():
    """Not nothing: a feature that fits this sample's labels by chance does so in every iteration, while its shadows are
    new each time. BorutaPy confirms 3 of the 320 features of eight such sets, and so much is let pass here."""
    rng = np.random.default_rng(1)
    false = [run(rng.standard_normal((100, 40)), np.arange(100) < 40, s).confirmed.sum() for s in range(5)]
    assert sum(false) <= 5


def test_interactions_are_found_that_no_feature_shows_alone():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((400, 10))
    positive = (values[:, 0] > 0) ^ (values[:, 1] > 0)
    assert run(values, positive).confirmed[:2].all()


def test_the_same_seed_gives_the_same_result_and_another_one_another():
    values, positive = planted(100, 60, 0)
    first, again, other = run(values, positive, 5), run(values, positive, 5), run(values, positive, 6)
    np.testing.assert_array_equal(first.hits, again.hits)
    assert (first.hits != other.hits).any()


def test_order_and_scale_of_the_features_do_not_matter_but_for_chance():
    """A monotone map changes no bin, hence nothing at all."""
    values, positive = planted(100, 30, 0)
    np.testing.assert_array_equal(run(values, positive).hits, run(np.exp(values) * 1e6 - 5, positive).hits)


def test_constant_columns_are_rejected_and_change_nothing_for_the_others():
    values, positive = planted(100, 20, 0)
    with_constants = np.insert(values, [3, 20], 7.0, axis=1)
    found, without = run(with_constants, positive), run(values, positive)
    others = np.delete(np.arange(22), [3, 21])
    assert found.decision[[3, 21]].tolist() == [REJECTED, REJECTED]
    np.testing.assert_array_equal(found.decision[others], without.decision)
    nothing = run(np.ones((100, 4)), positive)
    assert nothing.iterations == 0 and not nothing.confirmed.any() and not nothing.tentative.any()


def test_a_selection_without_features_or_with_one_class_is_empty():
    label = np.arange(20) % 2
    assert selection.boruta(np.empty((20, 0)), label, 10, 10, 3, 0).kept.shape == (0,)
    values = np.random.default_rng(0).standard_normal((20, 3))
    for one_class in (np.zeros(20, dtype=int), np.ones(20, dtype=int)):
        assert not selection.boruta(values, one_class, 10, 10, 3, 0).kept.any()
