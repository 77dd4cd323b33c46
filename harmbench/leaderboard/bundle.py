"""A run as it is handed in for `leaderboard/results`: whole, anonymous, checked, and the same bytes every time."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmbench import __version__
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard import render
from harmbench.leaderboard.anonymous import (
    Names,
    environment_of,
    json_bytes,
    own_names,
    record_of,
    samples_table,
)
from harmbench.leaderboard.bundle_format import CHECKLIST, SUBMISSION, SUMS, Submission, checksums, place_of
from harmbench.leaderboard.bundle_texts import asked, checklist_of, size_of
from harmbench.leaderboard.check_bundle import untold
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.validate import validate
from harmbench.plugins import Registry
from harmbench.run.cache import write_atomically
from harmbench.run.metric_files import REPLICATES
from harmbench.run.parquet import parquet_bytes, read_parquet
from harmbench.run.store import RunFolder
from harmbench.run.stored import RunData
from harmbench.run.tied import sha256


@dataclass
class Bundle:
    """What was made: the folder, where it goes, its size in bytes, and what the maintainers will ask about."""

    folder: Path
    place: str
    size: int
    warnings: list[str] = field(default_factory=list)


def make_bundle(
    run: Path, out: Path, *, licence: str, contact: str, registry: Registry, n_jobs: int = 1
) -> Bundle:  # fmt: skip
    """Make a bundle of a run folder.

    The same run, licence and contact give the same bytes (with one version of pyarrow).

    Parameters
    ----------
    run : Path
    out : Path
        A folder that is not there yet, or empty.
    licence, contact : str
        Under which the figures may be published, and who answers questions; both are published.
    registry : Registry
        Where evaluators come from: every figure is rebuilt from the bundle itself before it is handed out.
    n_jobs : int
        Threads that an evaluator may use.

    Raises
    ------
    UsageError
        `out` is in use, or licence or contact are empty, or the run cannot be rebuilt (schema 1).
    DataError
        The run is not sound, or something in it tells who or where; names each place.
    """
    for name, value in (("--licence", licence), ("--contact", contact)):
        if not value.strip():
            raise UsageError(f"{name} must say something; it is published with the bundle.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and not empty. Choose another --out.")
    folder = RunFolder(run)
    if not folder.plan["rebuildable"]:
        raise UsageError(f"{run} is of schema 1 and cannot be rebuilt by others. Run again with this harmbench.")
    report = validate(run, registry, rebuild=False)
    if not report.sound:
        problems = "; ".join(report.problems)
        raise DataError(
            f"it cannot be handed in: {problems}.", file=run, remedy="Mend that, or run again with all controls."
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=out.parent) as name:
        work = Path(name) / "bundle"
        submission = _fill(work, RunData(folder), licence, contact)
        board = build([work], registry=registry, n_jobs=n_jobs)
        last = max(record["finished"] for record in folder.records().values())
        render.write(board.model_copy(update={"built": last}), work)
        size, warnings = size_of(work), asked(work, report.warnings)
        write_atomically(work / CHECKLIST, checklist_of(work, submission, board, report.warnings).encode())
        if told := untold(work, own_names()):
            raise DataError(
                f"something in it tells who or where: {'; '.join(told)}.",
                file=run,
                remedy="Choose other names for data, methods or plugins, and run again.",
            )
        write_atomically(work / SUMS, checksums(work).encode())
        if out.exists():
            out.rmdir()
        shutil.move(work, out)
    return Bundle(out, submission.place, size, warnings)


def _fill(work: Path, data: RunData, licence: str, contact: str) -> Submission:
    """Write everything but the board, the checklist and the checksums."""
    folder, plan, names = data.folder, data.plan, Names.of(data)
    records = folder.records()
    synthetic = bool(plan["data"]["synthetic"])
    submission = Submission(
        harmbench=__version__,
        licence=licence.strip(),
        contact=contact.strip(),
        place=place_of(plan, list(records)),
        covariates=synthetic,
    )
    raws: dict[str, str] = {}

    def raw(digest: str) -> str:
        if digest not in raws:
            path = folder.path / "raw" / f"{digest}.parquet"
            raws[digest] = names.digest(data.raw(digest))
            content = parquet_bytes(names.columns(read_parquet(path), path))
            write_atomically(work / "raw" / f"{raws[digest]}.parquet", content)
        return raws[digest]

    for name, columns in (("samples", samples_table(data.samples, synthetic)), ("splits", data.splits)):
        write_atomically(work / f"{name}.parquet", parquet_bytes(names.columns(columns, folder.path / name)))
    lines = []
    for key, record in sorted(records.items()):
        if record["status"] == "ok":
            _fill_cell(work / "cells" / key, folder.cell(key), names)
        line = record_of(record, raw)
        lines.append({**line, "files": _tied(record["files"], work / "cells" / key)})
    write_atomically(work / "records.jsonl", b"".join(_line(line) for line in lines))
    write_atomically(work / SUBMISSION, json_bytes(submission.model_dump(by_alias=True)))
    write_atomically(work / "plan.json", json_bytes({**plan, "files": _tied(plan["files"], work, plan["files"] or ())}))
    write_atomically(work / "environment.json", json_bytes(environment_of(folder.environment)))
    return submission


def _fill_cell(target: Path, source: Path, names: Names) -> None:
    for file in sorted(source.iterdir()):
        if file.suffix == ".parquet":
            write_atomically(target / file.name, parquet_bytes(names.columns(read_parquet(file), file)))
        elif file.name == REPLICATES:
            write_atomically(target / file.name, file.read_bytes())


def _tied(said: Mapping[str, str] | None, folder: Path, only: Iterable[str] | None = None) -> dict[str, str] | None:
    """Digests of files as the bundle has them; none where the run had none, for it cannot be known what they were."""
    if said is None:
        return None
    found = sorted(folder.iterdir()) if only is None and folder.is_dir() else [folder / name for name in only or ()]
    return {file.name: sha256(file.read_bytes()) for file in found}


def _line(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n").encode()
