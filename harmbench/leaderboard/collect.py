"""From run folders to a leaderboard. What does not belong together is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmbench import __version__
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard.held import deviations, plan_problems, ranking_problems
from harmbench.leaderboard.join import Cells, distinct, joined, own_cells
from harmbench.leaderboard.model import Board, Definition, Run
from harmbench.leaderboard.rank import REFERENCE, ranked
from harmbench.leaderboard.rows import average, make_row
from harmbench.plugins import Registry
from harmbench.results import MetricValue
from harmbench.run.provenance import now
from harmbench.run.recompute import Rebuilder
from harmbench.run.store import AGAIN, RunFolder

SHOWN = 5
TRUSTED = "taken as recorded, without being rebuilt"


@dataclass
class Gathered:
    """The cells of run folders that belong together.

    Parameters
    ----------
    plan : mapping
        Of the first folder.
    runs : list of RunFolder
    cells : mapping of method to repeat to (folder, record)
    notes : list of str
        What a reader must know of how they came together.
    """

    plan: Mapping[str, Any]
    runs: list[RunFolder]
    cells: dict[str, Cells]
    notes: list[str] = field(default_factory=list)


def belonging(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What must agree for figures to stand on one board: what is measured, on what, with which splits and resamples.

    Digests of code are not among it (a method that changes its results changes its version); boards name them.
    """

    def facts(part: Mapping[str, Any]) -> dict[str, Any]:
        return {k: part[k] for k in ("name", "version", "params")}

    kept = {
        k: plan[k] for k in ("benchmark", "splits", "uncertainty", "ranking", "seed", "split_digest", "rebuildable")
    }
    kept |= {k: facts(plan[k]) for k in ("dataset", "extractor")}
    kept["evaluators"] = [facts(e) for e in plan["evaluators"]]
    kept["data"] = {k: v for k, v in plan["data"].items() if k not in ("notes", "licence")}
    kept["metrics"] = [{k: m[k] for k in ("evaluator", "name", "version", "direction")} for m in plan["metrics"]]
    return kept


def gather(folders: Sequence[Path], methods: Sequence[str] = (), keys: Sequence[str] = ()) -> Gathered:
    """The cells of run folders, one per method and repeat; parameters and errors as for `build`."""
    runs = [RunFolder(folder) for folder in distinct(folders)]
    plans = [run.plan for run in runs]
    notes: list[str] = []
    for run, plan in zip(runs, plans, strict=True):
        one, other = belonging(plan), belonging(plans[0])
        different = [k for k in one if one[k] != other[k]]
        if different:
            raise UsageError(
                f"{run.path} cannot stand on one board with {runs[0].path}; they differ in: {', '.join(different)}."
            )
    for run, plan in zip(runs, plans, strict=True):
        if wrong := ranking_problems(plan):
            raise DataError(f"{'; '.join(wrong)}.", file=run.path / "plan.json", remedy=AGAIN)
    own = [(run, own_cells(run, keys, notes)) for run in runs]
    cost = [m["name"] for m in plans[0]["metrics"] if m["goal"] == "cost"]
    cells = {
        method: joined(method, [(run, found[method]) for run, found in own if method in found], cost, notes)
        for method in dict.fromkeys(method for _, found in own for method in found)
    }
    if not cells:
        raise DataError("no cell has been recorded.", file=runs[0].path, remedy="Run again; it continues.")
    chosen = {
        method: repeats
        for method, repeats in cells.items()
        if not methods
        or method in methods
        or method == REFERENCE
        or next(iter(repeats.values()))[1]["role"] != "method"
    }
    return Gathered(plans[0], runs, chosen, list(dict.fromkeys(notes)))


