"""Manufacturer predictability, distribution shift, integrity, paired agreement, cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import false_discovery_control, kruskal, spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from builders import collapse, context, cross_validated, table
from harmbench.data import FeatureTable
from harmbench.errors import UsageError
from harmbench.results import CellResult, Evaluation, MetricValue
from harmbench_builtin.evaluators.cost import Cost
from harmbench_builtin.evaluators.distribution_shift import (
    DistributionShift,
    distances,
    energy_distance,
    kruskal_wallis,
)
from harmbench_builtin.evaluators.integrity import Integrity, rank_correlation
from harmbench_builtin.evaluators.jsd import Jsd
from harmbench_builtin.evaluators.manufacturer_predictability import ManufacturerPredictability, logistic
from harmbench_builtin.evaluators.paired_agreement import PairedAgreement, ccc, reference_error


def value(found: Evaluation, metric: str, scope: str = "overall", name: str = "") -> MetricValue:
    match = [m for m in found.metrics if (m.metric, m.scope, m.scope_value) == (metric, scope, name)]
    assert len(match) == 1, (metric, scope, name)
    return match[0]


# Manufacturer predictability


def test_logistic_regression_is_the_same_in_the_rotated_space():
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal((40, 300)), rng.standard_normal((15, 300))
    for classes in (2, 3):
        code = np.arange(40) % classes
        model = LogisticRegression(class_weight="balanced", max_iter=5000, tol=1e-8).fit(train, code)
        plain = model.decision_function(test)
        plain = np.column_stack([-plain, plain]) if classes == 2 else plain
        np.testing.assert_allclose(logistic(train, code, test, classes), plain, atol=0.02)


def test_auc_equals_scikit_learn_on_out_of_fold_scores():
    t = table(120, 6, shift=0.7, ratio=2)
    result = cross_validated(t, lomo=False)
    found = ManufacturerPredictability(trees=20).evaluate(result, context(result.scored, 30))
    truth, score = [], []
    for fold in result.folds:
        mean, sd = fold.train.values.mean(axis=0), fold.train.values.std(axis=0)
        model = LogisticRegression(class_weight="balanced").fit(
            (fold.train.values - mean) / sd, fold.train.manufacturer == "Philips"
        )
        truth.append(fold.test.manufacturer == "Philips")
        score.append(model.decision_function((fold.test.values - mean) / sd))
    expected = roc_auc_score(np.concatenate(truth), np.concatenate(score))
    overall = value(found, "manufacturer_auc_linear")
    assert overall.value == pytest.approx(expected, abs=1e-3)
    assert value(found, "manufacturer_auc_linear", "manufacturer", "GE").value == pytest.approx(overall.value)
    assert overall.replicates.shape == (30,)


def test_a_manufacturer_that_is_seen_in_correlation_only_is_found():
    """Each feature has one distribution for both; their product tells them apart (PROTOCOL: JSD -.002, AUC .95)."""
    t = table(300, 4)
    values = t.values.copy()
    sign = np.where(t.manufacturer == "GE", 1.0, -1.0)
    values[:, 1] = 0.97 * sign * values[:, 0] + np.sqrt(1 - 0.97**2) * values[:, 1]
    result = cross_validated(t.with_values(values), lomo=False)
    settings = context(result.scored, 20, 49)
    assert abs(value(Jsd().evaluate(result, settings), "jsd_corrected").value) < 0.01
    found = ManufacturerPredictability(trees=50).evaluate(result, settings)
    assert value(found, "manufacturer_auc_tree").value > 0.9
    assert value(found, "manufacturer_auc_linear").value < 0.7


def test_below_chance_is_never_rewarded():
    """Centred per manufacturer on all rows before cross-validation: a linear model reads far below 0.5 on noise."""
    t = table(120, 60, ratio=4)
    values = t.values.copy()
    for maker in t.manufacturers:
        rows = t.manufacturer == maker
        values[rows] -= values[rows].mean(axis=0)
    result = cross_validated(t.with_values(values), lomo=False)
    found = ManufacturerPredictability(trees=20).evaluate(result, context(result.scored, 30))
    assert value(found, "manufacturer_auc_linear").value == 0.5
    assert value(found, "manufacturer_auc_linear").replicates.min() == 0.5
    assert value(found, "manufacturer_bacc_linear").value < 0.4


def test_per_map_values_and_their_mean_and_spread():
    t = table(120, 12, maps=("m1", "m2", "m3"))
    values = t.values.copy()
    values[:, :4] += 2.0 * (t.manufacturer == "GE")[:, None]  # the first map gives it away
    result = cross_validated(t.with_values(values), lomo=False)
    found = ManufacturerPredictability().evaluate(result, context(result.scored, 10))
    maps = [value(found, "manufacturer_auc_tree", "map", f"m{i}").value for i in (1, 2, 3)]
    assert maps[0] > 0.9 and max(maps[1:]) < 0.75
    assert value(found, "manufacturer_auc_tree_per_map").value == pytest.approx(np.mean(maps))
    assert value(found, "manufacturer_auc_tree_map_sd").value == pytest.approx(np.std(maps))
    off = ManufacturerPredictability(per_map=False).evaluate(result, context(result.scored, 10))
    assert not [m for m in off.metrics if m.scope == "map"]
    assert np.isnan(value(off, "manufacturer_auc_tree_per_map").value)


# Distribution shift


def test_distances_equal_scipy():
    values = np.random.default_rng(0).standard_normal((30, 200)) + 40
    np.testing.assert_allclose(distances(values), cdist(values, values), atol=1e-6)
    assert (distances(np.ones((4, 3))) == 0).all()


def test_energy_distance_by_hand():
    # A = 0, 2; B = 4, 8. Between: mean of 4, 8, 2, 6 = 5; within A: 2; within B: 4. (10 - 2 - 4) / 10.
    values = np.array([[0.0], [2], [4], [8]])
    weights = (np.arange(2)[:, None] == np.array([0, 0, 1, 1]))[:, :, None]
    assert energy_distance(distances(values), weights)[0] == pytest.approx(0.4)


def test_energy_distance_of_identical_distributions_averages_to_zero_at_any_ratio():
    for n, ratio in ((40, 1.0), (100, 4.0)):
        found = []
        for seed in range(60):
            t = table(n, 30, seed=seed, ratio=ratio)
            code = np.searchsorted(t.manufacturers, t.manufacturer)
            weights = (np.arange(2)[:, None] == code)[:, :, None]
            found.append(energy_distance(distances(t.values), weights)[0])
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(60)


def test_kruskal_wallis_equals_scipy_with_ties_and_three_groups():
    t = table(90, 8, shift=0.3, manufacturers=("A", "B", "C"))
    values = np.round(t.values * 2)
    code = np.searchsorted(t.manufacturers, t.manufacturer)
    h, epsilon = kruskal_wallis(values, code)
    expected = [kruskal(*[column[code == g] for g in range(3)]).statistic for column in values.T]
    np.testing.assert_allclose(h, expected)
    np.testing.assert_allclose(epsilon, 1 - 89 / 87 * (1 - np.array(expected) / 89))


def test_share_of_features_that_differ_is_scipys():
    t = table(80, 20)
    values = t.values + np.where(np.arange(20) < 8, 1.5, 0.0) * (t.manufacturer == "GE")[:, None]
    result = cross_validated(t.with_values(values), lomo=False)
    found = DistributionShift().evaluate(result, context(result.scored, 20, 99))
    ge = t.manufacturer == "GE"
    p = [kruskal(column[ge], column[~ge]).pvalue for column in values.T]
    assert value(found, "share_different").value == np.mean(false_discovery_control(p) < 0.05)
    assert value(found, "share_different").value == pytest.approx(0.4, abs=0.06)
    assert value(found, "energy_distance").p_value == pytest.approx(0.01)


def test_variance_explained_averages_to_zero_without_an_effect():
    result = cross_validated(table(100, 400, ratio=4), lomo=False)
    found = DistributionShift().evaluate(result, context(result.scored, 10, 19))
    # One feature has a standard deviation of about sqrt(2)/100; 400 average to .0007.
    assert abs(value(found, "variance_explained").value) < 0.003


# Integrity


def test_rank_correlation_is_spearmans_within_manufacturer():
    t = table(60, 5, shift=5.0)
    after = t.values + np.random.default_rng(0).standard_normal(t.values.shape)
    expected = [
        spearmanr(t.values[t.manufacturer == m, j], after[t.manufacturer == m, j]).statistic
        for m in t.manufacturers
        for j in range(5)
    ]
    assert rank_correlation(t.values, after, t.manufacturer) == pytest.approx(np.mean(expected))


def test_a_monotone_map_keeps_every_rank_and_a_constant_loses_it():
    t = table(40, 3)
    assert rank_correlation(t.values, np.exp(t.values), t.manufacturer) == pytest.approx(1.0)
    half = np.column_stack([t.values[:, 0], np.zeros(40), t.values[:, 2]])
    assert rank_correlation(t.values, half, t.manufacturer) == pytest.approx(2 / 3)
    assert rank_correlation(half, half, t.manufacturer) == pytest.approx(1.0)  # nothing to keep in the second


def test_features_that_got_worse_are_counted_and_listed():
    t = table(200, 6)
    worse = t.values.copy()
    worse[:, 2] += 3.0 * (t.manufacturer == "GE")
    result = replace(cross_validated(t, lomo=False), scored=t.with_values(worse))
    settings = context(t, 10, 99)
    found = Integrity().evaluate(result, settings)
    assert value(found, "features_worse").value == pytest.approx(1 / 6)
    listed = found.tables["features_worse"]
    assert listed["feature"].tolist() == [t.features[2]]
    assert abs(listed["before"][0]) < 0.05 and listed["after"][0] > 0.4
    # With the table of the evaluator that ran before, the same answer without computing it again.
    earlier = {"jsd_features": Jsd().evaluate(result, settings).tables["jsd_features"]}
    again = Integrity().evaluate(result, replace(settings, earlier=earlier))
    assert again.tables["features_worse"]["after"][0] == pytest.approx(listed["after"][0], abs=0.01)


def test_features_that_cannot_be_compared_inside_a_label_are_not_counted_as_not_worse():
    t = table(80, 4, prevalence=(0.0, 1.0))  # each manufacturer has a label of its own
    changed = t.with_values(t.values + 3.0 * (t.manufacturer == "GE")[:, None])
    result = replace(cross_validated(t, lomo=False), scored=changed)
    found = value(Integrity().evaluate(result, context(t, 10, 49)), "features_worse")
    assert np.isnan(found.value) and "shares no label" in found.note


def test_nothing_gets_worse_when_nothing_is_done_or_everything_is_erased():
    t = table(80, 6, shift=0.5)
    for result in (cross_validated(t, lomo=False), cross_validated(t, collapse, lomo=False)):
        assert value(Integrity().evaluate(result, context(t, 10, 49)), "features_worse").value == 0


def test_missing_and_constant_values_are_counted():
    t = table(40, 4)
    values = t.values.copy()
    values[:, 1] = 3.0
    values[0, 2], values[1, 3] = np.nan, np.inf
    result = replace(cross_validated(t, lomo=False), scored=t.with_values(values))
    found = Integrity().evaluate(result, context(t, 10, 19))
    assert value(found, "non_finite").value == pytest.approx(2 / 160)
    assert value(found, "constant_features").value == pytest.approx(1 / 4)


def test_other_features_after_than_before_cannot_be_compared():
    t = table(40, 4)
    result = cross_validated(t, lomo=False)
    result = replace(result, scored=result.scored.columns([0, 1]))
    found = value(Integrity().evaluate(result, context(t, 10, 19)), "rank_correlation")
    assert np.isnan(found.value) and "changed the set of features" in found.note


# Paired agreement


def paired_cell(offset: float = 0.0, noise: float = 0.0) -> CellResult:
    """Twenty of GE's patients are also seen by Philips, whose values are off by `offset` and noisy."""
    t = table(80, 5)
    seen = t.rows(np.flatnonzero(t.manufacturer == "GE")[:20])
    t = replace(t, pair=np.where(np.isin(t.patient, seen.patient), t.patient, ""))
    extra: FeatureTable = replace(
        seen,
        values=seen.values + offset + noise * np.random.default_rng(1).standard_normal(seen.values.shape),
        manufacturer=np.array(["Philips"] * 20),
        samples=np.char.add(seen.samples, "-b"),
        pair=seen.patient.copy(),
    )
    return cross_validated(t, paired=extra, lomo=False)


