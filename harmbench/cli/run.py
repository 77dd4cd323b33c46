"""`harmbench run`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harmbench.cli.common import Jobs, Json, Plugins, Quiet, note, options_given, progress, show_json

if TYPE_CHECKING:
    from harmbench.leaderboard.model import Board
    from harmbench.run.plan import Plan
    from harmbench.run.run import Summary


def run(
    context: typer.Context,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Such as combat, ssl-kernel[reduce=l2], ssl-kernel+combat (repeatable)."),
    ] = None,
    pre_transform: Annotated[
        list[str] | None,
        typer.Option(
            "--pre-transform",
            help="Such as none,signed-log,yeo-johnson,rank-gauss: each before the feature stages of every method.",
        ),
    ] = None,
    benchmark: Annotated[str, typer.Option("--benchmark", "-b", help="Name, or path of a .toml file.")] = "",
    data: Annotated[str, typer.Option("--data", "-d", help="Your manifest CSV, or the data set's folder.")] = "",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="name.parameter=value, such as combat.mean_only=true.")
    ] = None,
    extractor: Annotated[str, typer.Option("--extractor", help="Instead of the benchmark's.")] = "",
    seed: Annotated[int, typer.Option("--seed", help="Of splits, resamples, methods and classifiers.")] = 0,
    jobs: Jobs = 0,
    out: Annotated[str, typer.Option("--out", "-o", help="Run folder (default: runs/<benchmark>-<digest>).")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would run, and end.")] = False,
    only: Annotated[
        str, typer.Option("--only", help="failed: run what is missing or failed (default). missing: leave failed ones.")
    ] = "failed",
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="Seconds per method, extraction apart; 0: none.")
    ] = 0.0,
    controls: Annotated[bool, typer.Option("--controls/--no-controls", help="Run the controls beside.")] = True,
    allow_confounded: Annotated[
        bool, typer.Option("--allow-confounded", help="Go on although the manufacturer determines the label.")
    ] = False,
    plugin: Plugins = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run methods on a benchmark and print the leaderboard.

    Without --benchmark: your images when --data is given, else the simulated phantom. A second call continues: what is
    done is not done again, a new method costs only what is new.
    """
    from harmbench.benchmark import load_benchmark
    from harmbench.errors import UsageError
    from harmbench.plugins import build_registry
    from harmbench.run.plan import make_plan, read_settings

    if only not in ("failed", "missing"):
        raise UsageError(f"--only takes 'failed' or 'missing', not '{only}'.")
    registry = build_registry(plugin or ())
    for failure in registry.failures:
        note(f"harmbench: not loaded: {failure}")
    name = benchmark or ("image-folder" if data else "plax-phantom")
    plan = make_plan(
        load_benchmark(name),
        registry,
        method or (),
        read_settings(setting or ()),
        seed,
        extractor or None,
        controls,
        pre_transform or (),
    )
    if dry_run:
        return _list_plan(plan, json)
    needed = plan.dataset.spec.needs_data
    if needed and not data:
        raise UsageError(f"Benchmark '{name}' needs --data: {needed}.")
    if data and not needed:
        raise UsageError(f"Benchmark '{name}' makes its own data; --data does not go with it.")

    from harmbench.run.run import Options, default_jobs
    from harmbench.run.run import run as run_plan

    with progress(quiet or json) as report:
        options = Options(
            data=data or None,
            out=Path(out) if out else None,
            n_jobs=jobs or default_jobs(),
            timeout=timeout,
            only=only,
            allow_confounded=allow_confounded,
            arguments=["harmbench", "run", *options_given(context, paths=("data", "out", "plugin", "benchmark"))],
            progress=report,
        )
        summary = run_plan(plan, registry, options)
    return _finish(plan, summary, json)


def _list_plan(plan: Plan, json: bool) -> int:
    cells = [{"key": c.key, "method": c.method.name, "role": c.method.role, "repeat": c.repeat} for c in plan.cells]
    if json:
        show_json({"benchmark": plan.benchmark.name, "dataset": str(plan.dataset), "cells": cells})
        return 0
    print(f"{plan.benchmark.title}")
    print(f"data set {plan.dataset}, extractor {plan.extractor}, seed {plan.seed}")
    splits = plan.benchmark.splits
    lomo = ", leave one manufacturer out" if splits.leave_one_manufacturer_out else ""
    print(f"{splits.folds} folds x {splits.repeats} repeats{lomo}; {len(cells)} cells:")
    for cell in cells:
        role = "" if cell["role"] == "method" else f"  ({cell['role']})"
        print(f"  {cell['key']}  {cell['method']}{role}")
    return 0


def _finish(plan: Plan, summary: Summary, json: bool) -> int:
    from harmbench.leaderboard import collect, render

    board: Board | None = None
    if any(r["status"] == "ok" for r in summary.records.values()):
        keys = [c.key for c in plan.cells]
        render.write(collect.build([summary.folder], keys=keys), summary.folder)  # everything that the folder holds
        board = collect.build([summary.folder], [c.method.name for c in plan.cells], keys)
    if json:
        result: dict[str, Any] = {
            "folder": str(summary.folder),
            "ran": summary.ran,
            "kept": summary.kept,
            "exit_code": summary.exit_code,
            "cells": [
                {k: r[k] for k in ("key", "method", "role", "status", "error", "seconds")}
                for r in summary.records.values()
            ],
            "leaderboard": board.model_dump(by_alias=True, mode="json") if board else None,
        }
        show_json(result)
        return summary.exit_code
    if board is not None:
        from harmbench.cli.table import show_board

        show_board(board)
    for record in summary.failed:
        note(
            f"harmbench: {record['method']}: {record['status']}: {summary.shown.get(record['key']) or record['error']}"
        )
        note(f"  log and traceback: {summary.folder}/records.jsonl, {summary.folder}/cells/{record['key']}/log.txt")
    if summary.interrupted:
        note(f"harmbench: interrupted; {len(summary.records)} of {len(plan.cells)} cells are kept in {summary.folder}.")
        note("The same command goes on from there.")
    elif board is not None:
        kept = f", {summary.kept} kept from before" if summary.kept else ""
        note(f"{summary.ran} cells run{kept}. Results: {summary.folder} (leaderboard.md, .csv, .json)")
        folder = shlex.quote(str(summary.folder))
        note(f"See it again with: harmbench leaderboard show {folder}")
        note(f"As a page with plots, a table for a paper and figures: harmbench leaderboard build {folder} --out board")
    return summary.exit_code
