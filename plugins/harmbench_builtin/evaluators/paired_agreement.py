"""The evaluator `paired-agreement`: the same object on several scanners, before and after.

Pairs are the ground truth that unpaired data cannot give: a distribution can be made equal without any image agreeing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.components import EvaluationContext
from harmbench.data import FeatureTable, concatenate
from harmbench.errors import UsageError, suggestion
from harmbench.results import CellResult, Evaluation, MetricValue, StoredCell
from harmbench.stats.bootstrap import centred
from harmbench_builtin.evaluators.parts import where_folds_agree

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
_METRICS = ("ccc", "ccc_median", "reference_error")
_CHUNK = 256  # features whose replicates are in memory at once


class PairedAgreement:
    """Concordance between scanners, and error against a reference scanner, over held-out pairs.

    Parameters
    ----------
    reference : str
        Manufacturer that the others are compared with; "" for the one with most scored rows.
    """

    def __init__(self, reference: str = "") -> None:
        self.reference = reference

    def evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation:
        return where_folds_agree(self._evaluate, result, context)

    def _evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation:
        pairs = _pairs(result)
        if not pairs:
            note = "no object was seen by two manufacturers in the test rows"
            return Evaluation(tuple(MetricValue(name, float("nan"), note=note) for name in _METRICS))
        reference = self._reference(result.scored, pairs)
        weight_of = _patient_weights(result.scored, context.resamples)

        concordance: list[Floats] = []
        errors: list[Floats] = []
        of_ccc: list[Floats] = []
        of_error: list[Floats] = []
        values: list[MetricValue] = []
        for (a, b), pair in pairs.items():
            known = weight_of is not None and all(p in weight_of for p in pair.patients)
            weights = np.array([weight_of[p] for p in pair.patients]) if known and weight_of else None
            per_feature = ccc(pair.x, pair.y, np.ones((len(pair.x), 1)))[:, 0]
            concordance.append(per_feature)
            mean = float(per_feature.mean())
            drawn = None if weights is None else centred(_mean_over_features(pair.x, pair.y, weights), mean)
            values.append(MetricValue("ccc", mean, "pair", f"{a}|{b}", len(pair.x), drawn))
            if drawn is not None:
                of_ccc.append(drawn)
            if reference in (a, b):
                other, own = (pair.y, pair.x) if a == reference else (pair.x, pair.y)
                error = reference_error(other, own)
                errors.append(error.mean(axis=1))
                value = float(errors[-1].mean()) if len(error) else float("nan")
                drawn = None if weights is None or not len(error) else _weighted(error.mean(axis=0), weights)
                note = "" if len(error) else f"every feature of {reference} is constant"
                values.append(MetricValue("reference_error", value, "pair", f"{a}|{b}", len(pair.x), drawn, note=note))
                if drawn is not None:
                    of_error.append(drawn)
        n = sum(len(pair.x) for pair in pairs.values())
        per_feature = np.mean(concordance, axis=0)
        whole = len(of_ccc) == len(pairs)
        values.insert(
            0, MetricValue("ccc", float(per_feature.mean()), n=n, replicates=np.mean(of_ccc, axis=0) if whole else None)
        )
        values.append(MetricValue("ccc_median", float(np.median(per_feature)), n=n))
        means = [float(e.mean()) for e in errors if len(e)]
        values.append(
            MetricValue(
                "reference_error",
                float(np.mean(means)) if means else float("nan"),
                n=n,
                replicates=np.mean(of_error, axis=0) if means and len(of_error) == len(means) else None,
                note=f"reference: {reference}" if means else f"no varying feature, or no pair, of {reference}",
            )
        )
        return Evaluation(tuple(values))

    def recompute(self, stored: StoredCell, context: EvaluationContext) -> Evaluation:
        """The same from the stored features of both images of each pair."""
        return self.evaluate(stored.result, context)

    def _reference(self, scored: FeatureTable, pairs: Mapping[tuple[str, str], Any]) -> str:
        if not self.reference:
            names, counts = np.unique(scored.manufacturer, return_counts=True)
            return str(names[np.argmax(counts)])
        known = sorted({name for pair in pairs for name in pair} | set(scored.manufacturers))
        if self.reference not in known:
            raise UsageError(
                f"paired-agreement.reference: no manufacturer '{self.reference}'.{suggestion(self.reference, known)}"
            )
        return self.reference


class _Pair:
    """Values of the same objects from two manufacturers, (m, p) each, and whose they are."""

    def __init__(self, x: Floats, y: Floats, patients: Sequence[str]) -> None:
        self.x, self.y, self.patients = x, y, patients


def ccc(x: Floats, y: Floats, weights: Array) -> Floats:
    """Lin's concordance correlation (1989), 2 s_xy / (s_x^2 + s_y^2 + (mean_x - mean_y)^2), population moments.

    Parameters
    ----------
    x, y : float64 (m, p)
        One row per pair.
    weights : array (m, B)
        How often each pair counts in each replicate.

    Returns
    -------
    float64 (p, B)
        0 where neither side varies: constants agree about nothing.
    """
    weights = np.asarray(weights, dtype=np.float64)
    total = weights.sum(axis=0)
    weights = weights / np.where(total > 0, total, np.nan)
    centre = (x.mean(axis=0) + y.mean(axis=0)) / 2.0  # differences of large squares would lose digits
    x, y = x - centre, y - centre
    mx, my = x.T @ weights, y.T @ weights
    sxx, syy, sxy = (x * x).T @ weights - mx**2, (y * y).T @ weights - my**2, (x * y).T @ weights - mx * my
    below = sxx + syy + (mx - my) ** 2
    scale = (x * x).mean(axis=0) + (y * y).mean(axis=0)
    varies = below > 1e-14 * np.maximum(scale, 1e-300)[:, None]
    constant = (np.ptp(x, axis=0) == 0) & (np.ptp(y, axis=0) == 0)
    result = np.divide(2.0 * sxy, below, out=np.zeros_like(below), where=varies & ~constant[:, None])
    return np.where(np.isnan(below), np.nan, result)


def reference_error(values: Floats, reference: Floats) -> Floats:
    """|value - reference| in standard deviations of the reference scanner's values, for features that vary there.

    Returns
    -------
    float64 (p', m)
        A row per feature with a non-zero standard deviation, a column per pair.
    """
    sd = reference.std(axis=0, ddof=1) if len(reference) > 1 else np.zeros(reference.shape[1])
    varies = sd > 1e-12 * np.maximum(np.abs(reference).max(axis=0, initial=0.0), 1e-300)
    return np.asarray((np.abs(values - reference)[:, varies] / sd[varies]).T)


def _mean_over_features(x: Floats, y: Floats, weights: Array) -> Floats:
    total = np.zeros(weights.shape[1])
    for start in range(0, x.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        total += ccc(x[:, part], y[:, part], weights).sum(axis=0)
    return total / x.shape[1]


def _weighted(per_pair: Floats, weights: Array) -> Floats:
    total = weights.sum(axis=0)
    return (per_pair @ weights) / np.where(total > 0, total, np.nan)


def _patient_weights(scored: FeatureTable, resamples: Array) -> dict[str, Array] | None:
    """How often each patient was drawn, float (B,) each; pairs are resampled with their patients."""
    if not np.size(resamples):
        return None
    return {patient: resamples[i] for i, patient in enumerate(scored.patient.tolist())}


def _pairs(result: CellResult) -> dict[tuple[str, str], _Pair]:
    """Held-out rows that share a pairing key, for every two manufacturers that have such rows."""
    values: dict[tuple[str, str], list[Floats]] = {}
    patient: dict[str, str] = {}
    for fold in result.of("cross-validation"):
        tables = [t for t in (fold.test, fold.paired) if t is not None and t.pair is not None]
        if not tables:
            continue
        rows = concatenate([t.with_label(None) for t in tables])
        assert rows.pair is not None  # filtered above
        for i, (key, maker) in enumerate(zip(rows.pair.tolist(), rows.manufacturer.tolist(), strict=True)):
            if key:
                values.setdefault((key, maker), []).append(rows.values[i])
                patient.setdefault(key, str(rows.patient[i]))
    makers = sorted({maker for _, maker in values})
    found: dict[tuple[str, str], _Pair] = {}
    for i, a in enumerate(makers):
        for b in makers[i + 1 :]:
            keys = sorted(key for key in patient if (key, a) in values and (key, b) in values)
            if keys:
                # Several images of one object by one scanner count as their mean.
                x, y = (np.array([np.mean(values[key, maker], axis=0) for key in keys]) for maker in (a, b))
                found[a, b] = _Pair(x, y, [patient[key] for key in keys])
    return found
