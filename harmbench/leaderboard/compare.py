"""Two methods side by side: paired differences where the resamples are the same, and what else differs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harmbench.data import Floats
from harmbench.errors import UsageError
from harmbench.leaderboard.sides import Columns, Side
from harmbench.results import MetricValue
from harmbench.stats.bootstrap import interval
from harmbench.stats.delong import delong, delong_within
from harmbench.stats.delong import difference as delong_difference

LOMO = "leave-one-manufacturer-out"
SCOPES = ("overall", "manufacturer", "class")
"""Levels at which two methods are compared."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Delong(_Model):
    """DeLong's test of the difference of two AUCs, as a cross-check of the bootstrap."""

    difference: float
    low: float
    high: float
    p_value: float


class Difference(_Model):
    """A figure of both sides, and A minus B."""

    metric: str
    label: str
    goal: str
    direction: Literal["min", "max"]
    scope: str
    place: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None = Field(None, description="95 % interval of the difference; null: no replicates")
    high: float | None = None
    better: Literal["", "A", "B"] = Field("", description="whose figure is better, where the interval excludes 0")
    delong: Delong | None = None
    note: str = ""


class Change(_Model):
    """Something that is not the same on both sides; null: not there."""

    what: str
    a: Any
    b: Any


class Comparison(_Model):
    """Two methods.

    `paired` says whether both sides have the same resamples of the same patients; `unpaired_because` why not.
    """

    a: str
    b: str
    paired: bool
    unpaired_because: list[str]
    refused: list[str] = Field(description="metrics that cannot be compared, and why")
    differences: list[Difference]
    settings: list[Change]
    method: list[Change]
    environment: list[Change]


def compare(a: Side, b: Side) -> Comparison:
    """Compare two sides.

    Intervals are percentiles of the replicates of A minus those of B, resample by resample where the resamples are the
    same. Otherwise the replicates are set against each other in opposite order, as independent draws: such an interval
    is wider than a paired one.

    Raises
    ------
    UsageError
        Nothing can be compared: the classes differ, or there is no metric that both have in one version.
    """
    if a.design["classes"] != b.design["classes"]:
        raise UsageError(
            f"{a.label} and {b.label} cannot be compared: the positive class is {a.design['classes'][1]} of "
            f"{a.design['classes']} on one side and {b.design['classes'][1]} of {b.design['classes']} on the other."
        )
    reasons = [f"{k} differs" for k in a.design if a.design[k] != b.design.get(k)]
    refused = _refused(a, b)
    shared = [m for m in a.definitions if m in b.definitions and m not in refused]
    if not shared:
        raise UsageError(f"{a.label} and {b.label} cannot be compared: {'; '.join(refused.values())}.")
    found = [
        _difference(a, b, key, paired=not reasons)
        for key in dict.fromkeys([*a.values, *b.values])
        if key[0] in shared and key[1] in SCOPES
    ]
    order = {scope: i for i, scope in enumerate(SCOPES)}
    return Comparison(
        a=a.label,
        b=b.label,
        paired=not reasons,
        unpaired_because=reasons,
        refused=list(refused.values()),
        differences=sorted(found, key=lambda d: order[d.scope]),
        settings=changes(a.settings, b.settings),
        method=changes(_stages(a), _stages(b)),
        environment=changes(a.environment, b.environment, leave=("schema", "started", "command")),
    )


def _refused(a: Side, b: Side) -> dict[str, str]:
    found = {}
    for metric in dict.fromkeys([*a.definitions, *b.definitions]):
        one, other = a.definitions.get(metric), b.definitions.get(metric)
        if one is None or other is None:
            found[metric] = f"{metric}: only {(a if other is None else b).label} has it"
        elif (one.version, one.direction) != (other.version, other.direction):
            found[metric] = f"{metric}: version {one.version} on one side, {other.version} on the other"
    return found


def _stages(side: Side) -> dict[str, Any]:
    return {stage["name"]: {k: v for k, v in stage.items() if k != "name"} for stage in side.stages}


