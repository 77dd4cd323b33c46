"""Is a board, a run or a bundle sound? Every check says what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmbench.errors import HarmbenchError
from harmbench.leaderboard.diff import diff
from harmbench.leaderboard.files import is_run, read_board
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.rank import ranked
from harmbench.plugins import Registry


@dataclass
class Report:
    """What was checked.

    Parameters
    ----------
    where : str
    kind : {"board", "run", "bundle"}
    passed : list of str
        Checks that found nothing.
    problems : list of str
        Each makes it unsound.
    warnings : list of str
        What a maintainer should look at.
    """

    where: str
    kind: str
    passed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def check(self, name: str, find: Callable[[], list[str]]) -> bool:
        """Run a check; what it raises or returns are problems.

        Returns
        -------
        bool
            Whether it found nothing.
        """
        try:
            found = find()
        except HarmbenchError as error:
            found = [str(error)]
        except (KeyError, ValueError, TypeError, IndexError, OSError) as error:
            # A file that somebody made up may hold anything; that is a finding, not a crash.
            found = [f"unexpected content ({type(error).__name__}: {error})"]
        self.problems += [f"{name}: {text}" for text in found]
        if not found:
            self.passed.append(name)
        return not found

    def lines(self) -> list[str]:
        """For people."""
        return [
            *(f"ok       {text}" for text in self.passed),
            *(f"warning  {text}" for text in self.warnings),
            *(f"PROBLEM  {text}" for text in self.problems),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "where": self.where,
            "kind": self.kind,
            "sound": self.sound,
            "passed": self.passed,
            "problems": self.problems,
            "warnings": self.warnings,
        }


def validate(path: Path, registry: Registry, *, rebuild: bool = True, n_jobs: int = 1) -> Report:
    """Check a board (leaderboard.json), a run folder or a bundle.

    Parameters
    ----------
    path : Path
    registry : Registry
        Where evaluators come from.
    rebuild : bool
        False: the stored figures are not rebuilt.
    n_jobs : int
        Threads that an evaluator may use.
    """
    from harmbench.leaderboard.check_bundle import check_bundle
    from harmbench.leaderboard.check_run import check_run, wrong_schema

    if not is_run(path):
        report = Report(str(path), "board")
        check_board(report, path)
        return report
    report = Report(str(path), "bundle" if is_bundle(path) else "run")
    if not report.check("schema", lambda: wrong_schema(path)):
        return report
    if is_bundle(path) and not check_bundle(report, path):
        return report  # what was changed since is not worth rebuilding
    check_run(report, path, registry, rebuild=rebuild, n_jobs=n_jobs)
    return report


def is_bundle(path: Path) -> bool:
    """Whether a run folder is one that was handed in."""
    from harmbench.leaderboard.bundle_format import SUBMISSION, SUMS

    return (path / SUBMISSION).exists() or (path / SUMS).exists()


def check_board(report: Report, path: Path) -> None:
    """Schema, and whether ranks follow from the rows."""
    boards: list[Board] = []

    def read() -> list[str]:
        boards.append(read_board(path))
        return []

    if not report.check("schema", read):
        return
    board = boards[0]
    report.check("definitions", lambda: undefined(board))
    report.check("canary and controls", lambda: quality(board))
    if board.rebuildable:
        report.check("ranks follow from the rows", lambda: not_following(board, ranked(board.model_copy(deep=True))))
    else:
        report.warnings.append("an old board or run without replicates to rank by: ranks were not worked out anew")
    if not board.rebuilt:
        report.warnings.append("its figures are as the runs recorded them; build it without --trust-stored")


def undefined(board: Board) -> list[str]:
    """Figures of metrics that the board does not define."""
    found = {m for row in board.rows for part in (row.overall, row.manufacturer, row.pair, row.other) for m in part}
    return [f"the metric '{name}' has no definition" for name in sorted(found - board.definitions.keys())]


def quality(board: Board) -> list[str]:
    """What is missing for a board to be believed: reference, controls, a canary that was caught."""
    found = []
    reference = board.row("none")
    if reference is None or reference.status != "ok":
        found.append("'none' did not run")
    if not any(row.role == "control" and row.status == "ok" for row in board.rows):
        found.append("no control ran")
    canaries = [row for row in board.rows if row.role == "canary" and row.status == "ok"]
    if not canaries:
        found.append("no leaking canary ran")
    found += [f"the canary '{r.method}' leaks and was not caught" for r in canaries if not r.audit.get("label_leak")]
    return found


def not_following(stored: Board, anew: Board) -> list[str]:
    """Where a stored board is not what its rows or runs give."""
    changes = diff(stored, anew)
    found = [f"{m} is missing" for m in changes.added] + [f"{m} is too many" for m in changes.removed]
    found += [f"{s['method']}: stands as {s['old']}, and is {s['new']}" for s in changes.standings]
    found += [
        f"{f['method']}: {f['metric']} {f['place']} is {f['old']!r} in the board, and {f['new']!r}".replace("  ", " ")
        for f in changes.figures
    ]
    order = [r.method for r in stored.rows] != [r.method for r in anew.rows]
    return found + (["rows are in another order"] if order and not found else [])
