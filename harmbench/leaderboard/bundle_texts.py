"""The texts of a bundle, which are made of its board alone: written once, and rendered again to check them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harmbench import __version__
from harmbench.leaderboard import render
from harmbench.leaderboard.bundle_format import CHECKLIST, SUMS, Submission, checklist
from harmbench.leaderboard.check_bundle import read_submission
from harmbench.leaderboard.files import read_board, written_schema
from harmbench.leaderboard.model import SCHEMA, Board
from harmbench.leaderboard.validate import Report

LARGE = 50 * 2**20
OLD_KEY = (
    "the run is of schema 2: its folds were dealt by the order of the ids, and those of several repeats may tell "
    "somebody who has the list of ids who is who; run again with this harmbench"
)
TRUST = "--trust-stored"


def size_of(folder: Path) -> int:
    """Bytes of a bundle, checklist and checksums apart."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.name not in (CHECKLIST, SUMS))


def asked(folder: Path, board: Board, warnings: Sequence[str]) -> list[str]:
    """What a maintainer will ask about: the warnings of validating the run, and the size."""
    found = [text for text in warnings if TRUST not in text]
    if (size := size_of(folder)) > LARGE:
        found.append(f"the bundle has {size / 2**20:.0f} MB; say why it has to be that large")
    if board.data["ids"] != "key" and not board.synthetic:
        found.append(OLD_KEY)
    return found


def published(board: Board, submission: Submission) -> str:
    """Names from the data that a bundle holds, in words."""
    parts = {"manufacturers": list(board.data["counts"]), "classes": list(board.data["classes"])}
    parts |= {"covariates": submission.covariate_names}
    return "; ".join(f"{what} {', '.join(names)}" for what, names in parts.items() if names)


def checklist_of(folder: Path, submission: Submission, board: Board, warnings: Sequence[str]) -> str:
    """`CHECKLIST.md` of a bundle that is complete but for it."""
    data = board.data
    counts = f"{data['images']} images of {data['patients']} patients, {len(board.rows)} methods and controls"
    return checklist(submission, counts, published(board, submission), asked(folder, board, warnings))


def check_texts(report: Report, path: Path) -> None:
    """Hold each text against what its board gives; the board itself has been checked."""
    submission, warnings = read_submission(path), list(report.warnings)
    if submission.harmbench != __version__ or written_schema(path) < SCHEMA:
        report.warnings.append(
            f"its texts were not compared with its board: harmbench {submission.harmbench} wrote them, in the schema "
            f"of then; this is {__version__}"
        )
        return

    def texts() -> list[str]:
        board = read_board(path)
        wanted = {**render.texts(board), CHECKLIST: checklist_of(path, submission, board, warnings)}
        found = [] if board.harmbench == submission.harmbench else [f"the board is of harmbench {board.harmbench}"]
        for name, text in wanted.items():
            if not (path / name).is_file():
                found.append(f"{name} is missing")
            elif (path / name).read_bytes() != text.encode():
                found.append(f"{name} is not what the board gives")
        return found

    report.check("texts", texts)
