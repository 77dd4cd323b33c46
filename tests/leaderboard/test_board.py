from __future__ import annotations

from pathlib import Path

import pytest

from harmbench.benchmark import load_benchmark
from harmbench.cli import run_command
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard import render
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.model import Board, Figure
from harmbench.run.plan import make_plan, read_settings
from harmbench.run.run import Options
from harmbench.run.run import run as run_plan


@pytest.fixture
def go(tiny_benchmark, tiny_registry, tmp_path):
    """Run methods of the tiny benchmark; returns the run folder."""

    def run(*methods, sets=(), out="out", seed=0) -> Path:
        plan = make_plan(load_benchmark(str(tiny_benchmark)), tiny_registry, methods, read_settings(sets), seed)
        return run_plan(plan, tiny_registry, Options(out=tmp_path / out)).folder

    return run


def by_name(board: Board):
    return {row.method: row for row in board.rows}


def test_controls_transductive_leaking_and_failed_methods_are_never_ranked(go):
    board = build([go("center", "collapse", "leaky-combat", "peeks", "crashes")])
    rows = by_name(board)
    assert rows["center"].section in ("ranked", "below the gate")
    assert rows["collapse"].section == "control"
    assert rows["leaky-combat"].section == "control"
    assert rows["leaky-combat"].audit["label_leak"] and "leak caught" in rows["leaky-combat"].flags
    assert rows["peeks"].section == "not ranked" and "depends on the other test rows" in rows["peeks"].reason
    assert rows["crashes"].section == "not run" and "sum of nothing" in rows["crashes"].reason
    assert all(row.rank is None for row in board.rows if row.section != "ranked")


def test_transductive_methods_stand_on_a_board_of_their_own_in_every_rendering(go):
    board = build([go("center", "whole-cohort", "whole-cohort+center", "center+whole-cohort", "peeks")])
    rows = by_name(board)
    for name in ("whole-cohort", "whole-cohort+center", "center+whole-cohort"):
        assert rows[name].status == "ok" and rows[name].section == "transductive" and rows[name].rank is None
        assert "transductive" in rows[name].flags and rows[name].difference is not None
    titles = [(title, [row.method for row in part]) for title, part in render.sections(board)]
    apart = dict(titles)["Transductive: fitted on all rows at once; a table of its own, in no rank"]
    assert sorted(apart) == ["center+whole-cohort", "whole-cohort", "whole-cohort+center"]
    assert not {name for title, names in titles if "Transductive" not in title for name in names} & set(apart)
    assert "Transductive: fitted on all rows" in render.markdown(board)


def test_a_transductive_method_changes_no_rank(go):
    alone = by_name(build([go("center", out="a")]))
    beside = by_name(build([go("center", "whole-cohort", out="b")]))
    assert [alone[m].rank for m in ("none", "center")] == [beside[m].rank for m in ("none", "center")]


def test_a_canary_that_is_not_caught_is_a_failure_of_the_whole_board(go, tmp_path):
    folder = go("center", "leaky-combat")
    records = folder / "records.jsonl"
    records.write_text(records.read_text().replace('"label_leak": true', '"label_leak": false'))
    assert any("QC FAILED" in warning for warning in build([folder]).warnings)


def test_two_folders_of_the_same_plan_make_one_board(go):
    board = build([go("center", out="a"), go("peeks", out="b")])
    assert set(by_name(board)) == {"none", "center", "peeks"}


def test_folders_that_do_not_belong_together_are_refused_with_the_reason(go):
    one, other = go("center", out="a"), go("center", out="b", seed=1)
    with pytest.raises(UsageError, match=r"they differ in: .*seed"):
        build([one, other])


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    with pytest.raises(DataError, match="harmbench run"):
        build([tmp_path])


