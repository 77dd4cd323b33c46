"""What selected features, maps and feature classes add to the classifier's log-odds of held-out rows, fold by fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from harmbench.data import class_of, map_of
from harmbench.results import FoldResult

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Part = tuple[FoldResult, Bools, Floats]
"""A fold, which features it kept (p,), and what each of those adds to each test row's log-odds (m, k)."""
LEVELS: dict[str, Callable[[str], str]] = {"feature": str, "map": map_of, "class": class_of}
"""What contributions are summed over, and how a feature's name tells to which part it belongs."""


def contribution_columns(parts: Sequence[Part]) -> dict[str, npt.NDArray[Any]]:
    """A long table: a row per fold, level and feature, map or class of which something was kept.

    Contributions of one row add up, so a map's contribution to a row is the sum of its features'. Columns:

    fold, protocol, level, name
    features : how many kept features it has
    shap : mean over the test rows of the absolute contribution, in log-odds
    gap : mean contribution to positive test rows minus that to negative ones: what it does for the truth, where `shap`
        is what it does for the prediction; near 0 or below for what only the training rows bear out; NaN without both
        classes
    direction : Spearman correlation of the contribution with the feature's own value; NaN for maps and classes, and
        where either does not vary
    """
    names = ("fold", "protocol", "level", "name", "features", "shap", "gap", "direction")
    rows: list[tuple[Any, ...]] = []
    for fold, kept, contributions in parts:
        assert fold.test.label is not None  # classification has looked
        positive = fold.test.label == 1
        features = [fold.test.features[j] for j in np.flatnonzero(kept)]
        direction = _correlations(contributions, fold.test.values[:, kept])
        for level, part_of in LEVELS.items():
            of_feature = np.array([part_of(name) for name in features], dtype=str)
            for name in dict.fromkeys(of_feature.tolist()):
                own = of_feature == name
                summed = contributions[:, own].sum(axis=1)
                gap = float("nan")
                if positive.any() and not positive.all():
                    gap = float(summed[positive].mean() - summed[~positive].mean())
                way = float(direction[own][0]) if level == "feature" else float("nan")
                shap = float(np.abs(summed).mean())
                rows.append((fold.name, fold.protocol, level, name, int(own.sum()), shap, gap, way))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    kinds = (str, str, str, str, int, float, float, float)
    return {name: np.array(column, dtype=kind) for name, column, kind in zip(names, columns, kinds, strict=True)}


def _correlations(contributions: Floats, values: Floats) -> Floats:
    """Spearman correlation of each column with its counterpart; NaN where one does not vary, or has missing values."""
    x, y = (rankdata(t, axis=0) if t.size else t for t in (contributions, values))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    below = np.sqrt((x * x).sum(axis=0) * (y * y).sum(axis=0))
    known = (below > 0) & np.isfinite(values).all(axis=0)
    return np.divide((x * y).sum(axis=0), below, out=np.full(x.shape[1], np.nan), where=known)
