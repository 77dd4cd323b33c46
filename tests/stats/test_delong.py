"""DeLong against the definition of U-statistics, by hand, and beside the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from harmbench.stats.auc import auc, weighted_auc
from harmbench.stats.bootstrap import patient_resamples
from harmbench.stats.delong import Aucs, delong, delong_within, difference


def by_definition(label: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong, DeLong and Clarke-Pearson 1988, equations 4 to 6: all pairs, written down."""
    x, y = scores[label == 1], scores[label == 0]
    psi = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])  # (m, n, k)
    theta = psi.mean(axis=(0, 1))
    v10, v01 = psi.mean(axis=1) - theta, psi.mean(axis=0) - theta
    m, n = len(x), len(y)
    return theta, v10.T @ v10 / (m - 1) / m + v01.T @ v01 / (n - 1) / n


@pytest.mark.parametrize(("n", "levels"), [(12, 4), (90, 1000), (200, 6)])
def test_equals_the_covariance_of_u_statistics_with_ties(n: int, levels: int):
    rng = np.random.default_rng(n)
    label = np.arange(n) % 3 == 0
    scores = rng.integers(0, levels, (n, 3)) + 0.3 * levels * label[:, None] * rng.random((n, 3)).round(1)
    found = delong(label, scores)
    theta, covariance = by_definition(label.astype(int), scores)
    np.testing.assert_allclose(found.auc, theta, atol=1e-14)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-15)
    assert found.auc[0] == pytest.approx(auc(label, scores[:, 0]), abs=1e-14)


def test_variance_by_hand():
    # Positives 3, 1; negatives 2, 0. Pairs: 3>2, 3>0, 1<2, 1>0: AUC 3/4. Positives win 1 and 1/2 of the negatives:
    # variance 1/8; negatives lose to 1/2 and 1: variance 1/8. Var = 1/8/2 + 1/8/2 = 1/8.
    found = delong([1, 1, 0, 0], [3.0, 1.0, 2.0, 0.0])
    assert found.auc[0] == 0.75 and found.covariance[0, 0] == pytest.approx(1 / 8)


def test_difference_is_the_normal_test_of_two_correlated_aucs():
    found = difference(Aucs(np.array([0.8, 0.7]), np.array([[0.004, 0.001], [0.001, 0.003]])))
    error = math.sqrt(0.004 + 0.003 - 0.002)
    assert found.value == pytest.approx(0.1) and found.standard_error == pytest.approx(error)
    assert found.low == pytest.approx(0.1 - 1.959964 * error, abs=1e-6)
    assert found.p_value == pytest.approx(2 * (1 - norm.cdf(0.1 / error)))


def test_the_same_order_cannot_differ():
    rng = np.random.default_rng(0)
    label, score = rng.integers(0, 2, 40), rng.random(40)
    same = difference(delong(label, np.column_stack([score, np.exp(score)])))
    assert (same.value, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_copies_of_a_row_change_nothing_when_their_patient_is_known():
    """Three copies of every row carry no news: with the patient the error stays, without it it shrinks by sqrt 3."""
    rng = np.random.default_rng(1)
    label = np.arange(60) % 2
    scores = rng.standard_normal((60, 2)) + label[:, None]
    once = delong(label, scores)
    copies = np.repeat(np.arange(60), 3)
    known = delong(label[copies], scores[copies], copies)
    np.testing.assert_allclose(known.covariance, once.covariance, rtol=1e-12)
    assert delong(label[copies], scores[copies]).covariance[0, 0] < 0.36 * once.covariance[0, 0]


def test_a_patient_with_rows_of_both_classes_adds_a_covariance():
    """Obuchowski 1997: with each patient giving one row of either class that share an offset, the AUC varies less."""
    rng = np.random.default_rng(2)
    patient = np.repeat(np.arange(80), 2)
    label = np.tile([1, 0], 80)

    def draw() -> np.ndarray:
        return 3.0 * rng.standard_normal(80)[patient] + rng.standard_normal(160) + label

    estimated = np.mean([delong(label, draw(), patient).covariance[0, 0] for _ in range(60)])
    spread = np.var([delong(label, draw()).auc[0] for _ in range(1500)])
    assert estimated == pytest.approx(spread, rel=0.15)
    assert delong(label, draw()).covariance[0, 0] > 3 * spread


def test_within_manufacturer_is_the_mean_and_leaves_out_who_has_one_class():
    rng = np.random.default_rng(3)
    maker = np.repeat(["A", "B", "C"], [40, 30, 10])
    label = np.concatenate([np.arange(40) % 2, np.arange(30) % 2, np.ones(10, int)])
    scores = rng.standard_normal((80, 2)) + label[:, None]
    found = delong_within(label, scores, maker)
    a, b = (delong(label[maker == name], scores[maker == name]) for name in "AB")
    np.testing.assert_allclose(found.auc, (a.auc + b.auc) / 2)
    np.testing.assert_allclose(found.covariance, (a.covariance + b.covariance) / 4)
    assert np.isnan(delong_within(np.ones(4), np.arange(4.0), np.array(["A"] * 4)).auc).all()


def test_agrees_with_the_patient_bootstrap():
    rng = np.random.default_rng(4)
    patient = np.repeat(np.arange(150), 2)
    label = (np.arange(150) % 2)[patient]
    shared = rng.standard_normal(150)[patient]
    scores = np.column_stack([shared + rng.standard_normal(300) + s * label for s in (1.0, 0.6)])
    maker = np.where(patient % 3 == 0, "B", "A")
    weights = patient_resamples(patient, maker, label, 4000, 0)
    drawn = weighted_auc(label, scores[:, 0], weights) - weighted_auc(label, scores[:, 1], weights)
    found = difference(delong(label, scores, patient))
    assert found.standard_error == pytest.approx(drawn.std(), rel=0.08)


def test_a_missing_class_or_a_single_patient_gives_nan():
    assert np.isnan(delong([1, 1], [0.1, 0.2]).auc).all()
    lonely = delong([1, 0, 0], [0.5, 0.1, 0.7])
    assert lonely.auc[0] == 0.5 and np.isnan(lonely.covariance).all()
    assert math.isnan(difference(delong([1, 0, 0], np.ones((3, 2)))).p_value)
