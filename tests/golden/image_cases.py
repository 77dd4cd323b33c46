"""Pictures on which image methods are compared with independent programs."""

from __future__ import annotations

import numpy as np


def grey(rows: int = 64, columns: int = 64, seed: int = 0, level: float = 80.0) -> np.ndarray:
    """A ramp, a wave and noise, as 8-bit grey without black frame: all of it is sector."""
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.linspace(0, 80, rows), 30 * np.sin(np.arange(columns) / 5))
    return np.clip(np.rint(level + ramp + 12 * rng.standard_normal((rows, columns))), 20, 255)
