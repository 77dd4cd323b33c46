"""Controls have known answers: each metric must point the right way on them, and keep to what its spec declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builders import collapse, context, cross_validated, identity, oracle_label, oracle_site, shuffle, table
from harmbench.results import MetricValue
from harmbench.specs import load_target
from harmbench_builtin.evaluators.specs import EVALUATORS

QUICK: Mapping[str, Mapping[str, Any]] = {
    "lvh-auc": {"boruta_iterations": 12, "boruta_trees": 20, "trees": 30},
    "manufacturer-predictability": {"trees": 30},
    "jsd": {"paper": True},
}
METHODS = {
    "none": identity,
    "collapse": collapse,
    "shuffle": shuffle,
    "oracle-label": oracle_label,
    "oracle-site": oracle_site,
}
Found = dict[str, list[MetricValue]]


@pytest.fixture(scope="module")
def found() -> Found:
    """Every evaluator, in the order in which a run calls them, on every control."""
    t = table(160, 12, seed=11, shift=0.6, signal=0.8, ratio=1.5, maps=("m1", "m2"))
    seen = t.rows(np.flatnonzero(t.manufacturer == "GE")[:30])
    t = replace(t, pair=np.where(np.isin(t.patient, seen.patient), t.patient, ""))
    other = replace(
        seen,
        values=seen.values + 0.6,
        manufacturer=np.array(["Philips"] * 30),
        samples=np.char.add(seen.samples, "-b"),
        pair=seen.patient.copy(),
    )
    result: Found = {}
    for name, harmonize in METHODS.items():
        cell = cross_validated(t, harmonize, folds=3, method=name, paired=other)
        settings = context(cell.scored, 60, 99)
        values: list[MetricValue] = []
        earlier: dict[str, Any] = {}
        for spec in EVALUATORS:
            evaluator = load_target(spec.target)(**{**spec.params, **QUICK.get(spec.name, {})})
            evaluation = evaluator.evaluate(cell, replace(settings, earlier=earlier))
            earlier |= evaluation.tables
            values += evaluation.metrics
        result[name] = values
    return result


def at(found: Found, method: str, metric: str) -> float:
    (match,) = [m for m in found[method] if m.metric == metric and m.scope == "overall"]
    return match.value


def test_every_declared_metric_is_given_once_overall_and_nothing_undeclared(found: Found):
    declared = {m.name: m for spec in EVALUATORS for m in spec.metrics}
    for method, values in found.items():
        overall = [m.metric for m in values if m.scope == "overall"]
        assert sorted(overall) == sorted(declared), method
        keys = [(m.metric, m.scope, m.scope_value) for m in values]
        assert len(set(keys)) == len(keys), method
        assert all(m.scope in declared[m.metric].scopes for m in values), method


def test_every_value_lies_within_its_declared_bounds_or_says_why_it_is_missing(found: Found):
    bounds = {m.name: m.bounds for spec in EVALUATORS for m in spec.metrics}
    # Unbiased estimates of 0 may come out a little below.
    slack = {"energy_distance": 0.05}
    for method, values in found.items():
        for m in values:
            if np.isnan(m.value):
                assert m.note, (method, m)
                continue
            low, high = bounds[m.metric]
            assert low - slack.get(m.metric, 1e-9) <= m.value <= high + 1e-9, (method, m.metric, m.value)


def test_replicates_are_as_many_as_resamples_and_centre_near_their_value(found: Found):
    ranked = ("auc_within", "jsd_conditional", "jsd_corrected", "auc_pooled", "ccc", "energy_distance")
    for name in ranked:
        (m,) = [m for m in found["none"] if m.metric == name and m.scope == "overall"]
        assert m.replicates is not None and m.replicates.shape == (60,)
        low, high = np.quantile(m.replicates, (0.005, 0.995))
        assert low <= m.value <= high, name


@pytest.mark.parametrize("metric", ["auc_within", "auc_pooled", "balanced_accuracy", "auc_lomo", "accuracy"])
def test_signal_is_highest_for_the_label_itself_then_none_then_what_destroys_it(found: Found, metric: str):
    assert at(found, "oracle-label", metric) > 0.95
    assert at(found, "oracle-label", metric) > at(found, "none", metric) > 0.6
    for destroyed in ("shuffle", "collapse", "oracle-site"):
        assert abs(at(found, destroyed, metric) - 0.5) < 0.15


def test_folds_agree_on_what_carries_the_label_and_not_on_noise(found: Found):
    """Of the label itself in every feature nothing is asked: any choice among copies is as good as another."""
    assert at(found, "none", "selection_stability") > 0.3
    for destroyed in ("shuffle", "collapse"):
        value = at(found, destroyed, "selection_stability")
        assert np.isnan(value) or value < at(found, "none", "selection_stability") - 0.1


def test_brier_is_lowest_for_the_label_itself(found: Found):
    assert at(found, "oracle-label", "brier") < at(found, "none", "brier") < at(found, "shuffle", "brier")
    assert at(found, "collapse", "brier") == 0.25


@pytest.mark.parametrize("form", ["jsd_raw", "jsd_conditional_raw", "jsd_paper"])
def test_raw_jsd_is_one_for_the_manufacturer_itself_and_zero_for_constants(found: Found, form: str):
    assert at(found, "oracle-site", form) > 0.98
    assert at(found, "collapse", form) == 0.0
    assert at(found, "shuffle", form) < at(found, "none", form) < at(found, "oracle-site", form)


@pytest.mark.parametrize(
    "metric", ["jsd_corrected", "jsd_conditional", "jsd_conditional_median", "jsd_conditional_p90"]
)
def test_corrected_jsd_is_near_zero_where_there_is_no_manufacturer_left(found: Found, metric: str):
    # For manufacturers that do not overlap the null is subtracted from 1: 1 - .04 marginal, 1 - .09 conditional.
    assert at(found, "oracle-site", metric) > 0.85
    assert at(found, "collapse", metric) == 0.0
    if metric != "jsd_conditional_p90":
        assert abs(at(found, "shuffle", metric)) < 0.03
    assert at(found, "shuffle", metric) < at(found, "none", metric) < at(found, "oracle-site", metric)


@pytest.mark.parametrize("kind", ["linear", "tree"])
def test_the_manufacturer_is_named_by_chance_after_destruction_and_always_from_itself(found: Found, kind: str):
    assert at(found, "oracle-site", f"manufacturer_auc_{kind}") == 1.0
    assert at(found, "oracle-site", f"manufacturer_bacc_{kind}") == 1.0
    assert at(found, "collapse", f"manufacturer_auc_{kind}") == 0.5
    assert at(found, "collapse", f"manufacturer_bacc_{kind}") == 0.5
    assert at(found, "shuffle", f"manufacturer_auc_{kind}") < 0.65 < at(found, "none", f"manufacturer_auc_{kind}")
    assert at(found, "oracle-label", f"manufacturer_auc_{kind}") < 0.65


def test_companions_point_the_same_way(found: Found):
    for metric in ("energy_distance", "share_different", "variance_explained"):
        assert at(found, "collapse", metric) == 0.0
        assert at(found, "shuffle", metric) < at(found, "none", metric) <= at(found, "oracle-site", metric)
    assert at(found, "oracle-site", "share_different") == 1.0 and at(found, "oracle-site", "energy_distance") > 0.8
    assert at(found, "none", "manufacturer_auc_tree_per_map") < at(
        found, "oracle-site", "manufacturer_auc_tree_per_map"
    )


def test_integrity_is_full_for_none_and_lost_for_what_destroys(found: Found):
    assert at(found, "none", "rank_correlation") == pytest.approx(1.0)
    assert at(found, "collapse", "rank_correlation") == 0.0 and at(found, "collapse", "constant_features") == 1.0
    assert abs(at(found, "shuffle", "rank_correlation")) < 0.1
    assert at(found, "none", "features_worse") == at(found, "collapse", "features_worse") == 0.0
    assert at(found, "oracle-site", "features_worse") == 1.0
    assert all(at(found, method, "non_finite") == 0.0 for method in METHODS)


def test_pairs_agree_under_none_and_not_after_destruction(found: Found):
    assert at(found, "none", "ccc") > 0.75
    assert at(found, "collapse", "ccc") == 0.0  # constants agree about nothing
    assert abs(at(found, "shuffle", "ccc")) < 0.2 and abs(at(found, "oracle-site", "ccc")) < 0.2
    assert at(found, "none", "reference_error") < at(found, "shuffle", "reference_error")
