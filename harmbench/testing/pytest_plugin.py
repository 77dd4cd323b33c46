"""Fixtures for the tests of plugin authors.

Loaded by pytest wherever harmbench is installed, so nothing is imported here before a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harmbench.data import FeatureTable


@pytest.fixture
def tiny_table() -> FeatureTable:
    """60 rows, 12 features, a manufacturer effect in location and scale, a signal; two rows per patient."""
    from harmbench.testing import tables

    return tables.tiny_table()


@pytest.fixture
def confounded_table() -> FeatureTable:
    """180 rows, 12 features: a manufacturer effect, no signal, label 1 in 20, 50 and 80 % of the manufacturers."""
    from harmbench.testing import tables

    return tables.confounded_table()


@pytest.fixture
def null_table() -> FeatureTable:
    """180 rows, 12 features: neither a manufacturer effect nor a signal."""
    from harmbench.testing import tables

    return tables.null_table()
