"""What a submitted bundle is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from harmbench.leaderboard.collect import belonging
from harmbench.leaderboard.vocabulary import accounted
from harmbench.run.keys import digest
from harmbench.upgrading import Document, Step

SCHEMA = 2
"""2: says what was left out, and which covariates its tables name."""
SUBMISSION, SUMS, CHECKLIST = "submission.json", "SHA256SUMS", "CHECKLIST.md"
RESULTS = "leaderboard/results"
BOARD_FILES = ("leaderboard.md", "leaderboard.csv", "leaderboard.json")
ROOT_FILES = (
    "plan.json", "environment.json", "records.jsonl", "samples.parquet", "splits.parquet", SUBMISSION, CHECKLIST,
    *BOARD_FILES,
)  # fmt: skip


class Submission(BaseModel):
    """`submission.json`: who hands it in, and what a reader may do with it."""

    model_config = ConfigDict(extra="forbid")
    schema_: int = Field(SCHEMA, alias="schema")
    harmbench: str
    licence: str
    contact: str
    place: str = Field(description="where the bundle goes in the repository")
    covariates: bool = Field(description="whether samples.parquet holds covariates (simulated data only)")
    covariate_names: list[str] = Field(description="covariates that tables name")
    left_out: list[str] = Field(description="what of the run is not in the bundle, besides logs and tracebacks")


def upgrade_1_to_2(submission: Document) -> Document:
    """What was left out was not written down."""
    return {**submission, "covariate_names": [], "left_out": []}


STEPS: Mapping[int, Step] = {1: upgrade_1_to_2}


def place_of(plan: dict[str, Any], keys: list[str]) -> str:
    """Where a bundle goes in the repository: named by what was compared and by the cells it holds."""
    name = str(plan["benchmark"]["name"])
    return f"{RESULTS}/{name}/{name}-{digest([belonging(plan), sorted(keys)], 8)}"


def allowed(name: str, records: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a file (relative, with /) has a place in a bundle of these records (by key)."""
    parts = name.split("/")
    if len(parts) == 1:
        return name in ROOT_FILES
    if parts[0] == "raw" and len(parts) == 2:
        raws = {record["raw"] for record in records.values()}
        return parts[1].removesuffix(".parquet") in raws and parts[1].endswith(".parquet")
    if parts[0] == "cells" and len(parts) == 3 and parts[1] in records:
        tables = {f"{table}.parquet" for table in accounted(records[parts[1]])}
        return parts[2] == "replicates.npz" or parts[2] in tables
    return False


def files_of(folder: Path) -> list[str]:
    """All files of a bundle besides its checksums, relative, sorted."""
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() or p.is_symlink())
    return sorted(name for name in found if name != SUMS)


def checksums(folder: Path) -> str:
    """`SHA256SUMS` as `sha256sum -c` reads it."""
    return "".join(f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in files_of(folder))


def checklist(submission: Submission, counts: str, names: str, warnings: list[str]) -> str:
    """What a pull request with this bundle needs; `names`: those of the data that are published with it."""
    left_out = "".join(f"- {text}\n" for text in submission.left_out)
    gone = f"\nLeft out of the run folder, besides logs and tracebacks:\n\n{left_out}" if left_out else ""
    asked = "".join(f"- [ ] Answered in the pull request: {text}\n" for text in warnings)
    return f"""# Checklist for the pull request

Copy this folder to `{submission.place}/` and leave every file as it is.

Done by `harmbench submit`:

- [x] Every figure was rebuilt from the stored predictions and features and equals the stored one
- [x] References, controls and the canary ran, and the canary was caught
- [x] Ids are numbers, no image is inside, no path and no name of a user or machine was found
- [x] {counts}
{gone}
To be done by you:

- [ ] You may publish these figures and per-sample feature values under {submission.licence}
- [ ] You may publish these names, and none of them leads to a patient: {names}
- [ ] {submission.contact} answers questions about them
- [ ] The plugins named in `environment.json` can be had by others, in these versions
- [ ] Whatever the methods were pretrained on is named in the pull request
{asked}- [ ] `harmbench leaderboard validate {submission.place}` says "sound"
"""
