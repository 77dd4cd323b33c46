"""Ways to change a run folder, a bundle or a board by hand, and to make digests fit again as a cheat would."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from harmbench.leaderboard.bundle_format import SUMS, checksums
from harmbench.run.parquet import parquet_bytes, read_parquet
from harmbench.run.tied import cell_key, sha256

SHARED = ("benchmark", "dataset", "extractor", "evaluators", "splits", "uncertainty", "seed", "code")


def edit(path: Path, change) -> None:
    """Change a JSON file in place; `change` may return another value instead."""
    data = json.loads(path.read_text())
    other = change(data)
    path.write_text(json.dumps(data if other is None else other))


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def write_lines(folder: Path, records: list[dict]) -> None:
    (folder / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def record(folder: Path, method: str, change) -> None:
    """Change the records of a method in place."""
    records = lines(folder)
    for one in records:
        if one["method"] == method:
            change(one)
    write_lines(folder, records)


def key_of(folder: Path, method: str) -> str:
    return next(r["key"] for r in lines(folder) if r["method"] == method)


def cell_of(folder: Path, method: str) -> Path:
    return folder / "cells" / key_of(folder, method)


def columns(path: Path, change) -> None:
    """Change the columns of a table in place; `change` may return others instead."""
    found = {k: v.astype(object) if v.dtype.kind == "U" else v.copy() for k, v in read_parquet(path).items()}
    other = change(found)
    path.write_bytes(parquet_bytes(found if other is None else other))


def swapped(column: str):
    """The first value of a column changes places with the first other one."""

    def change(found) -> None:
        values = found[column]
        j = next(i for i in range(len(values)) if values[i] != values[0])
        values[0], values[j] = values[j], values[0]

    return change


def put(column: str, row: int, value):
    def change(found) -> None:
        found[column][row] = value

    return change


def first_number(found) -> str:
    return next(k for k, v in found.items() if np.asarray(v).dtype.kind == "f")


def forged(folder: Path) -> Path:
    """Keys of cells and digests of files made to fit what is there now; checksums as well where there are some."""
    plan = json.loads((folder / "plan.json").read_text())
    if plan.get("files"):
        plan["files"] = {name: sha256((folder / name).read_bytes()) for name in plan["files"]}
        (folder / "plan.json").write_text(json.dumps(plan))
    records = lines(folder)
    for one in records:
        stages = [
            [{k: s[k] for k in ("name", "version", "params", "code", "requires")}, s["package"]] for s in one["stages"]
        ]
        old, one["key"] = one["key"], cell_key({k: plan[k] for k in SHARED}, stages, one["repeat"])
        if (folder / "cells" / old).is_dir():
            (folder / "cells" / old).rename(folder / "cells" / one["key"])
        one["files"] = {f.name: sha256(f.read_bytes()) for f in sorted((folder / "cells" / one["key"]).glob("*"))}
    write_lines(folder, records)
    if (folder / SUMS).exists():
        (folder / SUMS).write_text(checksums(folder))
    return folder
