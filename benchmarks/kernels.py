"""Are trained kernels better than random ones? Several kernel files, on data and scanners they were not trained on.

    python benchmarks/kernels.py --out comparison --kernels base=a.safetensors tied=b.safetensors
        [--on plax-phantom plax-phantom-third bus-bra] [--data bus-bra=FOLDER] [--random 5] [--jobs 2]

For each kernel file: all its maps, and the maps that select-maps chooses inside each training fold (--no-select
leaves these out). Beside them: the original image (none, combat, signed-log+combat), and random kernels with the norms
of the first file's, from several seeds, treated in the same two ways. The phantom is drawn with a seed of its own
(--data-seed): its hearts are never those of pretraining, and its scanners are the named ones.

Every figure has the 95 % interval of the patient bootstrap. The difference to random kernels is paired: in every
resample, the kernels' value minus the mean over the random seeds treated alike. Because few seeds stand for all random
kernels, the table also tells how many of them the kernels beat. Nothing is tuned here: the benchmark files are used as
they are, unless --set says otherwise, and what --set changed is printed.

Writes kernels.csv, kernels.md and a run folder per benchmark. The same command goes on where it was stopped; another
kernel file costs only what is new. A method that fails has a row that says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from figures import EVALUATORS, Row, write_csv

from harmbench.benchmark import load_benchmark
from harmbench.cli.common import progress
from harmbench.data import Floats
from harmbench.errors import UsageError
from harmbench.plugins import Registry, build_registry
from harmbench.results import MetricValue
from harmbench.run.plan import make_plan, read_settings
from harmbench.run.run import Options, run
from harmbench.run.store import RunFolder
from harmbench.stats.bootstrap import interval
from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels
from harmbench_builtin.harmonizers.ssl_kernel.registry import resolve

METRICS = {"jsd_conditional": "JSD | label", "auc_within": "AUC within", "manufacturer_auc_tree": "Manuf. AUC tree"}
LOWER = ("jsd_conditional", "manufacturer_auc_tree")
REFERENCES = ("none", "combat", "signed-log+combat")
CHOSEN = "+select-maps"
BENCHMARKS = ("plax-phantom", "plax-phantom-third")
UNSEEN_SEED = 101


@dataclass(frozen=True)
class Entry:
    """A row of the comparison.

    Parameters
    ----------
    label : str
        What the user calls it.
    expression : str
        The method.
    treatment : str
        "" or "+select-maps": random kernels of the same treatment are what it is compared with.
    seed : int or None
        Of random kernels; None for anything else.
    """

    label: str
    expression: str
    treatment: str = ""
    seed: int | None = None


def main() -> None:
    """Run, write, print."""
    arguments = read_arguments()
    kernels = named_paths(arguments.kernels, "--kernels")
    entries = entries_of(kernels, arguments.random, arguments.select)
    data = named_paths(arguments.data, "--data")
    rows: list[Row] = []
    changed: dict[str, list[str]] = {}
    for benchmark in arguments.on:
        changed[benchmark] = settings_of(benchmark, arguments)
        found, failed = measured(benchmark, entries, changed[benchmark], data.get(benchmark), arguments)
        rows += compared(benchmark, entries, found, failed)
    facts = {label: training_facts(path) for label, path in kernels.items()}
    write_csv(arguments.out / "kernels.csv", rows)
    text = page(rows, facts, changed, arguments)
    (arguments.out / "kernels.md").write_text(text, encoding="utf-8")
    print(text)


def read_arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for table and runs")
    parser.add_argument("--kernels", nargs="+", required=True, metavar="NAME=FILE", help="or a shipped name")
    parser.add_argument("--on", nargs="+", default=list(BENCHMARKS), help="names or paths of benchmark files")
    parser.add_argument("--data", nargs="*", default=[], metavar="BENCHMARK=FOLDER", help="as harmbench run --data")
    parser.add_argument("--random", type=int, default=5, help="how many seeds of random kernels")
    parser.add_argument("--no-select", dest="select", action="store_false", help="without select-maps")
    parser.add_argument("--data-seed", type=int, default=UNSEEN_SEED, help="of the phantom's hearts")
    parser.add_argument("--set", action="append", default=[], help="as harmbench run --set (repeatable)")
    parser.add_argument("--seed", type=int, default=0, help="of splits and resamples")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--plugin", action="append", default=[], help="a plugin file (repeatable)")
    arguments = parser.parse_args(given)
    if arguments.random < 1:
        parser.error("--random must be at least 1: there is nothing to compare with otherwise")
    return arguments


def named_paths(texts: Sequence[str], option: str) -> dict[str, str]:
    """ "name=path" pairs; a text without "=" names itself."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if name in found:
            raise UsageError(f"{option}: '{name}' is there twice.")
        found[name] = path if equals else name
    return found


