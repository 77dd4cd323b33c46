"""The run folder: everything a leaderboard needs, appended cell by cell.

    plan.json           what is compared; a folder belongs to one benchmark, one state of the data and one split
    environment.json    versions, hardware, plugins; one entry per call of `run`
    samples.parquet     what is known of each sample
    splits.parquet      who was held out when
    records.jsonl       one line per finished cell, flushed to disk before the next one counts
    raw/<digest>        features before the feature stages; cells with the same image stage share them
    cells/<key>/        metrics.parquet, replicates.npz, features.parquet, <table>.parquet, log.txt

A run that was killed leaves whole records only; running again continues. Patient and sample ids are hashed, in texts
too; the key is in `plan.json`. Folders of older schemas are read as if they were of this one.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.data import FeatureTable, ImageSet
from harmbench.errors import DataError, UsageError
from harmbench.results import MetricValue
from harmbench.run.cache import write_atomically
from harmbench.run.columns import feature_columns, sample_columns, split_columns, stacked, table_digest
from harmbench.run.execute import Outcome
from harmbench.run.ids import Pseudonyms
from harmbench.run.parquet import parquet_bytes, read_parquet
from harmbench.run.provenance import without_paths
from harmbench.run.upgrade import PLAN, RECORD, SCHEMA
from harmbench.splits import Fold
from harmbench.upgrading import upgraded

FIGURES = ("metrics", "features", "paired")
"""Files of a cell besides the tables that evaluators and methods gave."""


def comparable(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What must agree for figures to be compared: not titles, notes, or how they are ranked."""
    kept = {k: v for k, v in plan.items() if k not in ("title", "ranking", "harmbench")}
    kept["data"] = {k: v for k, v in plan.get("data", {}).items() if k not in ("notes", "licence")}
    return kept


