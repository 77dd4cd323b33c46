"""What comes out of a run: folds after harmonization, metric values, tables worth keeping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harmbench.data import Bools, FeatureTable, Floats, Integers
from harmbench.specs import Scope

Protocol_ = Literal["cross-validation", "leave-one-manufacturer-out"]


@dataclass(frozen=True)
class FoldResult:
    """One fold after harmonization, labels given back.

    Parameters
    ----------
    name : str
        "cv-0", ..., or "lomo-<manufacturer>".
    protocol : {"cross-validation", "leave-one-manufacturer-out"}
    train, test : FeatureTable
        Harmonized by what was fitted on the training rows.
    paired : FeatureTable or None
        Harmonized images of the test patients that only serve paired agreement.
    seconds : mapping
        Stage ("fit", "transform") to wall time.
    """

    name: str
    protocol: Protocol_
    train: FeatureTable
    test: FeatureTable
    paired: FeatureTable | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CellResult:
    """All folds of one method: what evaluators see.

    Parameters
    ----------
    method : str
    classes : (str, str)
    raw : FeatureTable
        The method's features before its feature stage, all scored rows, in the order of the data set.
    scored : FeatureTable
        Out-of-fold harmonized features: every scored row once, transformed by the fold that held it out, in the
        order of `raw`. With a fixed hold-out it has the test rows only. A method that keeps other features in each
        fold (`drops_features`) leaves NaN where a row's fold dropped a feature that another fold kept; values are
        finite everywhere else. `absent`, `folds_using` and `parts` are for those who have to know.
    folds : tuple of FoldResult
        Cross-validation folds, then leave-one-manufacturer-out folds.
    not_applicable : mapping
        Fold name to the reason why the method could not be used there.
    seconds : mapping
        Stage to wall time: "extract" (image stage and extraction, CPU seconds summed over images), "fit", "transform".
    peak_memory_mb : float
        Largest resident memory of the process that ran the cell, MiB.
    """

    method: str
    classes: tuple[str, str]
    raw: FeatureTable
    scored: FeatureTable
    folds: tuple[FoldResult, ...]
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_memory_mb: float = float("nan")

    def of(self, protocol: Protocol_) -> tuple[FoldResult, ...]:
        return tuple(f for f in self.folds if f.protocol == protocol)

    @property
    def absent(self) -> Bools | None:
        """Where a row's fold dropped a feature, bool (n, p) in the order of `scored`; None when folds agree."""
        folds = self.of("cross-validation")
        if all(fold.test.features == folds[0].test.features for fold in folds):
            return None
        row = {s: i for i, s in enumerate(self.scored.samples.tolist())}
        column = {name: j for j, name in enumerate(self.scored.features)}
        missing = np.ones(self.scored.values.shape, dtype=bool)
        for fold in folds:
            rows = [row[s] for s in fold.test.samples.tolist()]
            missing[np.ix_(rows, [column[name] for name in fold.test.features])] = False
        return missing

    @property
    def folds_using(self) -> Integers:
        """In how many cross-validation folds each feature of `scored` is in use, int (p,): its weight in a mean.

        1 for every feature when folds agree.
        """
        if self.absent is None:
            return np.ones(len(self.scored.features), dtype=int)
        counts = Counter(name for fold in self.of("cross-validation") for name in fold.test.features)
        return np.array([counts[name] for name in self.scored.features], dtype=int)

    def parts(self) -> tuple[tuple[CellResult, Integers], ...]:
        """The cross-validation folds that use the same features, together, each group as a result of its own.

        Returns
        -------
        tuple of (CellResult, int array)
            With the rows of `scored` it is about. `raw` holds the same rows, with all features.
        """
        groups: dict[tuple[str, ...], list[FoldResult]] = {}
        for fold in self.of("cross-validation"):
            groups.setdefault(fold.test.features, []).append(fold)
        found = []
        for features, folds in groups.items():
            samples = np.concatenate([fold.test.samples for fold in folds])
            rows = np.flatnonzero(np.isin(self.scored.samples, samples))
            columns = np.isin(np.array(self.scored.features, dtype=object), list(features))
            scored = self.scored.rows(rows).columns(columns)
            raw = self.raw.rows(np.isin(self.raw.samples, samples))
            found.append((replace(self, raw=raw, scored=scored, folds=tuple(folds)), rows))
        return tuple(found)


@dataclass(frozen=True)
class MetricValue:
    """One figure.

    Parameters
    ----------
    metric : str
        Name of a declared `MetricSpec`.
    value : float
        NaN when it could not be computed; `note` then says why.
    scope : {"overall", "manufacturer", "pair", "feature", "map", "class"}
    scope_value : str
        Which manufacturer, pair ("A|B"), feature, map or feature class; "" for the overall figure.
    n : int
        Rows it rests on.
    replicates : float array (B,), optional
        Its value in each patient bootstrap replicate, in the order of `EvaluationContext.resamples`; interval and
        paired differences are taken from these.
    p_value : float, optional
    note : str
    """

    metric: str
    value: float
    scope: Scope = "overall"
    scope_value: str = ""
    n: int = 0
    replicates: Floats | None = None
    p_value: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluator returns.

    Parameters
    ----------
    metrics : tuple of MetricValue
    tables : mapping of name to columns
        Long tables worth keeping (predictions, per-feature values); columns are equally long sequences. Written to
        the run folder as Parquet. Bundles of patients hold their numbers, and text that is a name of the run (of a
        manufacturer, class, fold, feature, map or metric).
    """

    metrics: tuple[MetricValue, ...]
    tables: Mapping[str, Mapping[str, Sequence[Any] | npt.NDArray[Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredCell:
    """What a run folder keeps of a cell, for figures to be rebuilt from without running a method again.

    Parameters
    ----------
    result : CellResult
        `raw` and `scored` as they were (ids hashed), and the cross-validation folds with their `test` and `paired`
        tables. Training rows are not kept: `train` has the columns of `test` and no rows. Folds that leave a
        manufacturer out are not kept either, nor times.
    tables : mapping of name to columns
        The tables that the evaluators gave (see `Evaluation.tables`).
    """

    result: CellResult
    tables: Mapping[str, Mapping[str, npt.NDArray[Any]]]
