"""Which features and maps carry the label in each method, from run folders: the source of `interpretation.json`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from harmbench import __version__
from harmbench.leaderboard.collect import Gathered, gather
from harmbench.leaderboard.model import Definition, Figure
from harmbench.run.parquet import read_parquet

SCHEMA = 1
EVALUATOR = "interpretation"
NOT_SCORED = "the run was not scored by the evaluator 'interpretation'; run again with a benchmark that names it"
Columns = dict[str, np.ndarray]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Part(_Model):
    """A feature, map or feature class in one method; mean over repeats."""

    level: Literal["feature", "map", "class"]
    name: str
    map: str = Field(description="of a feature or map")
    feature_class: str = Field(description="of a feature or class")
    folds: int = Field(description="cross-validation folds of all repeats")
    kept: int = Field(description="in how many Boruta kept it, or a feature of it")
    confirmed: int = Field(description="in how many Boruta confirmed it, or a feature of it")
    features: float = Field(description="how many kept features it has, mean over folds")
    shap: float = Field(description="mean absolute contribution to held-out rows, log-odds; 0 in folds without it")
    share: float = Field(description="its features' part of the sum of all features' shap")
    gap: float | None = Field(description="mean contribution to positive held-out rows minus that to negative ones")
    direction: float | None = Field(description="Spearman correlation of a feature's contribution with its value")

    @property
    def frequency(self) -> float:
        """Share of the folds that kept it."""
        return self.kept / self.folds if self.folds else 0.0


class Correlation(_Model):
    """A feature's Spearman correlation with a covariate; with several repeats mean, and median of p and q.

    Inside groups, put together by Fisher's z. Intervals of single groups are in the run folder.
    """

    feature: str
    covariate: str
    within: str = Field(description="'manufacturer', or 'manufacturer and label'")
    rho: float | None
    low: float | None
    high: float | None
    p_value: float | None
    q_value: float | None = Field(description="Benjamini-Hochberg over the method's table")
    heterogeneity_p: float | None = Field(description="small when groups disagree (Cochran's Q)")
    groups: int
    patients: int
    repeats: int = Field(description="in how many repeats the feature was among those that were correlated")
    by_group: dict[str, float] = Field(description="'GE' or 'GE|HCM' -> its own correlation; too small ones left out")


class MethodInterpretation(_Model):
    """What carries the label in one method."""

    method: str
    role: str
    repeats: int
    stability: dict[str, Figure] = Field(description="metric -> value, mean over repeats")
    parts: list[Part] = Field(description="features that were ever confirmed or tentative; all maps and classes")
    correlations: list[Correlation]
    notes: list[str]

    def of(self, level: str) -> list[Part]:
        """Its features, maps or classes, the most often kept first."""
        return [part for part in self.parts if part.level == level]


class Interpretation(_Model):
    """All methods of runs that belong together."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)  # it is a part of other models too
    schema_: int = Field(SCHEMA, alias="schema")
    harmbench: str
    benchmark: str
    title: str
    synthetic: bool
    classes: tuple[str, str] = Field(description="negative, positive")
    definitions: dict[str, Definition] = Field(description="of the metrics in `stability`")
    methods: list[MethodInterpretation]
    absent: dict[str, str] = Field(description="method -> why nothing is known of it")

    def method(self, name: str) -> MethodInterpretation | None:
        """What is known of a method, if anything is."""
        return next((one for one in self.methods if one.method == name), None)


def read(folders: Sequence[Path], methods: Sequence[str] = ()) -> Interpretation:
    """Interpretation of run folders that belong together.

    Parameters
    ----------
    folders, methods
        As for `harmbench.leaderboard.collect.build`, with its errors.
    """
    return interpretation_of(gather(folders, methods))


def interpretation_of(found: Gathered) -> Interpretation:
    """The same of cells that were gathered already."""
    plan = found.plan
    facts = [name for name in Definition.model_fields if name != "recorded"]
    own = [m for m in plan["metrics"] if m["evaluator"] == EVALUATOR]
    known: list[MethodInterpretation] = []
    absent: dict[str, str] = {}
    for method, repeats in found.cells.items():
        bad = next((record for _, record in repeats.values() if record["status"] != "ok"), None)
        if bad is not None:
            absent[method] = f"{bad['status']}: {bad['error']}"
        elif not own:
            absent[method] = NOT_SCORED
        else:
            known.append(_method(method, repeats, [m["name"] for m in own]))
    return Interpretation(
        harmbench=__version__,
        benchmark=plan["benchmark"]["name"],
        title=plan["title"],
        synthetic=plan["data"]["synthetic"],
        classes=tuple(plan["data"]["classes"]),
        definitions={m["name"]: Definition(**{k: m[k] for k in facts}) for m in own},
        methods=sorted(known, key=lambda one: one.role != "method"),
        absent=absent,
    )