class RunFolder:
    """A run folder, open for one process at a time.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def plan(self) -> dict[str, Any]:
        """`plan.json` as the current schema has it."""
        return upgraded(self._json("plan.json"), SCHEMA, PLAN, self.path / "plan.json")

    @property
    def environment(self) -> list[dict[str, Any]]:
        return list(self._json("environment.json"))

    def _json(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"there is no {name}.", file=self.path, remedy="Give the path of a folder that `harmbench run` wrote."
            ) from None
        except json.JSONDecodeError as error:
            raise DataError(f"not valid JSON: {error}.", file=self.path / name, remedy="Run again.") from None

    def open(self, plan: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Create the folder, or go on with one of the same plan; take its lock.

        Raises
        ------
        UsageError
            The folder belongs to another plan, a newer schema, or is in use.
        DataError
            It cannot be written.
        """
        known: list[Mapping[str, Any]] = []
        if (self.path / "plan.json").exists():
            old = self.plan
            different = [k for k, v in comparable(plan).items() if comparable(old).get(k) != v]
            if different:
                raise UsageError(
                    f"{self.path} holds another run (different: {', '.join(different)}). Choose another --out."
                )
            with contextlib.suppress(DataError):
                known = list(self.environment)
        self._write("plan.json", plan)
        self._take_lock()
        self._write("environment.json", [*known, environment])

    def _write(self, name: str, value: Any) -> None:
        write_atomically(self.path / name, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())

    def _take_lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # no advisory locks on this system: two runs in one folder are then the user's care
            return
        self._lock = os.open(self.path / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise UsageError(f"Another run is writing to {self.path}. Wait for it, or choose another --out.") from None

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write_data(self, images: ImageSet, folds: Mapping[int, Sequence[Fold]], hidden: Pseudonyms) -> None:
        """What is known of each sample, and who is held out when, for every repeat; ids hashed."""
        write_atomically(self.path / "samples.parquet", parquet_bytes(hidden.columns(sample_columns(images))))
        write_atomically(self.path / "splits.parquet", parquet_bytes(hidden.columns(split_columns(images, folds))))

    def cell(self, key: str) -> Path:
        return self.path / "cells" / key

    def append(self, outcome: Outcome, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Write a cell's files, then its record; returns the record.

        Parameters
        ----------
        outcome : Outcome
            Its ids are hashed already.
        facts : mapping
            What the plan knows of the cell (method, role, versions, repeat).
        """
        folder = self.cell(outcome.key)
        raw = ""
        if outcome.status == "ok":
            write_atomically(folder / "metrics.parquet", parquet_bytes(_metric_columns(outcome.metrics)))
            write_atomically(folder / "replicates.npz", _replicates(outcome.metrics))
            for name, table in outcome.tables.items():
                write_atomically(folder / f"{name}.parquet", parquet_bytes(table))
            if outcome.scored is not None:
                write_atomically(folder / "features.parquet", parquet_bytes(feature_columns(outcome.scored)))
            if outcome.paired:
                parts = [{"fold": np.full(len(t), f), **feature_columns(t)} for f, t in outcome.paired.items()]
                write_atomically(folder / "paired.parquet", parquet_bytes(stacked(parts)))
            if outcome.raw is not None:
                raw = self._write_raw(outcome.raw)
        if outcome.log:
            write_atomically(folder / "log.txt", without_paths(outcome.log).encode())
        record = {
            "schema": SCHEMA,
            "key": outcome.key,
            **facts,
            "status": outcome.status,
            "error": without_paths(outcome.error),
            "details": without_paths(outcome.details),
            "exception": outcome.exception,
            "stage": outcome.stage,
            "fold": outcome.fold,
            "seconds": round(outcome.seconds, 3),
            "audit": dict(outcome.audit),
            "not_applicable": {where: without_paths(reason) for where, reason in outcome.not_applicable.items()},
            "tables": sorted(outcome.tables),
            "n": 0 if outcome.scored is None else len(outcome.scored),
            "features": 0 if outcome.scored is None else len(outcome.scored.features),
            "raw": raw,
        }
        line = (json.dumps(record, sort_keys=True) + "\n").encode()
        try:
            with (self.path / "records.jsonl").open("a+b") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a kill cut the last line off: it must not swallow this one
                        line = b"\n" + line
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DataError(
                f"cannot be written: {error.strerror or error}.",
                file=self.path / "records.jsonl",
                remedy="Free space there; running again continues.",
            ) from error
        return record

    def _write_raw(self, table: FeatureTable) -> str:
        """Keep features before the feature stages, once for all cells that share them; returns their digest."""
        digest = table_digest(table)
        path = self.path / "raw" / f"{digest}.parquet"
        if not path.exists():
            write_atomically(path, parquet_bytes(feature_columns(table)))
        return digest

    def records(self) -> dict[str, dict[str, Any]]:
        """The last whole record of every cell, by key."""
        found: dict[str, dict[str, Any]] = {}
        for record in self._lines():
            found.pop(record["key"], None)  # so that the order is that of the last time
            found[record["key"]] = record
        return found

    def _lines(self) -> Iterator[dict[str, Any]]:
        path = self.path / "records.jsonl"
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue  # a line cut off by a kill: its cell runs again
            yield upgraded(record, SCHEMA, RECORD, path)

    def metrics(self, key: str) -> tuple[MetricValue, ...]:
        """The metric values of a finished cell, replicates included."""
        columns = read_parquet(self.cell(key) / "metrics.parquet")
        file = self.cell(key) / "replicates.npz"
        try:
            with np.load(file, allow_pickle=False) as stored:
                replicates = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"cannot be read: {error}.", file=file, remedy="Run again.") from None
        values = []
        for i, metric in enumerate(columns["metric"].tolist()):
            p = columns["p_value"][i]
            values.append(
                MetricValue(
                    metric=metric,
                    value=float(columns["value"][i]),
                    scope=columns["scope"][i],
                    scope_value=columns["scope_value"][i],
                    n=int(columns["n"][i]),
                    replicates=replicates.get(f"r{i}"),
                    p_value=None if np.isnan(p) else float(p),
                    note=columns["note"][i],
                )
            )
        return tuple(values)


def _metric_columns(metrics: Sequence[MetricValue]) -> dict[str, list[Any]]:
    return {
        "metric": [m.metric for m in metrics],
        "scope": [m.scope for m in metrics],
        "scope_value": [m.scope_value for m in metrics],
        "value": [float(m.value) for m in metrics],
        "n": [int(m.n) for m in metrics],
        "p_value": [float("nan") if m.p_value is None else float(m.p_value) for m in metrics],
        "note": [m.note for m in metrics],
    }


def _replicates(metrics: Sequence[MetricValue]) -> bytes:
    buffer = io.BytesIO()
    arrays = {f"r{i}": np.asarray(m.replicates) for i, m in enumerate(metrics) if m.replicates is not None}
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
