"""Medians of manufacturers brought together, with care where rows are few."""

from __future__ import annotations

import numpy as np

from harmbench import Context, DataError, FeatureTable, UnseenManufacturer, UsageError


class MedianAlign:
    """Subtract from each feature what its manufacturer's median lies above the median of all training rows.

    Parameters
    ----------
    weight : float, default 5.0
        A manufacturer with n training rows is moved by n / (n + weight) of the difference: a median of three rows is
        mostly noise. 0 moves it all the way.
    """

    def __init__(self, weight: float = 5.0) -> None:
        if weight < 0:
            raise UsageError(f"median-align.weight={weight} must be at least 0.")
        self.weight = weight

    def fit(self, table: FeatureTable, context: Context) -> MedianAlign:
        """Learn the shift of every manufacturer from the training rows."""
        bad = np.argwhere(~np.isfinite(table.values))
        if len(bad):
            row, column = bad[0]
            raise DataError(
                f"median-align needs finite values; '{table.features[column]}' of '{table.samples[row]}' is not.",
                remedy="Leave the sample or the feature out.",
            )
        common = np.median(table.values, axis=0)
        self.shift = {}
        for maker in table.manufacturers:
            rows = table.values[table.manufacturer == maker]
            share = len(rows) / (len(rows) + self.weight)
            self.shift[maker] = share * (np.median(rows, axis=0) - common)
        return self

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Subtract the shift of its manufacturer from every row."""
        for maker in table.manufacturers:
            if maker not in self.shift:
                raise UnseenManufacturer(f"median-align was fitted on {', '.join(self.shift)}, not on '{maker}'")
        return table.with_values(table.values - np.array([self.shift[maker] for maker in table.manufacturer]))
