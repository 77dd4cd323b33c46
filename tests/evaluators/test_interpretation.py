"""Interpretation against known truth: which feature carries the label, and what it goes with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import spearmanr

from builders import collapse, context, cross_validated, table
from harmbench.data import FeatureTable
from harmbench.results import CellResult, Evaluation, StoredCell
from harmbench.run.recompute import differences
from harmbench.stats.stability import nogueira
from harmbench_builtin.evaluators.classifier import BoostedTrees
from harmbench_builtin.evaluators.covariates import correlation_columns
from harmbench_builtin.evaluators.interpretation import Interpretation
from harmbench_builtin.evaluators.lvh_auc import LvhAuc

QUICK = {"boruta_iterations": 14, "boruta_trees": 30, "trees": 25}
CARRIER, SECOND, EMPTY = "m1_glcm_Carrier", "m2_glrlm_Second", "m3_ngtdm_Empty"


def _table(n: int = 240) -> FeatureTable:
    """Two of eight features carry the label, the first more; a manufacturer shift of one sd in all of them."""
    base = table(n, 8, seed=5, shift=1.0, prevalence=(0.35, 0.65), ratio=2.0)
    values = base.values.copy()
    values[:, 0] += 2.0 * base.label
    values[:, 1] -= 1.2 * base.label
    names = (CARRIER, SECOND, *(f"m1_gldm_Noise{i}" for i in range(5)), EMPTY)
    return replace(base, values=values, features=names)


def _covariates(t: FeatureTable) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    n, philips = len(t), (t.manufacturer == "Philips").astype(float)
    return {
        "of_feature": t.values[:, 0] + 0.5 * rng.standard_normal(n),
        "of_manufacturer": 3.0 * philips + rng.standard_normal(n),
        "of_label": 2.0 * t.label + rng.standard_normal(n),
        "of_nothing": rng.standard_normal(n),
    }


@pytest.fixture(scope="module")
def cell() -> CellResult:
    t = _table()
    return cross_validated(replace(t, covariates=_covariates(t)), folds=4)


@pytest.fixture(scope="module")
def classified(cell: CellResult) -> Evaluation:
    return LvhAuc(**QUICK).evaluate(cell, context(cell.scored, 20))


@pytest.fixture(scope="module")
def read(cell: CellResult, classified: Evaluation) -> Evaluation:
    return _interpret(cell, classified)


def _interpret(cell: CellResult, classified: Evaluation, **parameters: Any) -> Evaluation:
    settings = replace(context(cell.scored, 20), earlier=dict(classified.tables))
    return Interpretation(**parameters).evaluate(cell, settings)


def _rows(columns: Mapping[str, Any], **where: str) -> dict[str, np.ndarray]:
    keep = np.all([np.asarray(columns[name]) == value for name, value in where.items()], axis=0)
    return {name: np.asarray(column)[keep] for name, column in columns.items()}


def _one(columns: Mapping[str, Any], **where: str) -> dict[str, Any]:
    found = _rows(columns, **where)
    assert len(next(iter(found.values()))) == 1, where
    return {name: column[0] for name, column in found.items()}


# contributions


def test_contributions_and_what_all_rows_share_add_up_to_the_log_odds():
    t = _table(120)
    fitted = BoostedTrees(40, 3, 0.1).fit(t.values[:80], t.label[:80], 3)
    found = fitted.contributions(t.values[80:])
    assert found.shape == (40, 9) and found.any(axis=0).sum() > 2
    assert np.ptp(found[:, -1]) == 0
    np.testing.assert_allclose(found.sum(axis=1), logit(fitted.probability(t.values[80:])), rtol=1e-4, atol=1e-4)


def test_contributions_are_shapley_values_worked_out_from_all_orders():
    """One tree of depth 2 on two features; what it does not know is averaged over training rows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2))
    y = ((x[:, 0] > 0) & (x[:, 1] > 0)).astype(int)
    fitted = BoostedTrees(1, 2, 0.5).fit(x, y, 0)
    assert fitted.model is not None
    nodes = {row.ID: row for row in fitted.model.get_booster().trees_to_dataframe().itertuples()}

    def value(row: np.ndarray, known: set[int], node: str = "0-0") -> float:
        here = nodes[node]
        if here.Feature == "Leaf":
            return float(here.Gain)
        j = int(here.Feature[1:])
        if j in known:
            return value(row, known, here.Yes if row[j] < here.Split else here.No)
        left, right = nodes[here.Yes].Cover, nodes[here.No].Cover
        return (left * value(row, known, here.Yes) + right * value(row, known, here.No)) / (left + right)

    found = fitted.contributions(x[:6])
    for row, parts in zip(x[:6], found, strict=True):
        alone = [value(row, {j}) - value(row, set()) for j in (0, 1)]
        last = [value(row, {0, 1}) - value(row, {1 - j}) for j in (0, 1)]
        np.testing.assert_allclose(parts[:2], (np.array(alone) + last) / 2, atol=1e-5)


