"""Checks of a bundle before anything in it is believed: its files, their checksums, and what they tell."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from harmbench.errors import DataError
from harmbench.leaderboard import patients
from harmbench.leaderboard.anonymous import telling, texts_of
from harmbench.leaderboard.bundle_format import (
    BOARD_FILES,
    RESULTS,
    SCHEMA,
    STEPS,
    SUBMISSION,
    SUMS,
    Submission,
    allowed,
    checksums,
    files_of,
    place_of,
)
from harmbench.leaderboard.content import feature_names
from harmbench.leaderboard.files import read_board
from harmbench.leaderboard.validate import Report
from harmbench.leaderboard.vocabulary import Vocabulary
from harmbench.run.columns import COVARIATE
from harmbench.run.ids import HIDDEN_COLUMNS
from harmbench.run.parquet import read_parquet
from harmbench.run.store import RunFolder
from harmbench.run.stored import RunData
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
            report.check("no text of patients", lambda: indiscreet(path)),
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
        return Submission.model_validate(upgraded(data, SCHEMA, STEPS, file))
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
    names = files_of(path)
    strange = [f"{name} has no place in a bundle" for name in names if not allowed(name, records)]
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
                texts = texts_of(_without_draws(json.loads(text)))
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


def _without_draws(value: Any) -> Any:
    """A board without its replicates: numbers in base64, which may begin like a path."""
    if isinstance(value, dict) and isinstance(value.get("rows"), list):
        rows = [{k: v for k, v in row.items() if k != "draws"} for row in value["rows"] if isinstance(row, dict)]
        return {**value, "rows": rows}
    return value


def indiscreet(path: Path) -> list[str]:
    """What `harmbench submit` would have left out and is there: the key of the ids; of patients, any free text."""
    folder = RunFolder(path)
    data = RunData(folder)
    plan, records = data.plan, folder.records()
    found = ["plan.json: id_key tells with what ids were hashed"] if plan["id_key"] else []
    if plan["data"]["synthetic"]:
        return found
    found += _changed(
        "plan.json",
        plan,
        patients.plan_of(plan, patients.known_notes(data), patients.loose_plugins(folder.environment)),
    )
    for record in records.values():
        told = patients.record_of(record, plan)
        found += _changed(f"records.jsonl, cell {record['key']}", record, {**told, "details": ""})
    for i, entry in enumerate(folder.environment):
        told = patients.environment_of({**entry, "command": []})
        found += _changed(f"environment.json[{i}]", {"facts": {}, **entry}, told)
    names = read_submission(path).covariate_names
    vocabulary = Vocabulary.of(plan, feature_names(folder), names)
    for name in files_of(path):
        if name.endswith(".parquet"):
            columns = read_parquet(path / name)
            kept, left_out = vocabulary.told(Path(name).stem, columns)
            changed = [
                n for n, c in kept.items() if list(c) != columns[n].tolist() and columns[n].dtype.kind not in "fiub"
            ]
            found += [f"{name}: the column '{n}' holds texts that may be of patients" for n in (*left_out, *changed)]
        elif name.endswith(".npz"):
            with np.load(path / name, allow_pickle=False) as stored:
                odd = [n for n in stored.files if not re.fullmatch(r"r\d+", n) or stored[n].dtype.kind != "f"]
            found += [f"{name} holds other things than replicates"] if odd else []
    if (path / BOARD_FILES[2]).exists():
        found += _board(path, records)
    return found


def _changed(where: str, given: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    return [
        f"{where}: {name} holds more than a bundle of patients may tell"
        for name in told
        if given.get(name) != told[name]
    ]


def _board(path: Path, records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where the board says more of a failure, of pretraining or of the data than the records and the plan do."""
    board = read_board(path)
    plan, environment = RunFolder(path).plan, RunFolder(path).environment
    known = set(texts_of([*records.values(), plan["data"], plan["code"], environment]))
    found = []
    for row in board.rows:
        said = [row.method, row.not_applicable, row.pretraining, row.stages]
        said += [row.reason, row.apart_reason] if row.apart == "not run" else []
        found += [row.method] if set(texts_of(said)) - known else []
    told = [*(["its data"] if set(texts_of(board.data)) - known else []), *(f"its row of '{m}'" for m in found)]
    told += ["its environment"] if any(set(texts_of([run.environment, run.code])) - known for run in board.runs) else []
    return [f"{BOARD_FILES[2]}: {what} holds texts that are not those of the records" for what in told]
