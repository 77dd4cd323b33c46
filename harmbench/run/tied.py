"""What ties the files of a run folder together: digests, keys, and names that follow from what is written elsewhere.

None of it keeps somebody from inventing a whole folder. It finds files that were changed, mixed up or lost.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harmbench.run.keys import digest

STATE = ("name", "version", "params", "code")
"""What says which state of a method a stage is."""
_IDENTITY = ("benchmark", "dataset", "extractor", "evaluators", "splits", "uncertainty", "seed", "code")
_BRACKETS = re.compile(r"\[[^\[\]]*\]")


def sha256(content: bytes) -> str:
    """The digest that records and plans name files with."""
    return hashlib.sha256(content).hexdigest()


def changed_files(folder: Path, said: Mapping[str, str] | None) -> list[str]:
    """Which of the files that are said to be in a folder are missing or other ones; None: nothing is said."""
    found = []
    for name, value in (said or {}).items():
        file = folder / name
        if not file.is_file():
            found.append(f"{name} is missing")
        elif sha256(file.read_bytes()) != value:
            found.append(f"{name} was changed")
    return found


def unaccounted(folder: Path, records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Cells, their files and raw tables that no record names."""
    by_key = {record["key"]: record for record in records}
    raws = {f"{record['raw']}.parquet" for record in by_key.values() if record["raw"]}
    found = [
        f"raw/{file.name}" for file in sorted(folder.glob("raw/*")) if file.name not in raws
    ]  # fmt: skip
    for cell in sorted(folder.glob("cells/*")):
        if cell.name not in by_key:
            found.append(f"cells/{cell.name}")
        elif (said := by_key[cell.name]["files"]) is not None:
            found += [f"cells/{cell.name}/{f.name}" for f in sorted(cell.iterdir()) if f.name not in said]
    return found


def cell_key(shared: Mapping[str, Any], stages: list[Any], repeat: int) -> str:
    """The key of a cell.

    Parameters
    ----------
    shared : mapping
        What all cells of a run share (`Plan.identity`).
    stages : list of (stage, packages)
        `Component.key` of each stage, and the digests of the package that it lives in.
    repeat : int
    """
    return digest({"run": dict(shared), "method": stages, "repeat": repeat}, 16)


def wrong_facts(record: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    """What a record says that does not follow from its plan and its own key."""
    found = []
    if record["seed"] != plan["seed"]:
        found.append(f"its seed is {record['seed']}, and that of plan.json {plan['seed']}")
    if not 0 <= record["repeat"] < plan["splits"]["repeats"]:
        found.append(f"its repeat is {record['repeat']}, and plan.json has {plan['splits']['repeats']} from 0 on")
    if stage_names(record["method"]) != (names := [stage["name"] for stage in record["stages"]]):
        found.append(f"its stages are {', '.join(names)}, which is not '{record['method']}'")
    if worked_out_key(record, plan) not in (None, record["key"]):
        found.append("its key is not that of the plan, stages and repeat it is recorded with")
    return found


def worked_out_key(record: Mapping[str, Any], plan: Mapping[str, Any]) -> str | None:
    """The key that follows from a record and its plan; None where they do not say all that it takes."""
    if any(stage["package"] is None or stage["requires"] is None for stage in record["stages"]):
        return None
    stages = [[{k: s[k] for k in (*STATE, "requires")}, s["package"]] for s in record["stages"]]
    return cell_key({k: plan[k] for k in _IDENTITY}, stages, record["repeat"])


def stage_names(method: str) -> list[str]:
    """The names of a method's stages: its expression without parameters (which may hold brackets themselves)."""
    while (shorter := _BRACKETS.sub("", method)) != method:
        method = shorter
    return [part.strip() for part in method.split("+")]