def entries_of(kernels: Mapping[str, str], seeds: int, select: bool) -> list[Entry]:
    """Everything that is run, references first."""
    like = next(iter(kernels.values()))
    found = [Entry(text, text) for text in REFERENCES]
    for treatment in ("", CHOSEN) if select else ("",):
        for seed in range(seeds):
            expression = f"random-kernel[like={like},seed={seed}]{treatment}"
            found.append(Entry(f"random {seed}{treatment}", expression, treatment, seed))
        for label, path in kernels.items():
            found.append(Entry(f"{label}{treatment}", f"ssl-kernel[kernels={path}]{treatment}", treatment))
    return found


def settings_of(benchmark: str, arguments: argparse.Namespace) -> list[str]:
    """What differs from the benchmark file: the phantom's seed, and what the user asked for."""
    dataset = load_benchmark(benchmark).dataset.name
    own = [f"plax-phantom.seed={arguments.data_seed}"] if dataset == "plax-phantom" else []
    return [*own, *arguments.set]


def measured(
    benchmark: str, entries: Sequence[Entry], settings: Sequence[str], data: str | None, arguments: argparse.Namespace
) -> tuple[dict[str, dict[str, MetricValue]], dict[str, str]]:
    """Overall figures by label, and why a method has none."""
    registry = build_registry([Path(p) for p in arguments.plugin])
    chosen = load_benchmark(benchmark)
    kept = [e for e in chosen.evaluators if e.name in EVALUATORS] or chosen.evaluators
    only_none = chosen.methods.model_copy(update={"reference": ["none"]})
    chosen = chosen.model_copy(update={"evaluators": kept, "methods": only_none})
    given = read_settings(settings)
    plan = make_plan(chosen, registry, [e.expression for e in entries], given, arguments.seed, None, False)
    label_of = labels(entries, registry, given)
    with progress(False) as report:
        options = Options(data=data, out=arguments.out / chosen.name, n_jobs=arguments.jobs, progress=report)
        summary = run(plan, registry, options)
    folder = RunFolder(summary.folder)
    found: dict[str, dict[str, MetricValue]] = {}
    failed: dict[str, str] = {}
    for cell in plan.cells:
        record = summary.records.get(cell.key)
        label = label_of[cell.method.name]
        if record is None or record["status"] != "ok":
            failed[label] = "not run" if record is None else f"{record['status']}: {record['error']}"
            continue
        values = {m.metric: m for m in folder.metrics(cell.key) if m.scope == "overall"}
        found[label] = {name: values[name] for name in METRICS if name in values}
    return found, failed


