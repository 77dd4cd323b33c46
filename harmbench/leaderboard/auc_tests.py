"""Tests of the difference of two AUCs from stored predictions, beside the bootstrap that tables rest on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from harmbench.stats.auc import auc
from harmbench.stats.cross_validation import corrected_t
from harmbench.stats.delong import delong, delong_within
from harmbench.stats.delong import difference as delong_difference

LOMO = "leave-one-manufacturer-out"
Columns = Mapping[str, np.ndarray]
"""Predictions of one repeat, in the order of protocol and sample."""


class Test(BaseModel):
    """A difference of two AUCs with its 95 % interval and two-sided p-value."""

    model_config = ConfigDict(extra="forbid")
    difference: float
    low: float
    high: float
    p_value: float


def by_delong(metric: str, place: str, a: Sequence[Columns], b: Sequence[Columns]) -> Test | None:
    """DeLong's test; None for other metrics, for several repeats, and where the rows are not the same.

    Parameters
    ----------
    metric : str
    place : str
        A manufacturer; "" for the overall figure.
    a, b : sequence of Columns
        One table per repeat.
    """
    if metric not in ("auc_within", "auc_pooled", "auc_lomo") or (metric == "auc_pooled" and place):
        return None
    if len(a) != 1 or len(b) != 1:
        return None
    one, other = (_rows(side[0], metric == "auc_lomo", place) for side in (a, b))
    if not len(one["score"]) or not _same_rows(one, other):
        return None  # a method that left a manufacturer out has other rows
    scores = np.column_stack([one["score"], other["score"]])
    if metric == "auc_pooled":
        aucs = delong(one["label"], scores, one["patient"])
    else:
        aucs = delong_within(one["label"], scores, one["manufacturer"], one["patient"])
    d = delong_difference(aucs)
    return _finite(d.value, d.low, d.high, d.p_value)


def over_folds(metric: str, place: str, a: Sequence[Columns], b: Sequence[Columns]) -> Test | None:
    """Nadeau and Bengio's corrected t-test over the folds of repeated cross-validation.

    The difference is that of AUCs inside each fold, averaged; scores of different folds are never set against each
    other. None for other metrics, for a single repeat, and where a fold has no AUC or the folds are not the same.

    Parameters as in `by_delong`.
    """
    if metric not in ("auc_within", "auc_pooled") or (metric == "auc_pooled" and place):
        return None
    if len(a) < 2 or len(a) != len(b):
        return None
    within: Callable[[Columns], float] = _pooled if metric == "auc_pooled" else _within
    differences, tested, patients = [], [], []
    for one, other in zip(a, b, strict=True):
        kept = [_rows(side, False, place) for side in (one, other)]
        if not _same_rows(*kept) or not np.array_equal(kept[0]["fold"], kept[1]["fold"]):
            return None
        patients.append(len(np.unique(kept[0]["patient"])))
        for fold in np.unique(kept[0]["fold"]):
            rows = kept[0]["fold"] == fold
            first, second = (within({k: v[rows] for k, v in side.items()}) for side in kept)
            differences.append(first - second)
            tested.append(len(np.unique(kept[0]["patient"][rows])))
    test = float(np.mean(tested))
    train = float(np.mean(patients)) - test
    if not np.isfinite(differences).all() or train <= 0 or len(differences) < 2:
        return None
    found = corrected_t(differences, train, test)
    return _finite(found.mean, found.low, found.high, found.p_value)


def _rows(side: Columns, lomo: bool, place: str) -> Columns:
    kept = (side["protocol"] == LOMO) == lomo
    if place:
        kept = kept & (side["manufacturer"] == place)
    return {name: column[kept] for name, column in side.items()}


def _same_rows(a: Columns, b: Columns) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in ("manufacturer", "label"))


def _pooled(rows: Columns) -> float:
    return auc(rows["label"], rows["score"])


def _within(rows: Columns) -> float:
    """Mean over the manufacturers that have both classes in the fold; NaN where none has."""
    found = []
    for name in np.unique(rows["manufacturer"]):
        own = rows["manufacturer"] == name
        found.append(auc(rows["label"][own], rows["score"][own]))
    known = [value for value in found if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def _finite(difference: float, low: float, high: float, p_value: float) -> Test | None:
    if not all(map(math.isfinite, (difference, low, high, p_value))):
        return None
    return Test(difference=difference, low=low, high=high, p_value=p_value)
