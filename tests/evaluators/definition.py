"""Definition 1 of the JSD, written down in exact fractions: what the engine is checked against."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction


def by_definition(values: Sequence[float], weights: Sequence[Sequence[int | Fraction]], bins: int) -> tuple[float, int]:
    """Divergence and effective bins of one feature: loops and fractions, no cleverness.

    `weights` has a row per group; a group that mixes manufacturers weighs each row by its share.
    """
    groups = len(weights)
    levels = sorted(set(values))
    share = [
        {v: Fraction(sum(w for x, w in zip(values, row, strict=True) if x == v), sum(row)) for v in levels}
        for row in weights
    ]
    edges: list[float] = []
    for k in range(1, bins):
        mass = Fraction(0)
        for v in levels:
            mass += sum(s[v] for s in share) / groups
            if mass >= Fraction(k, bins):
                edges.append(v)
                break
    edges = sorted(set(edges))
    bounds = [-math.inf, *edges, math.inf]
    p = [[sum(s[v] for v in levels if low < v <= high) for low, high in itertools.pairwise(bounds)] for s in share]
    mean = [sum(column) / groups for column in zip(*p, strict=True)]

    def entropy(q: list[Fraction]) -> float:
        return -sum(float(x) * math.log2(x) for x in q if x > 0)

    d = entropy(mean) - sum(entropy(q) for q in p) / groups
    return d / math.log2(groups), sum(x > 0 for x in mean)