def _method(name: str, repeats: Mapping[int, Any], metrics: Sequence[str]) -> MethodInterpretation:
    values: dict[str, list[float]] = {metric: [] for metric in metrics}
    reasons: dict[str, str] = {}
    importance: list[Columns] = []
    correlations: list[Columns] = []
    notes: list[str] = []
    for run, record in repeats.values():
        for m in run.metrics(record["key"]):
            if m.metric in values and m.scope == "overall":
                values[m.metric].append(m.value)
                reasons[m.metric] = m.note
        cell = run.cell(record["key"])
        if not (cell / "importance.parquet").exists():  # there was no selection to read
            continue
        importance.append(read_parquet(cell / "importance.parquet"))
        correlations.append(read_parquet(cell / "covariate_correlation.parquet"))
        if (cell / "interpretation_notes.parquet").exists():  # bundles of real patients have none
            notes += read_parquet(cell / "interpretation_notes.parquet")["note"].tolist()
    return MethodInterpretation(
        method=name,
        role=next(iter(repeats.values()))[1]["role"],
        repeats=len(repeats),
        stability={m: Figure(value=_mean(v), n=len(v), note=reasons.get(m, "")) for m, v in values.items()},
        parts=_parts(importance),
        correlations=_correlations(correlations),
        notes=list(dict.fromkeys(notes)),
    )


def _parts(repeats: Sequence[Columns]) -> list[Part]:
    """Mean over repeats; a feature that some repeat never selected counts there with 0."""
    folds = sum(int(table["folds"][0]) for table in repeats if len(table["folds"]))
    rows: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for table in repeats:
        for row in _rows(table):
            rows[row["level"], row["name"]].append(row)
    found = []
    for (level, name), given in rows.items():
        gap = sum(row["gap"] for row in given) / len(repeats)
        found.append(
            Part(
                level=level,
                name=name,
                map=given[0]["map"],
                feature_class=given[0]["feature_class"],
                folds=folds,
                kept=sum(row["kept"] for row in given),
                confirmed=sum(row["confirmed"] for row in given),
                gap=rounded(gap) if np.isfinite(gap) else None,
                direction=_mean([row["direction"] for row in given]),
                **{
                    key: rounded(sum(row[key] for row in given) / len(repeats)) for key in ("features", "shap", "share")
                },
            )
        )
    order = {"feature": 0, "map": 1, "class": 2}
    return sorted(found, key=lambda part: (order[part.level], -part.kept, -part.shap, part.name))


def _correlations(repeats: Sequence[Columns]) -> list[Correlation]:
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    groups: dict[tuple[str, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for table in repeats:
        for row in _rows(table):
            key = tuple(row[name] for name in ("feature", "covariate", "within"))
            if row["group"]:
                groups[key][row["group"]].append(row["rho"])
            else:
                rows[key].append(row)
    found = []
    for key, given in rows.items():
        means = {name: _mean([row[name] for row in given]) for name in ("rho", "low", "high")}
        medians = {name: _median([row[name] for row in given]) for name in ("p_value", "q_value", "heterogeneity_p")}
        own = {group: _mean(values) for group, values in groups[key].items()}
        found.append(
            Correlation(
                **dict(zip(("feature", "covariate", "within"), key, strict=True)),
                **means, **medians, groups=given[0]["groups"], patients=given[0]["patients"], repeats=len(given),
                by_group={group: rho for group, rho in own.items() if rho is not None},
            )
        )  # fmt: skip
    return found


def _rows(table: Columns) -> list[dict[str, Any]]:
    columns = [column.tolist() for column in table.values()]
    return [dict(zip(table, row, strict=True)) for row in zip(*columns, strict=True)]


def _mean(values: Sequence[float]) -> float | None:
    known = [v for v in values if np.isfinite(v)]
    return rounded(float(np.mean(known))) if known else None


def _median(values: Sequence[float]) -> float | None:
    known = [v for v in values if np.isfinite(v)]
    return rounded(float(np.median(known))) if known else None


def rounded(value: float) -> float:
    """Six significant digits: more say nothing, and the files are half as large."""
    return float(f"{value:.6g}")
