"""Random-forest importances of binned features: the compiled program where it was built, else the same in NumPy."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import numpy.typing as npt

from harmbench_builtin.evaluators import forest_plain

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]
MAX_DEPTH = 30


def _compiled() -> ModuleType | None:
    try:
        return importlib.import_module("harmbench_builtin.evaluators._forest")
    except ImportError:
        return None


COMPILED = _compiled()
"""None where the package was installed without a C compiler: the same figures, about ten times slower."""


def binned(values: npt.NDArray[np.floating], bins: int) -> Codes:
    """Codes of features in bins of equal mass: equal values share a code, and codes keep the order of the values.

    Parameters
    ----------
    values : float array (n, p)
        Finite.
    bins : int
        2 to 256. The code of a value is floor(bins * (rows with a smaller value) / n).

    Returns
    -------
    uint8 array (p, n), the rows of one feature side by side
    """
    columns = np.ascontiguousarray(values.T)
    rows = columns.shape[1]
    ordered = np.sort(columns, axis=1)
    codes = np.zeros(columns.shape, dtype=np.uint8)
    for code in range(1, bins):
        # At least this code: at least ceil(code * n / bins) rows are smaller.
        codes += columns > ordered[:, -(-code * rows // bins) - 1, None]
    return codes


def importance(
    codes: Codes, positive: npt.NDArray[np.bool_], bins: int, trees: int, depth: int, seed: int, plain: bool = False
) -> Floats:
    """Mean decrease in Gini impurity of each feature, over a forest with classes in balance.

    Parameters
    ----------
    codes : uint8 array (p, n)
        See `binned`.
    positive : bool array (n,)
        Both classes present.
    bins : int
        Codes lie below it, 2 to 256.
    trees : int
    depth : int
        Cuts between the root and a leaf, at most 30.
    seed : int
        0 to 2**64 - 1.
    plain : bool
        Use NumPy even where the compiled program is there (for tests and timing).

    Returns
    -------
    float64 array (p,)
        Sums to 1, or all 0 when no tree has a cut. The same bits from both programs.

    Notes
    -----
    What scikit-learn's `RandomForestClassifier(max_features="sqrt", class_weight="balanced")` estimates (its
    `feature_importances_`, each tree's share averaged), with cuts between bins only, and with a leaf where none of the
    features drawn varies, as in Breiman's program and R's randomForest (scikit-learn draws more). See `forest_plain`.
    """
    features = len(codes)
    members = np.argsort(positive, kind="stable").astype(np.uint32)
    negatives = int(np.count_nonzero(~positive))
    if not 0 < negatives < len(positive):
        raise ValueError("a forest needs rows of both classes.")
    if not 1 <= depth <= MAX_DEPTH:
        raise ValueError(f"the depth of a forest's trees must lie in 1..{MAX_DEPTH}, and is {depth}.")
    tried = max(1, int(np.sqrt(features)))
    if COMPILED is None or plain:
        total = forest_plain.importance(codes, members, negatives, bins, trees, depth, tried, seed)
    else:
        total = np.zeros(features)
        COMPILED.importance(codes, members, negatives, features, bins, trees, depth, tried, seed, total)
    whole = total.sum()
    return total / whole if whole > 0 else total
