"""Which sides are compared: two methods of a run, or the methods that two runs or boards share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harmbench.errors import UsageError
from harmbench.leaderboard.collect import gather, header
from harmbench.leaderboard.compare import Comparison, compare
from harmbench.leaderboard.files import is_run, read_board
from harmbench.leaderboard.sides import Side, of_board, of_run

Reader = Callable[[str, str], Side]
"""reader(method, label)"""


def source(path: Path) -> tuple[list[str], Reader]:
    """The methods with figures of a run folder or a board, and how to read one of them as a side.

    Raises
    ------
    DataError
        Neither a run folder nor a board.
    """
    if is_run(path):
        found = gather([path])
        head = header(found, {})
        done = [m for m, repeats in found.cells.items() if all(r["status"] == "ok" for _, r in repeats.values())]
        return done, lambda method, label: of_run(found, head, method, label)
    board = read_board(path)
    return [r.method for r in board.rows if r.status == "ok"], lambda method, label: of_board(board, method, label)


def methods_of(run: Path, a: str, b: str) -> Comparison:
    """Two methods of one run folder or board.

    Raises
    ------
    UsageError
        A method is unknown, or has no figures.
    """
    _, read = source(run)
    return compare(read(a, a), read(b, b))


def sources(a: Path, b: Path, methods: Sequence[str] = ()) -> list[Comparison]:
    """The methods that two run folders or boards share, each against itself.

    Raises
    ------
    UsageError
        They share no method, or cannot be compared at all.
    """
    (names_a, read_a), (names_b, read_b) = source(a), source(b)
    shared = [m for m in names_a if m in names_b]
    wanted = list(methods) or shared
    if not wanted:
        raise UsageError(f"{a} and {b} share no method that has figures. To compare two methods, use --run.")
    one, other = (a.name, b.name) if a.name != b.name else (str(a), str(b))
    return [compare(read_a(m, f"{m} in {one}"), read_b(m, f"{m} in {other}")) for m in wanted]
