"""A run folder's files as a stranger may have them: numbered ids, no paths, no names of users or machines."""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.data import FeatureTable
from harmbench.errors import DataError
from harmbench.run.columns import COVARIATE, table_digest
from harmbench.run.ids import HIDDEN_COLUMNS, ranked
from harmbench.run.stored import Columns, RunData

_HASHED = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_PATH = re.compile(r"(?:^|[\s\"'=:(\[])(~?/(?:[\w.+-]+/)+[\w.+-]*|[A-Za-z]:[\\/][^\s\"']+|\\\\[^\s\"']+)")
COMMON = frozenset({"root", "user", "users", "runner", "home", "admin", "ubuntu", "localhost", "test", "harmbench"})
"""Names that say nothing, and that are words besides."""


@dataclass(frozen=True)
class Names:
    """Numbers in place of ids, in the order of the ids, so that the same resamples are drawn from them.

    Rows stand in their order too. Runs have them so since schema 3; before, they stood in that of somebody's list.
    """

    sample: Mapping[str, str]
    patient: Mapping[str, str]
    pair: Mapping[str, str]
    sorts: bool

    @classmethod
    def of(cls, data: RunData) -> Names:
        """Those of a run."""
        columns = data.samples
        pairs = ranked([p for p in columns["pair"].tolist() if p], "o")
        samples, patients = (ranked(columns[name].tolist(), name[0]) for name in ("sample", "patient"))
        return cls(samples, patients, {"": "", **pairs}, sorts=data.plan["data"]["ids"] != "key")

    def columns(self, columns: Mapping[str, Any], where: Path) -> dict[str, Any]:
        """A table with its ids replaced.

        Raises
        ------
        DataError
            An id that is not in `samples.parquet`.
        """
        result = dict(columns)
        for name in HIDDEN_COLUMNS:
            if name in columns:
                known: Mapping[str, str] = getattr(self, name)
                try:
                    result[name] = [known[str(value)] for value in columns[name].tolist()]
                except KeyError as error:
                    raise DataError(f"{error} is not in samples.parquet.", file=where, column=name) from None
        if self.sorts and "sample" in result:
            order = np.argsort(np.array(result["sample"], dtype=str), kind="stable")
            result = {name: np.asarray(column)[order] for name, column in result.items()}
        return result

    def text(self, text: str) -> str:
        """A text with its hashed ids replaced."""
        known = {**self.pair, **self.patient, **self.sample}
        return _HASHED.sub(lambda match: known.get(match.group(), match.group()), text)

    def digest(self, table: FeatureTable) -> str:
        """The digest of a raw table under its new ids."""
        renamed = replace(table, samples=np.array([self.sample[name] for name in table.samples.tolist()], dtype=str))
        order = np.argsort(renamed.samples, kind="stable")
        return table_digest(renamed.rows(order) if self.sorts else renamed)


def samples_table(columns: Columns, covariates: bool) -> dict[str, Any]:
    """`samples.parquet` without what is known of each patient, unless the data are simulated."""
    return {name: column for name, column in columns.items() if covariates or not name.startswith(COVARIATE)}


def plan_of(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan without the key that ids were hashed with: whoever has it and a list of ids could tell who is who."""
    return {**plan, "id_key": ""}


def record_of(record: Mapping[str, Any], names: Names, raw: Callable[[str], str]) -> dict[str, Any]:
    """A record without traceback, its hashed ids numbered."""
    return {
        **record,
        "details": "",
        "error": names.text(record["error"]),
        "not_applicable": {where: names.text(reason) for where, reason in record["not_applicable"].items()},
        "pretraining": [{**p, "problem": names.text(p["problem"])} for p in record["pretraining"]],
        "raw": raw(record["raw"]) if record["raw"] else "",
    }


def environment_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of `environment.json` without the command, which names files; what it set is in `plan.json`."""
    return {**entry, "command": []}


def own_names() -> tuple[str, ...]:
    """Names of this user and this machine that must not be published; words that say nothing are left out."""
    found = {Path.home().name}
    for ask in (getpass.getuser, socket.gethostname):
        try:
            found.add(ask())
        except (OSError, KeyError):  # no such entry in this system
            continue
    found |= {name.partition(".")[0] for name in found}
    return tuple(sorted(name for name in found if len(name) > 2 and name.lower() not in COMMON))


def telling(text: str, names: Iterable[str] = ()) -> list[str]:
    """What in a text tells who or where: absolute paths, and the names given."""
    found = [match.group(1) for match in _PATH.finditer(text)]
    found += [name for name in names if re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", text, re.IGNORECASE)]
    return list(dict.fromkeys(found))


def texts_of(value: Any) -> list[str]:
    """All texts in a JSON value, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for k, v in value.items() for text in (*texts_of(k), *texts_of(v))]
    return [text for v in value for text in texts_of(v)] if isinstance(value, list | tuple) else []


def json_bytes(value: Any) -> bytes:
    """JSON as files of a bundle have it."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