def labels(entries: Sequence[Entry], registry: Registry, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What the user calls each method, by the name that results give it.

    Raises
    ------
    UsageError
        Two kernel files hold the same kernels.
    """
    from harmbench.methods import parse_method

    found: dict[str, str] = {}
    for entry in entries:
        name = parse_method(entry.expression, registry, settings).name
        if name in found:
            raise UsageError(f"'{found[name]}' and '{entry.label}' are the same method ({name}).")
        found[name] = entry.label
    return found


def compared(
    benchmark: str, entries: Sequence[Entry], found: Mapping[str, Mapping[str, MetricValue]], failed: Mapping[str, str]
) -> list[Row]:
    """A row per entry: figures with intervals, and the paired difference to random kernels of the same treatment."""
    rows: list[Row] = []
    for entry in entries:
        row: Row = {"benchmark": benchmark, "kernels": entry.label, "status": failed.get(entry.label, "ok")}
        peers = [found[e.label] for e in entries
                 if e.seed is not None and e.treatment == entry.treatment and e.label in found]  # fmt: skip
        for metric in METRICS:
            value = found.get(entry.label, {}).get(metric)
            low, high = _bounds(value)
            row |= {metric: np.nan if value is None else value.value, f"{metric}_low": low, f"{metric}_high": high}
            others = [peer[metric] for peer in peers if metric in peer] if entry.seed is None else []
            row |= _against(metric, value, others)
        rows.append(row)
    return rows


def _bounds(value: MetricValue | None) -> tuple[float, float]:
    if value is None or value.replicates is None:
        return float("nan"), float("nan")
    low, high = interval(value.replicates)
    return float(low), float(high)


def _against(metric: str, value: MetricValue | None, others: Sequence[MetricValue]) -> Row:
    """Difference to the mean of random kernels with its interval, and how many of them are beaten."""
    names = [f"{metric}_{part}" for part in ("minus_random", "minus_random_low", "minus_random_high", "random_beaten")]
    if value is None or np.isnan(value.value) or not others:
        return dict(zip(names, (float("nan"), float("nan"), float("nan"), ""), strict=True))
    point = value.value - float(np.mean([other.value for other in others]))
    low = high = float("nan")
    drawn: list[Floats] = [other.replicates for other in others if other.replicates is not None]
    if value.replicates is not None and len(drawn) == len(others):
        low, high = (float(bound) for bound in interval(value.replicates - np.mean(drawn, axis=0)))
    better = np.less if metric in LOWER else np.greater
    beaten = sum(bool(better(value.value, other.value)) for other in others)
    return dict(zip(names, (point, low, high, f"{beaten} of {len(others)}"), strict=True))


def training_facts(path: str) -> Row:
    """What the kernel file says of its training: drift from the start and diversity."""
    kernels = load_kernels(resolve(path))
    result: Mapping[str, Any] = kernels.provenance.get("result", {})
    names = ("steps", "images_seen", "loss", "stem_cosine", "stem_relative_change", "kernel_diversity")
    return {"kernels": len(kernels), **{name: result.get(name, "") for name in names}}


def page(
    rows: Sequence[Row], facts: Mapping[str, Row], changed: Mapping[str, Sequence[str]], arguments: argparse.Namespace
) -> str:
    """The comparison in Markdown."""
    lines = ["# Kernels against random kernels", ""]
    lines += _markdown([{"file": label, **row} for label, row in facts.items()])
    for benchmark in dict.fromkeys(row["benchmark"] for row in rows):
        lines += ["", f"## {benchmark}", ""]
        lines.append(f"Settings besides the benchmark's: {', '.join(changed[benchmark]) or 'none'}.")
        lines.append(f"Random kernels: {arguments.random} seeds. [..]: 95 % interval of the patient bootstrap.")
        lines += ["Bold: the interval of a difference excludes 0 on the better side.", ""]
        lines += _markdown([_shown(row) for row in rows if row["benchmark"] == benchmark])
    return "\n".join(lines) + "\n"


def _shown(row: Row) -> Row:
    shown: Row = {"kernels": row["kernels"]}
    for metric, title in METRICS.items():
        shown[title] = _with_bounds(row, metric, "{:.3f}")
        text = _with_bounds(row, f"{metric}_minus_random", "{:+.3f}")
        bound = row[f"{metric}_minus_random_{'high' if metric in LOWER else 'low'}"]
        if (bound < 0) if metric in LOWER else (bound > 0):
            text = f"**{text}**"
        beaten = row[f"{metric}_random_beaten"] if text else ""
        shown[f"{title}, minus random"] = f"{text}, beats {beaten}" if beaten else ""
    shown["status"] = row["status"]
    return shown


def _with_bounds(row: Row, name: str, form: str) -> str:
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if np.isnan(value):
        return ""
    return form.format(value) if np.isnan(low) else f"{form.format(value)} [{form.format(low)}, {form.format(high)}]"


def _markdown(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    cells = [[f"{v:.3f}" if isinstance(v, float) else str(v).replace("|", "\\|") for v in row.values()] for row in rows]
    heads = [str(name).replace("|", "\\|") for name in rows[0]]
    return [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *(f"| {' | '.join(line)} |" for line in cells)]


if __name__ == "__main__":
    main()
