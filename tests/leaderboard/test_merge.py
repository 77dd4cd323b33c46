"""Boards side by side, and put together: only what belongs together, with ranks worked out anew."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from harmbench.cli import run_command
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.diff import diff
from harmbench.leaderboard.draws import decode, encode
from harmbench.leaderboard.files import load, read_board
from harmbench.leaderboard.merge import merge
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.rank import ranked
from harmbench.leaderboard.render import write
from harmbench.leaderboard.validate import validate


def parts(board: Board, *methods: str) -> Board:
    """A board with `none`, the controls and some of the methods, ranked among themselves."""
    rows = [r for r in board.rows if r.role != "method" or r.method in ("none", *methods)]
    return ranked(board.model_copy(update={"rows": [r.model_copy(deep=True) for r in rows]}))


@pytest.fixture(scope="module")
def board(kept_run) -> Board:
    return build([kept_run])


def same(a: Board, b: Board) -> bool:
    return not diff(a, b).any and [r.method for r in a.rows] == [r.method for r in b.rows]


def test_a_board_taken_apart_and_merged_is_the_board_again(board):
    methods = [r.method for r in board.rows if r.role == "method" and r.method != "none"]
    assert len(methods) == 2
    merged = merge([parts(board, methods[0]), parts(board, methods[1])], ["a", "b"])
    assert same(board, merged)
    assert [(r.rank, r.group, r.pareto, r.difference) for r in merged.rows] == [
        (r.rank, r.group, r.pareto, r.difference) for r in board.rows
    ]


def test_ranks_of_a_subset_are_worked_out_anew_and_not_filtered(kept_run, board):
    last = max((r for r in board.rows if r.rank), key=lambda r: r.rank)
    alone = build([kept_run], [last.method])
    assert {r.method for r in alone.rows if r.role == "method"} == {"none", last.method}
    assert all(max(r.rank) <= 2 for r in alone.rows if r.rank)
    assert same(alone, parts(board, last.method))


def test_ranking_twice_changes_nothing(board):
    assert same(board, ranked(board.model_copy(deep=True)))
    assert ranked(board.model_copy(deep=True)).warnings == board.warnings


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"benchmark": "other"}, "benchmark"),
        ({"split_digest": "0"}, "split_digest"),
        ({"seed": 5}, "seed"),
        ({"rebuildable": False}, "rebuildable"),
    ],
)
def test_what_does_not_belong_together_is_refused_with_the_reason(board, change, named):
    with pytest.raises(UsageError, match=rf"b cannot be merged with a; they differ in: {named}"):
        merge([board, board.model_copy(update=change)], ["a", "b"])


def test_another_revision_of_the_data_or_version_of_a_metric_is_refused(board):
    other = board.model_copy(deep=True)
    other.data["revision"] = "0"
    other.definitions["auc_within"].version = 99
    with pytest.raises(UsageError, match="data revision, version of the metric auc_within"):
        merge([board, other], ["a", "b"])


def test_notes_and_licences_do_not_keep_boards_apart(board):
    other = board.model_copy(deep=True)
    other.data["notes"] = ["another note"]
    assert len(merge([board, other], ["a", "b"]).rows) == len(board.rows)


def test_one_method_with_two_figures_is_refused(board):
    other = board.model_copy(deep=True)
    other.row("zscore").overall["auc_within"].value = 0.99
    with pytest.raises(UsageError, match="'zscore' has other figures in b than in a"):
        merge([board, other], ["a", "b"])


def test_times_may_differ_between_two_runs_of_one_method(board):
    other = board.model_copy(deep=True)
    other.row("zscore").overall["seconds_fit"].value = 99.0
    assert merge([board, other], ["a", "b"]).row("zscore").overall["seconds_fit"].value != 99.0


def test_a_method_that_failed_once_and_ran_elsewhere_is_there(board):
    failed = board.model_copy(deep=True)
    row = failed.row("zscore")
    row.status, row.apart, row.apart_reason, row.overall, row.draws = "failed", "not run", "broken", {}, {}
    for order in ([failed, board], [board, failed]):
        assert merge(order, ["a", "b"]).row("zscore").status == "ok"


def test_a_diff_names_rows_figures_and_standings(board):
    new = board.model_copy(deep=True)
    new.rows = [r for r in new.rows if r.method != "shuffle"]
    row = new.row("zscore")
    row.overall["auc_within"].value = 0.123
    row.section, row.reason, row.rank = "below the gate", "because", None
    new.warnings.append("look out")
    found = diff(board, new)
    assert (found.added, found.removed) == ([], ["shuffle"])
    (figure,) = found.figures
    assert (figure["method"], figure["metric"], figure["place"], figure["new"]) == ("zscore", "auc_within", "", 0.123)
    assert figure["changed"] == ["value"] and found.warnings_added == ["look out"]
    assert [s["method"] for s in found.standings] == ["zscore"]
    assert found.standings[0]["new"]["section"] == "below the gate"
    assert diff(new, board).added == ["shuffle"]


def test_a_tolerance_hides_small_changes(board):
    new = board.model_copy(deep=True)
    new.row("zscore").overall["auc_within"].value += 1e-4
    assert diff(board, new).any and not diff(board, new, tolerance=1e-3).any


def test_draws_keep_seven_digits_and_nonsense_is_refused():
    values = np.array([0.1, -1.5, np.nan, 1e6])
    assert np.allclose(decode(encode(values)), values, rtol=1e-7, equal_nan=True)
    with pytest.raises(DataError, match="cannot be decoded"):
        decode("not base64!")


def test_the_verbs(kept_run, board, tmp_path, capsys):
    methods = [r.method for r in board.rows if r.role == "method" and r.method != "none"]
    for name, method in zip("ab", methods, strict=True):
        write(parts(board, method), tmp_path / name)
    sources = [str(tmp_path / "a" / "leaderboard.json"), str(tmp_path / "b")]
    assert run_command(["leaderboard", "merge", *sources, "-o", str(tmp_path / "all")]) == 0
    assert same(read_board(tmp_path / "all"), board)
    capsys.readouterr()
    assert run_command(["leaderboard", "diff", str(tmp_path / "all"), str(kept_run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["any"] is False
    assert run_command(["leaderboard", "diff", *sources]) == 0
    out = capsys.readouterr().out
    assert "removed" in out and "added" in out
    assert run_command(["leaderboard", "merge", sources[0], str(kept_run), "-o", str(tmp_path / "more")]) == 0
    assert same(read_board(tmp_path / "more"), board)
    capsys.readouterr()
    assert run_command(["leaderboard", "show", str(tmp_path / "all")]) == 0
    assert "zscore" in capsys.readouterr().out


def test_a_board_whose_ranks_do_not_follow_from_its_rows_is_not_sound(board, registry, tmp_path):
    write(board, tmp_path)
    assert validate(tmp_path, registry).sound
    data = json.loads((tmp_path / "leaderboard.json").read_text())
    for change in ({"rank": [1, 1], "section": "ranked"}, {"apart": None}):
        rows = [{**r, **change} if r["method"] == "collapse" else r for r in data["rows"]]
        (tmp_path / "leaderboard.json").write_text(json.dumps({**data, "rows": rows}))
        report = validate(tmp_path, registry)
        assert not report.sound
        assert re.search(r"rows.collapse.section is '.*' in it, and should be", "".join(report.problems))


def test_a_board_without_a_caught_canary_or_with_an_unknown_field_is_not_sound(board, registry, tmp_path):
    bad = board.model_copy(deep=True)
    bad.row("leaky-combat").audit["label_leak"] = False
    write(bad, tmp_path)
    assert any("leaks and was not caught" in p for p in validate(tmp_path, registry).problems)
    text = (tmp_path / "leaderboard.json").read_text()
    (tmp_path / "leaderboard.json").write_text(text.replace('"title"', '"tittle"', 1))
    assert any(p.startswith("schema: ") for p in validate(tmp_path, registry).problems)
    with pytest.raises(DataError, match="Build the board again"):
        load(tmp_path)


def test_rows_of_confounded_data_stand_apart(small_run):
    plan = json.loads((small_run / "plan.json").read_text())
    plan["data"]["confounded"] = True
    (small_run / "plan.json").write_text(json.dumps(plan))
    board = build([small_run])
    assert {r.section for r in board.rows} == {"confounded", "control"}
    assert all(r.rank is None and "confounded" in r.flags for r in board.rows)


def test_a_divergence_below_0_is_no_better_than_0(board):
    """Quantiles matched fold by fold read below what chance gives; that must not win."""
    goal, gate = board.ranking["goal"], board.ranking["gate"]
    copy = board.model_copy(deep=True)
    reference = next(r for r in copy.rows if r.method == "none")
    size = len(decode(reference.draws[gate]))
    for name, value in (("at-zero", 0.0), ("below-zero", -0.2)):
        row = reference.model_copy(deep=True, update={"method": name, "apart": None})
        row.overall[goal] = row.overall[goal].model_copy(update={"value": value})
        row.draws[goal] = encode(np.full(size, value))
        copy.rows.append(row)
    rows = {r.method: r for r in ranked(copy).rows}
    assert rows["at-zero"].rank == rows["below-zero"].rank
    assert rows["at-zero"].group == rows["below-zero"].group
    assert rows["below-zero"].overall[goal].value == -0.2, "the figure itself is shown as it is"
    assert rows["at-zero"].pareto == rows["below-zero"].pareto