def test_concordance_by_hand():
    # Means 2 and 3, variances 2/3 and 2/3, covariance 2/3: 2 (2/3) / (4/3 + 1) = 4/7.
    x = np.array([[1.0], [2], [3]])
    assert ccc(x, x + 1, np.ones((3, 1)))[0, 0] == pytest.approx(4 / 7)
    assert ccc(x, x, np.ones((3, 1)))[0, 0] == pytest.approx(1.0)
    assert ccc(x, 4 - x, np.ones((3, 1)))[0, 0] == pytest.approx(-1.0)
    assert ccc(np.ones((3, 1)), np.ones((3, 1)), np.ones((3, 1)))[0, 0] == 0.0


def test_weighted_concordance_is_concordance_of_repeated_pairs():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 12, 3)) + 100
    counts = np.array([0, 1, 2] * 4)
    repeated = ccc(np.repeat(x, counts, axis=0), np.repeat(y, counts, axis=0), np.ones((counts.sum(), 1)))
    np.testing.assert_allclose(ccc(x, y, counts[:, None]), repeated, atol=1e-9)


def test_reference_error_by_hand():
    reference = np.array([[0.0, 5.0], [2.0, 5.0]])  # sd sqrt(2); the second is constant and left out
    found = reference_error(reference + np.array([[1.0, 9], [-3, 9]]), reference)
    np.testing.assert_allclose(found, np.array([[1.0, 3.0]]) / np.sqrt(2))


