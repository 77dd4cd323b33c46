"""The evaluator `interpretation`: which features and maps carry the label, how surely, and what else they go with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.components import EvaluationContext
from harmbench.data import class_of, map_of
from harmbench.results import CellResult, Evaluation, FoldResult, MetricValue, StoredCell
from harmbench.stats.stability import LEAST_SHARED, nogueira, rank_agreement
from harmbench_builtin.evaluators.contributions import LEVELS
from harmbench_builtin.evaluators.covariates import correlation_columns
from harmbench_builtin.evaluators.parameters import require

Array = npt.NDArray[Any]
Table = Mapping[str, Array]
METRICS = ("selection_stability", "selection_stability_maps", "importance_agreement", "importance_agreement_maps")
CORRELATIONS = ("covariate_correlation", "interpretation_notes")
"""Tables that need covariates."""
NO_SELECTION = "lvh-auc, which selects features, is not among the evaluators before this one"


class Interpretation:
    """Summarizes over folds what `lvh-auc` selected and used, and correlates it with covariates.

    Nothing is fitted here: selections and contributions are those that `lvh-auc` kept, so it has to come first.

    Parameters
    ----------
    kept_in : float
        Covariates are correlated with features that at least this share of the cross-validation folds kept; above 0,
        at most 1.
    least_features : int
        Where these are fewer, the features that come next (by folds that kept them, then by importance) are correlated
        too, up to this number; at least 0. Among thousands of features hardly one may be kept twice.
    least_patients : int
        A manufacturer (or a manufacturer's patients of one label) with fewer is left out of a correlation; at least 10:
        the intervals are not those of smaller groups.

    Raises
    ------
    UsageError
        A parameter outside its range.
    """

    def __init__(self, kept_in: float = 0.5, least_features: int = 10, least_patients: int = 10) -> None:
        require("interpretation.kept_in", kept_in, above=0, most=1)
        require("interpretation.least_features", least_features, least=0)
        require("interpretation.least_patients", least_patients, least=10)
        self.kept_in, self.least_features, self.least_patients = kept_in, least_features, least_patients

    def evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation:
        folds = result.of("cross-validation")
        if "selection" not in context.earlier or "contributions" not in context.earlier:
            return Evaluation(tuple(MetricValue(name, float("nan"), note=NO_SELECTION) for name in METRICS))
        selection, contributions = (
            {name: np.asarray(column) for name, column in context.earlier[table].items()}
            for table in ("selection", "contributions")
        )
        used = Used.of(folds, selection, contributions)
        importance = _importance(used, selection, contributions)
        features, notes = self._chosen(importance)
        correlations, more = correlation_columns(result.scored, features, result.classes, self.least_patients)
        tables = {
            "importance": importance,
            "covariate_correlation": correlations,
            "interpretation_notes": {"note": np.array([*notes, *more], dtype=str)},
        }
        return Evaluation(_metrics(used), tables)

    def _chosen(self, importance: Table) -> tuple[list[str], list[str]]:
        """Features to correlate, and what to say about the choice."""
        there = (importance["level"] == "feature") & (importance["kept"] > 0)
        names, share = importance["name"][there].tolist(), importance["frequency"][there]
        often = int((share >= self.kept_in).sum())
        chosen = names[: max(often, self.least_features)]
        if not names:
            return chosen, ["no fold kept any feature: nothing to correlate"]
        if often == len(chosen):
            return chosen, []
        those = "no feature" if not often else f"only {often} feature{'s' if often > 1 else ''}"
        return chosen, [
            f"{those} kept in at least {self.kept_in:g} of the folds: the next {len(chosen) - often} are correlated too"
        ]

    def recompute(self, stored: StoredCell, context: EvaluationContext) -> Evaluation:
        """The same from the stored selection, contributions and features.

        Where covariates were taken out of what is stored (bundles of real patients), correlations are as they were;
        notes are not there.
        """
        done = self.evaluate(stored.result, context)
        if stored.result.scored.covariates or not done.tables:
            return done
        kept = {name: table for name, table in done.tables.items() if name not in CORRELATIONS}
        return Evaluation(done.metrics, kept | {n: stored.tables[n] for n in CORRELATIONS if n in stored.tables})


@dataclass(frozen=True)
class Used:
    """What each fold kept, and how much it used it; a row per cross-validation fold.

    Parameters
    ----------
    folds : tuple of str, length M
    features, maps : tuple of str, length p and K
        All there were to choose from in some fold.
    kept, importance : bool and float64 (M, p)
        Importance is the mean absolute contribution to held-out rows; 0 where not kept.
    maps_kept, maps_importance : bool and float64 (M, K)
        A map is kept when a feature of it is.
    """

    folds: tuple[str, ...]
    features: tuple[str, ...]
    maps: tuple[str, ...]
    kept: npt.NDArray[np.bool_]
    importance: npt.NDArray[np.float64]
    maps_kept: npt.NDArray[np.bool_]
    maps_importance: npt.NDArray[np.float64]

    @classmethod
    def of(cls, folds: Sequence[FoldResult], selection: Table, contributions: Table) -> Used:
        names = tuple(fold.name for fold in folds)
        features = tuple(dict.fromkeys(f for fold in folds for f in fold.test.features))
        maps = tuple(dict.fromkeys(map_of(f) for f in features))
        parts = []
        for level, known in (("feature", features), ("map", maps)):
            importance = _by_fold(contributions, contributions["level"] == level, names, known)
            parts += [~np.isnan(importance), np.nan_to_num(importance)]
        return cls(names, features, maps, *parts)


def _by_fold(table: Table, rows: Array, folds: Sequence[str], names: Sequence[str], column: str = "shap") -> Array:
    """A column of the table's rows as (folds, names); NaN where there is no row."""
    fold_at, name_at = ({name: i for i, name in enumerate(known)} for known in (folds, names))
    found = np.full((len(folds), len(names)), np.nan)
    for i in np.flatnonzero(rows):
        fold, name = str(table["fold"][i]), str(table["name"][i])
        if fold in fold_at and name in name_at:  # folds that leave a manufacturer out are not among them
            found[fold_at[fold], name_at[name]] = table[column][i]
    return found


def _metrics(used: Used) -> tuple[MetricValue, ...]:
    values = []
    for metric, kept, what in (
        ("selection_stability", used.kept, "feature"),
        ("selection_stability_maps", used.maps_kept, "map"),
    ):
        value = nogueira(kept)
        note = "" if np.isfinite(value) else _why(kept, what)
        values.append(MetricValue(metric, value, n=len(used.folds), note=note))
    for metric, kept, importance, what in (
        ("importance_agreement", used.kept, used.importance, "features"),
        ("importance_agreement_maps", used.maps_kept, used.maps_importance, "maps"),
    ):
        value, pairs = rank_agreement(importance, kept)
        note = f"{pairs} pair{'s' if pairs > 1 else ''} of folds"
        if not pairs:
            note = f"no two folds kept {LEAST_SHARED} {what} in common"
        values.append(MetricValue(metric, value, n=pairs, note=note))
    return tuple(values)


def _why(kept: Array, what: str) -> str:
    """Why there is no index of stability."""
    if len(kept) < 2:
        return "one fold only"
    if kept.shape[1] == 1:
        return f"there is one {what} only"
    return f"every fold kept every {what}" if kept.all() else f"no fold kept any {what}"


IMPORTANCE: Mapping[str, type] = {
    "level": str, "name": str, "map": str, "feature_class": str, "folds": int, "kept": int, "frequency": float,
    "confirmed": int, "features": float, "shap": float, "share": float, "gap": float, "direction": float,
}  # fmt: skip


def _importance(used: Used, selection: Table, contributions: Table) -> dict[str, Array]:
    """A row per feature that was ever confirmed or tentative, and per map and class, whether kept or not.

    Sorted by level, then by the folds that kept it, then by importance. Columns:

    level, name, map, feature_class
    folds, kept, frequency : cross-validation folds, in how many it (a feature of it) was kept, and their ratio
    confirmed : in how many Boruta confirmed it (a feature of it)
    features : how many kept features it has, mean over folds
    shap : mean over all folds of the mean absolute contribution to held-out rows, log-odds; 0 where not kept
    share : its features' part of the sum of all features' `shap`
    gap : mean over all folds, 0 where not kept (see `contributions`)
    direction : mean over the folds that kept it; NaN for maps and classes
    """
    own = np.isin(selection["fold"].astype(str), used.folds)
    seen = set(selection["feature"][own].tolist())
    sure = own & (selection["decision"] == "confirmed")
    confirmed = list(zip(selection["feature"][sure].tolist(), selection["fold"][sure].tolist(), strict=True))
    classes = tuple(dict.fromkeys(class_of(f) for f in used.features))
    rows: list[tuple[Any, ...]] = []
    for level, names in (("feature", used.features), ("map", used.maps), ("class", classes)):
        chosen = tuple(name for name in names if level != "feature" or name in seen)
        found = [
            (level, name, map_of(name) if level == "feature" else name if level == "map" else "",
             class_of(name) if level == "feature" else name if level == "class" else "", *figures)
            for name, figures in zip(chosen, _figures(used, level, chosen, confirmed, contributions), strict=True)
        ]  # fmt: skip
        rows += sorted(found, key=lambda row: (-row[5], -row[9], row[1]))
    columns = list(zip(*rows, strict=True))
    return {name: np.array(c, dtype=kind) for (name, kind), c in zip(IMPORTANCE.items(), columns, strict=True)}


def _figures(
    used: Used, level: str, names: Sequence[str], confirmed: Sequence[tuple[str, str]], contributions: Table
) -> list[tuple[Any, ...]]:
    """The columns of `_importance` from `folds` on, for each name of a level."""
    part_of, of_level = LEVELS[level], contributions["level"] == level
    shap, gap, count, way = (
        _by_fold(contributions, of_level, used.folds, names, column)
        for column in ("shap", "gap", "features", "direction")
    )
    there = ~np.isnan(shap)
    gap = np.where(there, gap, 0.0)
    per_feature = used.importance.mean(axis=0)
    sums, folds_sure = dict.fromkeys(names, 0.0), {name: set[str]() for name in names}
    for feature, value in zip(used.features, per_feature.tolist(), strict=True):
        if part_of(feature) in sums:
            sums[part_of(feature)] += value
    for feature, fold in confirmed:
        folds_sure[part_of(feature)].add(fold)
    total = float(per_feature.sum())
    return [
        (
            len(used.folds),
            int(there[:, j].sum()),
            float(there[:, j].mean()),
            len(folds_sure[name]),
            float(np.nan_to_num(count[:, j]).mean()),
            float(np.nan_to_num(shap[:, j]).mean()),
            sums[name] / total if total > 0 else 0.0,
            _mean(gap[:, j]),
            _mean(way[:, j]),
        )
        for j, name in enumerate(names)
    ]


def _mean(values: Array) -> float:
    """Mean of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
