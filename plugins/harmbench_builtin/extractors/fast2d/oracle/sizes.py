"""GLRLM, GLSZM and GLDM: three ways to give pieces of a map a level and a size, and the same statistics of both.

Instead of a matrix of levels by sizes, the level and the size of every piece are kept: a run, a zone, or a pixel with
its dependence. A sum over the normalised matrix is then a mean over pieces, and neither levels nor sizes have a limit.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from harmbench.data import Integers
from harmbench_builtin.extractors.fast2d.oracle.levels import entropy, neighbours


def glrlm(levels: Integers) -> dict[str, float] | None:
    """The 16 run features: means over the directions in which some line holds two pixels; None without any.

    A run is a row of pixels of one level, in the direction 0, 45, 90 or 135 degrees; a gap in the mask ends it.
    `distance` plays no part.
    """
    y, x = np.nonzero(levels)
    directions = []
    for line, along in ((y, x), (x, y), (y - x, y), (y + x, y)):
        if np.unique(line, return_counts=True)[1].max() < 2:
            continue
        order = np.lexsort((along, line))
        level, at, position = levels[y, x][order], line[order], along[order]
        begins = np.ones(order.size, dtype=bool)
        begins[1:] = (np.diff(at) != 0) | (np.diff(position) != 1) | (np.diff(level) != 0)
        starts = np.flatnonzero(begins)
        lengths = np.diff(np.append(starts, order.size))
        directions.append(_statistics(level[starts], lengths, order.size))
    if not directions:
        return None
    mean = {name: float(np.mean([d[name] for d in directions])) for name in directions[0]}
    return _named(mean, small="ShortRun", large="LongRun", low="Run", size="RunLength", one="Run")


def glszm(levels: Integers) -> dict[str, float]:
    """The 16 zone features; a zone is a set of pixels of one level that touch by side or corner."""
    inside = levels > 0
    n = int(inside.sum())
    number = np.zeros_like(levels)
    number[inside] = np.arange(1, n + 1)
    level, joined = levels[inside], []
    for other_level, other in zip(neighbours(levels, 1), neighbours(number, 1), strict=True):
        same = other_level == level
        joined.append(np.stack([np.flatnonzero(same), other[same] - 1]))
    edges = np.concatenate(joined, axis=1)
    graph = coo_array((np.ones(edges.shape[1], dtype=bool), edges), shape=(n, n))
    _, zone = connected_components(graph, directed=False)
    _, first, size = np.unique(zone, return_index=True, return_counts=True)
    found = _statistics(level[first], size, n)
    return _named(found, small="SmallArea", large="LargeArea", low="Zone", size="SizeZone", one="Zone")


def gldm(levels: Integers, distance: int) -> dict[str, float]:
    """The 14 dependence features; a pixel's dependence is 1 and the number of its neighbours of the same level.

    That is PyRadiomics' and IBSI's definition with alpha = 0.
    """
    level = levels[levels > 0]
    dependence = np.ones_like(level)
    for other in neighbours(levels, distance):
        dependence += other == level
    found = _statistics(level, dependence, level.size)
    named = _named(found, small="SmallDependence", large="LargeDependence", low="", size="Dependence", one="Dependence")
    # Every pixel is a piece: their share is 1, and the normalised level non-uniformity is firstorder's Uniformity.
    del named["DependencePercentage"], named["GrayLevelNonUniformityNormalized"]
    return named


def _statistics(level: Integers, size: Integers, pixels: int) -> dict[str, float]:
    """The 16 statistics of N pieces with levels i and sizes j in a mask of Np pixels.

    With p(i, j) the share of pieces: N = pieces, sum_ij p f(i, j) = mean of f over pieces.
    """
    i2, j2 = level.astype(np.float64) ** 2, size.astype(np.float64) ** 2
    n = level.size
    of_level = np.unique(level, return_counts=True)[1].astype(np.float64)
    of_size = np.unique(size, return_counts=True)[1].astype(np.float64)
    cells = np.unique(np.stack([level, size]), axis=1, return_counts=True)[1]
    return {
        "GrayLevelNonUniformity": (of_level**2).sum() / n,  # sum_i (sum_j P)^2 / N
        "GrayLevelNonUniformityNormalized": (of_level**2).sum() / n**2,
        "GrayLevelVariance": level.var(),  # sum p (i - mu)^2
        "HighGrayLevelEmphasis": i2.mean(),  # sum p i^2
        "LowGrayLevelEmphasis": (1 / i2).mean(),  # sum p / i^2
        "NonUniformity": (of_size**2).sum() / n,  # sum_j (sum_i P)^2 / N
        "NonUniformityNormalized": (of_size**2).sum() / n**2,
        "Variance": size.var(),  # sum p (j - mu)^2
        "Entropy": entropy(cells / n),  # -sum p log2 p
        "Percentage": n / pixels,  # N / Np
        "LargeEmphasis": j2.mean(),  # sum p j^2
        "LargeHighGrayLevelEmphasis": (i2 * j2).mean(),
        "LargeLowGrayLevelEmphasis": (j2 / i2).mean(),
        "SmallEmphasis": (1 / j2).mean(),  # sum p / j^2
        "SmallHighGrayLevelEmphasis": (i2 / j2).mean(),
        "SmallLowGrayLevelEmphasis": (1 / (i2 * j2)).mean(),
    }


def _named(found: dict[str, float], *, small: str, large: str, low: str, size: str, one: str) -> dict[str, float]:
    """The statistics by the names PyRadiomics gives them in one class."""
    names = {
        "HighGrayLevelEmphasis": f"HighGrayLevel{low}Emphasis",
        "LowGrayLevelEmphasis": f"LowGrayLevel{low}Emphasis",
        "NonUniformity": f"{size}NonUniformity",
        "NonUniformityNormalized": f"{size}NonUniformityNormalized",
        "Variance": f"{one}Variance",
        "Entropy": f"{one}Entropy",
        "Percentage": f"{one}Percentage",
    }
    for group, prefix in (("Large", large), ("Small", small)):
        for rest in ("Emphasis", "HighGrayLevelEmphasis", "LowGrayLevelEmphasis"):
            names[group + rest] = prefix + rest
    return {names.get(name, name): float(value) for name, value in found.items()}
