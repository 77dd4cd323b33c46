"""Checkpoints that are whole or absent: written beside the others, flushed, then given their name."""

from __future__ import annotations

import contextlib
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from harmbench.errors import DataError

FOLDER = "checkpoints"
FORMAT_VERSION = 2
_EARLIER_NAME = "checkpoint.pt"
"""Where version 1 kept its only checkpoint."""
_REMEDY = "Delete it to start again, or choose another folder."


def path_of(out: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return out / FOLDER / f"step-{step:09d}.pt"


def all_in(out: Path) -> list[Path]:
    """The checkpoints in a training's folder, oldest first."""
    return sorted((out / FOLDER).glob("step-*.pt"))


def save(out: Path, step: int, state: dict[str, Any], keep: int = 1) -> Path:
    """Write a checkpoint and remove all but the `keep` newest. Whatever happens on the way, the earlier ones stay.

    Raises
    ------
    DataError
        When it cannot be written (no space, no permission); the earlier checkpoints are then untouched.
    """
    path = path_of(out, step)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save({"format_version": FORMAT_VERSION, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise DataError(
            f"the checkpoint could not be written ({error}).",
            file=path,
            remedy="Free some space or choose another folder, then run again: earlier checkpoints are intact.",
        ) from error
    others = [other for other in all_in(out) if other != path]
    earlier = [other for other in others if other.name < path.name]
    stale = earlier[: max(0, len(earlier) - (keep - 1))]
    # Later ones are those from which a roll-back went back.
    for old in [*stale, *(other for other in others if other.name > path.name)]:
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def load_latest(out: Path) -> dict[str, Any] | None:
    """The newest checkpoint in a training's folder that can be read; None where there is none at all.

    Raises
    ------
    DataError
        When no checkpoint can be read, or one comes from another version.

    Warns
    -----
    When the newest cannot be read and an earlier one is taken.
    """
    earlier = out / _EARLIER_NAME
    if earlier.exists():
        raise DataError(
            f"this checkpoint was written by an earlier version of harmbench (format version 1, not {FORMAT_VERSION}).",
            file=earlier,
            remedy=_REMEDY,
        )
    failures: list[DataError] = []
    for path in reversed(all_in(out)):
        try:
            state = load(path)
        except _NotWhole as error:
            failures.append(error)
            continue
        for failure in failures:
            warnings.warn(f"{failure} Training goes on from {path.name}.", stacklevel=2)
        return state
    if failures:
        raise failures[0]
    return None


class _NotWhole(DataError):
    """A file that is not a whole checkpoint: an earlier one may be."""


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint, tensors and plain values only (`weights_only`): nothing in it is executed.

    Raises
    ------
    DataError
        When the file is not a checkpoint of this version.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise _NotWhole(f"the checkpoint cannot be read ({error}).", file=path, remedy=_REMEDY) from error
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        # torch's own message advises to load the file without the check that keeps it from executing code.
        raise _NotWhole("this is not a whole checkpoint of harmbench.", file=path, remedy=_REMEDY) from error
    version = state.get("format_version") if isinstance(state, dict) else None
    if version != FORMAT_VERSION:
        raise DataError(
            f"the checkpoint has format version {version!r}, not {FORMAT_VERSION}.", file=path, remedy=_REMEDY
        )
    return state
