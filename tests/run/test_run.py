from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from harmbench.benchmark import load_benchmark
from harmbench.errors import UsageError
from harmbench.run.parquet import read_parquet
from harmbench.run.plan import make_plan, read_settings
from harmbench.run.run import Options
from harmbench.run.run import run as run_plan
from harmbench.run.store import RunFolder

TINY = Path(__file__).parents[1] / "tiny_plugin.py"


@pytest.fixture
def go(tiny_benchmark, tiny_registry, tmp_path):
    """Run methods of the tiny benchmark; returns the summary."""

    def run(*methods, sets=(), out="out", seed=0, **options):
        plan = make_plan(load_benchmark(str(tiny_benchmark)), tiny_registry, methods, read_settings(sets), seed)
        return run_plan(plan, tiny_registry, Options(out=tmp_path / out, **options))

    return run


def status(summary):
    return {r["method"]: r["status"] for r in summary.records.values()}


def values(summary, method):
    record = next(r for r in summary.records.values() if r["method"] == method)
    return {
        (m.metric, m.scope, m.scope_value): (m.value, None if m.replicates is None else m.replicates.tolist())
        for m in RunFolder(summary.folder).metrics(record["key"])
    }


def test_a_run_leaves_records_metrics_predictions_splits_and_environment(go):
    summary = go("center")
    assert status(summary) == {"none": "ok", "center": "ok"}
    assert summary.exit_code == 0
    folder = RunFolder(summary.folder)
    assert folder.plan["data"]["counts"] == {"A": {"N": 6, "P": 6}, "B": {"N": 6, "P": 6}}
    assert folder.plan["data"]["synthetic"] is True
    assert folder.plan["data"]["notes"][0] == "made for tests"
    assert folder.environment[0]["facts"]["tiny_plugin"] == {"tiny": True}
    assert "fast2d engine" in folder.environment[0]["facts"]["builtin"]
    assert "unpackaged file tiny_plugin.py" in str(folder.environment[0]["plugins"])
    splits = read_parquet(summary.folder / "splits.parquet")
    assert sum(name.startswith("cv-") for name in splits["fold"].tolist()) == 24
    for record in summary.records.values():
        assert (folder.cell(record["key"]) / "features.parquet").is_file()
        assert len(read_parquet(folder.cell(record["key"]) / "rows.parquet")["score"]) == 24


def test_the_figures_are_those_worked_out_by_hand(go):
    """Centring on the training folds brings the manufacturers together; the raw gap is that of the pixels."""
    summary = go("center")
    images = read_parquet(RunFolder(summary.folder).cell(_key(summary, "none")) / "features.parquet")
    raw = np.column_stack([images["original_firstorder_Mean"], images["original_firstorder_Sd"]])
    by_hand = abs(raw[images["manufacturer"] == "A"].mean() - raw[images["manufacturer"] == "B"].mean())
    assert values(summary, "none")["gap", "overall", ""][0] == pytest.approx(by_hand)
    assert values(summary, "center")["gap", "overall", ""][0] < by_hand / 10


def _key(summary, method):
    return next(k for k, r in summary.records.items() if r["method"] == method)


def test_ids_are_hashed_and_no_path_or_user_is_written(go, tmp_path):
    summary = go("center", arguments=["harmbench", "run", "--data", str(tmp_path / "secret" / "manifest.csv")])
    for file in summary.folder.rglob("*"):
        if file.suffix in (".json", ".jsonl", ".md"):
            assert str(tmp_path) not in file.read_text(), file.name
    samples = read_parquet(summary.folder / "splits.parquet")
    assert all(len(name) == 16 and not name.startswith("s") for name in samples["patient"].tolist())


