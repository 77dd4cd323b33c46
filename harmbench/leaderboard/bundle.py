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
from harmbench.leaderboard.anonymous import Names, json_bytes, own_names, record_of, samples_table
from harmbench.leaderboard.bundle_format import CHECKLIST, SUBMISSION, SUMS, Submission, checksums, place_of
from harmbench.leaderboard.bundle_texts import asked, checklist_of, size_of
from harmbench.leaderboard.check_bundle import indiscreet, untold
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.content import Content
from harmbench.leaderboard.validate import validate
from harmbench.plugins import Registry
from harmbench.run.cache import write_atomically
from harmbench.run.metric_files import REPLICATES
from harmbench.run.parquet import parquet_bytes, read_parquet
from harmbench.run.store import FIGURES, RunFolder
from harmbench.run.stored import RunData
from harmbench.run.tied import sha256, worked_out_key


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
        size, warnings = size_of(work), asked(work, board, report.warnings)
        write_atomically(work / CHECKLIST, checklist_of(work, submission, board, report.warnings).encode())
        if told := indiscreet(work) + untold(work, own_names()):
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
    folder, names, content = data.folder, Names.of(data), Content.of(data)
    records = folder.records()
    raws: dict[str, str] = {}

    def raw(digest: str) -> str:
        if digest not in raws:
            path = folder.path / "raw" / f"{digest}.parquet"
            raws[digest] = names.digest(data.raw(digest))
            columns = content.figures("raw", names.columns(read_parquet(path), path), path)
            write_atomically(work / "raw" / f"{raws[digest]}.parquet", parquet_bytes(columns))
        return raws[digest]

    for name, columns in (("samples", samples_table(data.samples, content.synthetic)), ("splits", data.splits)):
        told = content.figures(name, names.columns(columns, folder.path / name), folder.path / f"{name}.parquet")
        write_atomically(work / f"{name}.parquet", parquet_bytes(told))
    plan, lines = content.plan(), []
    for key, record in sorted(records.items()):
        target, written = work / "cells" / key, []
        for table, columns in content.tables(folder.cell(key), record):
            path = folder.cell(key) / f"{table}.parquet"
            write_atomically(target / path.name, parquet_bytes(names.columns(columns, path)))
            written += [] if table in FIGURES else [table]
        if record["status"] == "ok":
            write_atomically(target / REPLICATES, (folder.cell(key) / REPLICATES).read_bytes())
        line = content.record({**record_of(record, names, raw), "tables": written})
        lines.append(_line(_keyless({**line, "files": _tied(record["files"], target)}, plan)))
    environment = content.environment()
    submission = Submission(
        harmbench=__version__,
        licence=licence.strip(),
        contact=contact.strip(),
        place=place_of(plan, list(records)),
        covariates=content.synthetic,
        covariate_names=content.covariates,
        left_out=content.left_out(),
    )
    write_atomically(work / "records.jsonl", b"".join(lines))
    write_atomically(work / SUBMISSION, json_bytes(submission.model_dump(by_alias=True)))
    write_atomically(work / "plan.json", json_bytes({**plan, "files": _tied(plan["files"], work, plan["files"] or ())}))
    write_atomically(work / "environment.json", json_bytes(environment))
    return submission


def _keyless(record: dict[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """A record whose key cannot be worked out any more, where names were left out of what it was worked out from."""
    if worked_out_key(record, plan) in (None, record["key"]):
        return record
    return {**record, "stages": [{**stage, "package": None} for stage in record["stages"]]}


def _tied(said: Mapping[str, str] | None, folder: Path, only: Iterable[str] | None = None) -> dict[str, str] | None:
    """Digests of files as the bundle has them; none where the run had none, for it cannot be known what they were."""
    if said is None:
        return None
    found = sorted(folder.iterdir()) if only is None and folder.is_dir() else [folder / name for name in only or ()]
    return {file.name: sha256(file.read_bytes()) for file in found}


def _line(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n").encode()
