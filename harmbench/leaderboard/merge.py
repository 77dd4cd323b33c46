"""Boards put together, if they belong together; ranks are worked out anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harmbench import __version__
from harmbench.errors import UsageError
from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.rank import ranked
from harmbench.run.provenance import now

_SAME = ("benchmark", "benchmark_version", "split_digest", "seed", "ranking", "settings", "rebuildable", "synthetic")


def apart(one: Board, other: Board) -> list[str]:
    """In what two boards differ that must agree for their rows to stand side by side."""
    found = [name for name in _SAME if getattr(one, name) != getattr(other, name)]
    a, b = ({k: v for k, v in board.data.items() if k not in ("notes", "licence")} for board in (one, other))
    found += [f"data {k}" for k in sorted(a.keys() | b.keys()) if a.get(k) != b.get(k)]
    versions: list[dict[str, Any]] = [{n: d.version for n, d in board.definitions.items()} for board in (one, other)]
    found += [
        f"version of the metric {name}"
        for name in sorted(versions[0].keys() | versions[1].keys())
        if versions[0].get(name) != versions[1].get(name)
    ]
    return found


def merge(boards: Sequence[Board], names: Sequence[str]) -> Board:
    """One board of several.

    Parameters
    ----------
    boards : sequence of Board
    names : sequence of str
        What messages call them.

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
    for board, name in zip(boards, names, strict=True):
        for row in board.rows:
            other = rows.get(row.method)
            if other is not None and other.status == row.status == "ok" and figures(other, cost) != figures(row, cost):
                raise UsageError(
                    f"'{row.method}' has other figures in {name} than in {origin[row.method]}. Leave one of them out."
                )
            if other is None or (other.status != "ok" and row.status == "ok"):
                rows[row.method], origin[row.method] = row, name
    merged = first.model_copy(
        update={
            "harmbench": __version__,
            "rows": list(rows.values()),
            "rebuilt": all(board.rebuilt for board in boards),
            "definitions": {
                name: d.model_copy(
                    update={"recorded": next((r for b in boards if (r := b.definitions[name].recorded)), "")}
                )
                for name, d in first.definitions.items()
            },
            "runs": [run for board in boards for run in board.runs],
            "built": now(),
        }
    )
    different_code = len({tuple(sorted(run.code.items())) for run in merged.runs}) > 1
    return ranked(
        merged,
        ["The runs were made by different states of the code; the provenance says which."] if different_code else [],
    )


def figures(row: Row, cost: Sequence[str]) -> dict[tuple[str, str], Any]:
    """A row's figures, those of the metrics `cost` (times, memory) apart: (metric, place) to value, low, high."""
    parts: list[dict[str, dict[str, Figure]]] = [{m: {"": f} for m, f in row.overall.items()}]
    parts += [row.manufacturer, row.pair, row.other]
    return {
        (metric, place): (f.value, f.low, f.high)
        for part in parts
        for metric, places in part.items()
        for place, f in places.items()
        if metric not in cost
    }