def build(
    folders: Sequence[Path],
    methods: Sequence[str] = (),
    keys: Sequence[str] = (),
    registry: Registry | None = None,
    n_jobs: int = 1,
) -> Board:
    """Collect a leaderboard.

    Parameters
    ----------
    folders : sequence of Path
        Run folders or bundles; all must share benchmark, data, split, metrics and settings.
    methods : sequence of str, optional
        Only these methods (references and controls stay): ranks are worked out anew among them.
    keys : sequence of str, optional
        Cells that count where a folder holds a method more than once (its code changed in between); else the last ones.
    registry : Registry, optional
        Where the evaluators come from that rebuild every figure; without it the stored figures are trusted.
    n_jobs : int
        Threads that an evaluator may use.

    Raises
    ------
    UsageError
        The folders do not belong together (names what differs), give one cell two figures, or a row repeats of
        different states of its method; an evaluator is not installed.
    DataError
        A folder is not a run, holds nothing, or a stored figure is not what the stored data give.
    """
    found = gather(folders, methods, keys)
    recorded: dict[str, str] = {} if registry else {m["name"]: TRUSTED for m in found.plan["metrics"]}
    rebuilders = {run.path: Rebuilder(run, registry, n_jobs) for run in found.runs} if registry else {}
    if registry:
        for path, rebuilder in rebuilders.items():
            if wrong := plan_problems(rebuilder.data, registry):
                problem = f"what it says does not hold: {'; '.join(wrong[:SHOWN])}."
                raise DataError(problem, file=path / "plan.json", remedy=AGAIN)
    rows = []
    for repeats in found.cells.values():
        records = [record for _, record in repeats.values()]
        figures: list[tuple[MetricValue, ...]] = []
        if all(record["status"] == "ok" for record in records):
            for run, record in repeats.values():
                if registry is None:
                    figures.append(run.metrics(record["key"]))
                    continue
                rebuilt = rebuilders[run.path].cell(record)
                figures.append(rebuilt.metrics)
                recorded |= rebuilt.recorded
        rows.append(make_row(records, average(figures), found.plan))
    board = header(found, recorded).model_copy(
        update={"rows": rows, "rebuilt": registry is not None and found.plan["rebuildable"]}
    )
    board.deviations = deviations(board, registry)
    return ranked(board, found.notes)


def header(found: Gathered, recorded: Mapping[str, str]) -> Board:
    """A board without rows: what is compared, on what, and where it comes from."""
    plan = found.plan
    facts = [k for k in Definition.model_fields if k != "recorded"]
    return Board.model_validate(
        {
            "harmbench": __version__,
            "benchmark": plan["benchmark"]["name"],
            "benchmark_version": plan["benchmark"]["version"],
            "title": plan["title"],
            "synthetic": plan["data"]["synthetic"],
            "data": plan["data"],
            "split_digest": plan["split_digest"],
            "seed": plan["seed"],
            "ranking": plan["ranking"],
            "settings": {
                "extractor": {k: plan["extractor"][k] for k in ("name", "version", "params")},
                "dataset": {k: plan["dataset"][k] for k in ("name", "version", "params")},
                "evaluators": [{k: e[k] for k in ("name", "version", "params")} for e in plan["evaluators"]],
                "splits": plan["splits"],
                "uncertainty": plan["uncertainty"],
            },
            "definitions": {
                m["name"]: {**{k: m[k] for k in facts}, "recorded": recorded.get(m["name"], "")}
                for m in plan["metrics"]
            },
            "rebuildable": plan["rebuildable"],
            "warnings": [],
            "rows": [],
            "runs": [_run(run, found) for run in found.runs],
            "built": now(),
        }
    )


def _run(run: RunFolder, found: Gathered) -> Run:
    plan = run.plan
    own = [record for repeats in found.cells.values() for folder, record in repeats.values() if folder is run]
    parts = (plan["dataset"], plan["extractor"], *plan["evaluators"])
    return Run(
        harmbench=plan["harmbench"],
        finished=max((record["finished"] for record in own), default=""),
        code=plan["code"],
        requires={module: version for part in parts for module, version in part["requires"].items()},
        environment=run.environment,
        methods=list(dict.fromkeys(record["method"] for record in own)),
    )
