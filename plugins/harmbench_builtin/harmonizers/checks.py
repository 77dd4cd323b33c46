"""What every feature harmonizer asks of the tables it gets."""

from __future__ import annotations

import numpy as np

from harmbench.data import FeatureTable
from harmbench.errors import DataError

_CHUNK_BYTES = 8 << 20


def require_finite(table: FeatureTable, method: str) -> None:
    """Raise unless every value is a finite number.

    Parameters
    ----------
    table : FeatureTable
    method : str
        Who asks; named in the message.

    Raises
    ------
    DataError
        Naming the sample and the feature of the first non-finite cell, and how many there are.
    """
    values = table.values
    rows = max(1, _CHUNK_BYTES // max(1, 8 * values.shape[1]))
    first: tuple[int, int] | None = None
    count = 0
    for start in range(0, len(values), rows):
        finite = np.isfinite(values[start : start + rows])
        if finite.all():
            continue
        if first is None:
            row, column = np.argwhere(~finite)[0].tolist()
            first = (start + row, column)
        count += int(finite.size - np.count_nonzero(finite))
    if first is None:
        return
    row, column = first
    others = f" (and {count - 1} more such cells)" if count > 1 else ""
    raise DataError(
        f"{method} needs finite numbers, but sample '{table.samples[row]}' has {values[row, column]} in feature "
        f"'{table.features[column]}'{others}.",
        remedy="Correct or drop that feature or that sample before harmonization.",
    )


def require_features(table: FeatureTable, fitted: tuple[str, ...], method: str) -> None:
    """Raise `DataError` unless the table has the features of the fit, in their order."""
    if table.features == fitted:
        return
    missing = [name for name in fitted if name not in set(table.features)]
    extra = [name for name in table.features if name not in set(fitted)]
    what = (
        "; ".join(
            f"{word} {', '.join(map(repr, names[:3]))}{' ...' if len(names) > 3 else ''}"
            for word, names in (("missing:", missing), ("not in the fit:", extra))
            if names
        )
        or "the same names in another order"
    )
    raise DataError(
        f"{method} was fitted on {len(fitted)} features and got {len(table.features)} to transform ({what}).",
        remedy="Transform tables with the columns of the training table.",
    )
