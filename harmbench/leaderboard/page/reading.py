"""From run folders to what the page shows besides the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.data import FEATURE_CLASSES, SHAPE_PREFIX, FeatureTable, Floats
from harmbench.leaderboard.collect import gather
from harmbench.leaderboard.page.evidence import Bin, Evidence, MethodEvidence, Names, Stage
from harmbench.leaderboard.page.histograms import histograms, short_names, thinned
from harmbench.leaderboard.rank import REFERENCE
from harmbench.results import StoredCell
from harmbench.run.store import RunFolder, table_digest
from harmbench.run.stored import RunData

MOST_FEATURES = 60_000
"""Features of all tables together that the page holds; more, and tables are cut down to an equal share of it."""
LEAST_FEATURES = 93
GROUPS = 10
"""Points of a reliability diagram."""

Record = dict[str, Any]


def read_evidence(folders: Sequence[Path], methods: Sequence[str] = ()) -> Evidence:
    """What can be read from run folders; the first repeat stands for all.

    Parameters
    ----------
    folders, methods
        As for `harmbench.leaderboard.collect.build`.
    """
    found = gather(folders, methods)
    evidence = Evidence()
    if not found.plan["rebuildable"]:
        why = "The run is of schema 1, which did not keep the features before a method's feature stages."
        evidence.absent |= {"distributions": why, "classes": why, "reliability": why}
        return evidence
    data = {run.path: RunData(run) for run in found.runs}
    chosen: list[tuple[RunFolder, Record]] = []
    for repeats in found.cells.values():
        run, record = repeats[min(repeats)]
        if record["status"] == "ok":
            chosen.append((run, record))
    chosen.sort(key=lambda one: one[1]["method"] != REFERENCE)  # its features are those of the original image
    reader = _Reader(evidence, max(LEAST_FEATURES, MOST_FEATURES // max(1, 2 * len(chosen))))
    for run, record in chosen:
        reader.add(record, data[run.path].cell(record))
    return evidence


def sample_ids(folders: Sequence[Path]) -> set[str]:
    """Hashed ids of all samples of run folders."""
    return {s for folder in folders for s in RunData(RunFolder(folder)).samples["sample"].tolist()}


class _Reader:
    """Puts cells into evidence; tables and name lists that several cells share are kept once."""

    def __init__(self, evidence: Evidence, most: int) -> None:
        self.evidence, self.most = evidence, most
        self._names: dict[tuple[str, ...], int] = {}
        self._original = ""

    def add(self, record: Record, cell: StoredCell) -> None:
        method = MethodEvidence(reliability=reliability(cell))
        per_feature = feature_divergence(cell)
        if per_feature:
            method.classes = class_divergence(cell, per_feature)
        headline = _headline(cell, per_feature)
        stages = [s["stage"] for s in record["stages"]]
        names = [s["name"] for s in record["stages"]]
        raw, scored = table_digest(cell.result.raw), table_digest(cell.result.scored)
        if record["method"] == REFERENCE:
            self._original = raw
        if self._original and "image" in stages:
            method.stages.append(Stage(title="original image", table=self._original))
        if raw != scored:
            title = f"after {names[0]}" if stages[0] == "image" else "original image"
            method.stages.append(Stage(title=title, table=self._table(raw, cell.result.raw, None)))
        title = f"after {'+'.join(names)}" if record["method"] != REFERENCE else "original image"
        method.stages.append(Stage(title=title, table=self._table(scored, cell.result.scored, headline)))
        self.evidence.methods[record["method"]] = method

    def _table(self, key: str, table: FeatureTable, jsd: Floats | None) -> str:
        known = self.evidence.tables.get(key)
        if known is None or (known.jsd is None and jsd is not None):
            ordering = np.zeros(len(table.features)) if jsd is None else jsd
            kept, left = thinned(table, ordering, self.most)
            self.evidence.tables[key] = histograms(kept, self._place(kept.features), None if jsd is None else left)
        return key

    def _place(self, features: tuple[str, ...]) -> int:
        if features not in self._names:
            self._names[features] = len(self.evidence.names)
            self.evidence.names.append(short_names(features))
        return self._names[features]


def names_of(names: Names) -> list[str]:
    """The names in full."""
    return names.names or [f"{m}_{s}" for m in names.maps for s in names.suffixes]


def feature_divergence(cell: StoredCell) -> dict[str, Floats]:
    """Class-conditional corrected JSD of every scored feature by contrast ('A|B', or a manufacturer against the rest).

    Empty where the run was not scored by `jsd`.
    """
    table = cell.tables.get("jsd_features")
    if table is None:
        return {}
    features = cell.result.scored.features
    place = {name: j for j, name in enumerate(features)}
    found: dict[str, Floats] = {}
    for contrast in dict.fromkeys(table["contrast"].tolist()):
        own = table["contrast"] == contrast
        values = np.full(len(features), np.nan)
        values[[place[f] for f in table["feature"][own].tolist()]] = table["conditional"][own].astype(float)
        found[str(contrast)] = values
    return found


def _headline(cell: StoredCell, per_feature: Mapping[str, Floats]) -> Floats | None:
    """Mean over the contrasts that the ranked figure is the mean of."""
    if not per_feature:
        return None
    table = cell.tables["jsd_features"]
    chosen = dict.fromkeys(table["contrast"][table["headline"].astype(bool)].tolist())
    mean: Floats = np.mean([per_feature[str(c)] for c in chosen], axis=0)
    return mean


def class_divergence(cell: StoredCell, per_feature: Mapping[str, Floats]) -> dict[str, dict[str, float | None]]:
    """Mean of it over the features of a class, per pair; a feature counts as often as folds use it."""
    features, using = cell.result.scored.features, cell.result.folds_using
    flat = np.array([name.startswith(SHAPE_PREFIX) for name in features])
    parts = {name: np.array([f"_{name}_" in f for f in features]) & ~flat for name in FEATURE_CLASSES}
    parts[SHAPE_PREFIX.rstrip("_")] = flat
    found: dict[str, dict[str, float | None]] = {}
    for contrast, values in per_feature.items():
        if "|" not in contrast:
            continue
        found[contrast] = {}
        for name, inside in parts.items():
            times = np.where(inside & ~np.isnan(values), using, 0)
            if inside.any():
                mean = float(np.repeat(values, times).mean()) if times.any() else None
                found[contrast][name] = mean
    return found


def reliability(cell: StoredCell) -> dict[str, list[Bin]]:
    """Predicted against observed, for all rows ("") and within each manufacturer; {} without predictions."""
    table = cell.tables.get("predictions")
    if table is None:
        return {}
    own = table["protocol"] == "cross-validation"
    score, label, maker = (table[name][own] for name in ("score", "label", "manufacturer"))
    if not len(score) or score.min() < 0 or score.max() > 1:
        return {}
    found = {"": reliability_bins(score, label)}
    for name in sorted(set(maker.tolist())):
        found[name] = reliability_bins(score[maker == name], label[maker == name])
    return found


def reliability_bins(score: Floats, label: np.ndarray, groups: int = GROUPS) -> list[Bin]:
    """Rows in the order of their score, cut into groups of equal size (of at least eight rows).

    Returns
    -------
    list of Bin
        Mean score, share of positives, and its Wilson 95 % interval.
    """
    order = np.argsort(score, kind="stable")
    parts = np.array_split(order, max(1, min(groups, len(score) // 8)))
    found = []
    for rows in parts:
        n, share = len(rows), float(label[rows].mean())
        low, high = wilson(share, n)
        found.append(Bin(predicted=float(score[rows].mean()), observed=share, low=low, high=high, n=n))
    return found


def wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share of n."""
    z = 1.959963984540054
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
