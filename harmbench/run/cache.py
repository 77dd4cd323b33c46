"""A content-addressed store: the key says everything that determines a value, so an entry is never stale.

Values are NumPy arrays without pickle, with the key's parts beside them so that a miss can be explained.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.errors import DataError
from harmbench.run.keys import canonical, digest

SCHEMA = 1


def cache_folder() -> Path:
    """`$HARMBENCH_CACHE`, else `$XDG_CACHE_HOME/harmbench`, else `~/.cache/harmbench`."""
    given = os.environ.get("HARMBENCH_CACHE")
    if given:
        return Path(given).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "harmbench"


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary name in the same folder, then rename: a reader sees the old file or the whole new one.

    Raises
    ------
    DataError
        Full disk, read-only folder: names the folder and what to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            umask = os.umask(0)
            os.umask(umask)
            Path(name).chmod(0o666 & ~umask)  # mkstemp makes it private; results are for whoever the user lets
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(
            f"cannot be written: {error.strerror or error}.",
            file=path.parent,
            remedy="Free space or permissions there, or choose another place (--out for results, HARMBENCH_CACHE for "
            "the cache).",
        ) from error


class Cache:
    """Named arrays under keys.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_folder()

    def _path(self, kind: str, key: Mapping[str, Any]) -> Path:
        name = digest({"schema": SCHEMA, "kind": kind, "key": key})
        return self.root / kind / name[:2] / f"{name}.npz"

    def get(self, kind: str, key: Mapping[str, Any]) -> dict[str, npt.NDArray[Any]] | None:
        """The arrays stored under a key, or None. A damaged entry counts as absent and is removed."""
        path = self._path(kind, key)
        try:
            with np.load(path, allow_pickle=False) as stored:
                if str(stored["__key__"]) != canonical(key):
                    return None
                return {name: stored[name] for name in stored.files if name != "__key__"}
        except FileNotFoundError:
            return None
        except Exception:  # a truncated or foreign file raises many types; none of them may stop a run
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            return None

    def put(self, kind: str, key: Mapping[str, Any], **arrays: npt.NDArray[Any]) -> None:
        """Store arrays under a key."""
        import io

        buffer = io.BytesIO()
        np.savez(buffer, __key__=np.array(canonical(key)), **arrays)  # type: ignore[arg-type]
        write_atomically(self._path(kind, key), buffer.getvalue())

    def entries(self) -> Iterator[tuple[str, Path]]:
        """Kind and file of everything stored."""
        for kind in sorted(p for p in self.root.iterdir() if p.is_dir()) if self.root.is_dir() else ():
            for file in sorted(kind.rglob("*.npz")):
                yield kind.name, file

    def explain(self, kind: str, key: Mapping[str, Any]) -> list[str]:
        """Which parts of a key differ from the nearest entry of its kind (an empty list when it is stored)."""
        best: list[str] | None = None
        for found, file in self.entries():
            if found != kind:
                continue
            with np.load(file, allow_pickle=False) as stored:
                other = json.loads(str(stored["__key__"]))
            differences = _differences(json.loads(canonical(key)), other)
            if best is None or len(differences) < len(best):
                best = differences
        return ["nothing of this kind is stored"] if best is None else best

    def clear(self, older_than_days: float = 0.0) -> tuple[int, int]:
        """Remove entries; returns their number and bytes."""
        limit = time.time() - older_than_days * 86400
        count = size = 0
        for _, file in list(self.entries()):
            facts = file.stat()
            if facts.st_mtime <= limit:
                file.unlink(missing_ok=True)
                count, size = count + 1, size + facts.st_size
        return count, size


def _differences(a: Any, b: Any, where: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in sorted(a.keys() | b.keys()) for d in _differences(a.get(k), b.get(k), f"{where}.{k}")]
    return [] if a == b else [f"{where.lstrip('.')}: {b!r} stored, {a!r} wanted"]
