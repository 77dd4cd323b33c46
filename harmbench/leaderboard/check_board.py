"""Checks of a board by itself: what follows from its own rows and replicates. What it cannot prove, it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harmbench.leaderboard.draws import decode
from harmbench.leaderboard.files import read_board, written_schema
from harmbench.leaderboard.held import WORDS, deviations
from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.rank import ranked
from harmbench.leaderboard.rows import TRANSDUCTIVE, USES_LABEL, apart_of, flags_of, worst_of
from harmbench.leaderboard.same import LEFT_OUT, SINGLE, boards_differ, close, unequal
from harmbench.leaderboard.validate import Report, misnamed, quality, undeclared_roles
from harmbench.plugins import Registry
from harmbench.run.facts import metric_facts
from harmbench.run.keys import package_code
from harmbench.stats.bootstrap import interval

CLAIM = "that its figures were rebuilt is what the board says; only its run folders or bundle can show it"


def check_board(report: Report, path: Path, registry: Registry) -> None:
    """Schema, definitions, controls, rows, intervals and ranks."""
    boards: list[Board] = []

    def read() -> list[str]:
        boards.append(read_board(path))
        return []

    if not report.check("schema", read):
        return
    board, number = boards[0], written_schema(path)
    report.check("definitions", lambda: _definitions(report, board, registry, number))
    report.check("canary and controls", lambda: quality(board))
    if number == 1:
        report.warnings.append("an old board or run without replicates to rank by: ranks were not worked out anew")
    else:
        report.check("rows", lambda: [text for row in board.rows for text in _row(row, board)] + _claims(board))
        rows = _declared(board)
        report.check("names of the methods", lambda: misnamed(rows, registry))
        report.check("roles as the methods declare them", lambda: undeclared_roles(rows, registry))
        report.check("data and runs", lambda: _data(board, registry))
        report.check(
            "intervals are those of the replicates", lambda: [t for r in board.rows for t in _intervals(r, board)]
        )
        report.check("settings of the benchmark", lambda: _deviations(board, registry) if number > 2 else [])
        report.check("ranks follow from the rows", lambda: not_following(board))
    report.warnings.append(
        CLAIM if board.rebuilt else "its figures are as the runs recorded them; build it without --trust-stored"
    )


def not_following(board: Board) -> list[str]:
    """Where a board is not what ranking its rows anew gives.

    Warnings about how it came to be stand before those about its rows, and cannot be worked out from them.
    """
    own = ranked(board.model_copy(deep=True)).warnings
    notes = board.warnings[: len(board.warnings) - len(own)] if len(board.warnings) > len(own) else []
    return boards_differ(board, ranked(board.model_copy(deep=True), notes), LEFT_OUT)


def _definitions(report: Report, board: Board, registry: Registry, number: int) -> list[str]:
    """Metrics without a definition, and definitions that are not those of the installed evaluators."""
    given = {m for row in board.rows for part in (row.overall, row.manufacturer, row.pair, row.other) for m in part}
    found = [f"the metric '{name}' has no definition" for name in sorted(given - board.definitions.keys())]
    found += [f"'{name}' is defined as '{d.name}'" for name, d in board.definitions.items() if d.name != name]
    for facts in board.settings["evaluators"]:
        entries = registry.evaluators.entries
        if facts["name"] not in entries or registry.evaluators.get(facts["name"]).version != facts["version"]:
            report.unchecked.append(f"definitions of '{facts['name']}' {facts['version']}: it is not installed here")
            continue
        spec = registry.evaluators.get(facts["name"])
        package, code = next(iter(package_code(spec.target).items()))
        edited = any(run.code.get(package) != code for run in board.runs)
        for metric in spec.metrics:
            if metric.name not in board.definitions:
                found.append(f"'{spec.name}' gives '{metric.name}', which has no definition")
                continue
            said = board.definitions[metric.name].model_dump(mode="json", exclude=None if number > 1 else {"bounds"})
            declared = metric_facts(spec.name, metric)
            for path, a, b in unequal(said, {k: declared.get(k, v) for k, v in said.items()}):
                text = f"'{metric.name}': {path} is {a!r}, and '{spec.name}' {spec.version} says {b!r}"
                if edited and path in WORDS:
                    report.unchecked.append(f"{text} (its package has changed since)")
                else:
                    found.append(text)
    return found


def _row(row: Row, board: Board) -> Iterator[str]:
    """What contradicts itself in a row."""
    name = f"'{row.method}'"
    if row.status != "ok":
        if row.overall or row.manufacturer or row.pair or row.other or row.draws:
            yield f"{name} has status {row.status} and figures"
        if row.apart != "not run":
            yield f"{name} has status {row.status} and does not stand among those not run"
        return
    confounded = bool(board.data.get("confounded"))
    apart = apart_of(row, int(board.settings["splits"]["repeats"]), confounded)
    if (row.apart, row.apart_reason) != apart:
        yield f"{name} stands apart as {row.apart!r} ({row.apart_reason}), and should as {apart[0]!r} ({apart[1]})"
    inductive, uses_label = TRANSDUCTIVE not in row.flags, USES_LABEL in row.flags
    flags = flags_of(row, inductive, uses_label, confounded, board.settings["dataset"]["name"])
    if row.flags != flags:
        yield f"{name} has the flags {row.flags}, and should have {flags}"
    worst = worst_of(row, {n: d.direction for n, d in board.definitions.items()})
    if row.worst != worst:
        yield f"{name} has worst {row.worst}, and its figures say {worst}"


def _claims(board: Board) -> list[str]:
    found = (
        ["it says that its figures were rebuilt, and that they cannot be"]
        if board.rebuilt and not board.rebuildable
        else []
    )
    if not board.rebuilt:
        given = {name for row in board.rows for name in row.overall}
        silent = sorted(n for n in given if n in board.definitions and not board.definitions[n].recorded)
        found += [f"it was not rebuilt, and does not say so of '{name}'" for name in silent]
    return found


def _data(board: Board, registry: Registry) -> list[str]:
    """Where what is said of the data contradicts itself or the data set, and rows that come from none of the runs."""
    facts = board.data
    by_label = [sum(n > 0 for n in labels.values()) for labels in facts["counts"].values()]
    labels = {label for by in facts["counts"].values() for label, n in by.items() if n}
    confounded = len(labels) > 1 and all(n == 1 for n in by_label)
    found = []
    if bool(facts.get("confounded")) is not confounded:
        found.append(f"it says confounded {facts.get('confounded')}, and its counts {confounded}")
    if facts["images"] != (images := sum(n for by in facts["counts"].values() for n in by.values())):
        found.append(f"it says {facts['images']} images, and its counts {images}")
    if board.synthetic is not facts.get("synthetic", board.synthetic):
        found.append(f"it says synthetic {board.synthetic}, and of its data {facts['synthetic']}")
    dataset = board.settings["dataset"]
    if dataset["name"] in registry.datasets.entries:
        spec = registry.datasets.get(dataset["name"])
        if spec.version == dataset["version"] and spec.synthetic and not board.synthetic:
            found.append(f"it says that the data are real, and '{spec.name}' simulates them")
    named = {method for run in board.runs for method in run.methods}
    return found + [f"'{row.method}' comes from none of its runs" for row in board.rows if row.method not in named]


def _declared(board: Board) -> list[dict[str, Any]]:
    return [
        {
            "method": row.method,
            "role": row.role,
            "inductive": TRANSDUCTIVE not in row.flags,
            "uses_label": USES_LABEL in row.flags,
            "stages": row.stages,
        }
        for row in board.rows
        if row.status == "ok"
    ]


def _intervals(row: Row, board: Board) -> Iterator[str]:
    """Gate and goal must have the intervals of the replicates that they are ranked by."""
    for metric in dict.fromkeys((board.ranking["gate"], board.ranking["goal"])):
        figure = row.overall.get(metric, Figure(value=None))
        said = (figure.low, figure.high)
        if metric not in row.draws:
            if said != (None, None):
                yield f"'{row.method}' has an interval of {metric}, and no replicates to rank it by"
            continue
        bounds = [float(b) for b in interval(decode(row.draws[metric]))]
        for a, b in zip(said, bounds, strict=True):
            if not close(float("nan") if a is None else a, b, SINGLE) and figure.value is not None:
                yield f"'{row.method}': the interval of {metric} ends at {a}, and that of its replicates at {b:.9g}"


def _deviations(board: Board, registry: Registry) -> list[str]:
    found = deviations(board, registry)
    if board.deviations == found or found is None:
        return []
    return [f"it deviates from the shipped benchmark in {found or 'nothing'}, and says {board.deviations or 'nothing'}"]
