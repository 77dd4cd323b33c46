"""What must hold on a board that can be believed: controls that read what they must, canaries caught, nothing lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.render import number, with_interval

Verdict = Literal["holds", "fails", "unknown"]


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    Parameters
    ----------
    claim : str
    verdict : {"holds", "fails", "unknown"}
    figures : str
        What it was read from.
    """

    claim: str
    verdict: Verdict
    figures: str


def checks(board: Board) -> list[Check]:
    """All checks of a board."""
    found = [_canary(board)]
    found += [_without_signal(board, name) for name in ("shuffle", "collapse")]
    found += [_best(board), _no_scanner(board), _worst(board)]
    found.append(_complete(board))
    return found


def _figure(row: Row | None, metric: str) -> Figure:
    return Figure(value=None) if row is None else row.overall.get(metric, Figure(value=None))


def _canary(board: Board) -> Check:
    canaries = [r for r in board.rows if r.role == "canary" and r.status == "ok"]
    missed = [r.method for r in canaries if not r.audit.get("label_leak")]
    claim = "A method that leaks labels is caught (the canary)"
    if not canaries:
        return Check(claim, "unknown", "no canary was run")
    if missed:
        return Check(claim, "fails", f"{', '.join(missed)} was not caught: trust nothing here")
    return Check(claim, "holds", f"{', '.join(r.method for r in canaries)} was caught")


def _without_signal(board: Board, name: str) -> Check:
    gate = board.definitions[board.ranking["gate"]]
    figure = _figure(board.row(name), gate.name)
    claim = f"`{name}`, which has no signal, reads chance: the interval of {gate.label} holds 0.5"
    if not gate.name.startswith("auc"):
        return Check(claim, "unknown", f"{gate.label} is not an AUC")
    if figure.value is None:
        return Check(claim, "unknown", f"no figure of '{name}'")
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    return Check(claim, "holds" if low <= 0.5 <= high else "fails", with_interval(figure))


def _best(board: Board) -> Check:
    gate = board.definitions[board.ranking["gate"]]
    return _extreme(board, "oracle-label", gate.name, "the label itself, has the best signal", gate.direction == "max")


def _worst(board: Board) -> Check:
    goal = board.definitions[board.ranking["goal"]]
    what = "the manufacturer itself, is harmonized worst"
    return _extreme(board, "oracle-site", goal.name, what, goal.direction == "min")


def _extreme(board: Board, name: str, metric: str, what: str, largest: bool) -> Check:
    label = board.definitions[metric].label
    claim = f"`{name}`, {what}: its {label} is the {'largest' if largest else 'smallest'}"
    own = _figure(board.row(name), metric).value
    others = {r.method: v for r in board.rows if r.method != name and (v := _figure(r, metric).value) is not None}
    if own is None or not others:
        return Check(claim, "unknown", f"no figure of '{name}'")
    next_one = (max if largest else min)(others, key=lambda m: others[m])
    holds = own >= others[next_one] if largest else own <= others[next_one]
    return Check(claim, "holds" if holds else "fails", f"{number(own)}; next {next_one} {number(others[next_one])}")


def _no_scanner(board: Board) -> Check:
    goal = board.definitions[board.ranking["goal"]]
    claim = f"`collapse`, constant features, reads no scanner: {goal.label} is 0"
    value = _figure(board.row("collapse"), goal.name).value
    if value is None:
        return Check(claim, "unknown", "no figure of 'collapse'")
    return Check(claim, "holds" if abs(value) < 0.005 else "fails", number(value))


def _complete(board: Board) -> Check:
    lost = board.of("not run")
    claim = "Every method that was asked for ran"
    if lost:
        return Check(claim, "fails", "; ".join(f"{r.method}: {r.status}" for r in lost))
    return Check(claim, "holds", f"{len(board.rows)} rows")