def test_pairs_are_found_across_scored_and_paired_rows():
    found = PairedAgreement().evaluate(paired_cell(), context(table(80, 5), 30))
    assert value(found, "ccc").value == pytest.approx(1.0) and value(found, "ccc").n == 20
    assert value(found, "ccc", "pair", "GE|Philips").value == pytest.approx(1.0)
    assert value(found, "reference_error").value == pytest.approx(0.0)
    assert "GE" in value(found, "reference_error").note


def test_an_offset_lowers_agreement_and_its_interval_covers_the_value():
    result = paired_cell(offset=1.0, noise=0.3)
    found = PairedAgreement().evaluate(result, context(result.scored, 300))
    agreement, error = value(found, "ccc"), value(found, "reference_error")
    assert 0.4 < agreement.value < 0.8 and error.value == pytest.approx(1.0, abs=0.25)
    for metric in (agreement, error):
        low, high = np.quantile(metric.replicates, (0.025, 0.975))
        assert low < metric.value < high


def test_the_reference_is_the_manufacturer_asked_for():
    result = paired_cell(offset=1.0)
    assert (
        "Philips"
        in value(PairedAgreement("Philips").evaluate(result, context(result.scored, 5)), "reference_error").note
    )
    with pytest.raises(UsageError, match="Did you mean 'Philips'"):
        PairedAgreement("Philip").evaluate(result, context(result.scored, 5))


def test_data_without_pairs_give_no_number_and_say_why():
    result = cross_validated(table(40, 3), lomo=False)
    found = PairedAgreement().evaluate(result, context(result.scored, 5))
    assert {m.metric for m in found.metrics} == {"ccc", "ccc_median", "reference_error"}
    assert all(np.isnan(m.value) and "no object was seen by two" in m.note for m in found.metrics)


# Cost


def test_cost_is_what_the_runner_measured_and_missing_stages_are_named():
    result = replace(cross_validated(table(20, 2), lomo=False, folds=2), seconds={"extract": 3.0, "fit": 0.5})
    found = Cost().evaluate(result, context(result.scored, 2))
    assert value(found, "seconds_extract").value == 3.0 and value(found, "seconds_fit").value == 0.5
    assert np.isnan(value(found, "seconds_transform").value)
    assert value(found, "seconds_transform").note == "not measured"
    assert value(found, "peak_memory_mb").value == 512.0
