"""The two sides of a comparison: a method of a run folder, or a row of a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.data import FEATURE_CLASSES, SHAPE_PREFIX
from harmbench.errors import UsageError, suggestion
from harmbench.leaderboard.auc_tests import Columns
from harmbench.leaderboard.collect import Gathered, belonging
from harmbench.leaderboard.draws import decode
from harmbench.leaderboard.model import Board, Definition
from harmbench.leaderboard.rows import Key, average
from harmbench.results import MetricValue
from harmbench.run.parquet import read_parquet

OVER = {
    "original": "original ids (schema 1)",
    "revision": "hashed ids (schema 2)",
    "key": "ids hashed with a key (schema 3)",
}
CLASSES = (*FEATURE_CLASSES, SHAPE_PREFIX.rstrip("_"))


@dataclass(frozen=True)
class Side:
    """One side.

    Parameters
    ----------
    label : str
        What tables call it.
    method : str
    values : mapping of (metric, scope, scope value) to MetricValue
        With replicates where the source holds them.
    definitions : mapping of metric to Definition
    design : mapping
        What must agree for the resamples to be the same.
    settings : mapping
        What was set: data set, extractor, evaluators, splits, ranking.
    stages : list of dict
        Of the method.
    environment : mapping
        The last entry of the run's `environment.json`, with code digests.
    predictions : tuple of mappings of column to array
        One for each repeat, in the order of protocol and sample; none where the source holds none.
    rebuilt : bool
        Whether the figures were worked out anew from stored predictions and features.
    """

    label: str
    method: str
    values: Mapping[Key, MetricValue]
    definitions: Mapping[str, Definition]
    design: Mapping[str, Any]
    settings: Mapping[str, Any]
    stages: list[dict[str, Any]]
    environment: Mapping[str, Any]
    predictions: tuple[Columns, ...] = field(default=(), repr=False)
    rebuilt: bool = False


def of_run(found: Gathered, header: Board, method: str, label: str) -> Side:
    """A method of a run folder.

    Raises
    ------
    UsageError
        It has no such method, or the method did not run.
    """
    if method not in found.cells:
        raise UsageError(f"{found.runs[0].path} has no method '{method}'.{suggestion(method, found.cells)}")
    repeats = found.cells[method]
    for _, record in repeats.values():
        if record["status"] != "ok":
            raise UsageError(
                f"'{method}' has no figures in {found.runs[0].path}: {record['status']}: {record['error']}"
            )
    _, first = next(iter(repeats.values()))
    predictions = [_predictions(run.cell(record["key"]) / "predictions.parquet") for run, record in repeats.values()]
    kept = belonging(found.plan)
    return Side(
        label=label,
        method=method,
        values=average([run.metrics(record["key"]) for run, record in repeats.values()]),
        definitions=header.definitions,
        design=_design(header),
        settings={k: kept[k] for k in ("benchmark", "dataset", "extractor", "evaluators", "splits", "uncertainty")}
        | {"ranking": found.plan["ranking"], "seed": found.plan["seed"]},
        stages=first["stages"],
        environment=_environment(header),
        predictions=() if None in predictions else tuple(p for p in predictions if p is not None),
    )


def _predictions(file: Path) -> Columns | None:
    if not file.exists():
        return None
    columns = read_parquet(file)
    if not {"sample", "patient", "manufacturer", "label", "protocol", "fold", "score"} <= columns.keys():
        return None
    order = np.lexsort((columns["sample"], columns["protocol"]))
    return {name: column[order] for name, column in columns.items()}


def of_board(board: Board, method: str, label: str) -> Side:
    """A row of a board: replicates of the gate and the goal only.

    Raises
    ------
    UsageError
        It has no such row, or one without figures.
    """
    row = board.row(method)
    if row is None:
        raise UsageError(f"{label} has no method '{method}'.{suggestion(method, [r.method for r in board.rows])}")
    if row.status != "ok":
        raise UsageError(f"'{method}' has no figures in {label}: {row.status}: {row.reason}")
    values: dict[Key, MetricValue] = {}
    parts = [("overall", {m: {"": f} for m, f in row.overall.items()}), ("manufacturer", row.manufacturer)]
    parts += [("pair", row.pair), ("other", row.other)]
    for part, metrics in parts:
        for metric, places in metrics.items():
            for place, figure in places.items():
                scope = ("class" if place in CLASSES else "map") if part == "other" else part
                text = row.draws.get(metric) if scope == "overall" else None
                values[metric, scope, place] = MetricValue(
                    metric=metric,
                    value=float("nan") if figure.value is None else figure.value,
                    scope_value=place,
                    n=figure.n,
                    replicates=decode(text) if text else None,
                    note=figure.note,
                )
    return Side(
        label=label,
        method=method,
        values=values,
        definitions=board.definitions,
        design=_design(board),
        settings={**board.settings, "ranking": board.ranking, "seed": board.seed}
        | {"benchmark": {"name": board.benchmark, "version": board.benchmark_version}},
        stages=row.stages,
        environment=_environment(board),
        rebuilt=board.rebuilt,
    )


def _design(board: Board) -> dict[str, Any]:
    uncertainty = board.settings["uncertainty"]
    data = {k: board.data[k] for k in ("name", "revision", "classes", "counts")}
    return {
        **data,
        "seed": board.seed,
        "replicates": uncertainty["replicates"],
        "resamples drawn over": OVER[board.data["ids"]],
    }


def _environment(board: Board) -> dict[str, Any]:
    if not board.runs:
        return {"harmbench": board.harmbench}
    run = board.runs[-1]
    last = run.environment[-1] if run.environment else {}
    return {**last, "code": run.code, "requires": run.requires}
