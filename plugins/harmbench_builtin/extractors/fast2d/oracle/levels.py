"""Grey levels of a map, and what lies next to what among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harmbench.data import Floats, Integers
from harmbench_builtin.extractors.fast2d.checks import check_values, count_edges
from harmbench_builtin.extractors.fast2d.settings import Settings

EPSILON = np.spacing(1.0)
"""PyRadiomics adds 2.2e-16 to every probability before taking its logarithm."""


def discretise(values: Floats, settings: Settings, sample: str, name: str) -> Integers:
    """Levels 1, 2, ... of the values (n,) inside the mask.

    With a bin count N: level = floor(N (x - min) / (max - min)) + 1, and N for the maximum. With a bin width W:
    level = floor(x / W) - floor(min / W) + 1, so edges are multiples of W. Both are decided against float64 edges, as
    `numpy.histogram` and `numpy.digitize` make and use them: a value on an edge belongs to the upper bin.
    """
    check_values(values, settings, sample, name)
    low, high = values.min(), values.max()
    if settings.bin_width > 0:
        edges = np.arange(
            low - np.remainder(low, settings.bin_width), high + 2 * settings.bin_width, settings.bin_width
        )
        return np.digitize(values, edges)
    edges = count_edges(float(low), float(high), settings.bin_count)
    return np.minimum(np.digitize(values, edges), settings.bin_count)


def offsets(distance: int) -> list[tuple[int, int]]:
    """(rows, columns) to the neighbours that are `distance` away in the maximum norm, one of each opposite pair.

    4 for distance 1, 8 for 2, 12 for 3: PyRadiomics takes knight's moves along with rows, columns and diagonals.
    """
    d = distance
    down = [(d, dx) for dx in range(-d, d + 1)]
    side = [(dy, dx) for dy in range(1, d) for dx in (-d, d)]
    return [*down, *side, (0, d)]


def pairs(levels: Integers, offset: tuple[int, int]) -> tuple[Integers, Integers]:
    """Levels of every pixel and of the one `offset` away, where both lie in the mask.

    Parameters
    ----------
    levels : int (h, w)
        0 outside the mask.
    """
    (dy, dx), (h, w) = offset, levels.shape
    if dy >= h or abs(dx) >= w:
        return levels[:0, 0], levels[:0, 0]
    first = levels[: h - dy, max(0, -dx) : w - max(0, dx)]
    second = levels[dy:, max(0, dx) : w - max(0, -dx)]
    both = (first > 0) & (second > 0)
    return first[both], second[both]


def neighbours(levels: Integers, distance: int) -> Iterator[Integers]:
    """For every neighbour offset in turn, the neighbour's level (n,) of the mask's pixels in row order; 0 for none."""
    inside, (h, w) = levels > 0, levels.shape
    padded = np.pad(levels, distance)
    for dy, dx in offsets(distance):
        for y, x in ((distance + dy, distance + dx), (distance - dy, distance - dx)):
            yield padded[y : y + h, x : x + w][inside]


def entropy(p: Floats) -> float:
    """-sum p log2(p + epsilon)."""
    return float(-(p * np.log2(p + EPSILON)).sum())
