"""timm for tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

_PATH = Path(__file__).parents[1] / "benchmarks" / "speed" / "import_timm.py"


def timm_or_skip() -> Any:
    """The module timm, as the speed script imports it; the test is skipped where it cannot be."""
    spec = importlib.util.spec_from_file_location("import_timm", _PATH)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    try:
        return script.import_timm()
    except ImportError as error:
        pytest.skip(f"timm cannot be imported: {error}")
