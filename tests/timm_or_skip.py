"""timm for tests."""

from __future__ import annotations

from typing import Any

import pytest
from import_timm import import_timm


def timm_or_skip() -> Any:
    """The module timm; the test is skipped where it cannot be imported."""
    try:
        return import_timm()
    except ImportError as error:
        pytest.skip(f"timm cannot be imported: {error}")
