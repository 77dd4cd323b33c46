"""From run folders to what the page shows besides the board."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.data import FEATURE_CLASSES, SHAPE_PREFIX, FeatureTable, Floats
from harmbench.leaderboard.collect import gather
from harmbench.leaderboard.interpretation import interpretation_of
from harmbench.leaderboard.page.evidence import Bin, Evidence, MethodEvidence, Stage
from harmbench.leaderboard.page.histograms import Counted, counted, most_features, short_names
from harmbench.leaderboard.rank import REFERENCE
from harmbench.results import StoredCell
from harmbench.run.ids import hashed, key_of
from harmbench.run.store import RunFolder, table_digest
from harmbench.run.stored import RunData

BUDGET = 2_500_000
"""Characters of the page that histograms may take; over it, large tables keep the features with the largest JSD."""
GROUPS = 10
"""Points of a reliability diagram."""

Record = dict[str, Any]


def read_evidence(folders: Sequence[Path], methods: Sequence[str] = ()) -> Evidence:
    """What can be read from run folders; the first repeat stands for all, except in `interpretation`.

    Parameters
    ----------
    folders, methods
        As for `harmbench.leaderboard.collect.build`.
    """
    found = gather(folders, methods)
    evidence = Evidence(interpretation=interpretation_of(found))
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
    reader = _Reader(evidence)
    for run, record in chosen:
        reader.add(record, data[run.path].cell(record))
    reader.write(BUDGET)
    return evidence


def knows_samples(folders: Sequence[Path]) -> Callable[[str], bool]:
    """Whether an id is that of a sample of one of these run folders (bundles, which number them, know none)."""
    runs = [RunData(RunFolder(folder)) for folder in folders]
    known = [(key_of(data.plan), set(data.samples["sample"].tolist())) for data in runs]
    return lambda sample: any(hashed(sample, key) in ids for key, ids in known)


class _Reader:
    """Puts cells into evidence; tables and name lists that several cells share are kept once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._tables: dict[str, Counted] = {}
        self._original = ""

    def add(self, record: Record, cell: StoredCell) -> None:
        method = MethodEvidence(reliability=reliability(cell))
        per_feature = feature_divergence(cell)
        if per_feature:
            method.classes = class_divergence(cell, per_feature)
        headline = _headline(cell, per_feature)
        result = cell.result
        stages = [s["stage"] for s in record["stages"]]
        names = [s["name"] for s in record["stages"]]
        raw, scored = table_digest(result.raw), table_digest(result.scored)
        if record["method"] == REFERENCE:
            self._original = raw
        if self._original and "image" in stages:
            method.stages.append(Stage(title="original image", table=self._original))
        if raw != scored:
            title = f"after {names[0]}" if stages[0] == "image" else "original image"
            same = result.raw.features == result.scored.features
            self._put(raw, result.raw, None, headline if same else None)
            method.stages.append(Stage(title=title, table=raw))
        title = f"after {'+'.join(names)}" if record["method"] != REFERENCE else "original image"
        self._put(scored, result.scored, headline, headline)
        method.stages.append(Stage(title=title, table=scored))
        self.evidence.methods[record["method"]] = method

    def _put(self, key: str, table: FeatureTable, jsd: Floats | None, order: Floats | None) -> None:
        known = self._tables.get(key)
        if known is None or (known.jsd is None and jsd is not None):
            self._tables[key] = counted(table, jsd, order)

    def write(self, budget: int) -> None:
        """Give the tables to the evidence, cut down to a budget of characters."""
        most = most_features(list(self._tables.values()), budget)
        place: dict[tuple[str, ...], int] = {}
        # Tables of the same features keep the same ones: a feature is there before and after, or not at all.
        orders: dict[tuple[str, ...], Floats] = {}
        for table in self._tables.values():
            orders[table.features] = np.fmax(orders.get(table.features, table.order), table.order)
        for key, table in self._tables.items():
            keep = table.kept(most, orders[table.features])
            features = tuple(table.features[i] for i in keep)
            if features not in place:
                place[features] = len(self.evidence.names)
                self.evidence.names.append(short_names(features))
            self.evidence.tables[key] = table.written(place[features], keep)
        if any(len(table.features) > most for table in self._tables.values()):
            self.evidence.absent["some distributions"] = (
                f"Tables of more than {most} features show the {most} with the largest JSD in any method; the run "
                "folder holds all."
            )


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
    """Rows in the order of their score, cut into groups of equal size (of at least eight rows), never among equals.

    Returns
    -------
    list of Bin
        Mean score, share of positives, and its Wilson 95 % interval.
    """
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    sizes = [len(part) for part in np.array_split(order, max(1, min(groups, len(score) // 8)))]
    # Rows of one score stay together, in the group that holds the first of them: their order says nothing.
    cuts = np.unique(np.searchsorted(ordered, ordered[np.cumsum(sizes) - 1], side="right"))
    found = []
    for rows in np.split(order, cuts[:-1]):
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
