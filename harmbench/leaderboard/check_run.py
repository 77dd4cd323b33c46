"""Checks of a run folder: schema, splits, data, completeness, declared roles, figures."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from harmbench.benchmark import load_benchmark
from harmbench.errors import HarmbenchError
from harmbench.leaderboard.bundle_format import BOARD_FILES
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.files import read_board
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.validate import Report, not_following, quality
from harmbench.plugins import Registry
from harmbench.run import documents
from harmbench.run.store import RunFolder
from harmbench.run.stored import RunData
from harmbench.splits import held_out_digest


def check_run(report: Report, path: Path, registry: Registry, *, rebuild: bool, n_jobs: int) -> None:
    """All checks but that of the schema, which comes first."""
    folder = RunFolder(path)
    data = RunData(folder)
    if data.plan["rebuildable"]:
        report.check("samples and data", lambda: _samples(data))
        report.check("splits", lambda: _splits(data))
    else:
        report.warnings.append("a run of schema 1: it does not hold what its figures can be rebuilt from")
    report.check("roles as the methods declare them", lambda: _roles(folder, registry))
    boards: list[Board] = []

    def figures() -> list[str]:
        boards.append(build([path], registry=registry if rebuild else None, n_jobs=n_jobs))
        return []

    anew = rebuild and data.plan["rebuildable"]
    if not report.check("figures rebuilt" if anew else "figures readable", figures):
        return
    if not rebuild:
        report.warnings.append("figures were not rebuilt (--trust-stored)")
    board = boards[0]
    report.check("canary and controls", lambda: quality(board) + _controls(board))
    failed = [f"{r.method}: {r.status}" for r in board.rows if r.status != "ok"]
    if failed:
        report.warnings.append(f"without figures: {', '.join(failed)}")
    incomplete = [f"{r.method} ({r.reason})" for r in board.rows if r.reason.startswith("incomplete")]
    if incomplete:
        report.problems.append(f"complete: {', '.join(incomplete)}")
    if (path / BOARD_FILES[2]).exists() and report.kind == "bundle":
        report.check("the board in it", lambda: not_following(read_board(path), board))


def wrong_schema(path: Path) -> list[str]:
    """Where the JSON files of a run folder are not what their models say."""
    folder = RunFolder(path)
    found = _wrong(documents.Plan, folder.plan, "plan.json")
    for i, entry in enumerate(folder.environment):
        found += _wrong(documents.Environment, entry, f"environment.json[{i}]")
    records = folder.records()
    for key, record in records.items():
        found += _wrong(documents.Record, record, f"records.jsonl, cell {key}")
    if not records:
        found.append("no cell has been recorded")
    lines = (folder.path / "records.jsonl").read_text(encoding="utf-8").splitlines() if records else []
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except json.JSONDecodeError:
            found.append(f"records.jsonl, row {number}: not valid JSON")
    return found


def _wrong(model: type[BaseModel], value: Any, where: str) -> list[str]:
    try:
        model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        return [f"{where}: {'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()[:3]]
    return []


def _samples(data: RunData) -> list[str]:
    facts, columns = data.plan["data"], data.samples
    scored = columns["split"] != "paired"
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(facts["classes"], 0))
    for maker, label in zip(columns["manufacturer"][scored].tolist(), columns["label"][scored].tolist(), strict=True):
        counts[maker][facts["classes"][label]] += 1
    found = {
        "images": int(scored.sum()),
        "paired_images": int((~scored).sum()),
        "patients": len(set(columns["patient"][scored].tolist())),
        "counts": dict(counts),
    }
    return [f"plan.json has {facts[k]} {k}, samples.parquet {v}" for k, v in found.items() if facts[k] != v]


def _splits(data: RunData) -> list[str]:
    splits, plan = data.splits, data.plan
    found = []
    if (own := held_out_digest(splits)) != plan["split_digest"]:
        found.append(f"splits.parquet has the digest {own}, plan.json says {plan['split_digest']}")
    for repeat in range(plan["splits"]["repeats"]):
        rows = (splits["repeat"] == repeat) & (splits["protocol"] == "cross-validation")
        samples, patients, folds = (splits[name][rows] for name in ("sample", "patient", "fold"))
        if not len(samples):
            found.append(f"repeat {repeat} holds nobody out")
        if len(np.unique(samples)) < len(samples):
            found.append(f"repeat {repeat} holds a sample out more than once")
        pairs = {(p, f) for p, f in zip(patients.tolist(), folds.tolist(), strict=True)}
        if len(pairs) > len(np.unique(patients)):
            found.append(f"repeat {repeat} holds a patient out in more than one fold")
    return found


def _roles(folder: RunFolder, registry: Registry) -> list[str]:
    """A record that says otherwise than its method's spec does was changed, or made with another version."""
    found = []
    for record in folder.records().values():
        specs = []
        for stage in record["stages"]:
            if stage["name"] not in registry.harmonizers.entries:
                break
            spec = registry.harmonizers.get(stage["name"])
            if spec.version != stage["version"]:
                break  # not installed here, so there is nothing to hold it against
            specs.append(spec)
        else:
            roles = {spec.role for spec in specs}
            role = "canary" if "canary" in roles else "control" if "control" in roles else "method"
            declared: Mapping[str, Any] = {
                "role": role,
                "inductive": all(spec.inductive for spec in specs),
                "uses_label": any(spec.uses_label != "no" for spec in specs),
            }
            found += [
                f"'{record['method']}' is recorded with {name} {record[name]!r}, and declares {value!r}"
                for name, value in declared.items()
                if record[name] != value
            ]
    return found


def _controls(board: Board) -> list[str]:
    """Controls that the benchmark asks for and that did not run, if the benchmark is known here in this version."""
    try:
        benchmark = load_benchmark(board.benchmark)
    except HarmbenchError:
        return []
    if benchmark.version != board.benchmark_version:
        return []
    wanted = [*benchmark.methods.reference, *benchmark.methods.controls]
    done = {row.method for row in board.rows if row.status == "ok"}
    return [f"'{name}' did not run, and the benchmark asks for it" for name in wanted if name not in done]