def test_a_second_run_does_nothing_and_a_new_method_costs_only_itself(go, tmp_path, monkeypatch):
    monkeypatch.setenv("TINY_COUNT", str(tmp_path / "count"))
    first = go("center")
    assert (first.ran, first.kept) == (2, 0)
    assert len((tmp_path / "count").read_text().splitlines()) == 28
    again = go("center")
    assert (again.ran, again.kept) == (0, 2)
    more = go("center", "center[scale=2]")
    assert (more.ran, more.kept) == (1, 2)
    assert len((tmp_path / "count").read_text().splitlines()) == 28


def test_features_are_cached_per_sample_so_new_samples_cost_only_themselves(go, tmp_path, monkeypatch):
    monkeypatch.setenv("TINY_COUNT", str(tmp_path / "count"))
    go("center")
    go("center", sets=["tiny.patients=26"], out="out2")
    assert len((tmp_path / "count").read_text().splitlines()) == 30


def test_the_same_seed_gives_the_same_figures_and_another_seed_others(go):
    one, two, other = go("center", out="a"), go("center", out="b"), go("center", out="c", seed=1)
    assert values(one, "center") == values(two, "center")
    assert values(one, "center") != values(other, "center")


def test_worker_processes_give_the_same_figures_as_one_process(go):
    assert values(go("center", "peeks", out="a"), "center") == values(
        go("center", "peeks", out="b", n_jobs=2), "center"
    )


def test_figures_of_a_method_do_not_depend_on_which_others_run(go):
    assert values(go("center", out="a"), "center") == values(go("peeks", "center", out="b"), "center")


def test_one_failing_method_does_not_stop_the_others_and_says_why(go):
    summary = go("crashes", "mutates", "reorders", "makes-nan", "wants-label", "eats-memory", "needs-moon", "center")
    assert status(summary) == {
        "none": "ok",
        "crashes": "failed",
        "mutates": "failed",
        "reorders": "failed",
        "makes-nan": "failed",
        "wants-label": "not_applicable",
        "eats-memory": "out_of_memory",
        "needs-moon": "not_installed",
        "center": "ok",
    }
    assert summary.exit_code == 2
    record = next(r for r in summary.records.values() if r["method"] == "crashes")
    assert record["error"] == "ZeroDivisionError: the sum of nothing"
    assert "the sum of nothing" in record["details"]
    assert "about to crash" in (RunFolder(summary.folder).cell(record["key"]) / "log.txt").read_text()


def test_an_extractor_that_is_not_installed_is_named_before_anything_runs(tiny_benchmark, tiny_registry, tmp_path):
    plan = make_plan(load_benchmark(str(tiny_benchmark)), tiny_registry, extractor="moon-extractor")
    with pytest.raises(UsageError, match=r"'moon-extractor' needs a_module_that_is_not_there.*doctor"):
        run_plan(plan, tiny_registry, Options(out=tmp_path / "out"))


def test_failures_are_tried_again_unless_told_not_to(go):
    go("crashes")
    assert go("crashes").ran == 1
    assert go("crashes", only="missing").ran == 0


def test_a_method_past_its_time_is_stopped(go):
    start = time.monotonic()
    assert status(go("sleeps", timeout=0.5))["sleeps"] == "timeout"
    assert time.monotonic() - start < 20


def test_a_worker_that_is_killed_costs_its_own_cell_only(go):
    summary = go("killed", "center", n_jobs=2)
    assert status(summary) == {"none": "ok", "killed": "out_of_memory", "center": "ok"}


def test_nothing_ok_is_exit_code_3(go, tiny_benchmark):
    tiny_benchmark.write_text(tiny_benchmark.read_text().replace('reference = ["none"]', "reference = []"))
    assert go("crashes").exit_code == 3


