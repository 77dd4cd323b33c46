"""Checkpoints that are whole or absent: written beside the old one, flushed, then renamed over it."""

from __future__ import annotations

import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from harmbench.errors import DataError

NAME = "checkpoint.pt"
FORMAT_VERSION = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint at `path`. Whatever happens on the way, a whole one stays there.

    Raises
    ------
    DataError
        When it cannot be written (no space, no permission); the earlier checkpoint is then untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
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
            remedy="Free some space or choose another folder, then run again: the earlier checkpoint is intact.",
        ) from error


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint, tensors and plain values only (`weights_only`): nothing in it is executed.

    Raises
    ------
    DataError
        When the file is not a checkpoint of this version.
    """
    remedy = "Delete it to start again, or choose another folder."
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"the checkpoint cannot be read ({error}).", file=path, remedy=remedy) from error
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        # torch's own message advises to load the file without the check that keeps it from executing code.
        raise DataError("this is not a whole checkpoint of harmbench.", file=path, remedy=remedy) from error
    version = state.get("format_version") if isinstance(state, dict) else None
    if version != FORMAT_VERSION:
        raise DataError(
            f"the checkpoint has format version {version!r}, not {FORMAT_VERSION}.", file=path, remedy=remedy
        )
    return state
