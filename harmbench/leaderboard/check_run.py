"""Checks of a run folder: schema, splits, data, completeness, declared roles, figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.benchmark import load_benchmark
from harmbench.errors import HarmbenchError
from harmbench.leaderboard.bundle_texts import check_texts
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.files import read_board, written_schema
from harmbench.leaderboard.held import metric_problems, plan_problems
from harmbench.leaderboard.model import SCHEMA as BOARD_SCHEMA
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.same import LEFT_OUT, boards_differ
from harmbench.leaderboard.validate import Report, misnamed, quality, undeclared_roles
from harmbench.plugins import Registry
from harmbench.run.store import RunFolder
from harmbench.run.stored import RunData
from harmbench.run.tied import changed_files, unaccounted, wrong_facts
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
    records = folder.records()
    report.check("files are those of their records", lambda: _files(folder, data.plan, records))
    if any(record["files"] is None for record in records.values()):
        report.warnings.append("files not tied to the record: it is of a schema before 3")
    report.check("records follow from the plan", lambda: _facts(data.plan, records, registry))
    report.check("roles as the methods declare them", lambda: undeclared_roles(list(records.values()), registry))
    report.unchecked += metric_problems(data.plan, registry)[1]
    report.check("plan", lambda: plan_problems(data, registry))
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
    failed = sorted(f"{r.method}: {r.status}" for r in board.rows if r.status != "ok")
    if failed:
        report.warnings.append(f"without figures: {', '.join(failed)}")
    incomplete = [f"{r.method} ({r.reason})" for r in board.rows if r.reason.startswith(("incomplete", "not audited"))]
    if incomplete:
        report.problems.append(f"complete: {', '.join(incomplete)}")
    if report.kind == "bundle" and report.check("the board in it", lambda: _board(path, board, rebuild)):
        check_texts(report, path)


def wrong_schema(path: Path) -> list[str]:
    """Where the JSON files of a run folder are not what their models say (reading them tells)."""
    folder = RunFolder(path)
    found = []
    for read in (lambda: folder.plan, lambda: folder.environment, folder.records):
        try:
            if not read():
                found.append("no cell has been recorded")
        except HarmbenchError as error:
            found.append(str(error))
    return found or [f"records.jsonl, row {row}: not valid JSON" for row in folder.cut_off()]


def _files(folder: RunFolder, plan: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Files that are missing, changed, or that no record accounts for."""
    found = changed_files(folder.path, plan["files"])
    for key, record in records.items():
        found += [
            f"cells/{key} ('{record['method']}'): {text}" for text in changed_files(folder.cell(key), record["files"])
        ]
    left = "left by a run that was stopped, or put there: run again, or delete it"
    return found + [f"{name} belongs to no record ({left})" for name in unaccounted(folder.path, records.values())]


def _facts(plan: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]], registry: Registry) -> list[str]:
    found = [f"cell {key} ('{r['method']}'): {text}" for key, r in records.items() for text in wrong_facts(r, plan)]
    return found + misnamed(list(records.values()), registry)


def _board(path: Path, anew: Board, rebuild: bool) -> list[str]:
    """Where the board in a bundle is not the one that its run gives."""
    stored, leave = read_board(path), [*LEFT_OUT]
    if not rebuild:
        leave += ["rebuilt", "definitions.recorded"]
    if written_schema(path) < BOARD_SCHEMA:
        leave += ["deviations", "warnings"]  # check_texts says so
    return boards_differ(stored, anew, leave)


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
