"""Boards put together, if they belong together; ranks are worked out anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harmbench import __version__
from harmbench.errors import UsageError
from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.rank import ranked
from harmbench.leaderboard.same import unequal
from harmbench.run.provenance import now

_SAME = ("benchmark", "benchmark_version", "split_digest", "seed", "ranking", "settings", "rebuildable", "synthetic")


def apart(one: Board, other: Board) -> list[str]:
    """In what two boards differ that must agree for their rows to stand side by side."""
    found = [name for name in _SAME if any(unequal(getattr(one, name), getattr(other, name)))]
    a, b = ({k: v for k, v in board.data.items() if k not in ("notes", "licence")} for board in (one, other))
    found += [f"data {k}" for k in sorted(a.keys() | b.keys()) if any(unequal(a.get(k), b.get(k)))]
    versions: list[dict[str, Any]] = [{n: d.version for n, d in board.definitions.items()} for board in (one, other)]
    found += [
        f"version of the metric {name}"
        for name in sorted(versions[0].keys() | versions[1].keys())
        if versions[0].get(name) != versions[1].get(name)
    ]
    return found


SAID = "taken from a board that says it was rebuilt; only its run folders can show it"


def merge(boards: Sequence[Board], names: Sequence[str], written: Sequence[str] = ()) -> Board:
    """One board of several.

    Parameters
    ----------
    boards : sequence of Board
    names : sequence of str
        What messages call them.
    written : sequence of str
        Those of the names that are boards as they were written, not built here of runs: that their figures were
        rebuilt is then only what they say, and the merged board does not say it for them.

    Raises
    ------
    UsageError
        They do not belong together, or two have different figures for one method: names what differs. Or a board
        holds no replicates to rank by.
    """
    first = boards[0]
    for board, name in zip(boards, names, strict=True):
        if different := apart(first, board):
            raise UsageError(f"{name} cannot be merged with {names[0]}; they differ in: {', '.join(different)}.")
        for row in board.rows:
            gate = row.overall.get(board.ranking["gate"])
            if row.apart is None and gate is not None and gate.low is not None and not row.draws:
                raise UsageError(
                    f"{name}: the row of '{row.method}' holds no replicates to rank it by (an old board). Build it "
                    "again from its run folders."
                )
    cost = [name for name, d in first.definitions.items() if d.goal == "cost"]
    rows: dict[str, Row] = {}
    origin: dict[str, str] = {}
    notes: list[str] = []
    for board, name in zip(boards, names, strict=True):
        for row in board.rows:
            other = rows.get(row.method)
            if other is not None and other.status == row.status == "ok":
                if wrong := list(unequal(figures(other, cost), figures(row, cost))):
                    raise UsageError(
                        f"'{row.method}' has other figures in {name} than in {origin[row.method]} ({wrong[0][0]}). "
                        "Leave one of them out."
                    )
                if any(unequal(_state(other), _state(row))):
                    raise UsageError(
                        f"'{row.method}' is another state of the method in {name} than in {origin[row.method]} (its "
                        "stages differ). Leave one of them out."
                    )
            if other is not None and (other.status == "ok") is not (row.status == "ok"):
                notes.append(f"'{row.method}' did not run in one source; its figures come from another.")
            if other is None or (other.status != "ok" and row.status == "ok"):
                rows[row.method], origin[row.method] = row, name
    said = [name for board, name in zip(boards, names, strict=True) if board.rebuilt and name in written]
    if said:
        notes.append(
            f"{len(said)} of {len(boards)} sources are boards that say their figures were rebuilt; it was not done "
            "anew for this board."
        )
    reasons = {
        n: next((r for b in boards if (r := b.definitions[n].recorded)), SAID if said else "")
        for n in first.definitions
    }
    merged = first.model_copy(
        update={
            "harmbench": __version__,
            "rows": list(rows.values()),
            "rebuilt": all(board.rebuilt for board in boards) and not said,
            "deviations": next((b.deviations for b in boards if b.deviations is not None), None),
            "definitions": {n: d.model_copy(update={"recorded": reasons[n]}) for n, d in first.definitions.items()},
            "runs": [run for board in boards for run in board.runs],
            "built": now(),
        }
    )
    return ranked(merged, notes)


def _state(row: Row) -> list[dict[str, Any]]:
    """What a row's figures were made with; code may differ, since other results would have another version."""
    return [{k: stage.get(k) for k in ("name", "version", "params")} for stage in row.stages]


def figures(row: Row, cost: Sequence[str]) -> dict[str, Any]:
    """A row's figures, those of the metrics `cost` (times, memory) apart: metric and place to value, low, high."""
    parts: list[dict[str, dict[str, Figure]]] = [{m: {"": f} for m, f in row.overall.items()}]
    parts += [row.manufacturer, row.pair, row.other]
    return {
        f"{metric} {place}".strip(): (f.value, f.low, f.high)
        for part in parts
        for metric, places in part.items()
        for place, f in places.items()
        if metric not in cost
    }
