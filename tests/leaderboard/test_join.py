"""Several run folders on one board: equal cells count once, others are refused, and nothing is chosen in silence."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tampering import cell_of, columns, edit, forged, lines, put, record, write_lines

from harmbench.benchmark import load_benchmark
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard import held
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.merge import merge
from harmbench.leaderboard.rank import ranked
from harmbench.run.plan import make_plan
from harmbench.run.run import Options
from harmbench.run.run import run as run_plan

MARGIN = {"ranking": {"delta": "0.5"}}


def run_of(home, registry, benchmark, methods=("center",), settings=None) -> Path:
    given = {"splits": {"repeats": "2"}, **(settings or {})}
    plan = make_plan(load_benchmark(str(benchmark)), registry, list(methods), given)
    return run_plan(plan, registry, Options(out=home)).folder


@pytest.fixture
def pair(tmp_path, tiny_benchmark, tiny_registry):
    """Two folders of one benchmark with two repeats, both with `none` and `center`."""
    first = run_of(tmp_path / "a", tiny_registry, tiny_benchmark)
    return first, Path(shutil.copytree(first, tmp_path / "b"))


def fails(folder, method, repeat):
    """The cell of one repeat as if it had failed."""
    records = lines(folder)
    for one in records:
        if one["method"] == method and one["repeat"] == repeat:
            shutil.rmtree(folder / "cells" / one["key"])
            one.update(status="failed", error="it broke", files={}, raw="", n=0, features=0, audit={})
    write_lines(folder, records)


def newer(folder, method, repeats=(0, 1), **more):
    """Another state of a method in some repeats."""
    records = lines(folder)
    for one in records:
        if one["method"] == method and one["repeat"] in repeats:
            one["stages"][0].update(more)
    write_lines(folder, records)
    return forged(folder)


def test_runs_with_other_ranking_rules_are_refused_whichever_comes_first(
    tmp_path, tiny_registry, tiny_benchmark
):  # fmt: skip
    folders = [
        run_of(tmp_path / name, tiny_registry, tiny_benchmark, settings=more)
        for name, more in (("a", {}), ("b", MARGIN))
    ]
    for order in (folders, folders[::-1]):
        with pytest.raises(UsageError, match=r"cannot stand on one board.*they differ in: ranking"):
            build(order)


def test_a_folder_given_twice_counts_once(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    board = build([pair[0], Path("a"), tmp_path / "b" / ".." / "a"])
    assert len(board.runs) == 1 and board.warnings == build([pair[0]]).warnings


def test_equal_cells_of_two_folders_count_once(pair):
    board, alone = build(pair), build([pair[0]])
    assert [(r.method, r.cells, r.overall, r.seconds) for r in board.rows] == [
        (r.method, r.cells, r.overall, r.seconds) for r in alone.rows
    ]
    assert len(board.runs) == 2


def test_rounding_does_not_keep_equal_cells_apart_and_another_figure_does(pair):
    path = cell_of(pair[1], "center") / "metrics.parquet"
    columns(path, lambda c: c["value"].__setitem__(0, c["value"][0] * (1 + 1e-14)))
    assert build(pair).row("center").status == "ok"
    columns(path, put("value", 0, 0.123))
    for order in (pair, pair[::-1]):
        with pytest.raises(UsageError, match=r"'center', repeat 0, has other figures in .* than in .*: gap: there"):
            build(order)


def test_a_cell_that_ran_counts_before_one_that_failed_and_that_is_said(pair):
    fails(pair[1], "center", 0)
    fails(pair[1], "center", 1)
    for order in (pair, pair[::-1]):
        board = build(order)
        assert board.row("center").status == "ok"
        assert [w for w in board.warnings if "'center' did not run in one folder (failed)" in w]
    fails(pair[0], "center", 1)
    assert build(pair).row("center").status == "failed"


def test_repeats_of_one_row_are_of_one_state_of_the_method(pair, tiny_registry):
    fails(pair[0], "center", 1)
    newer(pair[1], "center", version="2")
    forged(pair[0])
    with pytest.raises(UsageError, match=r"repeats of 'center' come from different states.*center 1 .*center 2 "):
        build(pair, registry=tiny_registry)


def test_a_folder_that_holds_a_method_in_two_states_gives_the_last_one(pair):
    """As a developer leaves it who edits a method and runs again, and stops after the first repeat."""
    folder = pair[0]
    again = [r for r in lines(pair[1]) if r["method"] == "center" and r["repeat"] == 0]
    old = lines(folder)
    write_lines(pair[1], again)
    newer(pair[1], "center", code="f" * 16)
    (new,) = lines(pair[1])
    shutil.copytree(pair[1] / "cells" / new["key"], folder / "cells" / new["key"])
    write_lines(folder, [*old, new])
    row = build([folder]).row("center")
    assert row.cells == [new["key"]] and row.reason == "incomplete: 1 of 2 repeats"
    assert any("earlier cells, made by other code or parameters, are left out" in w for w in build([folder]).warnings)
    keys = [r["key"] for r in old if r["method"] == "center"]
    assert build([folder], keys=keys).row("center").cells == keys


def test_a_leak_in_any_repeat_is_a_leak(pair):
    records = lines(pair[0])
    mine = [r for r in records if r["method"] == "center"]
    mine[0]["audit"], mine[1]["audit"] = {}, {"label_leak": True, "row_dependent": False}
    write_lines(pair[0], records)
    row = build([pair[0]]).row("center")
    assert row.audit == {"label_leak": True} and row.section == "not ranked"
    assert "row_dependent" in row.reason  # the first repeat does not answer
    mine[0]["audit"] = {"label_leak": False, "row_dependent": False}
    write_lines(pair[0], records)
    assert build([pair[0]]).row("center").reason.startswith("leaks")


@pytest.mark.parametrize("audit", [{}, {"label_leak": False}, {"row_dependent": False}])
def test_what_was_not_audited_is_not_ranked(pair, audit):
    record(pair[0], "center", lambda r: r.update(audit=audit))
    row = build([pair[0]]).row("center")
    assert row.section == "not ranked" and row.reason.startswith("not audited: no answer to")


def test_an_unknown_gate_is_an_error_for_people(pair):
    edit(pair[0] / "plan.json", lambda d: d["ranking"].update(goal="nix"))
    with pytest.raises(DataError, match=r"plan.json: ranking.goal is 'nix'"):
        build([pair[0]])


def test_merging_allows_for_rounding_and_not_for_another_state(pair):
    board = build([pair[0]])
    other = board.model_copy(deep=True)
    other.row("center").overall["gap"].value *= 1 + 1e-14
    other.data = {**other.data, "extra": 0.1 + 0.2}
    board.data = {**board.data, "extra": 0.3}
    assert merge([board, other], ["a", "b"]).row("center").status == "ok"
    other.row("center").stages[0]["version"] = "2"
    with pytest.raises(UsageError, match="'center' is another state of the method in b than in a"):
        merge([board, other], ["a", "b"])


def test_a_merged_board_does_not_say_for_others_that_they_were_rebuilt(pair, tiny_registry):
    board = build([pair[0]], registry=tiny_registry)
    assert board.rebuilt
    assert merge([board, board], ["a", "b"]).rebuilt
    merged = merge([board, board], ["a", "b"], ["b"])
    assert not merged.rebuilt and all(d.recorded for d in merged.definitions.values())
    assert any("1 of 2 sources are boards that say their figures were rebuilt" in w for w in merged.warnings)


def test_a_board_says_in_what_it_deviates_from_the_shipped_benchmark(pair, tiny_registry, tiny_benchmark, monkeypatch):
    """A run with `--set` is one's own affair, and must not pass as the plain benchmark."""
    monkeypatch.setattr(held, "benchmark_files", lambda: {"tiny": tiny_benchmark})
    monkeypatch.setattr(held, "load_benchmark", lambda name: load_benchmark(str(tiny_benchmark)))
    board = build([pair[0]], registry=tiny_registry)
    assert board.deviations == ["splits.repeats is 2, not 1"]
    (said,) = [w for w in board.warnings if w.startswith("Deviates from the shipped benchmark tiny 1 in: ")]
    assert "splits.repeats is 2, not 1" in said
    assert said in merge([board, board], ["a", "b"]).warnings
    changes = {
        "ranking": {**board.ranking, "delta": 1.0},
        "title": "Real patients",
        "settings": {**board.settings, "dataset": {"name": "tiny", "version": "1", "params": {"patients": 12}}},
    }
    assert held.deviations(board.model_copy(update=changes), tiny_registry) == [
        "title is Real patients, not A tiny benchmark",
        "splits.repeats is 2, not 1",
        "ranking.delta is 1.0, not 0.02",
        "dataset.patients is 12, not 24",
    ]
    plain = {**board.settings, "splits": {**board.settings["splits"], "repeats": 1}}
    assert held.deviations(board.model_copy(update={"settings": plain}), tiny_registry) == []
    assert held.deviations(board.model_copy(update={"benchmark_version": "0"}), tiny_registry) is None
    assert held.deviations(board.model_copy(update={"benchmark": "mine"}), tiny_registry) is None
    swapped = {**board.settings, "extractor": {"name": "other", "version": "1", "params": {}}}
    assert "extractor is other, not mean-and-sd" in held.deviations(
        board.model_copy(update={"settings": swapped}), tiny_registry
    )


