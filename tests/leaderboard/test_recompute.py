"""A board's figures are worked out from stored predictions and features, and a changed file is found."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from tampering import cell_of, forged

from harmbench.errors import DataError, UsageError
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.validate import validate
from harmbench.run.parquet import parquet_bytes, read_parquet
from harmbench.run.recompute import Rebuilder, differences
from harmbench.run.store import RunFolder
from harmbench.run.stored import RunData
from harmbench.stats.auc import auc

SELECTED = "laplacian-of-gaussian+select-maps[maps=2,inner_folds=2,inner_repeats=1]"


def change(path, column, row, value):
    """Write another value into a stored table, and make its digest fit."""
    columns = read_parquet(path)
    columns[column] = columns[column].copy()
    columns[column][row] = value
    path.write_bytes(parquet_bytes(columns))
    forged(next(parent for parent in path.parents if (parent / "plan.json").exists()))


def test_every_figure_is_rebuilt_and_is_the_stored_one(kept_run, registry):
    rebuilt, trusted = build([kept_run], registry=registry), build([kept_run])
    assert rebuilt.rebuilt and not trusted.rebuilt
    assert {r.method for r in rebuilt.rows} == {"none", "zscore", SELECTED, "collapse", "shuffle", "leaky-combat"}
    for row in rebuilt.rows:
        stored = trusted.row(row.method)
        for name in ("overall", "manufacturer", "pair", "other"):
            for metric, figure in getattr(stored, name).items():
                places = {"": figure} if name == "overall" else figure
                anew = getattr(row, name)[metric]
                anew = {"": anew} if name == "overall" else anew
                assert list(anew) == list(places)
                for place, one in places.items():
                    for part in ("value", "low", "high", "p_value"):
                        a, b = getattr(one, part), getattr(anew[place], part)
                        assert (a is None and b is None) or a == pytest.approx(b, abs=1e-9), (row.method, metric, part)


def test_only_measurements_are_taken_as_recorded_and_are_marked(kept_run, registry):
    board = build([kept_run], registry=registry)
    recorded = {name for name, d in board.definitions.items() if d.recorded}
    assert recorded == {"seconds_extract", "seconds_fit", "seconds_transform", "peak_memory_mb"}
    assert all(d.recorded for d in build([kept_run]).definitions.values())


def test_a_stored_cell_has_what_a_method_with_other_features_in_each_fold_left(kept_run):
    run = RunFolder(kept_run)
    record = next(r for r in run.records().values() if r["method"] == SELECTED)
    result = RunData(run).cell(record).result
    assert len(result.of("cross-validation")) == 3
    assert sum(len(f.test) for f in result.folds) == len(result.scored) == 28
    assert all(np.isfinite(f.test.values).all() for f in result.folds)
    assert all(
        len({name.split("_")[0] for name in f.test.features if "shape2D" not in name}) == 2 for f in result.folds
    )
    paired = [f.paired for f in result.folds if f.paired is not None]
    assert sum(len(p) for p in paired) == 4
    assert all(f.paired is None or f.paired.features == f.test.features for f in result.folds)


def test_the_pooled_auc_is_that_of_the_stored_scores(kept_run, registry):
    predictions = read_parquet(cell_of(kept_run, "zscore") / "predictions.parquet")
    own = predictions["protocol"] == "cross-validation"
    board = build([kept_run], registry=registry)
    assert board.row("zscore").overall["auc_pooled"].value == pytest.approx(
        auc(predictions["label"][own], predictions["score"][own]), abs=1e-12
    )


CHANGES = {
    "a metric": ("metrics.parquet", "value", r"cell of 'zscore'.*stored 0\.123, rebuilt"),
    "a p-value": ("metrics.parquet", "p_value", r"\(p\): stored 0\.123"),
    "a prediction": ("predictions.parquet", "score", "(brier|auc_within): stored"),
    "a threshold": ("predictions.parquet", "threshold", "(sensitivity|specificity)"),
    "a score of the manufacturer": ("manufacturer_scores.parquet", "score GE-like", "manufacturer_"),
    "a divergence": ("jsd_features.parquet", "conditional", "table 'jsd_features', column 'conditional'"),
    "a scale": ("feature_scales.parquet", "mean", "energy_distance"),
    "a patient": ("features.parquet", "patient", "not what samples.parquet says"),
    "a label": ("features.parquet", "label", "not what samples.parquet says"),
    "a sample": ("features.parquet", "sample", "not in samples.parquet"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_table_is_found(small_run, registry, what):
    file, column, message = CHANGES[what]
    path = cell_of(small_run, "zscore") / file
    columns = read_parquet(path)
    if column == "p_value":
        row = int(np.flatnonzero(~np.isnan(columns["p_value"]))[0])
    elif column == "value":
        row = columns["metric"].tolist().index("auc_within")
    else:
        row = 0
    old = columns[column][row]
    value = 1 - old if column == "label" else "0" * 16 if isinstance(old, str) else 0.123
    if column == "threshold":
        value = -1.0
        for i in range(len(columns[column])):
            change(path, column, i, value)
    elif column == "score GE-like":  # all of them: an AUC knows ranks only, and is cut off at chance
        columns[column] = 1 - columns[column]
        path.write_bytes(parquet_bytes(columns))
    elif column == "mean":
        columns["mean"] = columns["mean"] + columns["sd"]
        columns["mean"][::2] -= 3 * columns["sd"][::2]
        columns["sd"] = columns["sd"] * np.linspace(1, 3, len(columns["sd"]))
        path.write_bytes(parquet_bytes(columns))
        forged(small_run)
    else:
        change(path, column, row, value)
    with pytest.raises(DataError, match=message):
        build([small_run], registry=registry)


def test_a_changed_harmonized_feature_is_found(small_run, registry):
    path = cell_of(small_run, "zscore") / "features.parquet"
    feature = next(name for name in read_parquet(path) if "firstorder" in name)
    change(path, feature, 3, 1e6)
    with pytest.raises(DataError, match=r"stored figures are not what the stored data give: .*jsd"):
        build([small_run], registry=registry)


def test_a_changed_paired_feature_is_found(small_run, registry):
    path = cell_of(small_run, "zscore") / "paired.parquet"
    feature = next(name for name in read_parquet(path) if "firstorder" in name)
    change(path, feature, 0, 1e6)
    with pytest.raises(DataError, match="ccc"):
        build([small_run], registry=registry)


def test_a_changed_raw_feature_is_found_by_the_name_of_its_file(small_run, registry):
    path = sorted((small_run / "raw").iterdir())[0]
    feature = next(name for name in read_parquet(path) if "firstorder" in name)
    change(path, feature, 0, 1e6)
    with pytest.raises(DataError, match="another digest"):
        build([small_run], registry=registry)


def test_changed_replicates_are_found(small_run, registry):
    path = cell_of(small_run, "zscore") / "replicates.npz"
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["r0"] = arrays["r0"] + 1e-6
    np.savez(path, **arrays)
    forged(small_run)
    with pytest.raises(DataError, match=r"auc_within \(bootstrap replicates\)"):
        build([small_run], registry=registry)


def test_rounding_is_no_change(small_run, registry):
    path = cell_of(small_run, "zscore") / "metrics.parquet"
    change(path, "value", 0, read_parquet(path)["value"][0] + 1e-11)
    assert build([small_run], registry=registry).rebuilt


def test_a_figure_that_was_added_or_taken_away_is_found(small_run, registry):
    path = cell_of(small_run, "zscore") / "metrics.parquet"
    columns = read_parquet(path)
    rows = columns["metric"] != "brier"
    path.write_bytes(parquet_bytes({name: column[rows] for name, column in columns.items()}))
    forged(small_run)
    with pytest.raises(DataError, match="brier is not stored"):
        build([small_run], registry=registry)


def test_stored_figures_may_be_trusted(small_run):
    change(cell_of(small_run, "zscore") / "metrics.parquet", "value", 0, 0.123)
    board = build([small_run])
    assert not board.rebuilt and board.row("zscore").overall["auc_within"].value == 0.123


def test_a_sample_moved_to_another_fold_changes_the_split_digest(small_run, registry):
    path = small_run / "splits.parquet"
    columns = read_parquet(path)
    other = "cv-1" if columns["fold"][0] == "cv-0" else "cv-0"
    change(path, "fold", 0, other)
    report = validate(small_run, registry, rebuild=False)
    assert not report.sound and any("splits.parquet has the digest" in p for p in report.problems)


def test_a_missing_file_says_what_to_do(small_run, registry):
    (cell_of(small_run, "zscore") / "manufacturer_scores.parquet").unlink()
    forged(small_run)
    with pytest.raises(DataError, match="'manufacturer-predictability' finds no 'manufacturer_scores'"):
        build([small_run], registry=registry)


def test_an_evaluator_of_another_version_cannot_rebuild(small_run, registry):
    plan = json.loads((small_run / "plan.json").read_text())
    plan["evaluators"][1]["version"] = "0"
    (small_run / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UsageError, match=r"scored by 'jsd' 0.*--trust-stored"):
        build([small_run], registry=registry)


def test_an_evaluator_that_is_not_installed_cannot_rebuild(small_run, registry):
    plan = json.loads((small_run / "plan.json").read_text())
    plan["evaluators"][1]["name"] = "moon-phase"
    (small_run / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(UsageError, match="'moon-phase' is not installed"):
        build([small_run], registry=registry)


def test_code_that_changed_since_is_named_beside_the_contradiction(small_run, registry):
    plan = json.loads((small_run / "plan.json").read_text())
    plan["evaluators"][0]["code"] = "0" * 16
    (small_run / "plan.json").write_text(json.dumps(plan))
    forged(small_run)
    assert build([small_run], registry=registry).rebuilt  # the same figures: nothing to complain about
    change(cell_of(small_run, "zscore") / "metrics.parquet", "value", 0, 0.123)
    with pytest.raises(DataError, match="or the code of lvh-auc has changed since"):
        build([small_run], registry=registry)


def test_figures_of_an_evaluator_that_cannot_rebuild_are_marked(tiny_benchmark, tiny_registry, tmp_path):
    from harmbench.benchmark import load_benchmark
    from harmbench.run.plan import make_plan
    from harmbench.run.run import Options
    from harmbench.run.run import run as run_plan

    plan = make_plan(load_benchmark(str(tiny_benchmark)), tiny_registry, ["center"])
    folder = run_plan(plan, tiny_registry, Options(out=tmp_path / "out")).folder
    board = build([folder], registry=tiny_registry)
    assert all("nothing to rebuild it from" in board.definitions[name].recorded for name in ("gap", "class_gap"))


def test_ids_are_hashed_before_anybody_scores_them(kept_run):
    samples = read_parquet(kept_run / "samples.parquet")
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in samples["sample"].tolist())
    for path in kept_run.rglob("*.parquet"):
        columns = read_parquet(path)
        if "sample" in columns:
            assert set(columns["sample"].tolist()) <= set(samples["sample"].tolist()), path


def test_differences_name_metric_place_and_both_values(kept_run):
    run = RunFolder(kept_run)
    metrics = run.metrics(next(iter(run.records())))
    place = next(i for i, m in enumerate(metrics) if m.scope == "manufacturer")
    other = list(metrics)
    other[place] = dataclasses.replace(other[place], value=other[place].value + 0.5)
    (text,) = differences(metrics, other)
    assert text == (
        f"{metrics[place].metric} manufacturer {metrics[place].scope_value}: "
        f"stored {metrics[place].value!r}, rebuilt {other[place].value!r}"
    )


def test_rebuilding_runs_no_method(small_run, registry):
    """The raw features and the methods are not needed: nothing but evaluators is looked up."""
    run = RunFolder(small_run)
    record = next(r for r in run.records().values() if r["method"] == "zscore")
    alone = dataclasses.replace(registry, harmonizers=type(registry.harmonizers)("method"))
    assert Rebuilder(run, alone).cell(record).metrics