def test_an_image_stage_that_fits_is_fitted_on_the_training_images_of_every_fold(go):
    summary = go("brightness")
    assert status(summary)["brightness"] == "ok"
    folder = RunFolder(summary.folder)
    found = read_parquet(folder.cell(_key(summary, "brightness")) / "features.parquet")
    raw = read_parquet(folder.cell(_key(summary, "none")) / "features.parquet")
    levels = raw["original_firstorder_Mean"] / found["divided_firstorder_Mean"]
    assert len(np.unique(np.round(levels, 4))) == 3  # one level per fold
    assert np.allclose(found["same_firstorder_Mean"], raw["original_firstorder_Mean"])
    fold = read_parquet(summary.folder / "splits.parquet")
    for name in ("cv-0", "cv-1", "cv-2"):
        inside = np.isin(found["sample"], fold["sample"][fold["fold"] == name])
        expected = raw["original_firstorder_Mean"][~inside].mean()
        assert np.allclose(levels[inside], expected)


def test_an_image_stage_that_fails_is_that_methods_failure(go):
    summary = go("lazy[bad=s3]", "lazy")
    assert status(summary) == {"none": "ok", "lazy[bad=s3]": "failed", "lazy": "ok"}


def test_methods_that_cannot_take_an_unseen_manufacturer_say_so(go):
    record = next(r for r in go("center").records.values() if r["method"] == "center")
    assert set(record["not_applicable"]) == {"lomo-A", "lomo-B"}
    assert "center cannot transform a manufacturer" in record["not_applicable"]["lomo-A"]


def test_a_transductive_method_runs_on_all_rows_and_says_what_it_has_no_map_for(go):
    record = next(r for r in go("whole-cohort").records.values() if r["method"] == "whole-cohort")
    assert record["status"] == "ok" and record["inductive"] is False
    # Left-out manufacturers are among the rows it is fitted on; images that only serve pairs are not.
    assert set(record["not_applicable"]) == {"paired images"}
    assert re.fullmatch(r"no map for \d rows outside the fit", record["not_applicable"]["paired images"])


def test_repeats_use_other_splits(go):
    summary = go("center", sets=["splits.repeats=2"])
    splits = read_parquet(summary.folder / "splits.parquet")
    first, second = (set(splits["sample"][(splits["repeat"] == r) & (splits["fold"] == "cv-0")]) for r in (0, 1))
    assert first != second
    assert len(summary.records) == 4


def test_a_folder_of_another_run_is_refused(go):
    go("center")
    with pytest.raises(UsageError, match=r"another run \(different: .*seed"):
        go("center", seed=1)


def test_two_runs_cannot_write_into_one_folder(go, tiny_benchmark, tiny_registry, tmp_path):
    summary = go("center")
    held = RunFolder(summary.folder)
    held.open(held.plan, {})
    try:
        with pytest.raises(UsageError, match="Another run is writing"):
            go("center")
    finally:
        held.close()


def test_a_record_cut_off_by_a_kill_is_run_again(go):
    summary = go("center")
    file = summary.folder / "records.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[0] + lines[1][:50])
    again = go("center")
    assert (again.ran, again.kept) == (1, 1)
    assert status(again) == {"none": "ok", "center": "ok"}


def test_observers_hear_of_every_cell_and_of_the_end(go, tmp_path, monkeypatch):
    monkeypatch.setenv("TINY_EVENTS", str(tmp_path / "events"))
    go("center")
    assert (tmp_path / "events").read_text().splitlines() == ["cell none ok", "cell center ok", "run 2"]


