"""JSON Schemas of every file that harmbench writes or reads: made from the pydantic models, committed beside this file.

`python -m harmbench.schemas` writes them anew. `versions.json` holds a digest of each schema version there has been: a
model that changes without a new version number no longer has the digest of its version, and a test fails.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

FOLDER = Path(__file__).parent
VERSIONS = "versions.json"
_WORDS = ("title", "description")


class Document(NamedTuple):
    """A kind of file: its model and the current number of its schema."""

    model: type[BaseModel]
    version: int


def documents() -> dict[str, Document]:
    """Every kind of file by name."""
    from harmbench import benchmark
    from harmbench.leaderboard import bundle_format, interpretation
    from harmbench.leaderboard import model as board
    from harmbench.leaderboard.page import evidence
    from harmbench.run import documents as run
    from harmbench.run.upgrade import SCHEMA

    return {
        "benchmark": Document(benchmark.Benchmark, benchmark.SCHEMA),
        "plan": Document(run.Plan, SCHEMA),
        "record": Document(run.Record, SCHEMA),
        "environment": Document(run.Environment, SCHEMA),
        "leaderboard": Document(board.Board, board.SCHEMA),
        "interpretation": Document(interpretation.Interpretation, interpretation.SCHEMA),
        "evidence": Document(evidence.Numbers, evidence.SCHEMA),
        "submission": Document(bundle_format.Submission, bundle_format.SCHEMA),
    }


def schema(document: Document) -> dict[str, Any]:
    """The JSON Schema of a kind of file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **document.model.model_json_schema(by_alias=True),
    }


def fingerprint(value: Any) -> str:
    """A digest of what a schema allows: titles and descriptions, which are for people, do not count."""
    text = json.dumps(_bare(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _bare(value: Any, names: bool = False) -> Any:
    """Without words for people; `names`: the keys of this mapping are names of fields, not of JSON Schema."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if names or k not in _WORDS or not isinstance(v, str)}
        return {k: _bare(v, not names and k in ("properties", "$defs")) for k, v in kept.items()}
    return [_bare(v) for v in value] if isinstance(value, list) else value


def text_of(document: Document) -> str:
    """The schema as it is committed."""
    return json.dumps(schema(document), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def known_versions() -> dict[str, dict[str, str]]:
    """Kind of file to schema version to fingerprint."""
    known: dict[str, dict[str, str]] = json.loads((FOLDER / VERSIONS).read_text(encoding="utf-8"))
    return known


def write() -> list[Path]:
    """Write all schemas, and the fingerprints of versions that have none yet.

    Raises
    ------
    ValueError
        A schema changed and its version did not.
    """
    known = known_versions() if (FOLDER / VERSIONS).exists() else {}
    written = []
    for name, document in documents().items():
        own = known.setdefault(name, {})
        now = fingerprint(schema(document))
        if own.setdefault(str(document.version), now) != now:
            raise ValueError(
                f"the schema of {name} changed and is still version {document.version}: raise its SCHEMA, and add the "
                f"step upgrade_{document.version}_to_{document.version + 1}."
            )
        (FOLDER / f"{name}.json").write_text(text_of(document), encoding="utf-8")
        written.append(FOLDER / f"{name}.json")
    (FOLDER / VERSIONS).write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return [*written, FOLDER / VERSIONS]
