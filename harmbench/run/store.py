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
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from harmbench.data import FeatureTable, ImageSet
from harmbench.errors import DataError, UsageError
from harmbench.results import MetricValue
from harmbench.run import documents
from harmbench.run.cache import write_atomically
from harmbench.run.columns import feature_columns, sample_columns, split_columns, stacked, table_digest
from harmbench.run.execute import Outcome
from harmbench.run.ids import Pseudonyms
from harmbench.run.metric_files import METRICS, REPLICATES, metric_columns, read_metrics, replicate_bytes
from harmbench.run.parquet import parquet_bytes
from harmbench.run.provenance import without_paths
from harmbench.run.tied import sha256
from harmbench.run.upgrade import ENVIRONMENT, PLAN, REBUILDABLE, RECORD, SCHEMA, UNNUMBERED
from harmbench.splits import Fold
from harmbench.upgrading import upgraded

AGAIN = "The folder was changed or is not whole: copy it again, or run again."
FIGURES = ("metrics", "features", "paired")
"""Files of a cell besides the tables that evaluators and methods gave."""


def comparable(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What must agree for figures to be compared: not titles, notes, or how they are ranked."""
    kept = {k: v for k, v in plan.items() if k not in ("title", "ranking", "harmbench", "files")}
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
        """`plan.json` as the current schema has it.

        Whether figures can be rebuilt follows from the number of the schema that was read: a folder that only says
        otherwise would not be looked at.
        """
        document, path = self._json("plan.json"), self.path / "plan.json"
        plan = _modelled(documents.Plan, upgraded(document, SCHEMA, PLAN, path), path)
        rebuildable = document["schema"] >= REBUILDABLE
        if document.get("rebuildable", rebuildable) is not rebuildable:
            raise DataError(
                f"it says rebuildable {document['rebuildable']!r}, and a folder of schema {document['schema']} "
                f"{'is' if rebuildable else 'is not'}.",
                file=path,
                remedy="The folder was changed: copy it again, or run again.",
            )
        return {**plan, "rebuildable": rebuildable}

    @property
    def environment(self) -> list[dict[str, Any]]:
        """The entries of `environment.json` as the current schema has them."""
        entries, path = self._json("environment.json"), self.path / "environment.json"
        if not isinstance(entries, list) or not entries:
            problem = "it must be a list with an entry for each call of `harmbench run`."
            raise DataError(problem, file=path, remedy=AGAIN)
        found = []
        for i, entry in enumerate(entries):
            numbered = {"schema": UNNUMBERED, **entry} if isinstance(entry, dict) else entry
            newest = upgraded(numbered, SCHEMA, ENVIRONMENT, f"{path}[{i}]")
            found.append(_modelled(documents.Environment, newest, f"{path}[{i}]"))
        return found

    def _json(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise DataError(
                f"there is no {name}.", file=self.path, remedy="Give the path of a folder that `harmbench run` wrote."
            ) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise DataError(f"not valid JSON: {error}.", file=self.path / name, remedy=AGAIN) from None
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}.", file=self.path / name, remedy=AGAIN) from None

    def open(self, plan: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Create the folder, or go on with one of the same plan; take its lock.

        Raises
        ------
        UsageError
            The folder belongs to another plan, a newer schema, or is in use.
        DataError
            It cannot be written.
        """
        known: list[dict[str, Any]] = []
        if (self.path / "plan.json").exists():
            old = self.plan
            different = [k for k, v in comparable(plan).items() if comparable(old).get(k) != v]
            if different:
                raise UsageError(
                    f"{self.path} holds another run (different: {', '.join(different)}). Choose another --out."
                )
            with contextlib.suppress(DataError):
                known = self.environment
        self._write("plan.json", plan)
        self._take_lock()
        self._write("environment.json", [*known, {"schema": SCHEMA, **environment}])

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

    def write_data(self, files: Mapping[str, bytes]) -> None:
        """Write what `data_files` gave."""
        for name, content in files.items():
            write_atomically(self.path / name, content)

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
        raw = self._write_raw(outcome.raw) if outcome.status == "ok" and outcome.raw is not None else ""
        files = self._write_cell(outcome)
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
            "files": files,
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

    def _write_cell(self, outcome: Outcome) -> dict[str, str]:
        """Write a cell's files, take away what an earlier try left of others; returns their digests."""
        folder = self.cell(outcome.key)
        files: dict[str, str] = {}

        def keep(name: str, content: bytes) -> None:
            write_atomically(folder / name, content)
            files[name] = sha256(content)

        if outcome.status == "ok":
            keep(METRICS, parquet_bytes(metric_columns(outcome.metrics)))
            keep(REPLICATES, replicate_bytes(outcome.metrics))
            for name, table in outcome.tables.items():
                keep(f"{name}.parquet", parquet_bytes(table))
            if outcome.scored is not None:
                keep("features.parquet", parquet_bytes(feature_columns(outcome.scored)))
            if outcome.paired:
                parts = [{"fold": np.full(len(t), f), **feature_columns(t)} for f, t in outcome.paired.items()]
                keep("paired.parquet", parquet_bytes(stacked(parts)))
        if outcome.log:
            keep("log.txt", without_paths(outcome.log).encode())
        for file in folder.glob("*"):
            if file.name not in files:
                file.unlink()
        return files

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
        for _, record in self._lines():
            if record is not None:  # else cut off by a kill: its cell runs again
                found.pop(record["key"], None)  # so that the order is that of the last time
                found[record["key"]] = record
        return found

    def cut_off(self) -> list[int]:
        """Lines of `records.jsonl` that are not whole."""
        return [row for row, record in self._lines() if record is None]

    def _lines(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        path = self.path / "records.jsonl"
        if not path.exists():
            return
        own = self._json("plan.json")
        number = own.get("schema") if isinstance(own, dict) else None
        for row, line in enumerate(path.read_bytes().splitlines(), start=1):
            try:
                record = json.loads(line.decode())
            except json.JSONDecodeError:
                yield row, None
                continue
            except UnicodeDecodeError as error:
                raise DataError(f"not text: {error}.", file=path, row=row, remedy=AGAIN) from None
            try:
                newest = upgraded(record, SCHEMA, RECORD, path)
            except DataError as error:
                raise DataError(error.problem, file=path, row=row, remedy=AGAIN) from None
            if record["schema"] != number:
                problem = f"it is of schema {record['schema']}, and plan.json of {number!r}."
                raise DataError(problem, file=path, row=row, remedy=AGAIN)
            yield row, _modelled(documents.Record, newest, path, row)

    def metrics(self, key: str) -> tuple[MetricValue, ...]:
        """The metric values of a finished cell, replicates included."""
        return read_metrics(self.cell(key), AGAIN)


def _modelled(model: type[BaseModel], value: dict[str, Any], file: object, row: int | None = None) -> dict[str, Any]:
    """The value, if it is what its model says.

    Raises
    ------
    DataError
        It is not; names the file, the line and the field.
    """
    try:
        model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        first, *more = error.errors()
        where = ".".join(str(part) for part in first["loc"])
        rest = f" (and {len(more)} more)" if more else ""
        raise DataError(f"{where}: {first['msg']}{rest}.", file=file, row=row, remedy=AGAIN) from None
    return value


def data_files(images: ImageSet, folds: Mapping[int, Sequence[Fold]], hidden: Pseudonyms) -> dict[str, bytes]:
    """What is known of each sample, and who is held out when, for every repeat; ids hashed."""
    return {
        "samples.parquet": parquet_bytes(hidden.columns(sample_columns(images))),
        "splits.parquet": parquet_bytes(hidden.columns(split_columns(images, folds))),
    }
