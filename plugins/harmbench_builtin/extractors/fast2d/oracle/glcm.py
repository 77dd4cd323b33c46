"""GLCM: how often level j lies next to level i. Features per direction, then their mean over directions.

Matrices are kept as lists of the (i, j) that occur: with 65 535 levels a table would take 34 GB.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, svds

from harmbench.data import Floats, Integers
from harmbench_builtin.extractors.fast2d.oracle.levels import EPSILON, entropy, offsets, pairs
from harmbench_builtin.extractors.fast2d.settings import Settings

_DENSE = 400
"""Up to this many levels, all singular values are computed; beyond, only the two that are wanted."""


def glcm(levels: Integers, settings: Settings) -> dict[str, float] | None:
    """The 24 GLCM features; None when no two pixels of the mask are `distance` apart.

    Parameters
    ----------
    levels : int (h, w)
        0 outside the mask.
    """
    largest, single = int(levels.max()), np.unique(levels[levels > 0]).size == 1
    directions = []
    for offset in offsets(settings.distance):
        first, second = pairs(levels, offset)
        if first.size == 0:
            continue
        if settings.symmetrical_glcm:
            first, second = np.concatenate([first, second]), np.concatenate([second, first])
        directions.append(_of_direction(first, second, largest, single))
    if not directions:
        return None
    return {name: float(np.mean([d[name] for d in directions])) for name in directions[0]}


def _of_direction(first: Integers, second: Integers, largest: int, single: bool) -> dict[str, float]:
    """Features of one direction, from the levels of all its pairs.

    p(i, j) is the share of pairs (i, j); px and py its margins, mu and sigma^2 their means and variances;
    p+ the distribution of i + j, p- that of |i - j|; Ng the largest level in the mask; H the entropy in bits.
    """
    cells, counts = np.unique(np.stack([first, second]), axis=1, return_counts=True)
    n, p = first.size, counts / first.size
    i, j = cells.astype(np.float64)
    px, py = np.bincount(first, minlength=largest + 1) / n, np.bincount(second, minlength=largest + 1) / n
    sums, diffs = np.bincount(first + second) / n, np.bincount(np.abs(first - second), minlength=2) / n
    k = np.arange(diffs.size, dtype=np.float64)  # |i - j| = 0, 1, ...
    mx, my = (p * i).sum(), (p * j).sum()
    vx, vy = (p * (i - mx) ** 2).sum(), (p * (j - my) ** 2).sum()
    cluster = i + j - mx - my
    mean_diff = (k * diffs).sum()
    # Of a single level on one side, rounding must not leave a variance.
    constant = np.ptp(i) == 0 or np.ptp(j) == 0
    imc1, imc2 = _information(p, px[cells[0]], py[cells[1]], px, py)
    return {
        "Autocorrelation": (p * i * j).sum(),  # sum p i j
        "ClusterProminence": (p * cluster**4).sum(),  # sum p (i + j - mu_x - mu_y)^4
        "ClusterShade": (p * cluster**3).sum(),
        "ClusterTendency": (p * cluster**2).sum(),
        "Contrast": (p * (i - j) ** 2).sum(),
        # (sum p i j - mu_x mu_y) / (sigma_x sigma_y); 1 where a sigma is 0
        "Correlation": 1.0 if constant else (p * (i - mx) * (j - my)).sum() / np.sqrt(vx * vy),
        "DifferenceAverage": mean_diff,  # sum k p-(k)
        "DifferenceEntropy": entropy(diffs),
        "DifferenceVariance": (diffs * (k - mean_diff) ** 2).sum(),
        "Id": (diffs / (1 + k)).sum(),
        "Idm": (diffs / (1 + k**2)).sum(),
        "Idmn": (diffs / (1 + k**2 / largest**2)).sum(),
        "Idn": (diffs / (1 + k / largest)).sum(),
        "Imc1": imc1,
        "Imc2": imc2,
        "InverseVariance": (diffs[1:] / k[1:] ** 2).sum(),
        "JointAverage": mx,
        "JointEnergy": (p**2).sum(),
        "JointEntropy": entropy(p),
        "MCC": 1.0 if single else _second_singular_value(cells, p, px, py),
        "MaximumProbability": p.max(),
        "SumAverage": (np.arange(sums.size) * sums).sum(),  # sum k p+(k)
        "SumEntropy": entropy(sums),
        "SumSquares": vx,
    }


def _information(p: Floats, at_i: Floats, at_j: Floats, px: Floats, py: Floats) -> tuple[float, float]:
    """Imc1 = (H(XY) - H1) / max(H(X), H(Y)), Imc2 = sqrt(1 - exp(-2 (H2 - H(XY)))).

    H1 = -sum p(i, j) log2(px(i) py(j)) and H2 = -sum px(i) py(j) log2(px(i) py(j)) are both H(X) + H(Y). What then
    stands in both is the mutual information; where it is 0 (one level, or independence), rounding is not let through.
    """
    hx, hy = entropy(px), entropy(py)
    mutual = float((p * np.log2((p + EPSILON) / (at_i * at_j + EPSILON))).sum())
    if mutual < 1e-12 or max(hx, hy) < 1e-12:
        return 0.0, 0.0
    return -mutual / max(hx, hy), float(np.sqrt(1 - np.exp(-2 * mutual)))


def _second_singular_value(cells: Integers, p: Floats, px: Floats, py: Floats) -> float:
    """MCC: the square root of the second largest eigenvalue of Q(i, j) = sum_k p(i, k) p(j, k) / (px(i) py(k)).

    Q = Dx^-1 P Dy^-1 P' has the eigenvalues of A A' with A = Dx^-1/2 P Dy^-1/2, so MCC is A's second singular value
    (the first is 1). Published without PyRadiomics' epsilon in the denominator, which moves MCC by up to 1e-8.
    """
    scaled = p / np.sqrt(px[cells[0]] * py[cells[1]])
    rows, i = np.unique(cells[0], return_inverse=True)
    columns, j = np.unique(cells[1], return_inverse=True)
    if min(rows.size, columns.size) < 2:
        return 0.0
    if max(rows.size, columns.size) <= _DENSE:
        table = np.zeros((rows.size, columns.size))
        table[i, j] = scaled
        return float(np.linalg.svd(table, compute_uv=False)[1])
    # Levels that fall into groups without a pair between them give a singular value 1 for every group.
    graph = coo_array((np.ones(p.size), (i, rows.size + j)), shape=(rows.size + columns.size,) * 2)
    if connected_components(graph, directed=False, return_labels=False) > 1:
        return 1.0
    table = csr_array((scaled, (i, j)), shape=(rows.size, columns.size))
    try:
        return float(np.sort(svds(table, k=2, v0=np.ones(min(table.shape)), return_singular_vectors=False))[0])
    except ArpackNoConvergence:
        return float(np.linalg.svd(table.toarray(), compute_uv=False)[1])
