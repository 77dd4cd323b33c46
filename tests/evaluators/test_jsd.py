"""The evaluator `jsd`: scopes, what overall leaves out, intervals, table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import context, cross_validated, table
from harmbench.results import Evaluation, MetricValue
from harmbench_builtin.evaluators.jsd import Jsd, selected_features
from harmbench_builtin.evaluators.kernel_density import kde_divergence


def value(evaluation: Evaluation, metric: str, scope: str = "overall", name: str = "") -> MetricValue:
    found = [m for m in evaluation.metrics if (m.metric, m.scope, m.scope_value) == (metric, scope, name)]
    assert len(found) == 1, (metric, scope, name, [(m.metric, m.scope, m.scope_value) for m in evaluation.metrics])
    return found[0]


@pytest.fixture(scope="module")
def three() -> Evaluation:
    t = table(180, 12, shift=0.6, manufacturers=("A", "B", "C"), maps=("m1", "m2"))
    result = cross_validated(t, lomo=False)
    return Jsd().evaluate(result, context(result.scored, 100, 99))


def test_overall_is_the_mean_over_manufacturers(three: Evaluation):
    for metric in ("jsd_raw", "jsd_corrected", "jsd_conditional_raw", "jsd_conditional"):
        parts = [value(three, metric, "manufacturer", name).value for name in "ABC"]
        assert value(three, metric).value == pytest.approx(np.mean(parts))
        assert {m.scope_value for m in three.metrics if m.metric == metric and m.scope == "pair"} == {
            "A|B", "A|C", "B|C",
        }  # fmt: skip


def test_the_farthest_pair_differs_most(three: Evaluation):
    far, near = (value(three, "jsd_conditional", "pair", name).value for name in ("A|C", "A|B"))
    assert far > near > 0


def test_maps_average_to_the_overall_value(three: Evaluation):
    maps = [value(three, "jsd_conditional", "map", name).value for name in ("m1", "m2")]
    assert np.mean(maps) == pytest.approx(value(three, "jsd_conditional").value)


def test_two_manufacturers_and_their_pair_read_the_same_and_rows_are_counted_for_each():
    result = cross_validated(table(150, 6, shift=0.5, ratio=4), lomo=False)
    found = Jsd().evaluate(result, context(result.scored, 50, 99))
    whole = value(found, "jsd_conditional")
    for scope, name, n in (("manufacturer", "GE", 120), ("manufacturer", "Philips", 30), ("pair", "GE|Philips", 150)):
        part = value(found, "jsd_conditional", scope, name)
        assert part.value == whole.value and part.n == n and part.replicates is not None
    assert not [m for m in found.metrics if m.scope == "map"]  # one map only


def test_shape_features_are_reported_apart_and_change_nothing_else():
    t = table(150, 8, shift=0.5)
    result = cross_validated(t, lomo=False)
    shape = (t.manufacturer == "GE").astype(float)[:, None] + 0.001 * t.values[:, :2]
    with_shape = replace(
        t, values=np.hstack([t.values, shape]), features=(*t.features, "shape2D_Perimeter", "shape2D_Elongation")
    )
    more = cross_validated(with_shape, lomo=False)
    settings = context(result.scored, 50, 99)
    plain, extra = Jsd().evaluate(result, settings), Jsd().evaluate(more, settings)
    for metric in ("jsd_raw", "jsd_corrected", "jsd_conditional", "jsd_conditional_median", "jsd_conditional_p90"):
        assert value(extra, metric).value == pytest.approx(value(plain, metric).value)
    np.testing.assert_allclose(
        value(extra, "jsd_conditional").replicates, value(plain, "jsd_conditional").replicates, rtol=1e-9
    )
    assert value(extra, "jsd_conditional", "class", "shape2D").value > 0.7


def test_the_interval_covers_zero_without_an_effect_and_not_with_one():
    for shift, covered in ((0.0, True), (1.0, False)):
        result = cross_validated(table(240, 30, seed=3, shift=shift), lomo=False)
        found = value(Jsd().evaluate(result, context(result.scored, 200, 99)), "jsd_conditional")
        low, high = np.quantile(found.replicates, (0.025, 0.975))
        assert (low <= 0 <= high) == covered
        assert (found.p_value > 0.05) == covered
        assert low <= found.value <= high


def test_selected_features_are_those_kept_in_at_least_half_of_the_folds():
    t = table(150, 6)
    values = t.values.copy()
    values[:, 0] += 3.0 * (t.manufacturer == "GE")
    result = cross_validated(t.with_values(values), lomo=False)
    names = result.scored.features
    selection = {"feature": np.array([names[0], names[1], names[2]]), "folds_kept": np.array([5, 2, 3])}
    assert selected_features({"selection": selection}, names, 5).tolist() == [True, False, True, False, False, False]
    settings = replace(context(result.scored, 50, 99), earlier={"selection": selection})
    found = Jsd().evaluate(result, settings)
    table_ = found.tables["jsd_features"]
    expected = np.asarray(table_["conditional"])[[0, 2]].mean()
    chosen = value(found, "jsd_conditional_selected")
    assert chosen.value == pytest.approx(expected) and chosen.replicates is not None
    assert chosen.note.startswith("2 features")
    without = value(Jsd().evaluate(result, context(result.scored, 50, 99)), "jsd_conditional_selected")
    assert np.isnan(without.value) and "no feature was kept" in without.note


def test_the_feature_table_has_a_row_per_feature_and_contrast_and_its_means_are_the_metrics(three: Evaluation):
    columns = three.tables["jsd_features"]
    assert {len(c) for c in columns.values()} == {12 * 6}
    rows = np.asarray(columns["headline"], dtype=bool)
    assert np.asarray(columns["conditional"])[rows].mean() == pytest.approx(value(three, "jsd_conditional").value)
    assert np.asarray(columns["corrected"])[rows].mean() == pytest.approx(value(three, "jsd_corrected").value)
    p, q = np.asarray(columns["p"])[rows], np.asarray(columns["q"])[rows]
    assert (q >= p).all() and p.min() >= 0.01 and q.max() <= 1


def test_without_resamples_there_are_values_and_no_replicates():
    result = cross_validated(table(100, 4), lomo=False)
    settings = replace(context(result.scored, 10, 49), resamples=np.zeros((0, 0), np.float32))
    found = value(Jsd().evaluate(result, settings), "jsd_conditional")
    assert found.replicates is None and np.isfinite(found.value)


def test_paper_mode_adds_the_kernel_density_figure_and_nothing_else_changes():
    result = cross_validated(table(100, 4, shift=1), lomo=False)
    settings = context(result.scored, 20, 49)
    plain, paper = Jsd().evaluate(result, settings), Jsd(paper=True).evaluate(result, settings)
    assert {m.metric for m in paper.metrics} - {m.metric for m in plain.metrics} == {"jsd_paper"}
    assert value(paper, "jsd_conditional").value == value(plain, "jsd_conditional").value


def test_kernel_density_divergence_of_known_distributions():
    rng = np.random.default_rng(0)
    mixture = np.eye(2)[None]
    far = kde_divergence([rng.standard_normal((300, 1)), 50 + rng.standard_normal((300, 1))], mixture)
    assert far[0, 0] == pytest.approx(1.0, abs=1e-6)
    # Normal against normal + 1, by numerical integration; 20000 rows each make the bandwidth small.
    x = np.linspace(-8, 9, 4001)
    p, q = np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 2)
    p, q = p / p.sum(), q / q.sum()
    m = (p + q) / 2
    truth = 0.5 * (p * np.log2(p / m)).sum() + 0.5 * (q * np.log2(q / m)).sum()
    near = kde_divergence([rng.standard_normal((20000, 1)), 1 + rng.standard_normal((20000, 1))], mixture)
    assert near[0, 0] == pytest.approx(truth, abs=0.01)
    assert kde_divergence([np.ones((5, 1)), np.ones((7, 1))], mixture)[0, 0] == 0


@pytest.mark.slow
def test_the_conservative_interval_covers_the_truth_at_least_nominally():
    """Mean over independent features, null and shifted, 4:1 (PROTOCOL: measured coverage .95-1.00)."""
    for shift, truth in ((0.0, 0.0), (0.5, 0.0445)):
        covered = 0
        for seed in range(40):
            result = cross_validated(table(400, 1, seed=seed, shift=shift, ratio=3), lomo=False)
            found = value(Jsd().evaluate(result, context(result.scored, 300, 19, seed)), "jsd_corrected")
            low, high = np.quantile(found.replicates, (0.025, 0.975))
            covered += bool(low <= truth <= high)
        assert covered >= 35  # .95 of 40 is 38, with a standard error of 1.4


def test_manufacturers_of_one_class_leave_a_conditional_value_and_a_note():
    """A has label 1 only and B label 0 only: no pair of them inside a label, and everything else is there."""
    t = table(200, 4, shift=0.6, manufacturers=("A", "B", "C", "D"), prevalence=(1.0, 0.0, 0.5, 0.5))
    result = cross_validated(t, lomo=False)
    found = Jsd().evaluate(result, context(result.scored, 100, 99))
    whole = value(found, "jsd_conditional")
    parts = [value(found, "jsd_conditional", "manufacturer", name) for name in "ABCD"]
    assert whole.value == pytest.approx(np.mean([part.value for part in parts])) and whole.value > 0.02
    assert whole.replicates is not None and np.isfinite(whole.replicates).all() and whole.p_value == pytest.approx(0.01)
    low, high = np.quantile(whole.replicates, (0.025, 0.975))
    assert low <= whole.value <= high
    assert "label 0 left out for A" in whole.note and "label 1 left out for B" in whole.note
    apart = value(found, "jsd_conditional", "pair", "A|B")
    assert np.isnan(apart.value) and apart.note.startswith("A|B: no label with rows on both sides")
    assert np.isfinite(value(found, "jsd_corrected", "pair", "A|B").value)