def test_without_anything_to_learn_contributions_are_zero():
    assert not BoostedTrees(5, 2, 0.1).fit(np.ones((6, 2)), np.ones(6), 0).contributions(np.ones((3, 2))).any()


def test_the_stored_contributions_are_those_of_the_classifier_that_made_the_stored_scores(
    cell: CellResult, classified: Evaluation
):
    """Its scores are a function of the selected features; the sum of contributions must order rows as they do."""
    fold = cell.folds[0]
    lvh = LvhAuc(**QUICK)
    done = lvh.predict(fold, context(cell.scored, 20).derive(evaluator="lvh-auc", fold=fold.name).seed)
    stored = _rows(classified.tables["predictions"], fold=fold.name, protocol=fold.protocol)["score"]
    shared = logit(stored) - done.contributions.sum(axis=1)
    assert np.ptp(shared) < 1e-4
    np.testing.assert_allclose(stored, expit(done.contributions.sum(axis=1) + shared[0]), atol=1e-4)
    kept = [fold.test.features[j] for j in np.flatnonzero(done.selection.kept)]
    for j, name in enumerate(kept):
        row = _one(classified.tables["contributions"], fold=fold.name, level="feature", name=name)
        own = done.contributions[:, j]
        assert row["shap"] == pytest.approx(np.abs(own).mean())
        assert row["gap"] == pytest.approx(own[fold.test.label == 1].mean() - own[fold.test.label == 0].mean())
        x = fold.test.values[:, fold.test.features.index(name)]
        assert row["direction"] == pytest.approx(spearmanr(own, x).statistic)
    of_map = [j for j, name in enumerate(kept) if name.startswith("m1_")]
    row = _one(classified.tables["contributions"], fold=fold.name, level="map", name="m1")
    assert row["shap"] == pytest.approx(np.abs(done.contributions[:, of_map].sum(axis=1)).mean())
    assert row["features"] == len(of_map) and np.isnan(row["direction"])


def test_the_gaps_of_all_maps_add_up_to_what_the_classifier_tells_the_labels_apart_by(classified: Evaluation):
    """Per fold: mean log-odds of positives minus that of negatives, from the stored scores alone."""
    t = classified.tables
    for fold in dict.fromkeys(np.asarray(t["predictions"]["fold"]).tolist()):
        own = _rows(t["predictions"], fold=fold)
        apart = logit(own["score"])[own["label"] == 1].mean() - logit(own["score"])[own["label"] == 0].mean()
        for level in ("feature", "map", "class"):
            assert _rows(t["contributions"], fold=fold, level=level)["gap"].sum() == pytest.approx(apart, abs=1e-3)


# importance and stability


def test_the_carriers_are_kept_in_every_fold_and_lead_in_the_order_of_their_effect(read: Evaluation):
    found = _rows(read.tables["importance"], level="feature")
    assert found["name"][:2].tolist() == [CARRIER, SECOND]
    assert found["frequency"][:2].tolist() == [1.0, 1.0] and found["confirmed"][:2].tolist() == [4, 4]
    assert found["gap"][0] > found["gap"][1] > 0
    assert found["direction"][0] > 0.8 and found["direction"][1] < -0.8
    assert found["share"].sum() == pytest.approx(1.0)
    assert found["share"][:2].sum() > 0.8


def test_maps_and_classes_are_listed_whether_kept_or_not(read: Evaluation):
    maps = _rows(read.tables["importance"], level="map")
    assert maps["name"][:2].tolist() == ["m1", "m2"] and set(maps["name"]) == {"m1", "m2", "m3"}
    assert _one(read.tables["importance"], level="map", name="m2")["frequency"] == 1.0
    classes = _rows(read.tables["importance"], level="class")
    assert set(classes["name"]) == {"glcm", "glrlm", "gldm", "ngtdm"}
    assert maps["share"].sum() == pytest.approx(1.0) and classes["share"].sum() == pytest.approx(1.0)


