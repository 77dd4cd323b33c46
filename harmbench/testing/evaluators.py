"""Checks of evaluators: the folds of a method in, metric values out."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from harmbench.data import FeatureTable, concatenate
from harmbench.results import CellResult, Evaluation
from harmbench.seeding import rng
from harmbench.testing import cells
from harmbench.testing.declarations import check_other_process, quiet
from harmbench.testing.exercise import exercise
from harmbench.testing.model import Inapplicable, require
from harmbench.testing.subjects import Subject

ORDER_SHARE, DUPLICATE_SHARE = 0.1, 0.25
"""How far a value may move, as a share of what separates the best from the worst control."""


def _overall(done: Evaluation) -> dict[str, float]:
    return {m.metric: float(m.value) for m in done.metrics if m.scope == "overall"}


def check_metrics_declared(subject: Subject) -> None:
    """A metric that nobody can look up is a number without a meaning.

    Fails when the spec lists no metric, or one whose name is not snake_case, that has no definition or label, whose
    bounds are no range, or whose version is below 1.
    """
    metrics = subject.spec.metrics
    require(metrics, "the spec declares no metric")
    require(len({m.name for m in metrics}) == len(metrics), "two metrics have one name")
    for metric in metrics:
        require(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", metric.name), f"metric '{metric.name}' is not snake_case")
        require(
            metric.definition.strip() and metric.label.strip(), f"metric '{metric.name}' has no definition or label"
        )
        low, high = metric.bounds
        require(low < high, f"metric '{metric.name}': bounds {metric.bounds} are no range")
        require(metric.version >= 1, f"metric '{metric.name}': versions start at 1")
        require(metric.scopes, f"metric '{metric.name}' is given at no scope")


def check_values_declared(subject: Subject) -> None:
    """Results are filed by metric and scope, as the spec declares them.

    Fails when a value is of an undeclared metric or scope, when two values have one place, when a NaN comes without a
    note that says why, or when replicates are not as many as the resamples.
    """
    declared = {m.name: m for m in subject.spec.metrics}
    done = cells.evaluate(subject, cells.plain_cell())
    require(done.metrics, "it gives no value")
    places = set()
    for m in done.metrics:
        require(m.metric in declared, f"metric '{m.metric}' is not declared in the spec")
        scopes = declared[m.metric].scopes
        require(m.scope in scopes, f"metric '{m.metric}': scope '{m.scope}' is not declared, only {', '.join(scopes)}")
        place = (m.metric, m.scope, m.scope_value)
        require(place not in places, f"two values of '{m.metric}' for {m.scope} '{m.scope_value}'")
        places.add(place)
        require(
            not math.isnan(m.value) or m.note, f"'{m.metric}' is NaN for {m.scope} '{m.scope_value}' without a note"
        )
        if m.replicates is not None:
            require(
                np.shape(m.replicates) == (cells.REPLICATES,),
                f"'{m.metric}' has replicates {np.shape(m.replicates)} for {cells.REPLICATES} resamples",
            )
    for name, table in done.tables.items():
        lengths = {len(column) for column in table.values()}
        require(len(lengths) <= 1, f"table '{name}' has columns of different lengths")


def _controls() -> dict[str, CellResult]:
    table = cells.simulated_table()
    changes = {
        "as it is": cells.identity,
        "noise": cells.noise,
        "the label": cells.label,
        "the manufacturer": cells.manufacturer,
    }
    return {name: cells.cell_of(table, change) for name, change in changes.items()}


def check_bounds(subject: Subject) -> None:
    """`bounds` tell readers and plots what a value can be.

    Fails when a value on plain data, on noise, on the label itself or on the manufacturer itself lies outside of them
    by more than a tenth of their range (bias-corrected metrics may lie a little outside).
    """
    bounds = {m.name: m.bounds for m in subject.spec.metrics}
    for name, cell in _controls().items():
        for m in cells.evaluate(subject, cell).metrics:
            low, high = bounds.get(m.metric, (-math.inf, math.inf))
            slack = 0.1 * (high - low) if math.isfinite(high - low) else 0.0
            require(
                math.isnan(m.value) or low - slack <= m.value <= high + slack,
                f"on features that are {name}: '{m.metric}' is {m.value:.4g} for {m.scope} '{m.scope_value}', outside "
                f"[{low:g}, {high:g}]",
            )


def _worse_and_better(goal: str) -> tuple[CellResult, CellResult]:
    """Two cells of which the second is better by construction."""
    controls = _controls()
    if goal == "harmonization":
        return controls["the manufacturer"], cells.cell_of(cells.simulated_table(shift=0.0))
    if goal == "signal":
        return controls["noise"], controls["the label"]
    return controls["noise"], controls["as it is"]


def check_direction(subject: Subject) -> None:
    """A metric whose sign is wrong ranks the worst method first.

    For each metric a case that is better by construction has to score better (or equal), and at least one metric of the
    evaluator has to tell them apart: features without a manufacturer effect against features that are the manufacturer
    (goal "harmonization"), features that are the label against noise ("signal"), untouched features against noise
    ("integrity"). Fails when `direction` is "min" where it should be "max", or when the metric does not see the
    difference. Metrics of cost are not asked.
    """
    goals = {m.goal for m in subject.spec.metrics} - {"cost"}
    if not goals:
        raise Inapplicable("metrics of cost have no such controls")
    told_apart, known = False, False
    for goal in sorted(goals):
        worse, better = (_overall(cells.evaluate(subject, cell)) for cell in _worse_and_better(goal))
        for metric in (m for m in subject.spec.metrics if m.goal == goal):
            if metric.name not in worse or metric.name not in better:
                continue
            sign = 1 if metric.direction == "max" else -1
            gain = sign * (better[metric.name] - worse[metric.name])
            if math.isnan(gain):
                continue
            known = True
            require(
                gain >= -1e-9,
                f"'{metric.name}' (better: {metric.direction}) is {worse[metric.name]:.4g} for the worse case of "
                f"{goal} and {better[metric.name]:.4g} for the better one",
            )
            told_apart = told_apart or gain > 1e-9
    if not known:
        raise Inapplicable("it gives no number for the controls (it may need the tables of other evaluators)")
    require(told_apart, "no metric tells the better case from the worse one")


def _ranges(subject: Subject) -> dict[str, float]:
    """How far each metric's controls lie apart."""
    found: dict[str, list[float]] = {}
    for cell in _controls().values():
        for name, value in _overall(cells.evaluate(subject, cell)).items():
            found.setdefault(name, []).append(value)
    spans = {}
    for name, values in found.items():
        known = [v for v in values if math.isfinite(v)]
        spans[name] = max(known) - min(known) if known else 0.0
    return spans


