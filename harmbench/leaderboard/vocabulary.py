"""Texts that tables of a bundle may hold when the data are of patients: names that are published anyway."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from harmbench.data import FEATURE_CLASSES, SHAPE_PREFIX, class_of, map_of
from harmbench.run.ids import HIDDEN_COLUMNS, hashed
from harmbench.run.store import FIGURES

WORDS = frozenset(
    {
        "", "cross-validation", "leave-one-manufacturer-out", "holdout", "train", "test", "paired",
        "overall", "manufacturer", "pair", "feature", "map", "class", "manufacturer and label",
        "confirmed", "tentative", "rejected", "linear", "tree",
        *FEATURE_CLASSES, SHAPE_PREFIX.rstrip("_"),
    }
)  # fmt: skip
"""What the tables that ship say besides names: protocols, scopes, levels, decisions, models, feature classes."""
KNOWN_TABLES = frozenset(
    {
        "predictions", "selection", "contributions", "importance", "covariate_correlation",
        "interpretation_notes", "manufacturer_scores", "feature_scales", "jsd_features", "features_worse",
    }
)  # fmt: skip
"""Tables of the evaluators that ship: records of schema 2 do not name theirs."""
REPORT = "report-"
_CATEGORY = re.compile(r"(.+?)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Vocabulary:
    """Names that a table may hold.

    Parameters
    ----------
    words : frozenset of str
    covariates : frozenset of str
        Names of covariates; for the column `covariate` only.
    """

    words: frozenset[str]
    covariates: frozenset[str]

    @classmethod
    def of(cls, plan: Mapping[str, Any], features: Iterable[str], covariates: Iterable[str]) -> Vocabulary:
        """That of a run: its manufacturers, classes, folds, features, maps and metrics."""
        makers, classes = list(plan["data"]["counts"]), list(plan["data"]["classes"])
        found = {*WORDS, *makers, *classes}
        found |= {f"{a}|{b}" for a, b in permutations(makers, 2)} | {f"{m}|{c}" for m in makers for c in classes}
        found |= {f"lomo-{m}" for m in makers} | {f"cv-{k}" for k in range(plan["splits"]["folds"])}
        for name in features:
            found |= {name, map_of(name), class_of(name)}
        found |= {metric["name"] for metric in plan["metrics"]}
        return cls(frozenset(found), frozenset(covariates))

    def told(self, table: str, columns: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """A table without what it must not tell, and the names of the columns that were left out.

        Notes of metrics are blanked; categories of covariates are numbered, since they are texts of somebody's list.
        Columns of ids are left as they are: they are numbers by now, or an error.
        """
        kept: dict[str, Any] = {}
        left_out = []
        for name, column in columns.items():
            values = np.asarray(column)
            if name in HIDDEN_COLUMNS or values.dtype.kind in "fiub":
                kept[name] = column
            elif table == "metrics" and name == "note":
                kept[name] = [""] * len(values)
            elif table == "covariate_correlation" and name == "covariate":
                kept[name] = self._numbered([str(v) for v in values.tolist()])
            elif {str(v) for v in values.tolist()} <= self.words:
                kept[name] = column
            else:
                left_out.append(name)
        return kept, left_out

    def _numbered(self, names: list[str]) -> list[str]:
        """Covariates by name, a category by its number among those of its covariate."""
        numbers: dict[str, list[str]] = {}
        for name in sorted(set(names) - self.covariates):
            match = _CATEGORY.fullmatch(name)
            covariate = match.group(1) if match and match.group(1) in self.covariates else ""
            numbers.setdefault(covariate, []).append(name)
        new = {
            name: f"{covariate or 'covariate'}=#{i + 1}"
            for covariate, categories in numbers.items()
            for i, name in enumerate(categories)
        }
        return [new.get(name, name) for name in names]


def accounted(record: Mapping[str, Any]) -> set[str]:
    """Tables that a cell may have: those that its record names; where it names none, those that ship, and reports."""
    reports = {REPORT + stage["name"] for stage in record["stages"]}
    if record["tables"] is None:
        return {*FIGURES, *KNOWN_TABLES, *reports}
    return {*FIGURES, *(name for name in record["tables"] if not name.startswith(REPORT) or name in reports)}


def numbers_that_are_ids(columns: Mapping[str, Any], key: str, known: Iterable[str]) -> list[str]:
    """Columns of whole numbers all of which are ids of the data, read as texts: a stage may have told them so."""
    ids = set(known)
    found = []
    for name, column in columns.items():
        values = np.asarray(column)
        if values.dtype.kind not in "fiu" or not len(values) or not np.isfinite(values).all():
            continue
        texts = {f"{v:.0f}" for v in values.tolist() if float(v).is_integer()}
        if (values == np.round(values)).all() and all(hashed(text, key) in ids for text in texts):
            found.append(name)
    return found
