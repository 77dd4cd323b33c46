"""The evaluator `manufacturer-predictability`: can a classifier still name the manufacturer?

Per-feature divergence is blind to correlation: it reads 0 where a classifier separates the manufacturers with AUC 0.95.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from harmbench.components import EvaluationContext
from harmbench.data import map_of
from harmbench.results import CellResult, Evaluation, FoldResult, MetricValue
from harmbench.stats.auc import weighted_auc
from harmbench_builtin.evaluators.classifier import filled
from harmbench_builtin.evaluators.parameters import require

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Kind = Literal["linear", "tree"]
Model = Callable[[Floats, Array, Floats, int], Floats]
"""model(train, code, test, classes): a score per test row and manufacturer, float64 (m, classes)."""
CHANCE = 0.5


class ManufacturerPredictability:
    """AUC and balanced accuracy of classifiers that name the manufacturer, fitted on each fold's training rows.

    AUC is one against the rest on the out-of-fold scores, macro-averaged. Values below 0.5 count as 0.5: a classifier
    below chance is an artefact (centring by fold, say), not better harmonization.

    Parameters
    ----------
    trees : int
        Of the random forest, at least 1.
    per_map : bool
        Also score each map's features alone, with a quarter of the trees (at least 25): forty maps in five folds make
        two hundred forests. The figure per map is comparable between methods, not with the joint one.

    Raises
    ------
    UsageError
        A parameter outside its range.
    """

    def __init__(self, trees: int = 100, per_map: bool = True) -> None:
        require("manufacturer-predictability.trees", trees, least=1)
        self.trees, self.per_map = trees, per_map

    def evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation:
        table = result.scored
        folds = result.of("cross-validation")
        makers = table.manufacturers
        seed = context.derive(evaluator="manufacturer-predictability").seed
        models: dict[Kind, Model] = {"linear": logistic, "tree": _Forest(self.trees, seed)}
        prepared = [_prepare(fold, makers) for fold in folds]
        truth = _Truth(result, folds, makers, context.resamples)

        values: list[MetricValue] = []
        for kind, model in models.items():
            values += _joint(kind, _scores(prepared, model, len(makers)), truth)

        map_trees = max(25, self.trees // 4)
        of_map: dict[Kind, Model] = {"linear": logistic, "tree": _Forest(map_trees, seed)}
        maps = np.array([map_of(name) for name in table.features], dtype=object)
        names = sorted(set(maps) - {""})
        maps_in = [np.array([map_of(feature) for feature in fold.test.features], dtype=object) for fold in folds]
        found: dict[Kind, list[float]] = {"linear": [], "tree": []}
        times: list[int] = []  # a map counts as often as there are folds that use it, where folds differ
        if self.per_map and len(names) > 1:
            for name in names:
                columns_in = [np.flatnonzero(own == name) for own in maps_in]
                for kind, model in of_map.items():
                    value, rows = _of_map(prepared, columns_in, truth, model)
                    found[kind].append(value)
                    values.append(MetricValue(f"manufacturer_auc_{kind}", value, "map", name, rows))
                if result.absent is not None:
                    times.append(sum(len(own) > 0 for own in columns_in))
        elif self.per_map:  # one map: all that is there, shape apart
            columns = np.flatnonzero(maps != "")
            if len(columns):
                scores = _scores(prepared, of_map["tree"], len(makers), columns)
                found["tree"] = [max(CHANCE, truth.macro_auc(scores))]
        each = np.repeat(found["tree"], times or 1)
        mean, sd = (float("nan"), float("nan")) if not len(each) else (float(np.mean(each)), float(np.std(each)))
        note = f"{len(found['tree'])} maps, forests of {map_trees} trees" if self.per_map else "per_map is off"
        values.append(MetricValue("manufacturer_auc_tree_per_map", mean, n=len(truth), note=note))
        values.append(MetricValue("manufacturer_auc_tree_map_sd", sd, n=len(truth), note=note))
        return Evaluation(tuple(values))


class _Truth:
    """Who really made the images of the test rows, fold after fold, and how often each row counts."""

    def __init__(
        self, result: CellResult, folds: Sequence[FoldResult], makers: Sequence[str], resamples: Array
    ) -> None:
        self.makers = makers
        tested = np.concatenate([f.test.manufacturer for f in folds])
        self.code = np.searchsorted(np.array(makers), tested)
        position = {s: i for i, s in enumerate(result.scored.samples.tolist())}
        order = [position[s] for f in folds for s in f.test.samples.tolist()]
        ones = np.ones((len(order), 1))
        self.resampled = np.size(resamples) > 0
        self.weights = np.hstack([ones, resamples[order]]) if self.resampled else ones

    def __len__(self) -> int:
        return len(self.code)

    def auc(self, scores: Floats, maker: int) -> Floats:
        return weighted_auc(self.code == maker, scores[:, maker], self.weights)

    def macro_auc(self, scores: Floats, rows: Array | slice = slice(None)) -> float:
        """Without replicates, from the scores of these rows."""
        code = self.code[rows]
        one = np.ones((len(code), 1))
        return float(np.mean([weighted_auc(code == i, scores[:, i], one)[0] for i in range(len(self.makers))]))


def _joint(kind: Kind, scores: Floats, truth: _Truth) -> list[MetricValue]:
    each = np.array([truth.auc(scores, i) for i in range(len(truth.makers))])
    name = f"manufacturer_auc_{kind}"
    values = [_value(name, np.maximum(CHANCE, each.mean(axis=0)), truth, len(truth))]
    for maker, columns in zip(truth.makers, each, strict=True):
        rows = int((truth.code == truth.makers.index(maker)).sum())
        values.append(_value(name, np.maximum(CHANCE, columns), truth, rows, maker))
    called = scores.argmax(axis=1)
    recalls = []
    for i in range(len(truth.makers)):
        own = truth.weights[truth.code == i]
        recalls.append((called[truth.code == i] == i) @ own / own.sum(axis=0))
    values.append(_value(f"manufacturer_bacc_{kind}", np.mean(recalls, axis=0), truth, len(truth)))
    return values


def _value(name: str, columns: Floats, truth: _Truth, rows: int, maker: str = "") -> MetricValue:
    replicates = columns[1:] if truth.resampled else None
    return MetricValue(name, float(columns[0]), "manufacturer" if maker else "overall", maker, rows, replicates)


def _prepare(fold: FoldResult, makers: Sequence[str]) -> tuple[Floats, Array, Floats]:
    """Training values, manufacturer codes, test values; standardised by the training rows."""
    train, test = filled(fold.train.values, fold.test.values)
    mean, sd = train.mean(axis=0), train.std(axis=0)
    sd = np.where(sd > 1e-12 * np.maximum(1.0, np.abs(mean)), sd, 1.0)
    return (train - mean) / sd, np.searchsorted(np.array(makers), fold.train.manufacturer), (test - mean) / sd


def _of_map(
    prepared: Sequence[tuple[Floats, Array, Floats]],
    columns: Sequence[Array],
    truth: _Truth,
    model: Model,
) -> tuple[float, int]:
    """AUC from one map's features, over the test rows of the folds that use the map, and how many these are.

    `columns` are the map's in each fold; none where the fold has dropped it.
    """
    used = [len(own) > 0 for own in columns]
    rows = np.repeat(used, [len(test) for _, _, test in prepared])
    scores = [
        _scores([fold], model, len(truth.makers), own) for fold, own in zip(prepared, columns, strict=True) if len(own)
    ]
    return max(CHANCE, truth.macro_auc(np.concatenate(scores), rows)), int(rows.sum())


def _scores(
    prepared: Sequence[tuple[Floats, Array, Floats]], model: Model, classes: int, columns: Array | None = None
) -> Floats:
    """Out-of-fold scores of all folds' test rows, relative to the training share of each manufacturer."""
    parts = []
    for train, code, test in prepared:
        if columns is not None:
            train, test = train[:, columns], test[:, columns]
        varies = np.ptp(train, axis=0) > 0
        if varies.any() and len(np.unique(code)) > 1:
            parts.append(model(train[:, varies], code, test[:, varies], classes))
        else:  # nothing to learn from: every row scores alike, in every fold
            parts.append(np.zeros((len(test), classes)))
    return np.concatenate(parts)


