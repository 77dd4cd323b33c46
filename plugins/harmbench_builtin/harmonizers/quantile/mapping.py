"""Quantile functions as rising piecewise-linear curves, their mixtures, and maps between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harmbench.data import Floats

Map = tuple[Floats, Floats]
"""Knots (x rising, y not falling) of a map of one feature."""


def quantiles(values: Floats, levels: Floats) -> Floats:
    """Quantiles of each feature, interpolated between order statistics (Hyndman and Fan's type 7).

    Parameters
    ----------
    values : float64 (n, p)
    levels : float64 (k,)

    Returns
    -------
    float64 (k, p)
    """
    ordered = np.sort(values, axis=0)
    place = levels * (len(values) - 1)
    below = np.minimum(place.astype(np.intp), len(values) - 1)
    above = np.minimum(below + 1, len(values) - 1)
    share = (place - below)[:, None]
    low = ordered[below]
    return low + share * (ordered[above] - low)


def _distribution(x: Floats, curve: Floats, levels: Floats) -> tuple[Floats, Floats]:
    """The distribution function that belongs to a quantile curve at x, from the left and from the right."""
    right = np.interp(x, curve, levels)
    left = 1 - np.interp(-x, -curve[::-1], 1 - levels[::-1])
    right[x < curve[0]] = 0
    left[x > curve[-1]] = 1
    # At the ends `interp` gives the end's level: from the left nothing lies below the smallest value.
    left[x <= curve[0]] = 0
    right[x >= curve[-1]] = 1
    return left, right


def mixture(curves: Sequence[Floats], levels: Floats) -> Floats:
    """The quantile curve of a balanced mixture, in which every manufacturer weighs the same.

    Parameters
    ----------
    curves : sequence of float64 (k,)
        One quantile curve per manufacturer, of one feature.
    levels : float64 (k,)

    Returns
    -------
    float64 (k,)
        Smallest and largest value of the mixture at levels 0 and 1.
    """
    x = np.unique(np.concatenate(curves))
    found = [_distribution(x, curve, levels) for curve in curves]
    left, right = (np.mean(part, axis=0) for part in zip(*found, strict=True))
    # Each x twice: a jump of the distribution function is a flat part of the quantile curve.
    steps, values = np.stack([left, right], axis=1).ravel(), np.repeat(x, 2)
    return np.interp(levels, np.maximum.accumulate(steps), values)


def knots(source: Floats, target: Floats) -> Map:
    """The map that takes one quantile curve to another; where the source has ties, the target's mean over them.

    Parameters
    ----------
    source, target : float64 (k,)
        Quantiles of one feature at the same levels.
    """
    first = np.flatnonzero(np.r_[True, source[1:] > source[:-1]])
    if len(first) == len(source):
        return source, target
    sizes = np.diff(np.r_[first, len(source)])
    return source[first], np.add.reduceat(target, first) / sizes


def follow(mapping: Map, x: Floats) -> Floats:
    """Values of one feature through the map; beyond its ends they move as its ends do (slope 1)."""
    start, end = mapping[0][[0, -1]], mapping[1][[0, -1]]
    inside = np.interp(x, *mapping)
    return np.where(x < start[0], x + (end[0] - start[0]), np.where(x > start[1], x + (end[1] - start[1]), inside))
