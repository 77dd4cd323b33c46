"""A method that keeps other features in each fold: every figure rests on the rows that have the feature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import builders
from harmbench.data import FeatureTable, union
from harmbench.results import CellResult
from harmbench_builtin.evaluators.distribution_shift import DistributionShift
from harmbench_builtin.evaluators.integrity import Integrity
from harmbench_builtin.evaluators.jsd import Jsd
from harmbench_builtin.evaluators.lvh_auc import LvhAuc
from harmbench_builtin.evaluators.manufacturer_divergence import ManufacturerDivergence
from harmbench_builtin.evaluators.manufacturer_predictability import ManufacturerPredictability
from harmbench_builtin.evaluators.paired_agreement import PairedAgreement

MAPS = ("a", "b", "c", "d")
PER_MAP = 6


def table(n: int = 240, seed: int = 0) -> FeatureTable:
    """Four maps; map k shifts by k / 2 sd between the manufacturers, and the first features know the label."""
    base = builders.table(n, PER_MAP * len(MAPS), seed, signal=1.0, ratio=2.0, maps=MAPS)
    second = (base.manufacturer == "Philips")[:, None]
    return base.with_values(base.values + second * np.repeat(np.arange(len(MAPS)) / 2.0, PER_MAP))


def keeping(chosen: list[tuple[str, ...]], rows: FeatureTable | None = None, paired: bool = False) -> CellResult:
    """Cross-validated folds, of which fold k keeps the maps `chosen[k]`."""
    rows = table() if rows is None else rows
    extra = None
    if paired:  # the other manufacturer's image of the first patients
        rows = replace(rows, pair=rows.patient.copy())
        other = np.where(rows.manufacturer == "GE", "Philips", "GE")
        extra = replace(rows, manufacturer=other, samples=np.char.add(rows.samples, "x")).with_values(rows.values + 0.1)
    whole = builders.cross_validated(rows, folds=len(chosen), lomo=False, paired=extra)

    def dropped(fold, maps):
        keep = np.array([name.partition("_")[0] in maps for name in rows.features])
        parts = {"train": fold.train.columns(keep), "test": fold.test.columns(keep)}
        return replace(fold, **parts, paired=None if fold.paired is None else fold.paired.columns(keep))

    folds = tuple(dropped(fold, maps) for fold, maps in zip(whole.folds, chosen, strict=True))
    scored = union([fold.test for fold in folds], rows.features)
    place = {sample: i for i, sample in enumerate(scored.samples.tolist())}
    scored = scored.rows(np.array([place[sample] for sample in rows.samples.tolist()]))
    return replace(whole, folds=folds, scored=scored)


def figures(evaluation, scope: str = "overall"):
    return {(m.metric, m.scope_value): m for m in evaluation.metrics if m.scope == scope}


DIFFERENT = keeping([("a", "b"), ("a", "c"), ("a", "b"), ("a", "c")])


def test_the_jsd_of_a_feature_is_made_of_the_rows_whose_fold_kept_it() -> None:
    engine = ManufacturerDivergence(DIFFERENT.scored, absent=DIFFERENT.absent)
    of_b = np.char.startswith(np.array(DIFFERENT.scored.features, dtype=str), "b_")
    rows = np.concatenate([DIFFERENT.folds[0].test.samples, DIFFERENT.folds[2].test.samples])
    own = table().rows(np.isin(table().samples, rows))
    columns = np.char.startswith(np.array(own.features, dtype=str), "b_")
    expected = ManufacturerDivergence(own.columns(columns)).estimate("conditional", p_values=False).raw[0]
    assert np.allclose(engine.estimate("conditional", p_values=False).raw[0, of_b], expected)
    assert "d_" not in "".join(DIFFERENT.scored.features)


CHOICES = {
    "one map in all folds, others in some": [("a", "b"), ("a", "c"), ("a", "d"), ("a", "b"), ("a", "c")],
    "another map in every fold": [("a",), ("b",), ("c",), ("d",), ("a",)],
}


@pytest.mark.parametrize("shift", [0.0, 1.0, 1.6])
@pytest.mark.parametrize("chosen", CHOICES.values(), ids=CHOICES)
def test_the_jsd_does_not_shrink_with_the_rows_that_have_a_feature(chosen, shift: float) -> None:
    found, truth = [], []
    for seed in range(6):
        rows = builders.table(250, 30 * len(MAPS), seed, ratio=4.0, shift=shift, maps=MAPS)
        whole = keeping([MAPS] * 5, rows)
        for result, values in ((keeping(chosen, rows), found), (whole, truth)):
            evaluation = Jsd().evaluate(result, builders.context(rows, 2, 99))
            values.append(figures(evaluation)["jsd_conditional", ""].value)
    # All maps are shifted alike, so that whichever are kept the figure is that of all; on one fold's rows alone it
    # would be less than half of it.
    assert abs(np.mean(found) - np.mean(truth)) < 0.01 + 0.05 * np.mean(truth)


def test_a_map_counts_as_often_as_there_are_folds_that_use_it() -> None:
    overall = figures(Jsd().evaluate(DIFFERENT, builders.context(table(), permutations=99)))
    maps = figures(Jsd().evaluate(DIFFERENT, builders.context(table(), permutations=99)), "map")
    each = {name: maps["jsd_conditional", name].value for name in ("a", "b", "c")}
    assert overall["jsd_conditional", ""].value == pytest.approx((4 * each["a"] + 2 * each["b"] + 2 * each["c"]) / 8)
    assert each["c"] > each["b"] > each["a"]


def test_a_fold_with_hardly_any_row_of_a_manufacturer_spoils_no_mean() -> None:
    rows = builders.table(75, PER_MAP * len(MAPS), 1, ratio=4.0, maps=MAPS)
    result = keeping([("a", "b"), ("a", "c"), ("a", "d"), ("a", "b"), ("a", "c")], rows)
    # Three rows of the second manufacturer have map d; permutations and resamples leave some label without any.
    overall = figures(Jsd().evaluate(result, builders.context(rows, 50, 99)))["jsd_conditional", ""]
    assert np.isfinite(overall.value) and overall.replicates is not None and np.isfinite(overall.replicates).all()
    assert overall.p_value is not None and 0 < overall.p_value <= 1


def test_a_map_that_cannot_be_compared_is_left_out_and_named() -> None:
    rows = builders.table(75, PER_MAP * len(MAPS), 1, ratio=4.0, maps=MAPS)
    result = keeping([("a", "b"), ("a", "c"), ("a", "d"), ("a", "b"), ("a", "c")], rows)
    held = result.folds[2].test
    test = held.rows(held.manufacturer == "GE")
    folds = tuple(replace(f, test=test) if f is result.folds[2] else f for f in result.folds)
    there = np.isin(rows.samples, np.concatenate([f.test.samples for f in folds]))
    result = replace(result, folds=folds, raw=rows.rows(there), scored=result.scored.rows(there))
    overall = figures(Jsd().evaluate(result, builders.context(rows.rows(there), 50, 99)))["jsd_conditional", ""]
    assert np.isfinite(overall.value) and np.isfinite(overall.replicates).all()
    assert f"{PER_MAP} features left out" in overall.note


def test_replicates_of_the_jsd_surround_its_value() -> None:
    value = figures(Jsd().evaluate(DIFFERENT, builders.context(table(), permutations=99)))["jsd_conditional", ""]
    assert value.replicates is not None and np.isfinite(value.replicates).all()
    assert np.quantile(value.replicates, 0.025) < value.value < np.quantile(value.replicates, 0.975)


def test_without_a_manufacturer_effect_the_corrected_jsd_averages_to_zero() -> None:
    found = []
    for seed in range(8):
        rows = builders.table(240, 48, seed, ratio=3.0, maps=MAPS)
        result = keeping([("a", "b"), ("c",), ("a", "d"), ("b",)], rows)
        found.append(figures(Jsd().evaluate(result, builders.context(rows, 2, 199)))["jsd_conditional", ""].value)
    assert abs(np.mean(found)) < 3 * np.std(found, ddof=1) / np.sqrt(len(found))
    assert np.std(found, ddof=1) < 0.02


@pytest.mark.parametrize(
    "evaluator",
    [Jsd(), DistributionShift(), ManufacturerPredictability(trees=20), PairedAgreement(), Integrity()],
    ids=lambda e: type(e).__name__,
)
def test_folds_that_keep_the_same_features_read_as_if_there_had_never_been_others(evaluator) -> None:
    same = keeping([("a", "c")] * 4, paired=True)
    keep = np.array([name[0] in "ac" for name in table().features])
    plain = replace(same, raw=same.raw.columns(keep))
    one, other = (evaluator.evaluate(r, builders.context(table(), 20, 99)).metrics for r in (same, plain))
    for a, b in zip(one, other, strict=True):
        if a.metric not in ("rank_correlation", "features_worse"):  # these compare with the columns before
            assert (a.metric, a.scope_value, a.n) == (b.metric, b.scope_value, b.n)
            assert np.array_equal(a.value, b.value, equal_nan=True), a.metric


def test_predictability_of_a_map_rests_on_the_folds_that_use_it() -> None:
    evaluation = ManufacturerPredictability(trees=20).evaluate(DIFFERENT, builders.context(table(), 10))
    maps = figures(evaluation, "map")
    assert maps["manufacturer_auc_tree", "a"].n == 240
    assert maps["manufacturer_auc_tree", "b"].n == sum(len(DIFFERENT.folds[k].test) for k in (0, 2))
    each = {name: maps["manufacturer_auc_tree", name].value for name in ("a", "b", "c")}
    overall = figures(evaluation)
    expected = (4 * each["a"] + 2 * each["b"] + 2 * each["c"]) / 8
    assert overall["manufacturer_auc_tree_per_map", ""].value == pytest.approx(expected)
    assert each["c"] > each["b"] > each["a"]


def test_energy_distance_and_pairs_are_averaged_over_groups_of_folds_that_agree() -> None:
    result = keeping([("a", "b"), ("a", "c"), ("a", "b"), ("a", "c")], paired=True)
    context = builders.context(table(), 20, 99)
    for evaluator, metric in ((DistributionShift(), "energy_distance"), (PairedAgreement(), "ccc")):
        whole = figures(evaluator.evaluate(result, context))[metric, ""]
        parts = []
        for part, rows in result.parts():
            assert {len(f.test.features) for f in part.folds} == {2 * PER_MAP} and len(part.scored) == len(rows)
            own = replace(context, resamples=context.resamples[rows])
            parts.append(figures(evaluator.evaluate(part, own))[metric, ""])
        assert len(parts) == 2
        assert whole.value == pytest.approx(np.average([p.value for p in parts], weights=[p.n for p in parts]))
        assert whole.p_value is None and "2 groups of folds" in whole.note
        assert whole.replicates is not None and np.isfinite(whole.replicates).all()


def test_what_a_fold_dropped_is_no_missing_value() -> None:
    values = figures(Integrity().evaluate(DIFFERENT, builders.context(table(), 2)))
    assert values["non_finite", ""].value == 0.0 and values["constant_features", ""].value == 0.0
    assert np.isnan(values["rank_correlation", ""].value)
    assert "changed the set of features" in values["rank_correlation", ""].note


def test_the_classifier_works_in_each_fold_with_the_features_it_has() -> None:
    evaluation = LvhAuc(boruta_iterations=10, boruta_trees=30).evaluate(DIFFERENT, builders.context(table(), 10))
    assert figures(evaluation)["auc_within", ""].value > 0.6
    table_ = evaluation.tables["selection"]
    kept = {(f, n[0]) for f, n in zip(table_["fold"].tolist(), table_["feature"].tolist(), strict=True)}
    assert {name for fold, name in kept if fold == "cv-0"} <= {"a", "b"}