def test_stability_is_that_of_the_stored_selection(cell: CellResult, classified: Evaluation, read: Evaluation):
    selection = classified.tables["selection"]
    folds = [f.name for f in cell.of("cross-validation")]
    kept = np.zeros((4, 8), dtype=bool)
    for fold, feature, used in zip(selection["fold"], selection["feature"], selection["used"], strict=True):
        if fold in folds and used:
            kept[folds.index(fold), cell.scored.features.index(feature)] = True
    found = {m.metric: m for m in read.metrics}
    assert found["selection_stability"].value == pytest.approx(nogueira(kept))
    maps = np.stack([kept[:, [0, 2, 3, 4, 5, 6]].any(axis=1), kept[:, 1], kept[:, 7]], axis=1)
    assert found["selection_stability_maps"].value == pytest.approx(nogueira(maps))


def test_agreement_is_the_rank_correlation_of_stored_importances():
    """Seven carriers of falling effect: pairs of folds, over what both kept, by scipy."""
    t = table(200, 9, seed=4)
    values = t.values + np.outer(t.label, [2.0, 1.7, 1.5, 1.3, 1.1, 1.0, 0.9, 0.0, 0.0])
    cell = cross_validated(t.with_values(values), folds=3, lomo=False)
    classified = LvhAuc(**QUICK).evaluate(cell, context(cell.scored, 20))
    found = {m.metric: m for m in _interpret(cell, classified).metrics}
    shap: dict[str, dict[str, float]] = {f.name: {} for f in cell.folds}
    of_feature = _rows(classified.tables["contributions"], level="feature")
    for fold, name, value in zip(of_feature["fold"], of_feature["name"], of_feature["shap"], strict=True):
        shap[fold][name] = value
    expected = []
    for a, b in (("cv-0", "cv-1"), ("cv-0", "cv-2"), ("cv-1", "cv-2")):
        both = sorted(set(shap[a]) & set(shap[b]))
        assert len(both) >= 3
        expected.append(spearmanr([shap[a][x] for x in both], [shap[b][x] for x in both]).statistic)
    assert found["importance_agreement"].value == pytest.approx(np.mean(expected))
    assert found["importance_agreement"].note == "3 pairs of folds"
    assert found["selection_stability_maps"].note == "there is one map only"


def test_nothing_kept_is_said(cell: CellResult):
    gone = cross_validated(cell.scored, collapse, folds=4)
    classified = LvhAuc(**QUICK).evaluate(gone, context(gone.scored, 20))
    done = _interpret(gone, classified)
    assert {m.metric: m.note for m in done.metrics}["selection_stability"] == "no fold kept any feature"
    assert all(np.isnan(m.value) and m.note for m in done.metrics)
    assert done.tables["interpretation_notes"]["note"].tolist() == ["no fold kept any feature: nothing to correlate"]
    assert (_rows(done.tables["importance"], level="map")["kept"] == 0).all()
    assert len(done.tables["covariate_correlation"]["rho"]) == 0


def test_without_a_selection_there_is_no_figure_and_the_reason_is_given(cell: CellResult):
    done = Interpretation().evaluate(cell, context(cell.scored, 20))
    assert all(np.isnan(m.value) and "lvh-auc" in m.note for m in done.metrics) and not done.tables


def test_it_is_rebuilt_from_what_is_stored(cell: CellResult, classified: Evaluation, read: Evaluation):
    """Without training rows, and without the folds that leave a manufacturer out."""
    folds = tuple(replace(f, train=f.test.rows(slice(0, 0))) for f in cell.of("cross-validation"))
    stored = StoredCell(replace(cell, folds=folds), {**classified.tables, **read.tables})
    again = Interpretation().recompute(stored, replace(context(cell.scored, 20), earlier=dict(stored.tables)))
    assert differences(read.metrics, again.metrics) == []
    for name, columns in read.tables.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(again.tables[name][column], values)


def test_correlations_stay_as_they_were_where_covariates_were_taken_out(
    cell: CellResult, classified: Evaluation, read: Evaluation
):
    """A bundle of real patients holds no covariate; importance is still worked out anew."""
    bare = replace(cell, scored=replace(cell.scored, covariates={}))
    stored = StoredCell(bare, {**classified.tables, **read.tables})
    again = Interpretation().recompute(stored, replace(context(cell.scored, 20), earlier=dict(stored.tables)))
    assert differences(read.metrics, again.metrics) == []
    for name in ("covariate_correlation", "interpretation_notes"):
        assert again.tables[name] is read.tables[name]
    assert again.tables["importance"] is not read.tables["importance"]