def test_kill_9_and_ctrl_c_leave_a_usable_folder_and_the_next_call_goes_on(tiny_benchmark, tmp_path):
    command = [sys.executable, "-c", "from harmbench.cli import main; main()", "run", "-b", str(tiny_benchmark)]
    command += ["--plugin", str(TINY), "-m", "center", "-m", "sleeps", "-j", "1", "--out", str(tmp_path / "out"), "-q"]
    records = tmp_path / "out" / "records.jsonl"
    for kill in (signal.SIGKILL, signal.SIGINT):
        asleep = tmp_path / f"asleep-{kill}"
        environment = {**os.environ, "TINY_ASLEEP": str(asleep)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not asleep.exists():
            time.sleep(0.1)
        process.send_signal(kill)
        out, err = process.communicate(timeout=60)
        assert len(records.read_text().splitlines()) == 2
    assert process.returncode == 130
    assert "goes on from there" in err
    assert "center" in out  # the table of what is done
    done = subprocess.run([*command, "--timeout", "0.5", "--json"], capture_output=True, text=True, env=os.environ)
    result = json.loads(done.stdout)
    assert (result["kept"], result["ran"]) == (2, 1)
    assert done.returncode == 2


def test_a_changed_covariate_is_changed_data(tiny_registry, tiny_benchmark):
    from harmbench.run.run import load_images

    plan = make_plan(load_benchmark(str(tiny_benchmark)), tiny_registry)
    revision = load_images(plan, Options())[1]
    import dataclasses

    import tiny_plugin

    original = tiny_plugin.Tiny.load

    def older(self, context):
        found = original(self, context)
        samples = tuple(dataclasses.replace(s, covariates={"age": 40.0}) for s in found.samples)
        return dataclasses.replace(found, samples=samples)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["tiny_plugin"].Tiny, "load", older)
        assert load_images(plan, Options())[1] != revision


def test_ranking_changes_no_figure_and_stays_in_the_folder(go):
    first = go("center")
    again = go("center", sets=["ranking.delta=0.5"])
    assert (again.ran, again.kept) == (0, 2)
    assert RunFolder(first.folder).plan["ranking"]["delta"] == 0.5


