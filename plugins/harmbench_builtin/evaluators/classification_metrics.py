"""Metrics of a stored table of predictions: AUC within manufacturers and the rest, with bootstrap replicates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.results import MetricValue
from harmbench.stats.auc import weighted_auc

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
LOMO = "leave-one-manufacturer-out"


def metrics_from_predictions(
    predictions: Mapping[str, Any],
    samples: Sequence[str] | Array,
    resamples: Array,
    not_applicable: Mapping[str, str] | None = None,
) -> tuple[MetricValue, ...]:
    """Every metric of `lvh-auc`, from predictions alone: no method is run again.

    Parameters
    ----------
    predictions : mapping of column to array
        sample, manufacturer, label (0 or 1), fold, protocol, score, threshold; the stored table `predictions`.
    samples : sequence of str (n,)
        The scored rows, in the order of `resamples`, named as in `predictions`.
    resamples : array (n, B)
        How often each scored row counts in each replicate; B may be 0.
    not_applicable : mapping
        Fold name ("lomo-<manufacturer>") to reason.

    Returns
    -------
    tuple of MetricValue
        Value and replicates come from one formula: the value is the replicate in which every row counts once.
    """
    table = {name: np.asarray(column) for name, column in predictions.items()}
    lomo = table["protocol"] == LOMO
    scored, left_out = _Rows.of(table, ~lomo, samples, resamples), _Rows.of(table, lomo, samples, resamples)
    return (*_cross_validated(scored), *_lomo(left_out, scored.makers, not_applicable or {}))


class _Rows:
    """Predictions with a weight column for the value (ones) before those of the replicates."""

    def __init__(self, table: Mapping[str, Array], weights: Floats, resampled: bool) -> None:
        self.table, self.weights, self.resampled = table, weights, resampled
        self.label = table["label"].astype(int)
        self.score = table["score"].astype(np.float64)
        self.called = self.score >= table["threshold"].astype(np.float64)
        self.makers = sorted(set(table["manufacturer"].tolist()))

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def of(cls, table: Mapping[str, Array], keep: Array, samples: Sequence[str] | Array, resamples: Array) -> _Rows:
        chosen = {name: column[keep] for name, column in table.items()}
        position = {str(s): i for i, s in enumerate(np.asarray(samples).tolist())}
        at = [position.get(str(s), -1) for s in chosen["sample"].tolist()]
        ones = np.ones((len(at), 1))
        # Rows that are not scored (possible under a fixed hold-out only) have no resamples.
        known = all(i >= 0 for i in at) and np.size(resamples) > 0
        weights = np.hstack([ones, np.asarray(resamples)[at]]) if known and at else ones
        return cls(chosen, weights.astype(np.float64), bool(known and at))

    def within(self, maker: str) -> _Rows:
        keep = self.table["manufacturer"] == maker
        return _Rows({k: v[keep] for k, v in self.table.items()}, self.weights[keep], self.resampled)

    def share(self, hit: Array, of: Array) -> Floats:
        """Weighted share of `hit` among the rows `of`, per column; NaN where these weigh nothing."""
        total = of.astype(np.float64) @ self.weights
        count = (hit & of).astype(np.float64) @ self.weights
        return np.divide(count, total, out=np.full(len(total), np.nan), where=total > 0)

    # Each of these gives one number per column of weights.
    def auc(self) -> Floats:
        return weighted_auc(self.label, self.score, self.weights)

    def sensitivity(self) -> Floats:
        return self.share(self.called, self.label == 1)

    def specificity(self) -> Floats:
        return self.share(~self.called, self.label == 0)

    def accuracy(self) -> Floats:
        return self.share(self.called == (self.label == 1), np.ones(len(self), dtype=bool))

    def balanced_accuracy(self) -> Floats:
        return (self.sensitivity() + self.specificity()) / 2.0

    def brier(self) -> Floats:
        total = self.weights.sum(axis=0)
        return ((self.score - self.label) ** 2 @ self.weights) / np.where(total > 0, total, np.nan)

    def metric(self, name: str, columns: Floats, maker: str = "", note: str = "") -> MetricValue:
        if np.isnan(columns[0]) and not note:
            note = "a class is missing" if len(self) else "no predictions"
        return MetricValue(
            name,
            float(columns[0]),
            "manufacturer" if maker else "overall",
            maker,
            len(self),
            columns[1:] if self.resampled else None,
            note=note,
        )


def _cross_validated(rows: _Rows) -> list[MetricValue]:
    if not len(rows):
        names = ("auc_within", "auc_pooled", "sensitivity", "specificity", "accuracy", "balanced_accuracy", "brier")
        return [MetricValue(name, float("nan"), note="no cross-validation fold was run") for name in names]
    parts = {maker: rows.within(maker) for maker in rows.makers}
    both = {maker: part for maker, part in parts.items() if len(set(part.label.tolist())) == 2}
    missing = [maker for maker in parts if maker not in both]
    note = f"without {', '.join(missing)} (one class only)" if missing else ""
    blank = np.full(rows.weights.shape[1], np.nan)
    inside = {maker: part.auc() for maker, part in both.items()}
    values = [
        rows.metric("auc_within", np.mean(list(inside.values()), axis=0) if inside else blank, note=note),
        *(parts[maker].metric("auc_within", inside.get(maker, blank), maker) for maker in parts),
        rows.metric("auc_pooled", rows.auc(), note="includes the manufacturer shortcut"),
    ]
    measures: dict[str, Callable[[_Rows], Floats]] = {
        "sensitivity": _Rows.sensitivity,
        "specificity": _Rows.specificity,
        "accuracy": _Rows.accuracy,
        "balanced_accuracy": _Rows.balanced_accuracy,
    }
    for name, measure in measures.items():
        values.append(rows.metric(name, measure(rows)))
        values += [part.metric(name, measure(part), maker) for maker, part in parts.items()]
    values.append(rows.metric("brier", rows.brier()))
    return values


def _lomo(rows: _Rows, makers: Sequence[str], not_applicable: Mapping[str, str]) -> list[MetricValue]:
    reasons = {
        fold.removeprefix("lomo-"): reason for fold, reason in not_applicable.items() if fold.startswith("lomo-")
    }
    parts = {maker: rows.within(maker) for maker in rows.makers}
    measures: dict[str, Callable[[_Rows], Floats]] = {
        "auc_lomo": _Rows.auc,
        "balanced_accuracy_lomo": _Rows.balanced_accuracy,
    }
    values = []
    for name, measure in measures.items():
        found = {maker: measure(part) for maker, part in parts.items()}
        absent = [maker for maker in sorted({*makers, *reasons}) if maker not in found]
        causes = {maker: reasons.get(maker, "this fold was not run") for maker in absent}
        one_class = [maker for maker, columns in found.items() if np.isnan(columns[0])]
        if absent or not found:
            note = "; ".join(f"{maker}: {cause}" for maker, cause in causes.items()) or "no such fold was run"
            values.append(MetricValue(name, float("nan"), note=note))
        else:
            note = f"{', '.join(one_class)}: one class only" if one_class else ""
            values.append(rows.metric(name, np.mean(list(found.values()), axis=0), note=note))
        values += [parts[maker].metric(name, columns, maker) for maker, columns in found.items()]
        values += [
            MetricValue(name, float("nan"), "manufacturer", maker, note=cause) for maker, cause in causes.items()
        ]
    return values
