"""The rules that make the figures believable, checked on whole runs of what ships."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harmbench.benchmark import load_benchmark
from harmbench.leaderboard.collect import build
from harmbench.plugins import build_registry
from harmbench.run.plan import make_plan, read_settings
from harmbench.run.run import Options
from harmbench.run.run import run as run_plan
from harmbench.run.store import RunFolder

FEW_MAPS = "reduce=select,select=0,13,26"
METHODS = ["combat", f"ssl-kernel[{FEW_MAPS}]", f"ssl-kernel[{FEW_MAPS}]+combat", f"random-kernel[{FEW_MAPS}]+combat"]
SMALL = [
    "plax-phantom.patients=80",
    "plax-phantom.paired=12",
    "random-kernel.reduce=select",
    "random-kernel.select=0,13,26",
    "lvh-auc.boruta_iterations=15",
    "lvh-auc.boruta_trees=30",
    "lvh-auc.trees=30",
    "manufacturer-predictability.trees=40",
    "splits.folds=4",
    "uncertainty.replicates=400",
    "uncertainty.permutations=99",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a phantom benchmark, made small; returns board and run folder."""
    folder = tmp_path_factory.mktemp("protocol")
    registry = build_registry()
    found = {}

    def once(name):
        if name not in found:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("HARMBENCH_CACHE", str(folder / "cache"))
                plan = make_plan(load_benchmark(name), registry, METHODS, read_settings(SMALL))
                summary = run_plan(plan, registry, Options(out=folder / name))
            failed = {r["method"]: r["error"] for r in summary.failed}
            assert not failed
            found[name] = (build([summary.folder]), RunFolder(summary.folder))
        return found[name]

    return once


def figure(board, method, metric):
    return next(r for r in board.rows if r.method == method).overall[metric].value


def test_without_a_signal_no_inductive_method_finds_one(run):
    """Neither tissue nor anatomy depends on the label: the interval of AUC within covers 0.5 for all of them.

    Intervals are at 99.5 %, so that ten methods together stay below a false alarm in twenty.
    """
    _, folder = run("plax-phantom-no-signal")
    checked = 0
    for key, record in folder.records().items():
        if not record["inductive"] or any(s["name"] == "oracle-label" for s in record["stages"]):
            continue
        value = next(m for m in folder.metrics(key) if m.metric == "auc_within" and m.scope == "overall")
        low, high = np.nanquantile(value.replicates, [0.0025, 0.9975])
        assert low <= 0.5 <= high, (record["method"], value.value, low, high)
        checked += 1
    assert checked >= 9


def test_the_leaking_canary_is_caught_and_nothing_else_is(run):
    board, _ = run("plax-phantom-no-signal")
    leaks = {r.method for r in board.rows if r.audit.get("label_leak")}
    assert leaks == {"leaky-combat"}
    assert not [w for w in board.warnings if "QC FAILED" in w]


def test_controls_bound_the_scores_and_every_metric_points_the_right_way(run):
    board, _ = run("plax-phantom-no-signal")
    assert figure(board, "oracle-label", "auc_within") > 0.95
    for method in ("collapse", "shuffle"):
        assert abs(figure(board, method, "auc_within") - 0.5) < 0.2
    assert figure(board, "collapse", "jsd_conditional_raw") == 0
    assert figure(board, "collapse", "manufacturer_auc_tree") == 0.5
    assert figure(board, "oracle-site", "manufacturer_auc_tree") > 0.99
    order = ("jsd_conditional", "share_different", "energy_distance", "variance_explained")
    for metric in order:
        assert figure(board, "oracle-site", metric) > figure(board, "none", metric) > figure(board, "shuffle", metric)
    assert figure(board, "shuffle", "rank_correlation") < 0.3 < figure(board, "combat", "rank_correlation")
    assert math.isclose(figure(board, "none", "rank_correlation"), 1.0)
    assert figure(board, "oracle-label", "jsd_conditional") < figure(board, "none", "jsd_conditional")


def test_figures_lie_within_the_bounds_their_metric_declares(run):
    board, folder = run("plax-phantom-no-signal")
    bounds = {m["name"]: m["bounds"] for m in folder.plan["metrics"]}
    for row in board.rows:
        for metric, value in row.overall.items():
            if value.value is not None:
                low, high = bounds[metric]
                assert low is None or value.value >= low - 1e-9, (row.method, metric, value.value)
                assert high is None or value.value <= high + 1e-9, (row.method, metric, value.value)


def test_combat_is_not_applicable_to_a_manufacturer_left_out_and_none_is(run):
    board, _ = run("plax-phantom-no-signal")
    rows = {r.method: r for r in board.rows}
    assert rows["combat"].overall["auc_lomo"].value is None
    assert "lomo-GE-like" in rows["combat"].not_applicable
    assert rows["none"].overall["auc_lomo"].value is not None


def test_paired_agreement_is_measured_on_held_out_hearts(run):
    """Both images of a heart share its label, so the oracle agrees with itself; shuffled rows do not."""
    board, _ = run("plax-phantom-no-signal")
    assert figure(board, "oracle-label", "ccc") > 0.9
    assert abs(figure(board, "shuffle", "ccc")) < 0.5
    assert -1 <= figure(board, "none", "ccc") <= 1
