"""`none`: features as they were extracted. Every other method is compared with it."""

from __future__ import annotations

from harmbench.components import Context
from harmbench.data import FeatureTable


class Identity:
    """Leaves features alone."""

    def fit(self, table: FeatureTable, context: Context) -> Identity:
        """Learn nothing."""
        return self

    def transform(self, table: FeatureTable) -> FeatureTable:
        """The table itself (tables are frozen, so no copy is needed)."""
        return table
