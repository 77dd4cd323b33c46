"""The evaluator `manufacturer-predictability`: can a classifier still name the manufacturer?

Per-feature divergence is blind to correlation: it reads 0 where a classifier separates the manufacturers with AUC 0.95.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from harmbench.components import EvaluationContext
from harmbench.data import FeatureTable, map_of
from harmbench.results import CellResult, Evaluation, FoldResult, MetricValue, StoredCell
from harmbench.stats.auc import weighted_auc
from harmbench_builtin.evaluators.classifier import filled
from harmbench_builtin.evaluators.parameters import require

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Kind = Literal["linear", "tree"]
Model = Callable[[Floats, Array, Floats, int], Floats]
"""model(train, code, test, classes): a score per test row and manufacturer, float64 (m, classes)."""
Bools = npt.NDArray[np.bool_]
Scores = dict[tuple[str, Kind], tuple[Bools, Floats]]
"""Map ("" for all features) and model to: which of the test rows, and their scores (rows, manufacturers)."""
KINDS: tuple[Kind, Kind] = ("linear", "tree")
CHANCE = 0.5
SCORE = "score "
"""Columns of the stored table begin with this, and go on with the manufacturer."""


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
        tested = np.concatenate([fold.test.samples for fold in folds])
        everything = np.ones(len(tested), dtype=bool)

        found: Scores = {}
        for kind, model in models.items():
            found["", kind] = everything, _scores(prepared, model, len(makers))
        of_map: dict[Kind, Model] = {"linear": logistic, "tree": _Forest(self._map_trees, seed)}
        names = _maps(table.features)
        maps_in = [np.array([map_of(feature) for feature in fold.test.features], dtype=object) for fold in folds]
        if self.per_map and len(names) > 1:
            for name in names:
                columns_in = [np.flatnonzero(own == name) for own in maps_in]
                for kind, model in of_map.items():
                    found[name, kind] = _of_map(prepared, columns_in, model, len(makers))
        elif self.per_map and names:  # one map: all that is there, shape apart
            columns = np.flatnonzero([map_of(name) != "" for name in table.features])
            found[names[0], "tree"] = everything, _scores(prepared, of_map["tree"], len(makers), columns)
        kept = _score_table(found, tested, np.concatenate([[fold.name] * len(fold.test) for fold in folds]), makers)
        return Evaluation(self._metrics(found, kept, result, context), {"manufacturer_scores": kept})

    def recompute(self, stored: StoredCell, context: EvaluationContext) -> Evaluation:
        """The same from the stored scores; no classifier is fitted again."""
        kept = stored.tables["manufacturer_scores"]
        found = _from_table(kept, stored.result.scored.manufacturers)
        return Evaluation(self._metrics(found, kept, stored.result, context), {"manufacturer_scores": kept})

    @property
    def _map_trees(self) -> int:
        return max(25, self.trees // 4)

    def _metrics(
        self, found: Scores, kept: Mapping[str, Array], result: CellResult, context: EvaluationContext
    ) -> tuple[MetricValue, ...]:
        joint = (kept["map"] == "") & (kept["model"] == "tree")
        truth = _Truth(result.scored, kept["sample"][joint], context.resamples)
        values: list[MetricValue] = []
        for kind in KINDS:
            values += _joint(kind, found["", kind][1], truth)
        each: list[float] = []
        times: list[int] = []  # a map counts as often as there are folds that use it, where folds differ
        for (name, kind), (rows, scores) in found.items():
            if not name:
                continue
            value = max(CHANCE, truth.macro_auc(scores, rows))
            if (name, "linear") in found:  # a single map is what the joint figure is about already
                values.append(MetricValue(f"manufacturer_auc_{kind}", value, "map", name, int(rows.sum())))
            if kind == "tree":
                each.append(value)
                folds = np.unique(kept["fold"][(kept["map"] == name) & (kept["model"] == kind)])
                times.append(1 if result.absent is None else len(folds))
        counted = np.repeat(each, times)
        mean, sd = (float(np.mean(counted)), float(np.std(counted))) if len(counted) else (float("nan"), float("nan"))
        note = f"{len(each)} maps, forests of {self._map_trees} trees" if self.per_map else "per_map is off"
        values.append(MetricValue("manufacturer_auc_tree_per_map", mean, n=len(truth), note=note))
        values.append(MetricValue("manufacturer_auc_tree_map_sd", sd, n=len(truth), note=note))
        return tuple(values)


def _maps(features: Sequence[str]) -> list[str]:
    return sorted({map_of(name) for name in features} - {""})


def _score_table(found: Scores, tested: Array, folds: Array, makers: Sequence[str]) -> dict[str, Array]:
    """The table `manufacturer_scores`: map ("" for all features), model, fold, sample, a score per manufacturer."""
    scores = np.concatenate([scores for _, scores in found.values()])
    lengths = [len(scores) for _, scores in found.values()]
    return {
        "map": np.repeat([name for name, _ in found], lengths),
        "model": np.repeat([kind for _, kind in found], lengths),
        "fold": np.concatenate([folds[rows] for rows, _ in found.values()]),
        "sample": np.concatenate([tested[rows] for rows, _ in found.values()]),
        **{f"{SCORE}{maker}": scores[:, i] for i, maker in enumerate(makers)},
    }


def _from_table(kept: Mapping[str, Array], makers: Sequence[str]) -> Scores:
    """What `_score_table` was made of, in its order."""
    scores = np.column_stack([kept[f"{SCORE}{maker}"] for maker in makers])
    tested = kept["sample"][(kept["map"] == "") & (kept["model"] == KINDS[0])]
    found: Scores = {}
    for name in dict.fromkeys(kept["map"].tolist()):
        for kind in KINDS:
            own = (kept["map"] == name) & (kept["model"] == kind)
            if own.any():
                found[name, kind] = np.isin(tested, kept["sample"][own]), scores[own]
    return found


class _Truth:
    """Who really made the images of the test rows, fold after fold, and how often each row counts."""

    def __init__(self, scored: FeatureTable, tested: Array, resamples: Array) -> None:
        self.makers = scored.manufacturers
        position = {s: i for i, s in enumerate(scored.samples.tolist())}
        order = [position[s] for s in tested.tolist()]
        self.code = np.searchsorted(np.array(self.makers), scored.manufacturer[order])
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
    prepared: Sequence[tuple[Floats, Array, Floats]], columns: Sequence[Array], model: Model, classes: int
) -> tuple[Bools, Floats]:
    """Scores from one map's features, and which of all test rows they are about: those of the folds that use the map.

    `columns` are the map's in each fold; none where the fold has dropped it.
    """
    rows = np.repeat([len(own) > 0 for own in columns], [len(test) for _, _, test in prepared])
    scores = [_scores([fold], model, classes, own) for fold, own in zip(prepared, columns, strict=True) if len(own)]
    return rows, np.concatenate(scores)


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
