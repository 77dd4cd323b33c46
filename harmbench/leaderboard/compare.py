"""Two methods side by side: paired differences where the resamples are the same, and what else differs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harmbench.data import Floats
from harmbench.errors import UsageError
from harmbench.leaderboard.auc_tests import Test, by_delong, over_folds
from harmbench.leaderboard.sides import Side
from harmbench.results import MetricValue
from harmbench.stats.bootstrap import interval

SCOPES = ("overall", "manufacturer", "class")
"""Levels at which two methods are compared."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


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
    delong: Test | None = Field(None, description="DeLong's test, as a cross-check of the bootstrap; of one repeat")
    over_folds: Test | None = Field(
        None, description="Nadeau and Bengio's corrected t-test over the folds of repeated cross-validation"
    )
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
    as_recorded: list[str] = Field(description="sides whose figures were not worked out anew from stored data")
    refused: list[str] = Field(description="metrics that cannot be compared, and why")
    differences: list[Difference]
    settings: list[Change]
    method: list[Change]
    environment: list[Change]


def compare(a: Side, b: Side) -> Comparison:
    """Compare two sides.

    Intervals are percentiles of the replicates of A minus those of B, resample by resample where the resamples are the
    same; a value at which nothing more is gained (`Definition.least`: a JSD below 0) counts as that one, as in ranks.
    Otherwise the replicates are set against each other in opposite order, as independent draws: such an interval
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
        as_recorded=[side.label for side in (a, b) if not side.rebuilt],
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
    point = float(np.maximum(one.value, definition.least) - np.maximum(other.value, definition.least))
    low = high = None
    better: Literal["", "A", "B"] = ""
    drawn = _replicates(one, other, paired, definition.least)
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
        delong=by_delong(key[0], key[2], a.predictions, b.predictions) if paired else None,
        over_folds=over_folds(key[0], key[2], a.predictions, b.predictions) if paired else None,
        note="; ".join(notes),
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _replicates(one: MetricValue, other: MetricValue, paired: bool, least: float) -> Floats | None:
    if one.replicates is None or other.replicates is None:
        return None
    first, second = np.maximum(one.replicates, least), np.maximum(other.replicates, least)
    if paired and len(first) == len(second):
        return np.asarray(first - second)
    count = min(len(first), len(second))
    return np.asarray(first[:count] - second[:count][::-1])


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