def test_the_classification_is_rebuilt_with_or_without_stored_contributions(cell: CellResult, classified: Evaluation):
    settings = context(cell.scored, 20)
    for left_out in ((), ("contributions",)):
        tables = {n: t for n, t in classified.tables.items() if n not in left_out}
        again = LvhAuc(**QUICK).recompute(StoredCell(cell, tables), settings)
        assert list(again.tables) == list(tables)
        assert [m.value for m in again.metrics] == [m.value for m in classified.metrics]


# covariates


def test_a_correlation_that_only_the_manufacturer_makes_vanishes_within_manufacturer(
    cell: CellResult, read: Evaluation
):
    pooled = spearmanr(cell.scored.values[:, 0], cell.scored.covariates["of_manufacturer"])
    assert pooled.statistic > 0.25 and pooled.pvalue < 1e-4
    for within in ("manufacturer", "manufacturer and label"):
        row = _one(
            read.tables["covariate_correlation"],
            feature=CARRIER, covariate="of_manufacturer", within=within, group="",
        )  # fmt: skip
        assert abs(row["rho"]) < 0.15 and row["low"] < 0 < row["high"] and row["q_value"] > 0.05


def test_a_correlation_that_only_the_label_makes_vanishes_within_label(read: Evaluation):
    where = {"feature": CARRIER, "covariate": "of_label", "group": ""}
    inside = _one(read.tables["covariate_correlation"], within="manufacturer", **where)
    assert inside["rho"] > 0.35 and inside["q_value"] < 1e-6
    label = _one(read.tables["covariate_correlation"], within="manufacturer and label", **where)
    assert abs(label["rho"]) < 0.15 and label["low"] < 0 < label["high"] and label["q_value"] > 0.05


def test_a_correlation_of_the_feature_itself_stays_within_label(read: Evaluation):
    where = {"feature": CARRIER, "covariate": "of_feature", "group": ""}
    for within, groups in (("manufacturer", 2), ("manufacturer and label", 4)):
        row = _one(read.tables["covariate_correlation"], within=within, **where)
        assert row["rho"] > 0.7 and row["q_value"] < 1e-10
        assert (row["groups"], row["patients"]) == (groups, 240)


def test_groups_are_listed_with_their_own_correlation(cell: CellResult, read: Evaluation):
    t = cell.scored
    found = _rows(
        read.tables["covariate_correlation"],
        feature=CARRIER, covariate="of_label", within="manufacturer and label",
    )  # fmt: skip
    assert found["group"].tolist() == ["", "GE|HCM", "GE|HHD", "Philips|HCM", "Philips|HHD"]
    for name, rho in zip(found["group"][1:], found["rho"][1:], strict=True):
        maker, word = name.split("|")
        rows = (t.manufacturer == maker) & (t.label == cell.classes.index(word))
        assert rho == pytest.approx(spearmanr(t.values[rows, 0], t.covariates["of_label"][rows]).statistic)


def test_features_that_enough_folds_kept_are_correlated(cell: CellResult, classified: Evaluation):
    done = _interpret(cell, classified, kept_in=1.0, least_features=0)
    often = _rows(done.tables["importance"], level="feature")
    expected = set(often["name"][often["frequency"] == 1.0])
    assert set(np.asarray(done.tables["covariate_correlation"]["feature"])) == expected
    assert not len(done.tables["interpretation_notes"]["note"])


def test_where_they_are_few_the_next_ones_in_order_are_correlated_too_and_it_is_said():
    """Twelve weak carriers, of which Boruta keeps some here and others there."""
    t = table(90, 24, seed=9, signal=0.7)
    t = replace(t, covariates={"age": np.random.default_rng(0).standard_normal(90)})
    cell = cross_validated(t, folds=4, lomo=False)
    classified = LvhAuc(**QUICK).evaluate(cell, context(cell.scored, 20))
    kept = _rows(_interpret(cell, classified).tables["importance"], level="feature")
    kept = {name: column[kept["kept"] > 0] for name, column in kept.items()}
    often = int((kept["frequency"] == 1.0).sum())
    assert often < 4 < len(kept["name"])
    done = _interpret(cell, classified, kept_in=1.0, least_features=4)
    chosen = dict.fromkeys(np.asarray(done.tables["covariate_correlation"]["feature"]).tolist())
    assert list(chosen) == kept["name"][:4].tolist()
    (note,) = np.asarray(done.tables["interpretation_notes"]["note"]).tolist()
    assert note.endswith(f"kept in at least 1 of the folds: the next {4 - often} are correlated too")


