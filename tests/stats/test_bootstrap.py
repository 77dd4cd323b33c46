"""Patient bootstrap and percentile intervals."""

from __future__ import annotations

import numpy as np
import pytest

from builders import table
from harmbench.stats.bootstrap import centred, interval, patient_resamples


def test_rows_of_one_patient_are_drawn_together():
    t = table(120, 1, images_per_patient=3, ratio=4)
    counts = patient_resamples(t.patient, t.manufacturer, t.label, 50, 0)
    for patient in np.unique(t.patient):
        own = counts[t.patient == patient]
        assert (own == own[0]).all()


def test_every_replicate_has_as_many_patients_per_stratum_as_the_data():
    t = table(100, 1, ratio=4, prevalence=(0.3, 0.7))
    counts = patient_resamples(t.patient, t.manufacturer, t.label, 50, 0)
    for maker in t.manufacturers:
        for label in (0, 1):
            rows = (t.manufacturer == maker) & (t.label == label)
            assert (counts[rows].sum(axis=0) == rows.sum()).all()


def test_a_patient_seen_by_two_manufacturers_is_resampled_among_such_patients():
    patient = np.array(["a", "a", "b", "b", "c", "d", "e"])
    maker = np.array(["GE", "Philips", "GE", "Philips", "GE", "GE", "Philips"])
    counts = patient_resamples(patient, maker, np.zeros(7, dtype=int), 200, 0)
    assert (counts[[0, 2]].sum(axis=0) == 2).all()
    assert (counts[[4, 5]].sum(axis=0) == 2).all()
    assert (counts[6] == 1).all()  # alone in its stratum


def test_replicates_do_not_depend_on_the_order_of_the_rows():
    t = table(60, 1, images_per_patient=2)
    order = np.random.default_rng(1).permutation(60)
    counts = patient_resamples(t.patient, t.manufacturer, t.label, 20, 3)
    again = patient_resamples(t.patient[order], t.manufacturer[order], t.label[order], 20, 3)
    assert (again == counts[order]).all()


def test_weights_are_float32_and_average_to_one():
    t = table(80, 1)
    counts = patient_resamples(t.patient, t.manufacturer, t.label, 4000, 0)
    assert counts.dtype == np.float32 and counts.shape == (80, 4000)
    # Counts are about Poisson(1): the mean of 4000 has standard error .016.
    assert np.abs(counts.mean(axis=1) - 1).max() < 0.08


def test_percentile_interval_of_one_to_a_hundred():
    low, high = interval(np.arange(1, 101))
    assert low == pytest.approx(1 + 0.025 * 99) and high == pytest.approx(1 + 0.975 * 99)


def test_interval_leaves_nan_out_and_is_nan_where_nothing_is_left():
    low, high = interval([[1.0, np.nan, 3.0], [np.nan] * 3], level=0.5)
    np.testing.assert_allclose(low, [1.5, np.nan])
    np.testing.assert_allclose(high, [2.5, np.nan])
    assert np.isnan(interval([np.nan, np.nan])[0]) and np.isnan(interval([])[1])


def test_centred_replicates_average_to_the_value_and_keep_their_spread():
    drawn = np.array([0.1, 0.2, 0.6])
    moved = centred(drawn, 0.5)
    assert moved.mean() == pytest.approx(0.5) and np.diff(moved) == pytest.approx(np.diff(drawn))


@pytest.mark.slow
def test_interval_of_a_mean_covers_at_its_nominal_level_when_patients_repeat():
    """Rows of one patient are nearly copies: a row bootstrap would cover about .75 here."""
    covered = 0
    for seed in range(300):
        t = table(160, 1, seed, images_per_patient=2, patient_sd=3.0)
        counts = patient_resamples(t.patient, t.manufacturer, t.label, 400, seed)
        low, high = interval((t.values[:, 0] @ counts) / counts.sum(axis=0))
        covered += bool(low <= 0 <= high)
    assert 0.90 <= covered / 300 <= 0.98  # 0.95 with a standard error of .013, minus a little for n = 80
