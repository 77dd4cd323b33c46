"""Classification of the label: selection, classifier, threshold, and metrics from stored predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score

from builders import context, cross_validated, oracle_label, table
from harmbench.results import CellResult, Evaluation, MetricValue
from harmbench_builtin.evaluators.classification_metrics import metrics_from_predictions
from harmbench_builtin.evaluators.classifier import BoostedTrees, filled, inner_threshold, youden_threshold
from harmbench_builtin.evaluators.lvh_auc import LvhAuc
from harmbench_builtin.evaluators.selection import boruta

QUICK = {"boruta_iterations": 12, "boruta_trees": 30, "trees": 30}


def value(metrics: tuple[MetricValue, ...], metric: str, name: str = "") -> MetricValue:
    found = [m for m in metrics if (m.metric, m.scope_value) == (metric, name)]
    assert len(found) == 1, (metric, name)
    return found[0]


@pytest.fixture(scope="module")
def cell() -> CellResult:
    return cross_validated(table(100, 6, shift=0.5, signal=1.5, ratio=3, prevalence=(0.3, 0.7)), folds=3)


@pytest.fixture(scope="module")
def scored(cell: CellResult) -> Evaluation:
    return LvhAuc(**QUICK).evaluate(cell, context(cell.scored, 60))


def test_boruta_finds_what_was_planted_and_rejects_most_of_the_rest():
    t = table(150, 30, signal=0.0)
    values = t.values.copy()
    values[:, :4] += 1.5 * t.label[:, None]
    found = boruta(values, t.label, 25, 60, 5, 0)
    assert found.confirmed[:4].all() and found.confirmed[4:].sum() <= 1


def test_constant_features_and_a_single_class_select_nothing():
    t = table(60, 5)
    assert not boruta(np.ones((60, 5)), t.label, 10, 20, 3, 0).kept.any()
    assert not boruta(t.values, np.zeros(60), 10, 20, 3, 0).kept.any()


def test_one_constant_column_among_others_is_never_kept():
    t = table(80, 5)
    values = t.values + 2.0 * np.outer(t.label, [0, 1, 0, 0, 0])
    values[:, 0] = 7.0
    found = boruta(values, t.label, 15, 30, 3, 0)
    assert not found.confirmed[0] and not found.tentative[0] and found.kept[1]


def test_youden_threshold_by_hand():
    # Between .4 and .6 the classes are separated: J = 1.
    assert youden_threshold([0, 0, 1, 1], np.array([0.1, 0.4, 0.6, 0.9])) == pytest.approx(0.5)
    # Best J is 2/3, for any cut between .3 and .8: the midpoint .55 of these neighbours.
    assert youden_threshold([0, 1, 0, 1, 1], np.array([0.1, 0.2, 0.3, 0.8, 0.9])) == pytest.approx(0.55)
    assert youden_threshold([0, 1], np.array([0.3, 0.3])) == 0.5
    assert youden_threshold([1, 1], np.array([0.3, 0.6])) == 0.5


def test_inner_folds_keep_patients_together():
    """No patient may be on both sides of an inner fold."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(24), 10)
    label = np.repeat(rng.permutation(np.repeat([0, 1], 12)), 10)
    values = np.repeat(rng.standard_normal((24, 5)), 10, axis=0)
    seen: list[tuple[set[int], set[int]]] = []

    class Spy(BoostedTrees):
        def probability(self, train: np.ndarray, label: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
            of = {tuple(row): p for row, p in zip(values, patient, strict=True)}
            seen.append(({of[tuple(r)] for r in train}, {of[tuple(r)] for r in test}))
            return np.linspace(0, 1, len(test))

    inner_threshold(Spy(5, 2, 0.1), values, label, patient, 3, 0)
    assert len(seen) == 3 and all(not (train & test) for train, test in seen)


def test_missing_values_take_the_training_median():
    train = np.array([[1.0, 5.0], [2.0, np.nan], [9.0, np.inf]])
    test = np.array([[np.nan, 1.0]])
    done, other = filled(train, test)
    np.testing.assert_array_equal(done, [[1, 5], [2, 5], [9, 5]])
    np.testing.assert_array_equal(other, [[2, 1]])


def test_metrics_equal_scikit_learn_on_the_stored_predictions(scored: Evaluation):
    p = {k: np.asarray(v) for k, v in scored.tables["predictions"].items()}
    cv = p["protocol"] == "cross-validation"
    y, s, maker = p["label"][cv], p["score"][cv], p["manufacturer"][cv]
    called = s >= p["threshold"][cv]
    assert value(scored.metrics, "auc_pooled").value == pytest.approx(roc_auc_score(y, s))
    inside = [roc_auc_score(y[maker == m], s[maker == m]) for m in ("GE", "Philips")]
    assert value(scored.metrics, "auc_within").value == pytest.approx(np.mean(inside))
    assert value(scored.metrics, "auc_within", "Philips").value == pytest.approx(inside[1])
    assert value(scored.metrics, "balanced_accuracy").value == pytest.approx(balanced_accuracy_score(y, called))
    assert value(scored.metrics, "sensitivity").value == pytest.approx(called[y == 1].mean())
    assert value(scored.metrics, "specificity", "GE").value == pytest.approx(
        (~called)[(y == 0) & (maker == "GE")].mean()
    )
    assert value(scored.metrics, "accuracy").value == pytest.approx((called == y).mean())
    assert value(scored.metrics, "brier").value == pytest.approx(brier_score_loss(y, s))
    lomo = [
        roc_auc_score(p["label"][~cv & (p["manufacturer"] == m)], p["score"][~cv & (p["manufacturer"] == m)])
        for m in ("GE", "Philips")
    ]
    assert value(scored.metrics, "auc_lomo").value == pytest.approx(np.mean(lomo))
    assert value(scored.metrics, "balanced_accuracy_lomo", "GE").n == 75


def test_every_row_is_predicted_once_by_cross_validation_and_once_by_leaving_its_manufacturer_out(
    cell: CellResult, scored: Evaluation
):
    p = scored.tables["predictions"]
    for protocol in ("cross-validation", "leave-one-manufacturer-out"):
        rows = np.asarray(p["protocol"]) == protocol
        assert sorted(np.asarray(p["sample"])[rows]) == sorted(cell.scored.samples)


def test_replicates_are_the_metric_on_repeated_rows(cell: CellResult, scored: Evaluation):
    counts = context(cell.scored, 60).resamples
    p = {k: np.asarray(v) for k, v in scored.tables["predictions"].items()}
    cv = p["protocol"] == "cross-validation"
    at = {s: i for i, s in enumerate(cell.scored.samples.tolist())}
    weight = counts[[at[s] for s in p["sample"][cv]], 7]
    expected = roc_auc_score(p["label"][cv], p["score"][cv], sample_weight=weight)
    assert value(scored.metrics, "auc_pooled").replicates[7] == pytest.approx(expected)
    called = p["score"][cv] >= p["threshold"][cv]
    expected = balanced_accuracy_score(p["label"][cv], called, sample_weight=weight)
    assert value(scored.metrics, "balanced_accuracy").replicates[7] == pytest.approx(expected)


def test_metrics_can_be_recomputed_from_the_stored_table_in_any_order(cell: CellResult, scored: Evaluation):
    counts = context(cell.scored, 60).resamples
    order = np.random.default_rng(0).permutation(len(scored.tables["predictions"]["sample"]))
    stored = {k: np.asarray(v)[order] for k, v in scored.tables["predictions"].items()}
    again = metrics_from_predictions(stored, cell.scored.samples, counts)
    assert [(m.metric, m.scope_value) for m in again] == [(m.metric, m.scope_value) for m in scored.metrics]
    for old, new in zip(scored.metrics, again, strict=True):
        assert new.value == pytest.approx(old.value)
        np.testing.assert_allclose(new.replicates, old.replicates)


def test_the_same_seed_gives_the_same_predictions(cell: CellResult, scored: Evaluation):
    again = LvhAuc(**QUICK).evaluate(cell, context(cell.scored, 60))
    np.testing.assert_array_equal(again.tables["predictions"]["score"], scored.tables["predictions"]["score"])


def test_selection_counts_the_cross_validation_folds_that_used_a_feature(scored: Evaluation):
    s = {k: np.asarray(v) for k, v in scored.tables["selection"].items()}
    for feature in np.unique(s["feature"]):
        rows = s["feature"] == feature
        used = (s["used"] & (s["protocol"] == "cross-validation"))[rows].sum()
        assert (s["folds_kept"][rows] == used).all()
    planted = {f for f in s["feature"] if int(f[-3:]) < 2}
    assert len(planted) == 2


def test_test_rows_cannot_influence_selection_or_classifier(cell: CellResult):
    fold = cell.folds[0]
    spoilt = replace(fold, test=fold.test.with_values(fold.test.values * 1e6).with_label(1 - fold.test.label))
    model = LvhAuc(**QUICK)
    first, second = model.predict(fold, 0), model.predict(spoilt, 0)
    assert (first.selection.kept == second.selection.kept).all() and first.threshold == second.threshold


def test_a_manufacturer_with_one_class_is_left_out_of_the_mean_and_named():
    p = {
        "sample": np.array(list("abcdef")),
        "manufacturer": np.array(["GE"] * 4 + ["Philips"] * 2),
        "label": np.array([0, 1, 0, 1, 1, 1]),
        "fold": np.array(["cv-0"] * 6),
        "protocol": np.array(["cross-validation"] * 6),
        "score": np.array([0.1, 0.9, 0.6, 0.5, 0.2, 0.3]),
        "threshold": np.full(6, 0.5),
    }
    metrics = metrics_from_predictions(p, p["sample"], np.ones((6, 2)))
    within = value(metrics, "auc_within")
    assert within.value == pytest.approx(3 / 4) and "Philips" in within.note
    assert np.isnan(value(metrics, "auc_within", "Philips").value)
    assert value(metrics, "sensitivity", "Philips").value == 0
    assert np.isnan(value(metrics, "specificity", "Philips").value)


def test_a_method_that_cannot_leave_a_manufacturer_out_is_not_a_number_there_and_says_why(cell: CellResult):
    result = replace(
        cell,
        folds=cell.of("cross-validation"),
        not_applicable={"lomo-GE": "has not seen GE", "lomo-Philips": "nor this"},
    )
    metrics = LvhAuc(**QUICK).evaluate(result, context(cell.scored, 10)).metrics
    overall, ge = value(metrics, "auc_lomo"), value(metrics, "auc_lomo", "GE")
    assert np.isnan(overall.value) and "GE: has not seen GE; Philips: nor this" in overall.note
    assert np.isnan(ge.value) and ge.note == "has not seen GE" and ge.replicates is None
    assert np.isfinite(value(metrics, "auc_within").value)


def test_ranking_right_with_a_threshold_that_does_not_travel_shows_in_balanced_accuracy_only():
    """Trained on one manufacturer, tested on another that lies three standard deviations higher."""
    t = table(160, 1, seed=4)
    values = 2.5 * t.label[:, None] + t.values + 12.0 * (t.manufacturer == "Philips")[:, None]
    result = cross_validated(t.with_values(values), folds=2)
    metrics = LvhAuc(**QUICK).evaluate(result, context(result.scored, 10)).metrics
    assert value(metrics, "balanced_accuracy").value > 0.8
    assert value(metrics, "balanced_accuracy_lomo").value == pytest.approx(0.5, abs=0.05)


def test_labels_that_are_the_features_are_found_in_both_protocols():
    result = cross_validated(table(90, 4, shift=1.0), oracle_label, folds=3)
    metrics = LvhAuc(**QUICK).evaluate(result, context(result.scored, 10)).metrics
    assert value(metrics, "auc_within").value > 0.98 and value(metrics, "auc_lomo").value > 0.98
