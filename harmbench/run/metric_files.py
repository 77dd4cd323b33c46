"""Metric values as a run folder keeps them: a long table, and an array of bootstrap replicates per row."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.errors import DataError
from harmbench.results import MetricValue
from harmbench.run.parquet import read_parquet

METRICS, REPLICATES = "metrics.parquet", "replicates.npz"


def read_metrics(folder: Path, remedy: str) -> tuple[MetricValue, ...]:
    """The metric values of a cell's folder, replicates included.

    Raises
    ------
    DataError
        A file is missing, or holds something else; ends with the remedy.
    """
    columns = read_parquet(folder / METRICS)
    file = folder / REPLICATES
    try:
        with np.load(file, allow_pickle=False) as stored:
            replicates = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot be read: {error}.", file=file, remedy=remedy) from None
    try:
        return _metric_values(columns, replicates)
    except (KeyError, ValueError, TypeError) as error:
        problem = f"does not hold metric values ({type(error).__name__}: {error})."
        raise DataError(problem, file=folder / METRICS, remedy=remedy) from None


def _metric_values(columns: Mapping[str, np.ndarray], replicates: Mapping[str, Any]) -> tuple[MetricValue, ...]:
    return tuple(
        MetricValue(
            metric=metric,
            value=float(columns["value"][i]),
            scope=columns["scope"][i],
            scope_value=columns["scope_value"][i],
            n=int(columns["n"][i]),
            replicates=replicates.get(f"r{i}"),
            p_value=None if np.isnan(columns["p_value"][i]) else float(columns["p_value"][i]),
            note=columns["note"][i],
        )
        for i, metric in enumerate(columns["metric"].tolist())
    )


def metric_columns(metrics: Sequence[MetricValue]) -> dict[str, list[Any]]:
    """The columns of `metrics.parquet`."""
    return {
        "metric": [m.metric for m in metrics],
        "scope": [m.scope for m in metrics],
        "scope_value": [m.scope_value for m in metrics],
        "value": [float(m.value) for m in metrics],
        "n": [int(m.n) for m in metrics],
        "p_value": [float("nan") if m.p_value is None else float(m.p_value) for m in metrics],
        "note": [m.note for m in metrics],
    }


def replicate_bytes(metrics: Sequence[MetricValue]) -> bytes:
    """The content of `replicates.npz`: `r<row>` for each value that has replicates."""
    buffer = io.BytesIO()
    arrays = {f"r{i}": np.asarray(m.replicates) for i, m in enumerate(metrics) if m.replicates is not None}
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
