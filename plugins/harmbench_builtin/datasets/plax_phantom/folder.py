"""A folder that is either complete or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harmbench.data import Sample
from harmbench.errors import DataError
from harmbench_builtin.datasets.manifest import read_manifest

IMAGES, MASKS, MANIFEST, SYNTHETIC = "images", "masks", "manifest.csv", "SYNTHETIC.txt"
PARAMETERS, GENERATOR = "parameters.json", "plax-phantom"

_STALE_SECONDS = 24 * 3600
_TEMPORARY = ".part"


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its name when the block ends without an error.

    Whoever is killed leaves the temporary folder only; it is removed a day later by the next generation of the same
    name. When two processes make the same folder, the first to finish wins and the other finds it there.

    Raises
    ------
    DataError
        `target` holds something already, or the disk refuses (read-only, full, no permission).
    """
    if _occupied(target):
        raise DataError(
            "the folder already holds something; nothing was written.",
            file=target,
            remedy="Name a new folder, or delete this one first.",
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_TEMPORARY, dir=target.parent))
    except OSError as error:
        raise _refused(target, error) from error
    try:
        # mkdtemp makes it private; the finished folder should be as readable as any other.
        work.chmod(0o777 & ~_umask())
        yield work
        if target.is_dir() and not _occupied(target):
            target.rmdir()
        work.replace(target)
    except OSError as error:
        lost_race = error.errno in (errno.ENOTEMPTY, errno.EEXIST) and (target / MANIFEST).is_file()
        if not lost_race:
            raise _refused(target, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_folder(folder: Path) -> tuple[Sample, ...] | None:
    """The samples of a complete folder; None where it is missing, or files have gone from it."""
    if not (folder / MANIFEST).is_file():
        return None
    samples = read_manifest(folder / MANIFEST).samples
    there = {f"{part}/{entry.name}" for part in (IMAGES, MASKS) for entry in _entries(folder / part)}
    return samples if all(s.image in there and s.mask in there for s in samples) else None


def patient_scope(seed: int) -> str:
    """Where names of hearts are unique: within a seed, whatever the other parameters (they change how it looks)."""
    return f"plax-phantom seed {seed}"


def scope_of_folder(folder: Path) -> str:
    """The same of a folder that `generate` wrote; "" for any other folder."""
    try:
        record = json.loads((folder / PARAMETERS).read_text(encoding="utf-8"))
        return patient_scope(record["parameters"]["seed"]) if record["generator"] == GENERATOR else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def remove_damaged(folder: Path) -> None:
    """Delete what is left of a folder that is not complete.

    Raises
    ------
    DataError
        It cannot be deleted.
    """
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise _refused(folder, error) from error


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return list(entries)


def _occupied(target: Path) -> bool:
    try:
        return target.exists() and (not target.is_dir() or bool(_entries(target)))
    except OSError as error:
        raise _refused(target, error) from error


def _remove_stale(target: Path) -> None:
    for left in target.parent.glob(f".{target.name}.*{_TEMPORARY}"):
        newest = max((p.stat().st_mtime for p in (left, left / IMAGES) if p.exists()), default=0.0)
        if time.time() - newest > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _umask() -> int:
    # The only portable way to read it is to set it.
    current = os.umask(0o022)
    os.umask(current)
    return current


def _refused(folder: Path, error: OSError) -> DataError:
    remedy = "Check that the folder above it exists and may be written, or choose another one (--cache)."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "Free some space there (about 25 kB per image), or choose another folder (--cache)."
    return DataError(f"the images cannot be written here: {error.strerror or error}.", file=folder, remedy=remedy)
