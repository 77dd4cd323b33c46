"""The engines of `fast2d` under one signature, for tests that hold them to the same values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harmbench_builtin.extractors.fast2d import engine, oracle
from harmbench_builtin.extractors.fast2d.names import NAMES, SHAPE_NAMES
from harmbench_builtin.extractors.fast2d.settings import Settings

COLUMNS = [*(f"shape2D_{name}" for name in SHAPE_NAMES), *NAMES]

_built, _reason = engine.available()
needs_engine = pytest.mark.skipif(not _built, reason=f"the compiled engine is not built: {_reason}")


def by_numpy(maps: np.ndarray, mask: np.ndarray, spacing: tuple[float, float], settings: Settings) -> np.ndarray:
    """(K, 102): shape2D, then the 93 features of each map."""
    texture = oracle.extract(maps, mask, spacing, settings, sample="s1")
    return np.concatenate([np.broadcast_to(oracle.shape2d(mask, spacing), (len(maps), 9)), texture], axis=1)


def compiled(maps: np.ndarray, mask: np.ndarray, spacing: tuple[float, float], settings: Settings) -> np.ndarray:
    """(K, 102): shape2D, then the 93 features of each map."""
    plan = engine.Plan(mask, spacing)
    texture = engine.extract(maps, plan, settings)
    return np.concatenate([np.broadcast_to(engine.shape2d(plan), (len(maps), 9)), texture], axis=1)


ENGINES: list[Callable[..., np.ndarray]] = [
    pytest.param(by_numpy, id="numpy"),  # type: ignore[list-item]
    pytest.param(compiled, id="compiled", marks=needs_engine),  # type: ignore[list-item]
]


def assert_close(found: np.ndarray, expected: np.ndarray, allowed: np.ndarray, where: str = "") -> None:
    """Every value within what is allowed, NaN exactly where NaN is expected."""
    both = np.isnan(found) & np.isnan(expected)
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(~(np.abs(found - expected) <= allowed) & ~both)
    lines = [f"{where} map {k}: {COLUMNS[f]} is {found[k, f]!r}, not {expected[k, f]!r}" for k, f in wrong[:10]]
    assert not lines, f"{len(wrong)} values differ\n" + "\n".join(lines)