def _compare(one: dict[str, float], two: dict[str, float], spans: dict[str, float], share: float, what: str) -> None:
    require(set(one) == set(two), f"{what}: other metrics are given")
    for name, value in one.items():
        if math.isnan(value) and math.isnan(two[name]):
            continue
        allowed = share * spans.get(name, 0.0) + 1e-9 * max(1.0, abs(value))
        require(
            abs(value - two[name]) <= allowed,
            f"{what}: '{name}' goes from {value:.5g} to {two[name]:.5g} (allowed: {allowed:.2g})",
        )


def check_row_order(subject: Subject) -> None:
    """The order of rows in a table says nothing about a method.

    Fails when the same folds with rows in another order give another value: beyond 10 % of what lies between the
    controls, which allows for a random forest (its draws follow positions). Pair rows by sample id, not by position.
    """
    table = cells.simulated_table()
    order = rng(0, check="evaluator rows").permutation(len(table))
    one = _overall(cells.evaluate(subject, cells.cell_of(table)))
    two = _overall(cells.evaluate(subject, cells.cell_of(table, order=order)))
    _compare(one, two, _ranges(subject), ORDER_SHARE, "rows in another order")


def _doubled(table: FeatureTable) -> FeatureTable:
    return concatenate([table, replace(table, samples=np.array([f"{s}-2" for s in table.samples.tolist()]))])


def check_duplicates(subject: Subject) -> None:
    """The same images twice are not twice the evidence.

    Every row is there twice, of the same patient. Fails when a value moves by more than a quarter of what lies between
    the controls. Count patients, not rows, where a figure depends on how many there are.
    """
    table = cells.simulated_table()
    one = _overall(cells.evaluate(subject, cells.cell_of(table)))
    cell = cells.cell_of(table)
    folds = tuple(replace(f, train=_doubled(f.train), test=_doubled(f.test)) for f in cell.folds)
    twice = replace(cell, raw=_doubled(cell.raw), scored=_doubled(cell.scored), folds=folds)
    two = _overall(cells.evaluate(subject, twice))
    _compare(one, two, _ranges(subject), DUPLICATE_SHARE, "every row twice")


def check_repeatable(subject: Subject) -> None:
    """A score that changes from run to run cannot be compared.

    Fails when two calls with the same seed differ, or a fresh process gives another value. Draw from
    `context.rng(name="...")`, and sort what comes out of a set.
    """
    cell = cells.plain_cell()
    one, two = (_overall(cells.evaluate(subject, cell)) for _ in range(2))
    _compare(one, two, {}, 0.0, "two calls")
    check_other_process(subject, exercise(subject))


def check_no_mutation(subject: Subject) -> None:
    """All evaluators get the same tables.

    Fails when `evaluate` writes into one of them.
    """
    cell = cells.plain_cell()
    tables = [cell.raw, cell.scored, *(t for f in cell.folds for t in (f.train, f.test))]
    before = [t.values.copy() for t in tables]
    cells.evaluate(subject, cell)
    for table, values in zip(tables, before, strict=True):
        require(np.array_equal(table.values, values), "evaluate writes into the tables that it is given")


def check_quiet(subject: Subject) -> None:
    """Standard output belongs to the command: `--json` prints one document there.

    Fails when `evaluate` prints, by Python or by compiled code. Use `warnings.warn` or `logging`.
    """
    cell = cells.plain_cell()
    with quiet():
        cells.evaluate(subject, cell)


def check_recompute(subject: Subject) -> None:
    """`recompute` rebuilds a leaderboard from what a run folder keeps, and must give the figures that were published.

    Fails when it gives other metrics than `evaluate`, or a value that differs by more than 1e-9. What it needs besides
    the held-out tables, `evaluate` has to return as a table of its own. An evaluator without it is not asked.
    """
    evaluator = subject.build()
    if not hasattr(evaluator, "recompute"):
        raise Inapplicable("it has no recompute()")
    cell = cells.plain_cell()
    done = evaluator.evaluate(cell, cells.context_of(cell))
    again = subject.build().recompute(cells.stored(cell, done.tables), cells.context_of(cell))

    def of(evaluation: Evaluation) -> dict[tuple[str, str, str], float]:
        return {(m.metric, m.scope, m.scope_value): float(m.value) for m in evaluation.metrics}

    one, two = of(done), of(again)
    require(set(one) == set(two), f"recompute gives other figures: {sorted(set(one) ^ set(two))[:1]}")
    for place, value in one.items():
        same = math.isclose(value, two[place], rel_tol=1e-9, abs_tol=1e-9) or (
            math.isnan(value) and math.isnan(two[place])
        )
        require(same, f"'{place[0]}' ({place[1]} '{place[2]}') is {value:.6g}, and {two[place]:.6g} recomputed")
