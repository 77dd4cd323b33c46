"""Checks of a bundle before anything in it is believed: its files, their checksums, and what they tell."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import ValidationError

from harmbench.errors import DataError
from harmbench.leaderboard.anonymous import telling, texts_of
from harmbench.leaderboard.bundle_format import (
    RESULTS,
    SCHEMA,
    SUBMISSION,
    SUMS,
    Submission,
    allowed,
    checksums,
    files_of,
    place_of,
)
from harmbench.leaderboard.validate import Report
from harmbench.run.columns import COVARIATE
from harmbench.run.ids import HIDDEN_COLUMNS
from harmbench.run.parquet import read_parquet
from harmbench.run.store import RunFolder
from harmbench.upgrading import upgraded

_NUMBERED = re.compile(r"[spo]\d+|")
TEXTS = (".json", ".jsonl", ".md", ".csv")


def check_bundle(report: Report, path: Path) -> bool:
    """Files and checksums, submission, anonymity. Returns whether all is well."""
    return all(
        [
            report.check("checksums", lambda: _sums(path)),
            report.check("files", lambda: _files(path)),
            report.check("submission", lambda: _submission(path)),
            report.check("anonymous", lambda: untold(path)),
        ]
    )


def read_submission(path: Path) -> Submission:
    """`submission.json` of a bundle.

    Raises
    ------
    DataError
        It is missing or wrong.
    """
    file = path / SUBMISSION
    remedy = "Make the bundle with `harmbench submit`."
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return Submission.model_validate(upgraded(data, SCHEMA, {}, file))
    except FileNotFoundError:
        raise DataError("there is no such file.", file=file, remedy=remedy) from None
    except json.JSONDecodeError as error:
        raise DataError(f"not valid JSON: {error}.", file=file, remedy=remedy) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise DataError(f"{where}: {first['msg']}.", file=file, remedy=remedy) from None


def _sums(path: Path) -> list[str]:
    if not (path / SUMS).is_file():
        return [f"there is no {SUMS}"]
    said, found = _by_file((path / SUMS).read_text(encoding="utf-8")), _by_file(checksums(path))
    return [
        *(f"{name} is missing" for name in sorted(said.keys() - found.keys())),
        *(f"{name} is not listed in {SUMS}" for name in sorted(found.keys() - said.keys())),
        *(f"{name} was changed" for name in sorted(said.keys() & found.keys()) if said[name] != found[name]),
    ]


def _by_file(text: str) -> dict[str, str]:
    lines = (line.partition("  ") for line in text.splitlines())
    return {name: digest for digest, _, name in lines}


def _files(path: Path) -> list[str]:
    records = RunFolder(path).records()
    raws = {record["raw"] for record in records.values()}
    names = files_of(path)
    strange = [f"{name} has no place in a bundle" for name in names if not allowed(name, set(records), raws)]
    return strange + [f"{name} is a link" for name in names if (path / name).is_symlink()]


def _submission(path: Path) -> list[str]:
    submission = read_submission(path)
    folder = RunFolder(path)
    place = place_of(folder.plan, list(folder.records()))
    found = []
    if submission.place != place:
        found.append(f"it says that its place is {submission.place}, and it is {place}")
    here = path.resolve().as_posix()
    if f"/{RESULTS}/" in here and not here.endswith(f"/{place}"):
        found.append(f"it belongs into {place}")
    for name in ("licence", "contact"):
        if not getattr(submission, name).strip():
            found.append(f"no {name} is given")
    if not folder.plan["rebuildable"]:
        found.append("the run does not hold what its figures can be rebuilt from")
    covariates = [c for c in read_parquet(path / "samples.parquet") if c.startswith(COVARIATE)]
    if covariates and not folder.plan["data"]["synthetic"]:
        found.append(f"samples.parquet tells of real patients: {', '.join(covariates)}")
    return found


def untold(path: Path, names: tuple[str, ...] = ()) -> list[str]:
    """Where a bundle tells who or where: ids that are not numbers, absolute paths, and the names given."""
    found = []
    for name in files_of(path):
        if name in (SUBMISSION, SUMS):
            continue
        texts: list[str] = []
        if name.endswith(TEXTS):
            text = (path / name).read_text(encoding="utf-8")
            texts = [text]
            if name.endswith(".json"):
                texts = texts_of(json.loads(text))
            elif name.endswith(".jsonl"):
                texts = [part for line in text.splitlines() for part in texts_of(json.loads(line))]
        elif name.endswith(".parquet"):
            columns = read_parquet(path / name)
            for column, values in columns.items():
                if values.dtype.kind not in "fiub":
                    texts += sorted({str(value) for value in values.tolist()})
                if column in HIDDEN_COLUMNS and any(not _NUMBERED.fullmatch(str(v)) for v in set(values.tolist())):
                    found.append(f"{name}: the column '{column}' holds ids, and should hold numbers such as s001")
            texts += list(columns)
        told = list(dict.fromkeys(part for text in texts for part in telling(text, names)))
        found += [f"{name}: {part!r}" for part in told[:3]]
    return found
