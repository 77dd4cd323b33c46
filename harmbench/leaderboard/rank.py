"""Ranks, fronts and warnings of a board: worked out from its rows alone, and anew whenever they change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from harmbench.data import Floats
from harmbench.leaderboard import pretraining
from harmbench.leaderboard.draws import decode
from harmbench.leaderboard.model import Board, Figure, Pareto, Row, Section, Sweep
from harmbench.stats.pareto import between_controls, pareto_front, weight_sweep
from harmbench.stats.ranking import Contender, Standing, gate_then_goal

REFERENCE = "none"
NO_SIGNAL, NO_SCANNER = "shuffle", "collapse"
"""Controls that the sweep's scales begin and end at."""


def ranked(board: Board, notes: Sequence[str] = ()) -> Board:
    """The board with sections, ranks, order, Pareto front, sweep and warnings worked out from its rows.

    Parameters
    ----------
    board : Board
        Rows in the order in which they were found; what they had of this before does not matter.
    notes : sequence of str
        Warnings about how the board came to be, before those about its rows.
    """
    rows = [
        row.model_copy(
            update={
                "section": row.apart or "ranked",
                "reason": row.apart_reason,
                "rank": None,
                "group": None,
                "difference": None,
                "pareto": None,
            }
        )
        for row in board.rows
    ]
    board = board.model_copy(update={"rows": rows, "sweep": None})
    _stand(board)
    _fronts(board)
    board.rows = _ordered(board)
    board.warnings = [*notes, *_warnings(board)]
    return board


def contender(row: Row, board: Board) -> Contender | None:
    """What ranking needs of a row; None where a value is missing."""
    gate, goal = board.ranking["gate"], board.ranking["goal"]
    signal, target = (row.overall.get(name, Figure(value=None)).value for name in (gate, goal))
    if signal is None or target is None:
        return None
    draws = _draws(row, goal)
    least = board.definitions[goal].least
    goals = None if draws is None else np.maximum(draws, least)
    return Contender(row.method, signal, max(target, least), _draws(row, gate), goals, measured=target)


def _draws(row: Row, metric: str) -> Floats | None:
    text = row.draws.get(metric)
    return decode(text) if text else None


def _stand(board: Board) -> None:
    by_name = {row.method: row for row in board.rows}
    found = {row.method: contender(row, board) for row in board.rows}
    reference = found.get(REFERENCE)
    if by_name.get(REFERENCE) is not None and by_name[REFERENCE].status != "ok":
        reference = None
    field = []
    for row in board.rows:
        one = found[row.method]
        if row.section == "ranked" and (one is None or reference is None):
            row.section = "not ranked"
            row.reason = _missing(by_name, REFERENCE if reference is None else row.method, board)
        elif row.section == "ranked" and one is not None:
            field.append(one)
        elif one is not None and reference is not None:
            # Not ranked, but its difference to `none` is worth showing.
            row.difference = _finite(_standings([reference, one], reference, board)[row.method].difference)
    if reference is None:
        return
    for method, standing in _standings(field, reference, board).items():
        row = by_name[method]
        row.rank, row.group, row.reason = standing.rank, standing.group, standing.reason
        row.difference = _finite(standing.difference)
        if not standing.passed:
            row.section = "below the gate"


def _finite(values: tuple[float, float, float]) -> tuple[float, float | None, float | None]:
    point, *bounds = values
    low, high = (b if math.isfinite(b) else None for b in bounds)
    return point, low, high


def _missing(by_name: Mapping[str, Row], method: str, board: Board) -> str:
    """Why a method cannot be ranked or compared with."""
    row = by_name.get(method)
    if row is None or row.status != "ok":
        return f"'{method}' did not run"
    for metric in (board.ranking["gate"], board.ranking["goal"]):
        figure = row.overall.get(metric)
        if figure is None or figure.value is None:
            why = f": {figure.note}" if figure is not None and figure.note else ""
            return f"'{metric}' of '{method}' could not be computed{why}"
    return ""


def _standings(field: Sequence[Contender], reference: Contender, board: Board) -> Mapping[str, Standing]:
    ranking = board.ranking
    directions: Any = [board.definitions[ranking[which]].direction for which in ("goal", "gate")]
    return gate_then_goal(field, reference, ranking["delta"], *directions)


