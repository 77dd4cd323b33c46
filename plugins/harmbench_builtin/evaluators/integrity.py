"""The evaluator `integrity`: what harmonization did to the features themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from harmbench.components import EvaluationContext
from harmbench.data import FeatureTable
from harmbench.results import CellResult, Evaluation, MetricValue, StoredCell
from harmbench_builtin.evaluators.manufacturer_divergence import ManufacturerDivergence

Floats = npt.NDArray[np.float64]
WORSE = 0.02


class Integrity:
    """Rank correlation with the raw feature, non-finite and constant values, and features whose JSD got worse.

    Worse means: the class-conditional corrected JSD (mean over manufacturers) is more than 0.02 above that of the same
    feature before the method's feature stage. A negative value before counts as 0 here: it is noise around "no
    difference", and a feature that ends at 0 did not get worse.
    """

    def evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation:
        after = result.scored
        before = _same_rows(result.raw, after)
        n = len(after)
        present = np.ones(after.values.shape, bool) if result.absent is None else ~result.absent
        spread = [np.ptp(column[rows]) for column, rows in zip(after.values.T, present.T, strict=True)]
        constant = float((np.array(spread) == 0).mean())
        values = [
            MetricValue("non_finite", float((~np.isfinite(after.values[present])).mean()), n=n),
            MetricValue("constant_features", constant, n=n, note="over all folds"),
        ]
        if before.features != after.features or result.absent is not None:
            note = "the feature stage changed the set of features; nothing to compare with"
            values += [
                MetricValue(name, float("nan"), n=n, note=note) for name in ("rank_correlation", "features_worse")
            ]
            return Evaluation(tuple(values))
        kept = rank_correlation(before.values, after.values, after.manufacturer)
        values.append(MetricValue("rank_correlation", kept, n=n))
        old, new = _divergence(before, after, context)
        worse = new - np.maximum(old, 0.0) > WORSE
        if np.isnan(new - old).any():  # a matter of the design, hence of every feature
            note = "a manufacturer shares no label with another one; no class-conditional JSD"
            values.append(MetricValue("features_worse", float("nan"), n=n, note=note))
        else:
            values.append(MetricValue("features_worse", float(worse.mean()), n=n))
        table = {
            "feature": np.array(after.features, dtype=str)[worse],
            "before": old[worse],
            "after": new[worse],
        }
        return Evaluation(tuple(values), {"features_worse": table})

    def recompute(self, stored: StoredCell, context: EvaluationContext) -> Evaluation:
        """The same from the stored features before and after."""
        return self.evaluate(stored.result, context)


def rank_correlation(before: Floats, after: Floats, manufacturer: npt.NDArray[np.str_]) -> float:
    """Spearman correlation of each feature with itself before, within manufacturer, averaged over both.

    A feature that varied before and is constant now counts 0: its order is lost. One that was constant before has no
    order to keep and is left out. NaN when nothing is left, or a manufacturer has fewer than three rows everywhere.
    """
    means = []
    for name in np.unique(manufacturer):
        rows = manufacturer == name
        if rows.sum() < 3:
            continue
        x, y = (rankdata(_ordered(v[rows]), axis=0) for v in (before, after))
        x, y = x - x.mean(axis=0), y - y.mean(axis=0)
        sxx, syy = (x**2).sum(axis=0), (y**2).sum(axis=0)
        varied = sxx > 0
        size = np.sqrt(sxx * syy)
        r = np.divide((x * y).sum(axis=0), size, out=np.zeros(len(size)), where=size > 0)
        if varied.any():
            means.append(r[varied].mean())
    return float(np.mean(means)) if means else float("nan")


def _ordered(values: Floats) -> Floats:
    """NaN as the largest value, so that ranks exist."""
    return np.where(np.isnan(values), np.inf, values)


def _same_rows(raw: FeatureTable, scored: FeatureTable) -> FeatureTable:
    """The raw rows of the scored samples (a fixed hold-out scores some of the rows only)."""
    if np.array_equal(raw.samples, scored.samples):
        return raw
    position = {s: i for i, s in enumerate(raw.samples.tolist())}
    return raw.rows(np.array([position[s] for s in scored.samples.tolist()]))


def _divergence(before: FeatureTable, after: FeatureTable, context: EvaluationContext) -> tuple[Floats, Floats]:
    """Class-conditional corrected JSD per feature, before and after."""
    earlier = context.earlier.get("jsd_features")
    new = _from_earlier(earlier, after)
    if np.array_equal(before.values, after.values, equal_nan=True):
        same = np.zeros(len(after.features)) if new is None else new
        return same, same
    # The same definition and, where the permutation mean is subtracted, the same permutations for both.
    settings = (10, 50)
    if earlier is not None and len(earlier["bins"]):
        settings = (int(earlier["bins"][0]), int(earlier["small_group"][0]))
    old = _conditional(before, context, settings)
    return old, _conditional(after, context, settings) if new is None else new


def _conditional(table: FeatureTable, context: EvaluationContext, settings: tuple[int, int]) -> Floats:
    engine = ManufacturerDivergence(table, *settings, seed=context.derive(evaluator="jsd").seed)
    corrected = engine.estimate("conditional", p_values=False).corrected[engine.headline]
    return np.asarray(corrected.mean(axis=0), dtype=np.float64)


def _from_earlier(table: Mapping[str, Any] | None, after: FeatureTable) -> Floats | None:
    """What the evaluator `jsd` found, mean over manufacturers, in the order of the features."""
    if table is None:
        return None
    keep = np.asarray(table["headline"], dtype=bool)
    names, values = np.asarray(table["feature"])[keep], np.asarray(table["conditional"], dtype=np.float64)[keep]
    if tuple(names[: len(after.features)].tolist()) != after.features:
        return None
    return np.asarray(values.reshape(-1, len(after.features)).mean(axis=0), dtype=np.float64)
