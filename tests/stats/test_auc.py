"""AUC against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from harmbench.stats.auc import auc, weighted_auc


def test_auc_by_hand():
    # Pairs (positive, negative): 3>1, 3>2, 2>1 and a tie 2=2 that counts half.
    assert auc([1, 0, 1, 0], [3.0, 1.0, 2.0, 2.0]) == pytest.approx(3.5 / 4)


@pytest.mark.parametrize("seed", range(5))
def test_auc_equals_scikit_learn_with_ties(seed: int):
    rng = np.random.default_rng(seed)
    label, score = rng.integers(0, 2, 80), rng.integers(0, 12, 80) / 3
    assert auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-14)


def test_weighted_auc_equals_scikit_learn_in_every_replicate():
    rng = np.random.default_rng(0)
    label, score = rng.integers(0, 2, 60), rng.integers(0, 20, 60) / 7
    weights = rng.poisson(1.0, (60, 25)).astype(np.float32)
    expected = [roc_auc_score(label, score, sample_weight=w) for w in weights.T]
    np.testing.assert_allclose(weighted_auc(label, score, weights), expected, atol=1e-12)


def test_a_missing_class_gives_nan():
    assert np.isnan(auc([1, 1], [0.1, 0.2]))
    assert np.isnan(weighted_auc([1, 1], [0.1, 0.2], np.ones((2, 3)))).all()
    only_positives_weigh = np.array([[1.0, 1.0], [0.0, 1.0]])
    np.testing.assert_array_equal(weighted_auc([1, 0], [0.9, 0.1], only_positives_weigh), [np.nan, 1.0])
