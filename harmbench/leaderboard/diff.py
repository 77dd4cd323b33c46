"""What changed from one board to another."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from harmbench.leaderboard.merge import apart
from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.same import TOLERANCE, close

Standing = dict[str, Any]


@dataclass
class Changes:
    """Old against new.

    Parameters
    ----------
    different : list of str
        In what the boards differ that makes figures incomparable; figures are listed all the same.
    added, removed : list of str
        Methods.
    standings : list of dict
        Methods whose section, rank or reason changed.
    figures : list of dict
        method, metric, place, old and new value, and what is different (value or interval).
    warnings_added, warnings_removed : list of str
    not_compared : list of str
        Measurements of the machine (times, memory), which always differ.
    """

    different: list[str]
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    standings: list[Standing] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    warnings_added: list[str] = field(default_factory=list)
    warnings_removed: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether anything changed."""
        return any(v for k, v in asdict(self).items() if k != "not_compared")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def diff(old: Board, new: Board, tolerance: float = TOLERANCE) -> Changes:
    """Rows added and removed, figures changed by more than the tolerance (relative above 1), standings changed."""
    before, after = ({row.method: row for row in board.rows} for board in (old, new))
    cost = sorted({n for board in (old, new) for n, d in board.definitions.items() if d.goal == "cost"})
    found = Changes(
        different=apart(old, new),
        added=[m for m in after if m not in before],
        removed=[m for m in before if m not in after],
        warnings_added=[w for w in new.warnings if w not in old.warnings],
        warnings_removed=[w for w in old.warnings if w not in new.warnings],
        not_compared=cost,
    )
    for method, row in after.items():
        if method not in before:
            continue
        one, other = _standing(before[method]), _standing(row)
        if one != other:
            found.standings.append({"method": method, "old": one, "new": other})
        found.figures += _figures(before[method], row, cost, tolerance)
    return found


def _standing(row: Row) -> Standing:
    return {"section": row.section, "rank": list(row.rank) if row.rank else None, "reason": row.reason}


def _figures(old: Row, new: Row, cost: list[str], tolerance: float) -> list[dict[str, Any]]:
    before, after = _places(old), _places(new)
    found = []
    for key in dict.fromkeys([*before, *after]):
        if key[0] in cost:
            continue
        a, b = (side.get(key) for side in (before, after))
        what = [
            name
            for name in ("value", "low", "high", "p_value")
            if not _same(None if a is None else getattr(a, name), None if b is None else getattr(b, name), tolerance)
        ]
        if what or (a is None) != (b is None):
            values = {"old": None if a is None else a.value, "new": None if b is None else b.value}
            found.append({"method": new.method, "metric": key[0], "place": key[1], **values, "changed": what})
    return found


def _places(row: Row) -> dict[tuple[str, str], Figure]:
    parts: list[dict[str, dict[str, Figure]]] = [{m: {"": f} for m, f in row.overall.items()}]
    parts += [row.manufacturer, row.pair, row.other]
    return {(metric, place): f for part in parts for metric, places in part.items() for place, f in places.items()}


def _same(a: float | None, b: float | None, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    return close(a, b, tolerance)
