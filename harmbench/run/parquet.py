"""Columns to Parquet and back."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.errors import DataError


def parquet_bytes(columns: Mapping[str, Any]) -> bytes:
    """Columns as a Parquet file; equal columns give equal bytes (with one version of pyarrow)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: _arrow(np.asarray(column)) for name, column in columns.items()})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _arrow(column: np.ndarray) -> Any:
    import pyarrow as pa

    # Numbers go as they are: a detour over Python objects costs a second for a table of 12,000 features.
    return pa.array(np.ascontiguousarray(column) if column.dtype.kind in "fiu" else column.tolist())


def read_parquet(path: Path) -> dict[str, np.ndarray]:
    """A Parquet file as NumPy columns.

    Raises
    ------
    DataError
        No such file, or not a Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, use_threads=False)
    except FileNotFoundError:
        raise DataError("there is no such file.", file=path, remedy="Run again, or copy the whole folder.") from None
    except (pa.ArrowInvalid, OSError) as error:
        why = str(error).splitlines()[0]
        raise DataError(f"cannot be read as Parquet: {why}", file=path, remedy="Run again.") from None
    return {name: _numpy(column) for name, column in zip(table.column_names, table.columns, strict=True)}


def column_names(path: Path) -> list[str]:
    """The columns of a Parquet file, without reading them."""
    import pyarrow.parquet as pq

    return list(pq.read_schema(path).names)


def _numpy(column: Any) -> np.ndarray:
    import pyarrow as pa

    numeric = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    if numeric and column.null_count == 0:
        return np.array(column.to_numpy())  # a copy that may be written to
    return np.asarray(column.to_pylist())
