"""The evaluator `lvh-auc`: what is left of the label after harmonization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from harmbench.components import EvaluationContext
from harmbench.errors import DataError
from harmbench.results import CellResult, Evaluation, FoldResult, StoredCell
from harmbench_builtin.evaluators.classification_metrics import metrics_from_predictions
from harmbench_builtin.evaluators.classifier import BoostedTrees, Floats, filled, inner_threshold
from harmbench_builtin.evaluators.contributions import contribution_columns
from harmbench_builtin.evaluators.parameters import require
from harmbench_builtin.evaluators.selection import Selection, boruta

TABLES = ("predictions", "selection", "contributions")


@dataclass(frozen=True)
class FoldScore:
    """What classification gives in one fold.

    Parameters
    ----------
    selection : Selection
    score : float64 (m,)
        Probability of the positive class of the test rows.
    threshold : float
    contributions : float64 (m, k)
        What each selected feature adds to the log-odds of each test row.
    """

    selection: Selection
    score: Floats
    threshold: float
    contributions: Floats


class LvhAuc:
    """Boruta, then XGBoost, both on the training rows of each fold (cross-validation and leave-one-manufacturer-out).

    When Boruta confirms no feature the tentative ones are used; when there is none of these either, the fold's score
    is 0.5 for everybody.

    Parameters
    ----------
    boruta_iterations, boruta_trees, boruta_depth : int
        See `selection.boruta`; at least 2, 1 and 1. Nothing can be confirmed before the ninth iteration: with fewer the
        tentative features are used.
    trees, depth, learning_rate
        Of the boosted trees; at least 1, at least 1, and in (0, 1].
    inner_folds : int
        Patient-grouped folds within the training rows that give the threshold (see `classifier.inner_threshold`); at
        least 2.

    Raises
    ------
    UsageError
        A parameter outside its range.
    """

    def __init__(
        self,
        boruta_iterations: int = 30,
        boruta_trees: int = 100,
        boruta_depth: int = 5,
        trees: int = 100,
        depth: int = 3,
        learning_rate: float = 0.1,
        inner_folds: int = 3,
    ) -> None:
        hint = "a feature can be confirmed from 9 on"
        require("lvh-auc.boruta_iterations", boruta_iterations, least=2, hint=hint)
        require("lvh-auc.boruta_trees", boruta_trees, least=1)
        require("lvh-auc.boruta_depth", boruta_depth, least=1)
        require("lvh-auc.trees", trees, least=1)
        require("lvh-auc.depth", depth, least=1)
        require("lvh-auc.learning_rate", learning_rate, above=0, most=1)
        require("lvh-auc.inner_folds", inner_folds, least=2)
        self.boruta_iterations, self.boruta_trees, self.boruta_depth = boruta_iterations, boruta_trees, boruta_depth
        self.model = BoostedTrees(trees, depth, learning_rate)
        self.inner_folds = inner_folds

    def evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation:
        columns: dict[str, list[Any]] = {
            name: []
            for name in ("sample", "patient", "manufacturer", "label", "fold", "protocol", "score", "threshold")
        }
        folds: list[tuple[FoldResult, FoldScore]] = []
        for fold in result.folds:
            seed = context.derive(evaluator="lvh-auc", fold=fold.name).seed
            done = self.predict(fold, seed)
            folds.append((fold, done))
            test, n = fold.test, len(fold.test)
            assert test.label is not None  # `predict` has looked
            for name, column in zip(
                columns,
                (test.samples, test.patient, test.manufacturer, test.label, [fold.name] * n, [fold.protocol] * n,
                 done.score, [done.threshold] * n),
                strict=True,
            ):  # fmt: skip
                columns[name].extend(np.asarray(column).tolist())
        predictions = {name: np.array(column) for name, column in columns.items()}
        values = metrics_from_predictions(predictions, result.scored.samples, context.resamples, result.not_applicable)
        selection = _selection_table([(fold, done.selection) for fold, done in folds])
        parts = [(fold, done.selection.kept, done.contributions) for fold, done in folds]
        return Evaluation(values, dict(zip(TABLES, (predictions, selection, contribution_columns(parts)), strict=True)))

    def recompute(self, stored: StoredCell, context: EvaluationContext) -> Evaluation:
        """The same from the stored predictions; no classifier is fitted again."""
        # Runs that were made before contributions were kept are as good as any for the figures.
        tables = {n: stored.tables[n] for n in TABLES if n in stored.tables or n != "contributions"}
        values = metrics_from_predictions(
            tables["predictions"], stored.result.scored.samples, context.resamples, stored.result.not_applicable
        )
        return Evaluation(values, tables)

    def predict(self, fold: FoldResult, seed: int) -> FoldScore:
        """Selection, classifier and threshold from the training rows of a fold; scores of its test rows."""
        label = fold.train.label
        if label is None or fold.test.label is None:
            raise DataError(f"fold '{fold.name}' has no labels, which classification needs.")
        train, test = filled(fold.train.values, fold.test.values)
        selection = boruta(train, label, self.boruta_iterations, self.boruta_trees, self.boruta_depth, seed)
        train, test = train[:, selection.kept], test[:, selection.kept]
        fitted = self.model.fit(train, label, seed)
        threshold = inner_threshold(self.model, train, label, fold.train.patient, self.inner_folds, seed)
        return FoldScore(selection, fitted.probability(test), threshold, fitted.contributions(test)[:, :-1])


def _selection_table(selections: list[tuple[FoldResult, Selection]]) -> dict[str, np.ndarray]:
    """Features that some fold did not reject: fold, decision, whether used, and in how many CV folds it was used."""
    kept_in: dict[str, int] = {}
    rows: list[tuple[str, str, str, str, bool]] = []
    for fold, selection in selections:
        for i in np.flatnonzero(selection.confirmed | selection.tentative):
            feature, used = fold.train.features[i], bool(selection.kept[i])
            if used and fold.protocol == "cross-validation":
                kept_in[feature] = kept_in.get(feature, 0) + 1
            decision = "confirmed" if selection.confirmed[i] else "tentative"
            rows.append((fold.name, fold.protocol, feature, decision, used))
    fold_, protocol, feature_, decision_, used_ = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return {
        "fold": np.array(fold_, dtype=str),
        "protocol": np.array(protocol, dtype=str),
        "feature": np.array(feature_, dtype=str),
        "decision": np.array(decision_, dtype=str),
        "used": np.array(used_, dtype=bool),
        "folds_kept": np.array([kept_in.get(f, 0) for f in feature_], dtype=int),
    }