def test_a_method_whose_image_stage_says_the_data_are_wrong_does_not_stop_the_others(go, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no kernels in here")
    summary = go(f"ssl-kernel[kernels={bad}]", "center")
    assert status(summary)["center"] == "ok"
    failed = next(r for r in summary.records.values() if r["status"] == "failed")
    assert "bad.safetensors" in failed["error"]


def test_no_absolute_path_is_written_anywhere(go, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no kernels in here")
    arguments = ["harmbench", "run", "--set", f"ssl-kernel.kernels={bad}", "-m", f"ssl-kernel[kernels={bad}]+none"]
    summary = go(f"ssl-kernel[kernels={bad}]", "crashes", arguments=arguments)
    for file in summary.folder.rglob("*"):
        if file.suffix in (".json", ".jsonl", ".md", ".csv", ".txt"):
            text = file.read_text()
            assert str(tmp_path) not in text, file.name
            assert str(Path(__file__).parents[2]) not in text, file.name


def test_kernels_replaced_under_the_same_name_are_other_kernels(tiny_registry, tmp_path, monkeypatch):
    from harmbench.methods import parse_method

    monkeypatch.chdir(tmp_path)
    keys = []
    for content in (b"1", b"2"):
        Path("mine.safetensors").write_bytes(content)
        keys.append(str(parse_method("ssl-kernel[kernels=mine.safetensors]", tiny_registry).key()))
    assert keys[0] != keys[1]


def test_leaving_a_manufacturer_out_is_up_to_the_parameters(go):
    """ComBat with unseen=pooled takes rows of a manufacturer that it has not seen."""
    from harmbench.methods import parse_method
    from harmbench.plugins import build_registry
    from harmbench.run.execute import handles_unseen

    registry = build_registry()
    assert not handles_unseen(parse_method("combat", registry).features[0])
    assert handles_unseen(parse_method("combat[unseen=pooled]", registry).features[0])


def test_peak_memory_is_that_of_the_cell():
    from harmbench.run.execute import forget_peak_memory, peak_memory_mb

    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("this system cannot start a new peak")
    block = np.ones(30_000_000)
    high = peak_memory_mb()
    del block
    forget_peak_memory()
    assert peak_memory_mb() < high - 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--data=/home/ann/x/manifest.csv", "--data=manifest.csv"),
        ("ssl-kernel.kernels=/tmp/a/b.safetensors", "ssl-kernel.kernels=b.safetensors"),
        ('File "/usr/lib/python3/x.py", line 3', 'File "x.py", line 3'),
        ("~/data/m.csv", "m.csv"),
        (r"C:\Users\ann\m.csv", "m.csv"),
        ("images/p1.png and 1/2, a / b", "images/p1.png and 1/2, a / b"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_absolute_paths_are_cut_down_to_their_last_part(text, expected):
    from harmbench.run.provenance import without_paths

    assert without_paths(text) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("-d/abs/StMary/Smith list.csv", "-dSmith list.csv"),
        ("--data=/abs/St Mary/list.csv", "--data=list.csv"),
        ("/abs/St Mary/", "St Mary"),
        ("-d~/x/y.csv", "-dy.csv"),
        (r"--out=C:\Users\ann\out", "--out=out"),
        ("ssl-kernel[kernels=../mine/k.safetensors,reduce=l2]", "ssl-kernel[kernels=k.safetensors,reduce=l2]"),
        ("x.kernels=/tmp/a/b.safetensors", "x.kernels=b.safetensors"),
        ("image-folder.exclude=GE/Philips", "image-folder.exclude=GE/Philips"),
        ("--method", "--method"),
        ("-1", "-1"),
    ],
)
def test_words_of_a_command_hold_no_folder(word, expected):
    from harmbench.run.provenance import word_without_path

    assert word_without_path(word) == expected


def test_a_plain_filter_is_handed_to_an_extractor_that_fuses_it_and_maps_to_one_that_does_not(tiny_registry):
    from harmbench.data import Features, Image
    from harmbench.methods import parse_method
    from harmbench.run.images import _features

    image = Image("s", np.random.default_rng(0).uniform(0, 255, (12, 12)).astype(np.float32), np.ones((12, 12), bool))

    class Plain:
        def extract(self, images, context):
            return Features(("s",), images[0].names, images[0].maps.mean(axis=(1, 2))[None])

    class Fusing(Plain):
        def extract_linear(self, sample, pixels, kernels, bias, names, mask, spacing, context):
            assert mask is image.mask and sample == "s" and kernels.shape[0] == len(names)
            return Features((sample,), names, np.full((1, len(names)), 7.0))

    def run(method, extractor):
        return _features(image, parse_method(method, tiny_registry).image.build(), extractor)

    assert np.all(run("ssl-kernel", Fusing()).values == 7)
    assert run("ssl-kernel", Plain()).values.std() > 0
    assert run("ssl-kernel[reduce=l2]", Fusing()).names == ("l2",)  # not a plain filter
    assert run("lazy", Fusing()).names == ("lazy",)  # does not say that it is one


def test_a_stage_that_drops_columns_says_in_the_run_folder_what_it_chose(go):
    summary = go("brightness+select-maps[maps=1,inner_folds=2]")
    assert set(status(summary).values()) == {"ok"}
    record = next(r for r in summary.records.values() if "select-maps" in r["method"])
    folder = summary.folder / "cells" / record["key"]
    report = read_parquet(folder / "report-select-maps.parquet")
    folds = sorted(set(report["fold"].tolist()))
    assert folds == ["cv-0", "cv-1", "cv-2", "lomo-A", "lomo-B"]
    for fold in folds:
        rows = report["fold"] == fold
        assert report["map"][rows].tolist() == ["divided", "same"]
        assert sorted(report["rank"][rows].tolist()) == [0, 1]
    splits, features = read_parquet(summary.folder / "splits.parquet"), read_parquet(folder / "features.parquet")
    held_out = zip(splits["sample"].tolist(), splits["fold"].tolist(), strict=True)
    fold_of = {sample: fold for sample, fold in held_out if fold.startswith("cv-")}
    for i, sample in enumerate(features["sample"].tolist()):
        kept = report["map"][(report["fold"] == fold_of[sample]) & (report["rank"] == 1)]
        there = {n.partition("_")[0] for n in features if "firstorder" in n and not np.isnan(float(features[n][i]))}
        assert there == set(kept.tolist())
