"""Tables on which maps of the joint distribution are compared with independent programs."""

from __future__ import annotations

import numpy as np

NAMES = ("GE", "Philips", "Siemens")
SHRINKAGE = 0.3
REGULARIZATION = 0.5


def rows(n: int, p: int, groups: int, seed: int) -> list[np.ndarray]:
    """n rows of p correlated features for each manufacturer, which differ in mean and covariance."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(p, p)) / np.sqrt(p)
    found = []
    for _ in range(groups):
        own = common + 0.4 * rng.normal(size=(p, p)) / np.sqrt(p)
        found.append(rng.normal(size=p) + rng.normal(size=(n, p)) @ (own + np.eye(p)) * rng.uniform(1, 3))
    return found


def within_scale(parts: list[np.ndarray]) -> np.ndarray:
    """Root of the mean within-group variance (divisor n - 1)."""
    return np.sqrt(np.mean([part.var(axis=0, ddof=1) for part in parts], axis=0))
