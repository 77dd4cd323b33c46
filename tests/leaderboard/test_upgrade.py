"""Files of older schemas are read for ever; newer ones are refused with the version to install."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harmbench.errors import DataError, UsageError
from harmbench.leaderboard import model
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.files import read_board
from harmbench.leaderboard.merge import merge
from harmbench.leaderboard.render import markdown
from harmbench.leaderboard.validate import validate
from harmbench.plugins import build_registry
from harmbench.run import upgrade
from harmbench.run.documents import Plan, Record
from harmbench.run.store import RunFolder
from harmbench.upgrading import upgraded

OLD = Path(__file__).resolve().parents[1] / "fixtures" / "run-schema-1"
METHODS = {"none", "combat", "collapse", "leaky-combat"}


def test_the_run_of_schema_1_is_what_it_says():
    assert json.loads((OLD / "plan.json").read_text())["schema"] == 1
    assert json.loads((OLD / "leaderboard.json").read_text())["schema"] == 1


def test_a_run_of_schema_1_is_read_as_one_of_today():
    folder = RunFolder(OLD)
    plan = Plan.model_validate(folder.plan)
    assert plan.schema_ == upgrade.SCHEMA and not plan.rebuildable and plan.split_digest == "d5ceac36053c0e86"
    records = [Record.model_validate(record) for record in folder.records().values()]
    assert {r.method for r in records} == METHODS and all(r.raw == "" for r in records)


def test_a_run_of_schema_1_gives_the_board_that_it_gave_then():
    board = build([OLD])
    then = read_board(OLD / "leaderboard.json")
    assert (
        [r.method for r in board.rows]
        == [r.method for r in then.rows]
        == ["combat", "none", "leaky-combat", "collapse"]
    )
    for row in board.rows:
        old = then.row(row.method)
        assert (row.section, row.rank, row.flags, row.overall) == (old.section, old.rank, old.flags, old.overall)
    assert board.row("none").overall["jsd_conditional"].value == pytest.approx(0.096, abs=5e-4)  # its leaderboard.md
    assert "combat" in markdown(board)


def test_figures_of_schema_1_are_marked_as_recorded():
    board = build([OLD], registry=build_registry())
    assert not board.rebuilt
    given = {name for row in board.rows for name in row.overall}
    assert len(given) > 20 and all("schema 1" in board.definitions[name].recorded for name in given)


def test_a_run_of_schema_1_is_sound_with_a_warning():
    report = validate(OLD, build_registry())
    assert report.sound and any("schema 1" in w for w in report.warnings)


def test_reading_an_old_run_writes_nothing(tmp_path):
    copy = Path(shutil.copytree(OLD, tmp_path / "run"))
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in copy.rglob("*") if p.is_file()}
    build([copy], registry=build_registry())
    assert before == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in copy.rglob("*") if p.is_file()}


def test_an_old_board_can_be_shown_and_not_ranked_anew():
    board = read_board(OLD / "leaderboard.json")
    assert board.schema_ == model.SCHEMA and board.row("combat").rank == (1, 1)
    assert validate(OLD / "leaderboard.json", build_registry()).sound
    with pytest.raises(UsageError, match="'combat' holds no replicates"):
        merge([board, board], ["a", "b"])


@pytest.mark.parametrize(("file", "read"), [("plan.json", build), ("leaderboard.json", None)])
def test_a_newer_file_is_refused_with_the_version_to_install(tmp_path, file, read):
    copy = Path(shutil.copytree(OLD, tmp_path / "run"))
    data = json.loads((copy / file).read_text())
    (copy / file).write_text(json.dumps({**data, "schema": 99, "harmbench": "7.1.0"}))
    with pytest.raises(UsageError, match=r"schema 99.*pip install 'harmbench>=7\.1\.0'"):
        build([copy]) if read else read_board(copy / file)


def test_a_newer_record_is_refused(tmp_path):
    copy = Path(shutil.copytree(OLD, tmp_path / "run"))
    text = (copy / "records.jsonl").read_text()
    (copy / "records.jsonl").write_text(text.replace('"schema": 1', '"schema": 99'))
    with pytest.raises(UsageError, match=r"records.jsonl was written by harmbench of a later version \(schema 99\)"):
        build([copy])


@pytest.mark.parametrize("number", [None, 0, "2", True, -1, 1.0])
def test_what_is_no_schema_number_is_an_error(number):
    with pytest.raises(DataError, match="no schema number"):
        upgraded({"schema": number}, 2, {}, "here")


def test_steps_are_taken_one_after_the_other_and_the_document_stays_as_it_was():
    steps = {1: lambda d: {**d, "path": [*d["path"], "1-2"]}, 2: lambda d: {**d, "path": [*d["path"], "2-3"]}}
    given = {"schema": 1, "path": []}
    assert upgraded(given, 3, steps, "x") == {"schema": 3, "path": ["1-2", "2-3"]}
    assert upgraded({"schema": 2, "path": []}, 3, steps, "x")["path"] == ["2-3"]
    assert given == {"schema": 1, "path": []}


def test_every_step_there_must_be_is_there():
    from harmbench.leaderboard.upgrade import BOARD

    for current, steps in (
        (upgrade.SCHEMA, upgrade.PLAN),
        (upgrade.SCHEMA, upgrade.RECORD),
        (upgrade.SCHEMA, upgrade.ENVIRONMENT),
        (model.SCHEMA, BOARD),
    ):
        assert sorted(steps) == list(range(1, current))
