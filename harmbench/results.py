"""What comes out of a run: folds after harmonization, metric values, tables worth keeping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt

from harmbench.data import FeatureTable, Floats
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
        order of `raw`. With a fixed hold-out it has the test rows only.
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
        the run folder as Parquet. Columns named `sample` and `patient` are hashed before they are written.
    """

    metrics: tuple[MetricValue, ...]
    tables: Mapping[str, Mapping[str, Sequence[Any] | npt.NDArray[Any]]] = field(default_factory=dict)