def logistic(train: Floats, code: Array, test: Floats, classes: int) -> Floats:
    """Log-odds of an L2-penalised logistic regression (C = 1, classes weighted to balance), float64 (m, classes).

    With more features than rows the rows are first rotated into the space they span: the penalty does not change under
    rotation, so the fit is the same one, in n instead of p dimensions.
    """
    train, test = _rotated(train, test)
    scores = np.full((len(test), classes), -np.inf)
    present = np.unique(code)
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # separable classes have no finite optimum to speak of
        model.fit(train, code)
    odds = np.asarray(model.decision_function(test))
    scores[:, present] = np.column_stack([-odds, odds]) if odds.ndim == 1 else odds
    return scores


def _rotated(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    n, p = train.shape
    if p <= n:
        return train, test
    size, axes = np.linalg.eigh(train @ train.T)
    keep = size > 1e-10 * size[-1]
    scale = np.sqrt(size[keep])
    return axes[:, keep] * scale, (test @ train.T) @ (axes[:, keep] / scale)


class _Forest:
    """Votes of a random forest over the training share of each manufacturer: with 4:1 data the plain majority would be
    the larger manufacturer almost everywhere, whatever the features say."""

    def __init__(self, trees: int, seed: int) -> None:
        self.trees, self.seed = trees, seed % 2**32

    def __call__(self, train: Floats, code: Array, test: Floats, classes: int) -> Floats:
        forest = RandomForestClassifier(self.trees, n_jobs=1, random_state=self.seed)
        forest.fit(train, code)
        scores = np.full((len(test), classes), 0.0)
        share = np.bincount(code, minlength=classes)[forest.classes_] / len(code)
        scores[:, forest.classes_] = forest.predict_proba(test) / share
        # The share differs a little between folds: scores of one scale, in [0, 1], can be pooled.
        total = scores.sum(axis=1, keepdims=True)
        return scores / np.where(total > 0, total, 1.0)
