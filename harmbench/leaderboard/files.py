"""Boards from files: `leaderboard.json` of any schema, or run folders."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from harmbench.benchmark import Ranking
from harmbench.errors import DataError
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.model import SCHEMA, Board
from harmbench.leaderboard.upgrade import BOARD
from harmbench.plugins import Registry
from harmbench.upgrading import upgraded

BOARD_FILE = "leaderboard.json"
NEEDED = {
    "data": ("name", "revision", "classes", "images", "paired_images", "patients", "counts", "batch_unit", "notes"),
    "settings": ("extractor", "dataset", "evaluators", "splits", "uncertainty"),
}
"""What of a board's free parts is shown and compared."""


def is_run(path: Path) -> bool:
    """Whether it is a run folder, or a bundle made of one."""
    return (path / "plan.json").is_file()


def read_board(path: Path) -> Board:
    """A board from its JSON file, or from a folder that holds `leaderboard.json`.

    Raises
    ------
    DataError
        No such file, or not a board.
    UsageError
        A newer harmbench wrote it; names the version to install.
    """
    file = path / BOARD_FILE if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        remedy = "Give a leaderboard.json, or a folder that `harmbench run` wrote."
        raise DataError("there is no such board.", file=file, remedy=remedy) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not valid JSON: {error}.", file=file, remedy="Build the board again.") from None
    if not isinstance(data, dict):
        raise DataError("not a board.", file=file, remedy="Build the board again.")
    newest = upgraded(data, SCHEMA, BOARD, file)
    try:
        board = Board.model_validate(newest)
        ranking = Ranking.model_validate(board.ranking)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{where}: {first['msg']}.", file=file, remedy="Build the board again.") from None
    for role, metric in (("gate", ranking.gate), ("goal", ranking.goal)):
        if metric not in board.definitions:
            problem = f"ranking.{role} is '{metric}', which has no definition."
            raise DataError(problem, file=file, remedy="Build the board again.")
    for part, names in NEEDED.items():
        if missing := [name for name in names if name not in getattr(board, part)]:
            raise DataError(f"{part} lacks {', '.join(missing)}.", file=file, remedy="Build the board again.")
    return board


def written_schema(path: Path) -> int:
    """The number of the schema in which a board was written."""
    file = path / BOARD_FILE if path.is_dir() else path
    return int(json.loads(file.read_text(encoding="utf-8"))["schema"])


def load(path: Path, registry: Registry | None = None, n_jobs: int = 1) -> Board:
    """The board of a run folder (its figures rebuilt when there is a registry), or a board as it was written."""
    return build([path], registry=registry, n_jobs=n_jobs) if is_run(path) else read_board(path)