def test_repeats_are_averaged_and_an_incomplete_method_is_not_ranked(go, tmp_path):
    folder = go("center", sets=["splits.repeats=2"])
    whole = by_name(build([folder]))["center"]
    from harmbench.run.store import RunFolder

    run = RunFolder(folder)
    each = [
        next(m.value for m in run.metrics(k) if (m.metric, m.scope) == ("gap", "overall"))
        for k, r in run.records().items()
        if r["method"] == "center"
    ]
    assert whole.overall["gap"].value == pytest.approx(sum(each) / 2)
    assert each[0] != each[1]
    lines = (folder / "records.jsonl").read_text().splitlines(keepends=True)
    (folder / "records.jsonl").write_text(
        "".join(line for line in lines if not ('"method": "center"' in line and '"repeat": 1' in line))
    )
    row = by_name(build([folder]))["center"]
    assert row.section == "not ranked" and "1 of 2 repeats" in row.reason


def test_markdown_csv_and_json_say_the_same(go):
    board = build([go("center", "crashes")])
    text = render.markdown(board)
    value = render.with_interval(by_name(board)["center"].overall["gap"])
    assert render.escape(value) in text
    assert repr(by_name(board)["center"].overall["gap"].value) in render.as_csv(board)
    assert Board.model_validate_json(render.as_json(board)) == board


def test_names_cannot_break_out_of_the_table(go):
    board = build([go("center")])
    board.rows[0].method = "x | <script>alert(1)</script> `y`\n# z"
    text = render.markdown(board)
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "\n# z" not in text
    board.rows[0].manufacturer["gap"] = {"=cmd()": Figure(value=1.0)}
    assert ",'=cmd()," in render.as_csv(board)


def test_the_board_says_synthetic_wherever_it_is_shown(go):
    board = build([go("center")])
    assert "SYNTHETIC" in render.markdown(board)
    assert ",True," in render.as_csv(board)
    assert '"synthetic": true' in render.as_json(board)


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (-0.0001, "0.000"), (-0.5, "−0.500"), (None, "–"), (0.0, "0.000")]
)
def test_numbers_for_people(value, text):
    assert render.number(value) == text


def test_a_board_without_a_caught_canary_says_so(go):
    assert any("no leaking canary" in w for w in build([go("center")]).warnings)
    assert not any("no leaking canary" in w for w in build([go("center", "leaky-combat", out="b")]).warnings)


def test_a_board_shows_the_wanted_version_of_a_method_that_was_recorded_twice(go):
    folder = go("center")
    records = folder / "records.jsonl"
    import json
    import shutil

    old = next(json.loads(line) for line in records.read_text().splitlines() if '"method": "center"' in line)
    shutil.copytree(folder / "cells" / old["key"], folder / "cells" / "othercode")
    records.write_text(records.read_text() + json.dumps({**old, "key": "othercode", "seconds": 77.0}) + "\n")
    assert by_name(build([folder]))["center"].seconds == 77.0
    assert by_name(build([folder], keys=[old["key"]]))["center"].seconds == old["seconds"]


def test_a_reference_whose_metric_is_missing_is_not_said_to_be_absent(go):
    folder = go("center")
    from harmbench.run.parquet import parquet_bytes, read_parquet
    from harmbench.run.store import RunFolder

    run = RunFolder(folder)
    key = next(k for k, r in run.records().items() if r["method"] == "none")
    columns = read_parquet(run.cell(key) / "metrics.parquet")
    columns["value"] = [float("nan")] * len(columns["value"])
    (run.cell(key) / "metrics.parquet").write_bytes(parquet_bytes(columns))
    reason = by_name(build([folder]))["center"].reason
    assert "'class_gap' of 'none' could not be computed" in reason


@pytest.mark.parametrize("verb", ["show", "build"])
def test_a_method_that_no_run_has_is_refused_with_the_one_that_was_meant(kept_run, tmp_path, capsys, verb):
    out = ["--out", str(tmp_path / "b")] if verb == "build" else []
    assert run_command(["leaderboard", verb, str(kept_run), "-m", "zscor", *out]) == 1
    said = capsys.readouterr().err
    assert "'zscor'" in said and "zscore" in said.replace("'zscor'", "")
    assert not (tmp_path / "b").exists()
