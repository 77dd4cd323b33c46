"""One method's row: what its cells gave, averaged over repeats."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from harmbench.data import Floats
from harmbench.leaderboard import pretraining
from harmbench.leaderboard.draws import encode
from harmbench.leaderboard.model import Figure, Row, Section
from harmbench.results import MetricValue
from harmbench.run.audit import Audit
from harmbench.stats.bootstrap import interval

Key = tuple[str, str, str]
"""Metric, scope, scope value."""
TRANSDUCTIVE, USES_LABEL = "transductive", "uses label"
ASKED = frozenset(f.name for f in fields(Audit))
"""What every cell with figures is asked by the audit."""


def average(repeats: Sequence[Sequence[MetricValue]]) -> dict[Key, MetricValue]:
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


def make_row(records: Sequence[Mapping[str, Any]], values: Mapping[Key, MetricValue], plan: Mapping[str, Any]) -> Row:
    """The row of a method, before ranks.

    Parameters
    ----------
    records : sequence of mapping
        Of its cells, one per repeat.
    values : mapping
        `average` of their figures; empty when a cell failed.
    plan : mapping
        Of the run.
    """
    first = records[0]
    bad = [r for r in records if r["status"] != "ok"]
    row = Row(
        method=first["method"],
        role=first["role"],
        section="ranked",
        status=bad[0]["status"] if bad else "ok",
        features=first["features"],
        seconds=sum(r["seconds"] for r in records),
        stages=first["stages"],
        audit=_audit(records),
        not_applicable=first["not_applicable"],
        pretraining=pretraining.worst([r.get("pretraining", []) for r in records]),
        cells=[r["key"] for r in records],
    )
    if bad:
        row.apart, row.apart_reason = "not run", bad[0]["error"]
        return row
    directions = {m["name"]: m["direction"] for m in plan["metrics"]}
    for (metric, scope, scope_value), value in values.items():
        figure = _figure(value)
        if scope == "overall":
            row.overall[metric] = figure
        elif scope in ("manufacturer", "pair"):
            getattr(row, scope).setdefault(metric, {})[scope_value] = figure
        else:
            row.other.setdefault(metric, {})[scope_value] = figure
    row.worst = worst_of(row, directions)
    for metric in (plan["ranking"]["gate"], plan["ranking"]["goal"]):
        overall = values.get((metric, "overall", ""))
        if overall is not None and overall.replicates is not None:
            row.draws[metric] = encode(overall.replicates)
    confounded = bool(plan["data"].get("confounded"))
    row.flags = flags_of(row, first["inductive"], first["uses_label"], confounded, plan["dataset"]["name"])
    row.apart, row.apart_reason = apart_of(row, int(plan["splits"]["repeats"]), confounded)
    return row


def worst_of(row: Row, directions: Mapping[str, str]) -> dict[str, str]:
    """The manufacturer with the worst value of each metric."""
    worst = {}
    for metric, by in row.manufacturer.items():
        known = {m: f.value for m, f in by.items() if f.value is not None}
        if known:
            pick = max if directions[metric] == "min" else min
            worst[metric] = pick(known, key=lambda m: known[m])
    return worst


def _audit(records: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """A leak in any repeat is a leak; a question that a repeat with figures does not answer has no answer."""
    asked = dict.fromkeys(k for r in records for k in r["audit"])
    found = {k: any(r["audit"].get(k) for r in records) for k in asked}
    answered = [r["audit"] for r in records if r["status"] == "ok"]
    return {k: leak for k, leak in found.items() if leak or all(k in audit for audit in answered)}


def apart_of(row: Row, repeats: int, confounded: bool) -> tuple[Section | None, str]:
    """Where a method stands whoever is beside it, and why; (None, "") when it is ranked among the others.

    It follows from the row and what the board knows of its data alone, so that a stored board can be held against it.
    """
    if len(row.cells) < repeats:
        return "not ranked", f"incomplete: {len(row.cells)} of {repeats} repeats"
    if row.role != "method":
        return "control", ""
    if missing := sorted(ASKED - row.audit.keys()):
        return "not ranked", f"not audited: no answer to {', '.join(missing)}"
    if row.audit.get("label_leak"):
        return "not ranked", "leaks: test rows depend on the labels of test rows"
    if seen := pretraining.leak(row):
        return "not ranked", seen
    if TRANSDUCTIVE in row.flags:
        return "transductive", "fitted on all rows at once, test rows included"
    if row.audit.get("row_dependent"):
        return "not ranked", "declared inductive, but a test row depends on the other test rows"
    if confounded:
        return "confounded", "the manufacturer determines the label: lost signal and lost scanner are one thing here"
    return None, ""


def flags_of(row: Row, inductive: bool, uses_label: bool, confounded: bool, dataset: str) -> list[str]:
    """What is said beside a method's name."""
    found = [
        word
        for word, true in (
            (TRANSDUCTIVE, not inductive),
            (USES_LABEL, uses_label),
            ("leak caught", row.audit.get("label_leak")),
            ("confounded", confounded),
        )
        if true
    ]
    return found + pretraining.flags(row, dataset)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _figure(value: MetricValue) -> Figure:
    low = high = None
    if value.replicates is not None and math.isfinite(value.value):
        low, high = (_finite(float(bound)) for bound in interval(value.replicates))
    return Figure(
        value=_finite(value.value), low=low, high=high, n=value.n, p_value=_finite(value.p_value), note=value.note
    )