def _difference(a: Side, b: Side, key: tuple[str, str, str], *, paired: bool) -> Difference:
    definition = a.definitions[key[0]]
    one, other = (side.values.get(key, MetricValue(key[0], math.nan, note="not given")) for side in (a, b))
    point = one.value - other.value
    low = high = None
    better: Literal["", "A", "B"] = ""
    drawn = _replicates(one, other, paired)
    if drawn is not None and math.isfinite(point):
        bounds = [float(bound) for bound in interval(drawn)]
        if all(map(math.isfinite, bounds)):
            low, high = bounds
            if low > 0 or high < 0:
                better = "A" if (low > 0) == (definition.direction == "max") else "B"
    missing = [(side.label, m.note) for side, m in ((a, one), (b, other)) if math.isnan(m.value) and m.note]
    same = len(missing) == 2 and missing[0][1] == missing[1][1]
    notes = [missing[0][1]] if same else [f"{label}: {note}" for label, note in missing]
    return Difference(
        metric=key[0],
        label=definition.label,
        goal=definition.goal,
        direction="max" if definition.direction == "max" else "min",
        scope=key[1],
        place=key[2],
        a=_finite(one.value),
        b=_finite(other.value),
        difference=_finite(point),
        low=low,
        high=high,
        better=better,
        delong=_delong(key, a.predictions, b.predictions) if paired else None,
        note="; ".join(notes),
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _replicates(one: MetricValue, other: MetricValue, paired: bool) -> Floats | None:
    if one.replicates is None or other.replicates is None:
        return None
    if paired and len(one.replicates) == len(other.replicates):
        return np.asarray(one.replicates - other.replicates)
    count = min(len(one.replicates), len(other.replicates))
    return np.asarray(one.replicates[:count] - other.replicates[:count][::-1])


def _delong(key: tuple[str, str, str], a: Columns | None, b: Columns | None) -> Delong | None:
    metric, _, place = key
    if a is None or b is None or metric not in ("auc_within", "auc_pooled", "auc_lomo"):
        return None
    if metric == "auc_pooled" and place:
        return None
    kept = [(side["protocol"] == LOMO) == (metric == "auc_lomo") for side in (a, b)]
    if place:
        kept = [rows & (side["manufacturer"] == place) for rows, side in zip(kept, (a, b), strict=True)]
    one, other = ({k: v[rows] for k, v in side.items()} for side, rows in zip((a, b), kept, strict=True))
    facts = ("manufacturer", "label")
    if not len(one["score"]) or any(not np.array_equal(one[f], other[f]) for f in facts):
        return None  # a method that left a manufacturer out has other rows
    scores = np.column_stack([one["score"], other["score"]])
    if metric == "auc_pooled":
        aucs = delong(one["label"], scores, one["patient"])
    else:
        aucs = delong_within(one["label"], scores, one["manufacturer"], one["patient"])
    d = delong_difference(aucs)
    if not all(map(math.isfinite, (d.value, d.low, d.high, d.p_value))):
        return None
    return Delong(difference=d.value, low=d.low, high=d.high, p_value=d.p_value)


def changes(a: Any, b: Any, leave: Sequence[str] = (), path: str = "") -> list[Change]:
    """Where two nested mappings differ, by dotted path; lists of named things are matched by name."""
    a, b = _by_name(a), _by_name(b)
    if not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        return [] if a == b else [Change(what=path, a=a, b=b)]
    found = []
    for name in dict.fromkeys([*a, *b]):
        if not path and name in leave:
            continue
        found += changes(a.get(name), b.get(name), (), f"{path}.{name}" if path else str(name))
    return found


def _by_name(value: Any) -> Any:
    if isinstance(value, list) and value and all(isinstance(v, Mapping) and "name" in v for v in value):
        return {v["name"]: {k: x for k, x in v.items() if k != "name"} for v in value}
    return value