def test_a_patients_images_count_once():
    """Every image twice: the same correlations and intervals as once."""
    t = _table(120)
    t = replace(t, covariates=_covariates(t))
    twice = t.rows(np.repeat(np.arange(len(t)), 2))
    one, two = (correlation_columns(x, [CARRIER], ("HHD", "HCM"), 10)[0] for x in (t, twice))
    for name, column in one.items():
        np.testing.assert_array_equal(column, two[name])


def _noted(covariates: dict[str, np.ndarray], n: int = 60) -> tuple[dict[str, Any], list[str]]:
    t = replace(_table(n), covariates=covariates)
    return correlation_columns(t, [CARRIER], ("HHD", "HCM"), 10)


def test_a_data_set_without_covariates_says_so():
    columns, notes = _noted({})
    assert notes == ["the data set has no covariates: nothing to correlate features with"]
    assert all(len(column) == 0 for column in columns.values())


def test_categories_become_zero_and_one():
    t = _table(60)
    high = t.values[:, 0] > np.median(t.values[:, 0])
    columns, notes = _noted({"sex": np.where(high, "M", "F"), "view": np.array(["a", "b", "c"] * 20)})
    assert set(columns["covariate"]) == {"sex=M", "view=a", "view=b", "view=c"}
    assert _one(columns, covariate="sex=M", within="manufacturer", group="")["rho"] > 0.5
    _, notes = _noted({"name": np.array([f"c{i}" for i in range(60)])})
    assert notes == ["covariate 'name' has 60 categories and no order: left out"]


def test_unknown_values_and_small_groups_are_left_out_and_named():
    x = np.arange(60.0)
    x[::2] = np.nan
    columns, notes = _noted({"age": x})
    assert _one(columns, within="manufacturer", group="", covariate="age")["patients"] == 30
    t = _table(60)
    few = {f"{m}|{w}": int(((t.manufacturer == m) & (t.label == y)).sum())
           for m in ("GE", "Philips") for y, w in enumerate(("HHD", "HCM"))}  # fmt: skip
    small = [name for name, count in few.items() if count < 10]
    assert small and all(any(f"'{name}' has {few[name]} patients" in note for note in notes) for name in small)
    assert all(np.isnan(_one(columns, group=name)["rho"]) for name in small)


def test_a_covariate_that_is_constant_in_a_manufacturer_has_no_correlation_there():
    t = _table(60)
    x = np.where(t.manufacturer == "GE", 1.0, np.arange(60.0))
    columns, notes = _noted({"probe": x, "same": np.ones(60)})
    assert np.isnan(_one(columns, group="GE")["rho"]) and np.isfinite(_one(columns, group="Philips")["rho"])
    assert "covariate 'same' is the same everywhere" in notes
    assert "covariate 'probe' is the same in all patients of 'GE': no correlation there" in notes


def test_features_that_some_folds_dropped_are_correlated_on_the_rows_that_have_them():
    t = _table(120)
    values = t.values.copy()
    values[:40, 0] = np.nan
    t = replace(t, values=values, covariates={"age": t.values[:, 0]})
    columns, _ = correlation_columns(t, [CARRIER, SECOND], ("HHD", "HCM"), 10)
    assert _one(columns, feature=CARRIER, within="manufacturer", group="")["patients"] == 80
    assert _one(columns, feature=SECOND, within="manufacturer", group="")["patients"] == 120


def test_false_discoveries_are_controlled_over_the_whole_table():
    """50 features by 6 covariates, nothing true: no more than five percent of such tables have any q below 0.05."""
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(60):
        t = table(80, 50, seed=int(rng.integers(2**31)))
        t = replace(t, covariates={f"c{i}": rng.standard_normal(80) for i in range(6)})
        columns, _ = correlation_columns(t, t.features, ("HHD", "HCM"), 10)
        own = _rows(columns, within="manufacturer", group="")
        assert (own["p_value"] < 0.05).sum() > 3
        wrong.append((own["q_value"] < 0.05).any())
    assert np.mean(wrong) <= 0.12
