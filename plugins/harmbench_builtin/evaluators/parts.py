"""Figures of a method whose folds use different features: made where they agree, then averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harmbench.components import EvaluationContext
from harmbench.results import CellResult, Evaluation, MetricValue

Evaluate = Callable[[CellResult, EvaluationContext], Evaluation]


def where_folds_agree(evaluate: Evaluate, result: CellResult, context: EvaluationContext) -> Evaluation:
    """Evaluate each group of folds that use the same features, and average the figures, weighted by rows.

    Distances between rows, or a pair's values over all objects, make no sense across folds whose columns mean
    different things. When all folds agree this is `evaluate` itself.

    Parameters
    ----------
    evaluate : callable
        Gives metrics only, no tables.
    result : CellResult
    context : EvaluationContext

    Returns
    -------
    Evaluation
        Of averaged metrics there is no p-value. A figure that some group cannot give is averaged over the others.
    """
    if result.absent is None:
        return evaluate(result, context)
    found: dict[tuple[str, str, str], list[MetricValue]] = {}
    parts = result.parts()
    for part, rows in parts:
        resamples = context.resamples[rows] if context.resamples.size else context.resamples
        for value in evaluate(part, replace(context, resamples=resamples)).metrics:
            found.setdefault((value.metric, value.scope, value.scope_value), []).append(value)
    note = f"mean over {len(parts)} groups of folds that use the same features"
    return Evaluation(tuple(_averaged(values, note) for values in found.values()))


def _averaged(values: list[MetricValue], note: str) -> MetricValue:
    first = values[0]
    usable = [v for v in values if not np.isnan(v.value)]
    more = f"; {first.note}" if first.note else ""
    if not usable:
        return replace(first, n=sum(v.n for v in values), replicates=None, p_value=None, note=note + more)
    weights = np.array([float(v.n) for v in usable])
    drawn = [v.replicates for v in usable if v.replicates is not None]
    replicates = None
    if len(drawn) == len(usable):
        # A resample may leave a small group without a manufacturer; the mean is then over the other groups.
        stacked = np.array(drawn)
        counts = weights[:, None] * ~np.isnan(stacked)
        total = counts.sum(axis=0)
        replicates = np.divide(
            (counts * np.nan_to_num(stacked)).sum(axis=0), total, out=np.full(len(total), np.nan), where=total > 0
        )
    return replace(
        first,
        value=float(np.average([v.value for v in usable], weights=weights)),
        n=int(weights.sum()),
        replicates=replicates,
        p_value=None,
        note=note + more,
    )
