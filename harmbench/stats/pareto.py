"""Two goals without a total: who is on the Pareto front, how surely, and who wins at which weight.

Both goals are given so that more is better: pass a divergence with its sign turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Front:
    """The Pareto front of two goals.

    Parameters
    ----------
    on_front : bool (M,)
        By the point values.
    probability : float64 (M,)
        Share of bootstrap replicates in which the method is on the front.
    dominates : float64 (M,)
        Share of replicates in which the method dominates the reference: at least as good at both goals, better at one.

    A replicate in which a method has no value (a group was not drawn) compares nothing and is left out of both shares;
    they are NaN where no replicate is left.
    """

    on_front: Bools
    probability: Floats
    dominates: Floats


def dominated(first: Floats, second: Floats) -> Bools:
    """Which methods another one dominates: at least as good at both goals, better at one.

    Parameters
    ----------
    first, second : float64 (M, ...)
        More is better. A method with a missing value (NaN) counts as dominated, and dominates nobody.

    Returns
    -------
    bool (M, ...)
    """
    count = len(first)
    unknown = np.isnan(first) | np.isnan(second)
    found = unknown.copy()
    for other in range(count):  # memory stays at M x B
        as_good = (first[other] >= first) & (second[other] >= second)
        better = (first[other] > first) | (second[other] > second)
        found |= as_good & better
    return found


def pareto_front(
    first: Floats, second: Floats, first_replicates: Floats, second_replicates: Floats, reference: int
) -> Front:
    """The front, and how often each method is on it.

    Parameters
    ----------
    first, second : float64 (M,)
        Point values, more is better.
    first_replicates, second_replicates : float64 (M, B)
        On the same resamples for every method.
    reference : int
        Position of `none`.
    """
    a, b = (np.asarray(values, dtype=np.float64) for values in (first_replicates, second_replicates))
    whole = np.isfinite(a + b).all(axis=0)
    a, b = a[:, whole], b[:, whole]
    as_good = (a >= a[reference]) & (b >= b[reference])
    better = (a > a[reference]) | (b > b[reference])
    points = ~dominated(np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64))
    if not whole.any():
        nothing = np.full(len(a), np.nan)
        return Front(points, nothing, nothing)
    return Front(points, (~dominated(a, b)).mean(axis=1), (as_good & better).mean(axis=1))


def between_controls(values: Array, zero: float, one: float) -> Floats:
    """Values on the scale on which one control reads 0 and another 1; not clipped, for display only.

    NaN throughout when the controls read the same.
    """
    span = one - zero
    values = np.asarray(values, dtype=np.float64)
    return (values - zero) / span if span else np.full(values.shape, np.nan)


@dataclass(frozen=True)
class Sweep:
    """Ranks as the weight moves from one goal to the other.

    Parameters
    ----------
    weights : float64 (W,)
        Weight of the first goal; the second has 1 - weight.
    rank : int (M, W)
        1 is best; equals share the best rank.
    first : float64 (M, W) or None
        Share of bootstrap replicates in which the method is first (ties shared).
    wins : list of (float, float) or None, one per method
        Between which weights the method is first by the point values, exactly; None: nowhere.
    """

    weights: Floats
    rank: npt.NDArray[np.int64]
    first: Floats | None
    wins: list[tuple[float, float] | None]


def weight_sweep(
    first: Floats,
    second: Floats,
    weights: Sequence[float] | Floats | None = None,
    first_replicates: Floats | None = None,
    second_replicates: Floats | None = None,
) -> Sweep:
    """Who is where when the first goal weighs w and the second 1 - w, for w from 0 to 1.

    Parameters
    ----------
    first, second : float64 (M,)
        On comparable scales (`between_controls`), more is better, finite.
    weights : array (W,), optional
        0, 0.01, ..., 1 by default.
    first_replicates, second_replicates : float64 (M, B), optional

    Raises
    ------
    ValueError
        A value is not finite, or a weight lies outside 0..1.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    w = np.linspace(0.0, 1.0, 101) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a weight sweep needs finite values: leave incomplete methods out.")
    if not ((w >= 0) & (w <= 1)).all():
        raise ValueError("weights lie between 0 and 1.")
    total = np.outer(a, w) + np.outer(b, 1.0 - w)
    rank = 1 + (total[None] > total[:, None] + 1e-12).sum(axis=1)
    share = None
    if first_replicates is not None and second_replicates is not None:
        share = np.empty(total.shape)
        for i, weight in enumerate(w):
            drawn = weight * np.asarray(first_replicates) + (1.0 - weight) * np.asarray(second_replicates)
            # A replicate in which a method has no value (a group was not drawn) compares nothing.
            drawn = drawn[:, np.isfinite(drawn).all(axis=0)]
            if drawn.shape[1] == 0:
                share[:, i] = np.nan
                continue
            best = drawn >= drawn.max(axis=0) - 1e-12
            share[:, i] = (best / best.sum(axis=0)).mean(axis=1)
    return Sweep(w, rank, share, [_winning(a, b, i) for i in range(len(a))])


def _winning(a: Floats, b: Floats, who: int) -> tuple[float, float] | None:
    """The weights at which no other method has a larger total: where straight lines lie highest."""
    low, high = 0.0, 1.0
    for gain, start in zip(a[who] - a, b[who] - b, strict=True):
        # w gain + (1 - w) start >= 0
        slope = gain - start
        if slope > 0:
            low = max(low, -start / slope)
        elif slope < 0:
            high = min(high, -start / slope)
        elif start < 0:
            return None
    return (low, high) if low <= high else None