def test_ranking_again_keeps_what_a_board_deviates_in(pair, tiny_registry):
    board = build([pair[0]], registry=tiny_registry).model_copy(update={"deviations": ["x is 1, not 2"]})
    assert any("in: x is 1, not 2" in w for w in ranked(board).warnings)


def test_an_evaluator_that_is_not_installed_leaves_its_metrics_unchecked(pair, tiny_registry):
    from harmbench.run.store import RunFolder

    nobody = replace(tiny_registry, evaluators=type(tiny_registry.evaluators)("evaluator"))
    problems, unchecked = held.metric_problems(RunFolder(pair[0]).plan, nobody)
    assert problems == [] and "'gap' 1 are could not be checked" in unchecked[0]


def test_other_words_of_edited_code_are_told_and_no_problem(pair, tiny_registry):
    from harmbench.run.store import RunFolder

    plan = RunFolder(pair[0]).plan
    plan["metrics"][0]["definition"] = "the gap"
    assert "definition is 'the gap'" in held.metric_problems(plan, tiny_registry)[0][0]
    plan["evaluators"][0]["code"] = "0" * 16
    problems, unchecked = held.metric_problems(plan, tiny_registry)
    assert problems == [] and "its code has changed since" in unchecked[0]
    plan["metrics"][0]["direction"] = "max"
    assert "direction is 'max'" in held.metric_problems(plan, tiny_registry)[0][0]
