"""A run as it is handed in for `leaderboard/results`: whole, anonymous, checked, and the same bytes every time."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmbench import __version__
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard import render
from harmbench.leaderboard.anonymous import Names, json_bytes, own_names, record_of, samples_table
from harmbench.leaderboard.bundle_format import CHECKLIST, SUBMISSION, SUMS, Submission, checklist, checksums, place_of
from harmbench.leaderboard.check_bundle import indiscreet, untold
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.content import Content
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.validate import validate
from harmbench.plugins import Registry
from harmbench.run.cache import write_atomically
from harmbench.run.parquet import parquet_bytes, read_parquet
from harmbench.run.store import FIGURES, RunFolder
from harmbench.run.stored import RunData

LARGE = 50 * 2**20
OLD_KEY = (
    "the run is of schema 2: its folds were dealt by the order of the ids, and those of several repeats may tell "
    "somebody who has the list of ids who is who; run again with this harmbench"
)


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
        raise DataError(f"it cannot be handed in: {problems}.", file=run, remedy="Run again with all controls.")
    warnings = [text for text in report.warnings if "--trust-stored" not in text]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=out.parent) as name:
        work = Path(name) / "bundle"
        submission = _fill(work, RunData(folder), licence, contact)
        board = build([work], registry=registry, n_jobs=n_jobs)
        last = max(record["finished"] for record in folder.records().values())
        render.write(board.model_copy(update={"built": last}), work)
        data = board.data
        counts = f"{data['images']} images of {data['patients']} patients, {len(board.rows)} methods and controls"
        size = sum(p.stat().st_size for p in work.rglob("*") if p.is_file())
        if size > LARGE:
            warnings.append(f"the bundle has {size / 2**20:.0f} MB; say why it has to be that large")
        if data["ids"] != "key" and not board.synthetic:
            warnings.append(OLD_KEY)
        names = published(board, submission)
        write_atomically(work / CHECKLIST, checklist(submission, counts, names, warnings).encode())
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


def published(board: Board, submission: Submission) -> str:
    """Names from the data that a bundle holds, in words."""
    parts = {"manufacturers": list(board.data["counts"]), "classes": list(board.data["classes"])}
    parts |= {"covariates": submission.covariate_names}
    return "; ".join(f"{what} {', '.join(names)}" for what, names in parts.items() if names)


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
    lines = []
    for key, record in sorted(records.items()):
        target, written = work / "cells" / key, []
        for table, columns in content.tables(folder.cell(key), record):
            path = folder.cell(key) / f"{table}.parquet"
            write_atomically(target / path.name, parquet_bytes(names.columns(columns, path)))
            written += [] if table in FIGURES else [table]
        if record["status"] == "ok":
            write_atomically(target / "replicates.npz", (folder.cell(key) / "replicates.npz").read_bytes())
        lines.append(_line(content.record({**record_of(record, names, raw), "tables": written})))
    plan, environment = content.plan(), content.environment()
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
    write_atomically(work / "plan.json", json_bytes(plan))
    write_atomically(work / "environment.json", json_bytes(environment))
    return submission


def _line(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n").encode()
