"""The classifier of a fold: gradient-boosted trees, and a threshold chosen on the training rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold
from xgboost import DMatrix, XGBClassifier

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
UNINFORMED = 0.5
"""The score where there is nothing to learn from. Not the training prevalence: that differs a little from fold to fold,
against the held-out labels, and would push a pooled AUC below 0.5."""


@dataclass(frozen=True)
class FittedTrees:
    """Boosted trees after `BoostedTrees.fit`.

    Parameters
    ----------
    model : XGBClassifier or None
        None where there was nothing to learn from.
    """

    model: XGBClassifier | None

    def probability(self, rows: Array) -> Floats:
        """Probability of the positive class, float64 (m,)."""
        if self.model is None:
            return np.full(len(rows), UNINFORMED)
        return np.asarray(self.model.predict_proba(rows)[:, 1], dtype=np.float64)

    def contributions(self, rows: Array) -> Floats:
        """What each feature adds to each row's log-odds: exact TreeSHAP (Lundberg et al. 2020), float64 (m, p + 1).

        The last column is what all rows have in common; a row's sum is the log-odds of its probability, up to the
        float32 that XGBoost counts in. Zeros where there was nothing to learn from.
        """
        if self.model is None:
            return np.zeros((len(rows), rows.shape[1] + 1))
        found = self.model.get_booster().predict(DMatrix(rows, nthread=1), pred_contribs=True)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True)
class BoostedTrees:
    """XGBoost with histogram splits of 32 bins (ample for hundreds of rows), one thread, seeded."""

    trees: int
    depth: int
    learning_rate: float

    def fit(self, train: Array, label: Array, seed: int) -> FittedTrees:
        """Fitted on these rows; with no features, or one class only, there is nothing to learn from."""
        if train.shape[1] == 0 or len(np.unique(label)) < 2:
            return FittedTrees(None)
        model = XGBClassifier(
            n_estimators=self.trees,
            max_depth=self.depth,
            learning_rate=self.learning_rate,
            tree_method="hist",
            max_bin=32,
            n_jobs=1,
            random_state=seed % 2**31,
            verbosity=0,
        )
        model.fit(train, label)
        return FittedTrees(model)

    def probability(self, train: Array, label: Array, test: Array, seed: int) -> Floats:
        """Probability of the positive class of the test rows, float64 (m,)."""
        return self.fit(train, label, seed).probability(test)


def inner_threshold(model: BoostedTrees, values: Array, label: Array, patient: Array, folds: int, seed: int) -> float:
    """The threshold that maximises Youden's J on out-of-fold predictions within the training rows.

    Folds are grouped by patient and stratified by label. Features come selected on all training rows; selection is not
    repeated inside, so the inner scores are a little too good, which moves a threshold far less than it would move an
    AUC. 0.5 when a class has fewer than two patients or there are no features.
    """
    patients = min((len(np.unique(patient[label == value])) for value in np.unique(label)), default=0)
    folds = min(folds, patients)
    if folds < 2 or values.shape[1] == 0 or len(np.unique(label)) < 2:
        return 0.5
    score = np.full(len(label), np.nan)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer members than folds: handled above
        parts = list(splitter.split(values, label, patient))
    for train, test in parts:
        score[test] = model.probability(values[train], label[train], values[test], seed)
    return youden_threshold(label, score)


def youden_threshold(label: Array, score: Array) -> float:
    """The threshold t (score >= t is positive) with the largest sensitivity + specificity - 1.

    It lies midway between two neighbouring scores; of several equally good ones the one nearest to 0.5.
    """
    positive = np.asarray(label).astype(bool)
    levels = np.unique(score)
    if len(levels) < 2 or not positive.any() or positive.all():
        return 0.5
    thresholds = (levels[1:] + levels[:-1]) / 2.0
    above = score[:, None] >= thresholds
    j = above[positive].mean(axis=0) - above[~positive].mean(axis=0)
    best = thresholds[j >= j.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - 0.5))])


def filled(train: Array, *others: Array) -> tuple[Floats, ...]:
    """The tables with non-finite values replaced by the training median of their feature (0 where all are missing)."""
    tables = [np.asarray(t, dtype=np.float64) for t in (train, *others)]
    finite = [np.isfinite(t) for t in tables]
    if all(f.all() for f in finite):
        return tuple(tables)
    median = np.zeros(tables[0].shape[1])
    for j in np.flatnonzero(~np.all([f.all(axis=0) for f in finite], axis=0)):
        known = tables[0][finite[0][:, j], j]
        median[j] = np.median(known) if len(known) else 0.0
    return tuple(np.where(f, t, median) for t, f in zip(tables, finite, strict=True))
