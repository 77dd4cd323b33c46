"""Whether two boards, or parts of them, are the same: all of it, with room for rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harmbench.errors import DataError
from harmbench.leaderboard.draws import decode
from harmbench.leaderboard.model import Board
from harmbench.run.recompute import TOLERANCE

SINGLE = 1e-6
"""Room for what was stored with seven digits."""
LEFT_OUT = ("schema", "harmbench", "built")
"""What differs whenever a board is made again, with another version or at another time."""
SHOWN = 8
Difference = tuple[str, Any, Any]
"""Path, the one value, the other."""


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


def close(a: float, b: float, tolerance: float = TOLERANCE) -> bool:
    """Equal up to rounding (relative above 1); not a number equals itself."""
    return (a != a and b != b) or math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def unequal(one: Any, other: Any, path: str = "", tolerance: float = TOLERANCE) -> Iterator[Difference]:
    """Where two values of mappings, lists, texts and numbers differ; numbers may differ by the tolerance."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys([*one, *other]):
            below = f"{path}.{key}" if path else str(key)
            yield from unequal(one.get(key, ABSENT), other.get(key, ABSENT), below, tolerance)
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            yield f"length of {path}", len(one), len(other)
        for i, (a, b) in enumerate(zip(one, other, strict=False)):
            yield from unequal(a, b, f"{path}[{i}]", tolerance)
    elif _number(one) and _number(other):
        if not close(one, other, tolerance):
            yield path, one, other
    elif one != other or isinstance(one, bool) is not isinstance(other, bool):
        yield path, one, other


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def boards_differ(stored: Board, anew: Board, leave: Sequence[str] = LEFT_OUT) -> list[str]:
    """Where a stored board is not the one that was made anew, in words that name the path.

    Parameters
    ----------
    stored, anew : Board
    leave : sequence of str
        Parts that may differ: fields of the board, or of each definition as `definitions.<field>`.
    """
    one, other = (_plain(board, leave) for board in (stored, anew))
    found = []
    for name in [
        n for n in dict.fromkeys(r.method for r in stored.rows) if [r.method for r in stored.rows].count(n) > 1
    ]:
        found.append(f"'{name}' stands in it more than once")
    for method in dict.fromkeys([*one["rows"], *other["rows"]]):
        if method not in one["rows"] or method not in other["rows"]:
            found.append(f"'{method}' is {'missing' if method not in one['rows'] else 'too many'}")
            one["rows"].pop(method, None)
            other["rows"].pop(method, None)
    found += [f"{path} is {_short(a)} in it, and should be {_short(b)}" for path, a, b in unequal(one, other)]
    draws = zip(_draws(stored), _draws(anew), strict=False)
    found += [f"{path} differs" for (path, a), (_, b) in draws if any(unequal(a, b, tolerance=SINGLE))]
    if not found and [r.method for r in stored.rows] != [r.method for r in anew.rows]:
        found.append("rows are in another order")
    return [*found[:SHOWN], f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else found


def _plain(board: Board, leave: Sequence[str]) -> dict[str, Any]:
    """A board as mappings, rows by method; the names of draws for the draws, which are compared as numbers."""
    data = board.model_dump(by_alias=True, mode="json", exclude={"rows": {"__all__": {"draws"}}})
    kept = {k: v for k, v in data.items() if k not in leave}
    kept["definitions"] = {
        name: {k: v for k, v in facts.items() if f"definitions.{k}" not in leave}
        for name, facts in kept["definitions"].items()
    }
    kept["rows"] = {row["method"]: row for row in kept["rows"]}
    for row in board.rows:
        kept["rows"][row.method]["draws"] = sorted(row.draws)
    return kept


def _draws(board: Board) -> Iterator[tuple[str, list[float]]]:
    for row in sorted(board.rows, key=lambda row: row.method):
        for metric, text in sorted(row.draws.items()):
            path = f"rows.{row.method}.draws.{metric}"
            try:
                yield path, decode(text).tolist()
            except DataError as error:
                raise DataError(f"{path}: {error.problem}", remedy=error.remedy) from None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