def _turned(board: Board, metric: str) -> float:
    """1, or -1 where less is better."""
    return 1.0 if board.definitions[metric].direction == "max" else -1.0


def _fronts(board: Board) -> None:
    """Pareto front and weight sweep of the methods that are ranked or fell at the gate."""
    rows = [row for row in board.rows if row.section in ("ranked", "below the gate")]
    found = [c for row in rows if (c := contender(row, board)) is not None]
    names = [c.name for c in found]
    draws = [(c.goal_replicates, c.signal_replicates) for c in found]
    if REFERENCE not in names or any(g is None or s is None for g, s in draws):
        return
    gate, goal = board.ranking["gate"], board.ranking["goal"]
    up, along = _turned(board, goal), _turned(board, gate)
    first, second = up * np.array([c.goal for c in found]), along * np.array([c.signal for c in found])
    first_draws, second_draws = up * np.array([g for g, _ in draws]), along * np.array([s for _, s in draws])
    if not np.isfinite(first_draws + second_draws).all(axis=0).any():
        return  # no resample in which every method has both values
    front = pareto_front(first, second, first_draws, second_draws, names.index(REFERENCE))
    for i, row in enumerate(row for row in rows if row.method in names):
        row.pareto = Pareto(
            on_front=bool(front.on_front[i]),
            probability=float(front.probability[i]),
            dominates=float(front.dominates[i]),
        )
    ends = {row.method: contender(row, board) for row in board.rows if row.method in (NO_SIGNAL, NO_SCANNER)}
    nothing, everything = ends.get(NO_SIGNAL), ends.get(NO_SCANNER)
    if nothing is None or everything is None:
        return
    at = found[names.index(REFERENCE)]
    scanner, signal = (up * at.goal, up * everything.goal), (along * nothing.signal, along * at.signal)
    if scanner[0] == scanner[1] or signal[0] == signal[1]:
        return
    sweep = weight_sweep(
        between_controls(first, *scanner),
        between_controls(second, *signal),
        first_replicates=between_controls(first_draws, *scanner),
        second_replicates=between_controls(second_draws, *signal),
    )
    share = sweep.first
    assert share is not None  # replicates were given
    board.sweep = Sweep(
        weights=sweep.weights.round(6).tolist(),
        rank=dict(zip(names, sweep.rank.tolist(), strict=True)),
        first=dict(zip(names, share.tolist(), strict=True)),
        wins=dict(zip(names, sweep.wins, strict=True)),
    )


def _ordered(board: Board) -> list[Row]:
    order = {section: i for i, section in enumerate(get_args(Section))}
    found = {row.method: i for i, row in enumerate(board.rows)}
    goal = board.ranking["goal"]

    def place(row: Row) -> tuple[Any, ...]:
        value = row.overall.get(goal, Figure(value=None)).value
        shown = math.inf if value is None else value if board.definitions[goal].direction == "min" else -value
        better = max(shown, board.definitions[goal].least)
        if row.section == "below the gate" and row.difference is not None:
            better = -(row.difference[1] or 0.0)
        # Equals stand by name, as in `gate_then_goal`: the order of the runs decides nothing.
        return (order[row.section], better, shown, row.method if row.section == "ranked" else "", found[row.method])

    return sorted(board.rows, key=place)


def _warnings(board: Board) -> list[str]:
    found = []
    if len({tuple(sorted(run.code.items())) for run in board.runs}) > 1:
        found.append("The runs were made by different states of the code; the provenance says which.")
    if board.deviations:
        named = f"{board.benchmark} {board.benchmark_version}"
        found.append(f"Deviates from the shipped benchmark {named} in: {'; '.join(board.deviations)}.")
    found += board.data["notes"]
    canaries = [r for r in board.rows if r.role == "canary"]
    for row in canaries:
        if row.status == "ok" and not row.audit.get("label_leak"):
            found.append(f"QC FAILED: the canary '{row.method}' leaks labels and was not caught; trust nothing here.")
    if not any(row.audit.get("label_leak") for row in canaries):
        found.append("INCOMPLETE: no leaking canary was run and caught here, so nothing shows that leaks are found.")
    for row in board.rows:
        if row.role == "method" and row.audit.get("label_leak"):
            found.append(f"'{row.method}' leaks: its test rows depend on the labels of test rows.")
    return found + pretraining.notes(board.rows)
