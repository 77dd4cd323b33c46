"""The evaluator `cost`: what a method takes."""

from __future__ import annotations

from harmbench.components import EvaluationContext
from harmbench.results import CellResult, Evaluation, MetricValue


class Cost:
    """Wall time per stage and peak memory, as the runner measured them: nothing they could be rebuilt from."""

    def evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation:
        n = len(result.scored)
        values = []
        for stage in ("extract", "fit", "transform"):
            seconds = result.seconds.get(stage)
            note = "" if seconds is not None else "not measured"
            value = float("nan") if seconds is None else float(seconds)
            values.append(MetricValue(f"seconds_{stage}", value, n=n, note=note))
        values.append(MetricValue("peak_memory_mb", float(result.peak_memory_mb), n=n))
        return Evaluation(tuple(values))
