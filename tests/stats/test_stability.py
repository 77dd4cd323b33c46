"""Agreement of folds on what they keep and on its order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from harmbench.stats.stability import nogueira, rank_agreement


def test_the_index_by_hand():
    # p = (1, .5, .5, 0), M/(M-1) = 2: mean of s^2 is (0 + .5 + .5 + 0)/4 = .25, and k/d (1 - k/d) = .25.
    assert nogueira([[1, 1, 0, 0], [1, 0, 1, 0]]) == pytest.approx(0.0)
    # p = (1, 1/3, 0, 0, 0), M = 3: s^2 = (0, 1/3, 0, 0, 0), mean 1/15; k/d = 4/15: 1 - (1/15)/(44/225) = 1 - 15/44.
    assert nogueira([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]) == pytest.approx(29 / 44)


def test_it_is_one_for_the_same_choice_and_lowest_for_opposite_ones():
    assert nogueira([[1, 0, 1], [1, 0, 1], [1, 0, 1]]) == 1.0
    assert nogueira([[1, 0], [0, 1]]) == pytest.approx(-1.0)  # -1 / (M - 1)


def test_it_equals_fleiss_kappa_with_folds_as_raters():
    kept = np.random.default_rng(0).random((6, 40)) < np.linspace(0.05, 0.9, 40)
    folds, features = kept.shape
    votes = np.stack([kept.sum(axis=0), (~kept).sum(axis=0)], axis=1)
    observed = ((votes**2).sum(axis=1) - folds) / (folds * (folds - 1))
    chance = ((votes.sum(axis=0) / (folds * features)) ** 2).sum()
    assert nogueira(kept) == pytest.approx((observed.mean() - chance) / (1 - chance))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_random_choices_average_zero_however_many_are_kept(share: float):
    rng = np.random.default_rng(1)
    found = [nogueira(rng.random((5, 200)) < share) for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("kept", [np.ones((3, 4)), np.zeros((3, 4)), np.ones((1, 4)), [[1], [0]], np.ones((3, 0))])
def test_without_a_choice_there_is_no_index(kept: np.ndarray):
    assert np.isnan(nogueira(kept))


def test_importances_are_compared_on_what_both_folds_kept():
    rng = np.random.default_rng(2)
    importance, kept = rng.random((3, 12)), rng.random((3, 12)) < 0.8
    expected = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        both = kept[i] & kept[j]
        expected.append(spearmanr(importance[i, both], importance[j, both]).statistic)
    value, pairs = rank_agreement(importance, kept)
    assert (value, pairs) == (pytest.approx(np.mean(expected)), 3)


def test_folds_that_share_too_little_are_not_compared():
    kept = np.zeros((2, 9), dtype=bool)
    kept[0, :6] = kept[1, 4:] = True  # two in common
    value, pairs = rank_agreement(np.ones((2, 9)), kept)
    assert np.isnan(value) and pairs == 0
