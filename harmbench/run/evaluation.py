"""The evaluators of a cell, one after the other: on a fresh result, or on what a run folder kept of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.components import EvaluationContext
from harmbench.data import FeatureTable
from harmbench.errors import PluginError
from harmbench.methods import Component
from harmbench.results import CellResult, Evaluation, MetricValue
from harmbench.run.place import At
from harmbench.seeding import seed as seed_of
from harmbench.specs import EvaluatorSpec
from harmbench.stats.bootstrap import patient_resamples

Tables = dict[str, Mapping[str, Any]]


def resamples_of(scored: FeatureTable, replicates: int, seed: int) -> npt.NDArray[np.float32]:
    """The patient bootstrap of a run: a function of its seed and of the scored rows (hashed ids, manufacturer, label).

    The same in every repeat, so that repeats average replicate by replicate.
    """
    assert scored.label is not None  # the runner gave labels back
    return patient_resamples(
        scored.patient, scored.manufacturer, scored.label, replicates, seed_of(seed, resamples="patients")
    )


def context_of(
    spec: EvaluatorSpec, seed: int, repeat: int, resamples: npt.NDArray[np.float32], permutations: int, earlier: Tables,
    n_jobs: int = 1,
) -> EvaluationContext:  # fmt: skip
    """What an evaluator may know of the cell it scores."""
    return EvaluationContext(
        seed=seed_of(seed, evaluator=spec.name, repeat=repeat),
        n_jobs=n_jobs,
        resamples=resamples,
        permutations=permutations,
        earlier=earlier,
    )


def evaluate(
    evaluators: Sequence[Component], result: CellResult, seed: int, repeat: int, replicates: int, permutations: int
) -> tuple[tuple[MetricValue, ...], Tables]:
    """All evaluators of a cell, in the benchmark's order; later ones see the tables of earlier ones.

    Parameters
    ----------
    evaluators : sequence of Component
    result : CellResult
        With hashed ids.
    seed, repeat, replicates, permutations : int
        Of the run.
    """
    resamples = resamples_of(result.scored, replicates, seed)
    metrics: list[MetricValue] = []
    tables: Tables = {}
    for evaluator in evaluators:
        context = context_of(evaluator.spec, seed, repeat, resamples, permutations, tables)
        with At(stage=evaluator.spec.name):
            done: Evaluation = evaluator.build().evaluate(result, context)
            check_declared(evaluator.spec, done)
        metrics += done.metrics
        tables |= done.tables
    return tuple(metrics), tables


def check_declared(spec: EvaluatorSpec, done: Evaluation) -> None:
    """Refuse a metric that the evaluator's spec does not declare.

    Raises
    ------
    PluginError
    """
    declared = {metric.name for metric in spec.metrics}
    for value in done.metrics:
        if value.metric not in declared:
            raise PluginError(f"evaluator '{spec.name}' gave the undeclared metric '{value.metric}'.")
