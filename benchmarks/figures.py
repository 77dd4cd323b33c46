"""What the ablation scripts share: run methods on a benchmark, and read their overall figures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harmbench.benchmark import load_benchmark
from harmbench.cli.common import progress
from harmbench.errors import HarmbenchError
from harmbench.plugins import build_registry
from harmbench.run.plan import make_plan, read_settings
from harmbench.run.run import Options, run
from harmbench.run.store import RunFolder

Row = dict[str, Any]

METRICS = ("jsd_conditional", "auc_within", "manufacturer_auc_tree", "auc_lomo")
EVALUATORS = ("lvh-auc", "jsd", "manufacturer-predictability")


def figures(
    benchmark: str,
    methods: Sequence[str],
    out: Path,
    *,
    data: str = "",
    settings: Sequence[str] = (),
    seed: int = 0,
    jobs: int = 1,
) -> dict[str, dict[str, float]]:
    """The overall metrics of methods on a benchmark: of `none` first, then of the methods in their order.

    They are named as results name them (the shortest way to write a method; a file by its content). Of the benchmark's
    evaluators only those of `METRICS` run; its controls and other reference methods do not. What the run folder `out`
    holds already is not done again.

    Parameters
    ----------
    benchmark : str
        Name or path.
    methods : sequence of str
    out : Path
        The run folder.
    data : str
        As `--data`.
    settings : sequence of str
        As `--set`.

    Raises
    ------
    HarmbenchError
        When a method could not be run, or two of them are the same.
    """
    registry = build_registry()
    chosen = load_benchmark(benchmark)
    kept = [e for e in chosen.evaluators if e.name in EVALUATORS]
    only_none = chosen.methods.model_copy(update={"reference": ["none"]})
    chosen = chosen.model_copy(update={"evaluators": kept, "methods": only_none})
    plan = make_plan(chosen, registry, methods, read_settings(settings), seed, None, False)
    with progress(False) as report:
        summary = run(plan, registry, Options(data=data or None, out=out, n_jobs=jobs, progress=report))
    if summary.failed:
        first = summary.failed[0]
        raise HarmbenchError(f"{first['method']}: {first['status']}: {first['error']} ({out}/records.jsonl has more)")
    folder = RunFolder(summary.folder)
    found: dict[str, dict[str, float]] = {}
    for cell in plan.cells:
        values = {m.metric: float(m.value) for m in folder.metrics(cell.key) if m.scope == "overall"}
        found[cell.method.name] = {name: values[name] for name in METRICS if name in values}
    if len(found) != len(methods) + 1:
        raise HarmbenchError(f"{len(methods)} methods gave {len(found) - 1} different ones; some of them are the same.")
    return found


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of the same columns, numbers with 6 digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table, numbers with 3 decimals."""
    lines = [list(rows[0])] + [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(lines[0]), *text[1:]])
