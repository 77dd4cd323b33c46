"""From run folders to a leaderboard. What does not belong together is refused."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from harmbench import __version__
from harmbench.data import Floats
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard import pretraining
from harmbench.leaderboard.model import Board, Definition, Figure, Row, Section
from harmbench.results import MetricValue
from harmbench.run.provenance import now
from harmbench.run.store import RunFolder, comparable
from harmbench.stats.bootstrap import interval
from harmbench.stats.ranking import Contender, Standing, gate_then_goal

REFERENCE = "none"

Key = tuple[str, str, str]
"""Metric, scope, scope value."""


def build(folders: Sequence[Path], methods: Sequence[str] = (), keys: Sequence[str] = ()) -> Board:
    """Collect a leaderboard.

    Parameters
    ----------
    folders : sequence of Path
        Run folders; all must share benchmark, data, split, metrics and settings.
    methods : sequence of str, optional
        Only these methods (references and controls stay): ranks are worked out anew among them.
    keys : sequence of str, optional
        Cells that count where a method was recorded more than once (its code changed in between); else the last one.

    Raises
    ------
    UsageError
        The folders do not belong together; names what differs.
    DataError
        A folder is not a run, or holds nothing.
    """
    runs = [RunFolder(Path(folder)) for folder in folders]
    plans = [run.plan for run in runs]
    for run, plan in zip(runs, plans, strict=True):
        one, other = comparable(plan), comparable(plans[0])
        different = [k for k in sorted(one.keys() | other.keys()) if k != "harmbench" and one.get(k) != other.get(k)]
        if different:
            raise UsageError(
                f"{run.path} cannot stand on one board with {runs[0].path}; they differ in: {', '.join(different)}."
            )
    plan = plans[0]
    cells: dict[str, dict[int, tuple[RunFolder, dict[str, Any]]]] = defaultdict(dict)
    for run in runs:
        for record in run.records().values():
            here = cells[record["method"]]
            if record["repeat"] not in here or record["key"] in keys or here[record["repeat"]][1]["key"] not in keys:
                here[record["repeat"]] = (run, record)
    if not cells:
        raise DataError("no cell has been recorded.", file=runs[0].path, remedy="Run again; it continues.")
    definitions = {m["name"]: m for m in plan["metrics"]}
    rows: dict[str, Row] = {}
    figures: dict[str, dict[Key, MetricValue]] = {}
    for method, repeats in cells.items():
        records = [record for _, record in repeats.values()]
        if methods and method not in methods and records[0]["role"] == "method" and method != REFERENCE:
            continue
        rows[method], figures[method] = _row(method, repeats, plan, definitions)
    _rank(rows, figures, plan, definitions)
    order = {section: i for i, section in enumerate(get_args(Section))}
    rank_of = {m: i for i, m in enumerate(rows)}
    goal = plan["ranking"]["goal"]

    def place(row: Row) -> tuple[Any, ...]:
        value = row.overall.get(goal, Figure(value=None)).value
        better = value if definitions[goal]["direction"] == "min" else -(value or 0)
        if row.section == "below the gate":
            better = -(row.difference or (0, 0, 0))[1]
        return (order[row.section], math.inf if value is None else better, rank_of[row.method])

    ordered = sorted(rows.values(), key=place)
    return Board.model_validate(
        {
            "schema": 1,
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
                name: Definition(**{k: m[k] for k in Definition.model_fields}) for name, m in definitions.items()
            },
            "warnings": _warnings(ordered, plan),
            "rows": ordered,
            "built": now(),
        }
    )


def _row(
    method: str,
    repeats: Mapping[int, tuple[RunFolder, dict[str, Any]]],
    plan: Mapping[str, Any],
    definitions: Mapping[str, Any],
) -> tuple[Row, dict[Key, MetricValue]]:
    records = [record for _, record in repeats.values()]
    first = records[0]
    bad = [r for r in records if r["status"] != "ok"]
    wanted = int(plan["splits"]["repeats"])
    row = Row(
        method=method,
        role=first["role"],
        section="ranked",
        status=bad[0]["status"] if bad else "ok",
        reason=bad[0]["error"] if bad else "",
        features=first["features"],
        seconds=sum(r["seconds"] for r in records),
        stages=first["stages"],
        audit={k: any(r["audit"].get(k) for r in records) for k in first["audit"]},
        not_applicable=first["not_applicable"],
        pretraining=pretraining.worst([r.get("pretraining", []) for r in records]),
    )
    if bad:
        row.section = "not run"
        return row, {}
    values = _average([run.metrics(record["key"]) for run, record in repeats.values()])
    for (metric, scope, scope_value), value in values.items():
        figure = _figure(value)
        if scope == "overall":
            row.overall[metric] = figure
        elif scope in ("manufacturer", "pair"):
            getattr(row, scope).setdefault(metric, {})[scope_value] = figure
        else:
            row.other.setdefault(metric, {})[scope_value] = figure
    for metric, by in row.manufacturer.items():
        known = {m: f.value for m, f in by.items() if f.value is not None}
        if known:
            pick = max if definitions[metric]["direction"] == "min" else min
            row.worst[metric] = pick(known, key=lambda m: known[m])
    if len(records) < wanted:
        row.section, row.reason = "not ranked", f"incomplete: {len(records)} of {wanted} repeats"
    elif row.role != "method":
        row.section = "control"
    elif row.audit.get("label_leak"):
        row.section, row.reason = "not ranked", "leaks: test rows depend on the labels of test rows"
    elif seen := pretraining.leak(row):
        row.section, row.reason = "not ranked", seen
    elif not first["inductive"]:
        row.section, row.reason = "transductive", "fitted on all rows at once, test rows included"
    elif row.audit.get("row_dependent"):
        row.section, row.reason = "not ranked", "declared inductive, but a test row depends on the other test rows"
    if not first["inductive"]:
        row.flags.append("transductive")
    if first["uses_label"]:
        row.flags.append("uses label")
    if row.audit.get("label_leak"):
        row.flags.append("leak caught")
    if plan["data"].get("confounded"):
        row.flags.append("confounded")
    row.flags += pretraining.flags(row, plan["dataset"]["name"])
    return row, values


def _average(repeats: Sequence[Sequence[MetricValue]]) -> dict[Key, MetricValue]:
    """Mean over repeats, value by value and replicate by replicate (resamples are the same in every repeat)."""
    found: dict[Key, list[MetricValue]] = defaultdict(list)
    for metrics in repeats:
        for m in metrics:
            found[m.metric, m.scope, m.scope_value].append(m)
    result = {}
    for key, values in found.items():
        replicates: Floats | None = None
        given = [m.replicates for m in values if m.replicates is not None]
        if len(given) == len(values):
            replicates = np.mean(given, axis=0)
        p = [m.p_value for m in values if m.p_value is not None]
        result[key] = MetricValue(
            metric=key[0],
            value=float(np.mean([m.value for m in values])),
            scope=values[0].scope,
            scope_value=key[2],
            n=values[0].n,
            replicates=replicates,
            p_value=float(np.median(p)) if p else None,
            note=values[0].note,
        )
    return result


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _figure(value: MetricValue) -> Figure:
    low = high = None
    if value.replicates is not None and math.isfinite(value.value):
        low, high = (_finite(float(bound)) for bound in interval(value.replicates))
    return Figure(
        value=_finite(value.value), low=low, high=high, n=value.n, p_value=_finite(value.p_value), note=value.note
    )


def _rank(
    rows: Mapping[str, Row],
    figures: Mapping[str, Mapping[Key, MetricValue]],
    plan: Mapping[str, Any],
    definitions: Mapping[str, Any],
) -> None:
    gate, goal = plan["ranking"]["gate"], plan["ranking"]["goal"]

    def contender(method: str) -> Contender | None:
        found = [figures[method].get((name, "overall", "")) for name in (gate, goal)]
        if any(f is None or not math.isfinite(f.value) for f in found):
            return None
        signal, target = found
        assert signal is not None and target is not None
        return Contender(method, signal.value, target.value, signal.replicates, target.replicates)

    reference = contender(REFERENCE) if figures.get(REFERENCE) else None
    field = []
    for method, row in rows.items():
        if not figures.get(method):
            continue
        one = contender(method)
        if row.section == "ranked" and (one is None or reference is None):
            row.section = "not ranked"
            row.reason = _missing(REFERENCE if reference is None else method, figures, (gate, goal))
        elif row.section == "ranked" and one is not None:
            field.append(one)
        elif one is not None and reference is not None:
            # Not ranked, but its difference to `none` is worth showing.
            row.difference = _standings([reference, one], reference, plan, definitions)[method].difference
    if reference is None:
        return
    for method, standing in _standings(field, reference, plan, definitions).items():
        row = rows[method]
        row.rank, row.difference, row.reason = standing.rank, standing.difference, standing.reason
        if not standing.passed:
            row.section = "below the gate"


def _missing(method: str, figures: Mapping[str, Mapping[Key, MetricValue]], metrics: Sequence[str]) -> str:
    """Why a method cannot be ranked or compared with."""
    if not figures.get(method):
        return f"'{method}' did not run"
    for metric in metrics:
        value = figures[method].get((metric, "overall", ""))
        if value is None or not math.isfinite(value.value):
            why = f": {value.note}" if value is not None and value.note else ""
            return f"'{metric}' of '{method}' could not be computed{why}"
    return ""


def _standings(
    field: Sequence[Contender], reference: Contender, plan: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Mapping[str, Standing]:
    ranking = plan["ranking"]
    return gate_then_goal(
        field,
        reference,
        ranking["delta"],
        definitions[ranking["goal"]]["direction"],
        definitions[ranking["gate"]]["direction"],
    )


def _warnings(rows: Sequence[Row], plan: Mapping[str, Any]) -> list[str]:
    found = list(plan["data"]["notes"])
    canaries = [r for r in rows if r.role == "canary"]
    for row in canaries:
        if row.status == "ok" and not row.audit.get("label_leak"):
            found.append(f"QC FAILED: the canary '{row.method}' leaks labels and was not caught; trust nothing here.")
    if not any(row.audit.get("label_leak") for row in canaries):
        found.append("INCOMPLETE: no leaking canary was run and caught here, so nothing shows that leaks are found.")
    for row in rows:
        if row.role == "method" and row.audit.get("label_leak"):
            found.append(f"'{row.method}' leaks: its test rows depend on the labels of test rows.")
    return found + pretraining.notes(rows)
