"""Permutation of the manufacturer, p-values, false discovery rate."""

from __future__ import annotations

import numpy as np
import pytest

from builders import table
from harmbench.stats.permutation import benjamini_hochberg, p_value, permute_manufacturer


def test_rows_of_one_patient_keep_one_manufacturer():
    t = table(90, 1, images_per_patient=3, ratio=2)
    codes = permute_manufacturer(t.patient, t.manufacturer, t.label, 40, 0)
    for patient in np.unique(t.patient):
        own = codes[:, t.patient == patient]
        assert (own == own[:, :1]).all()


def test_counts_per_manufacturer_and_label_stay_as_they_are():
    t = table(100, 1, ratio=4, prevalence=(0.3, 0.7))
    codes = permute_manufacturer(t.patient, t.manufacturer, t.label, 40, 0)
    code = np.searchsorted(t.manufacturers, t.manufacturer)
    for label in (0, 1):
        rows = t.label == label
        assert (codes[:, rows].sum(axis=1) == code[rows].sum()).all()
    assert len(np.unique(codes, axis=0)) == 40
    assert (codes[:, t.label == 0] != code[t.label == 0]).any()


def test_paired_rows_are_swapped_within_their_patient_only():
    patient = np.repeat(["a", "b", "c"], 2)
    maker = np.tile(["GE", "Philips"], 3)
    codes = permute_manufacturer(patient, maker, np.zeros(6), 400, 0)
    pairs = codes.reshape(400, 3, 2)
    assert (pairs.sum(axis=2) == 1).all()
    # Each pair is swapped half of the time, independently: 400 draws have a standard error of .025.
    assert np.abs(pairs[:, :, 0].mean(axis=0) - 0.5).max() < 0.1
    assert len(np.unique(pairs[:, :, 0], axis=0)) == 8


def test_p_value_counts_the_observed_value_itself():
    assert p_value(3.0, [1.0, 2.0, 3.0, 4.0]) == pytest.approx((1 + 2) / 5)
    assert p_value(9.0, np.zeros(999)) == pytest.approx(0.001)
    assert np.isnan(p_value(np.nan, [1.0, 2.0]))


def test_p_values_of_a_statistic_without_effect_are_uniform():
    t = table(60, 400, seed=5)
    code = np.searchsorted(t.manufacturers, t.manufacturer)
    draws = permute_manufacturer(t.patient, t.manufacturer, t.label, 199, 0)

    def gap(codes: np.ndarray) -> np.ndarray:
        return np.abs(codes @ t.values / 30 - (1 - codes) @ t.values / 30)

    p = p_value(gap(code[None])[0], gap(draws), axis=0)
    assert abs((p <= 0.05).mean() - 0.05) < 0.035  # standard error .011
    assert abs(p.mean() - 0.5) < 0.05


def test_benjamini_hochberg_by_hand():
    # p_(i) * 4 / i = .04, .04, .0533, .5; the smallest from the right on.
    np.testing.assert_allclose(benjamini_hochberg([0.5, 0.01, 0.04, 0.02]), [0.5, 0.04, 0.16 / 3, 0.04])


def test_benjamini_hochberg_leaves_unknown_p_values_out():
    np.testing.assert_allclose(benjamini_hochberg([0.01, np.nan, 0.02]), [0.02, np.nan, 0.02])
    assert np.isnan(benjamini_hochberg([np.nan])).all()
