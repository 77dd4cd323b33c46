"""Boruta (Kursa and Rudnicki 2010): which features tell the labels apart better than permuted copies of features do.

In each iteration every feature that is not rejected gets a *shadow*, a copy with permuted rows; a forest is grown on
both; a feature scores a hit when its importance is above that of the best shadow. A feature with more or fewer hits
than chance (binomial, 1/2) allows is confirmed or rejected, and rejected features leave, with their shadows.

The statistics are those of BorutaPy 0.4.3 (`two_step=True`): the p-values of an iteration must pass
Benjamini-Hochberg over the features not yet rejected, and each must pass alpha / iteration (Bonferroni over
iterations). Only the forest is another one (see `forest`), because BorutaPy spends all its time there.
One rule differs: when no feature at all is rejected, BorutaPy calls the tentative ones confirmed; here they stay
tentative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrc

from harmbench_builtin.evaluators.forest import binned, importance

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Importance = Callable[[npt.NDArray[np.uint8], int], Floats]
"""Importances of the features, from their codes (p, n) and a seed below 2**64."""

CONFIRMED, UNDECIDED, REJECTED = 1, 0, -1
BINS = 32
"""Ample for hundreds of rows, and two to three times faster than exact cuts; the classifier uses as many."""
FEWEST_SHADOWS = 5


@dataclass(frozen=True)
class Outcome:
    """What the iterations decided.

    Parameters
    ----------
    decision : int array (p,)
        CONFIRMED, UNDECIDED or REJECTED.
    above_shadows : bool array (p,)
        Median importance above the median of the best shadows; false for features that were rejected.
    hits : int array (p,)
    iterations : int
        Forests grown.
    """

    decision: Integers
    above_shadows: Bools
    hits: Integers
    iterations: int

    @property
    def confirmed(self) -> Bools:
        return self.decision == CONFIRMED

    @property
    def tentative(self) -> Bools:
        """Undecided to the end, with a median importance above the shadows' (the rough fix of the R package)."""
        return (self.decision == UNDECIDED) & self.above_shadows


def decide(decision: Integers, hits: Integers, iteration: int, alpha: float = 0.05) -> Integers:
    """The decisions after an iteration.

    Parameters
    ----------
    decision : int array (p,)
        Those before it. Confirmed and rejected features stay what they are.
    hits : int array (p,)
        In the iterations so far.
    iteration : int
        Their number.
    alpha : float
        Level of both corrections.
    """
    active = decision != REJECTED
    scored = hits[active]
    too_many = bdtrc(scored - 1.0, iteration, 0.5)  # P(hits or more)
    too_few = bdtr(scored.astype(np.float64), iteration, 0.5)  # P(hits or fewer)
    now = decision[active]
    undecided = now == UNDECIDED
    for p, verdict in ((too_many, CONFIRMED), (too_few, REJECTED)):
        now[undecided & (p <= _false_discovery_limit(p, alpha)) & (p <= alpha / iteration)] = verdict
    after = decision.copy()
    after[active] = now
    return after


def _false_discovery_limit(p: Floats, alpha: float) -> float:
    """The largest p-value that Benjamini and Hochberg (1995) let pass; -1 when none does."""
    ordered = np.sort(p)
    passed = np.flatnonzero(ordered <= alpha * np.arange(1, len(p) + 1) / len(p))
    return float(ordered[passed[-1]]) if len(passed) else -1.0


def with_shadows(codes: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The features (p, n) and below them their shadows: each feature once, or doubled until there are five."""
    copies = 1
    while copies * len(codes) < FEWEST_SHADOWS:
        copies *= 2
    shadows = np.tile(codes, (copies, 1))
    return np.concatenate([codes, rng.permuted(shadows, axis=1, out=shadows)])


def iterate(codes: npt.NDArray[np.uint8], importance: Importance, max_iter: int, seed: int, percentile: float = 100.0,
            alpha: float = 0.05) -> Outcome:  # fmt: skip
    """Boruta on coded features, with any importance.

    Parameters
    ----------
    codes : uint8 array (p, n)
    importance : callable
        See `Importance`.
    max_iter : int
        As BorutaPy counts: at most `max_iter - 1` forests, fewer when every feature is decided.
    seed : int
    percentile : float
        Of the shadows' importances: what a feature must exceed. 100 is the best shadow.
    alpha : float
    """
    p = len(codes)
    rng = np.random.default_rng(seed)
    decision, hits = np.zeros(p, dtype=np.int64), np.zeros(p, dtype=np.int64)
    history, thresholds = [], []
    iteration = 0
    while iteration < max_iter - 1 and (decision == UNDECIDED).any():
        iteration += 1
        alive = np.flatnonzero(decision != REJECTED)
        found = importance(with_shadows(codes[alive], rng), int(rng.integers(2**63)))
        threshold = float(np.percentile(found[len(alive) :], percentile))
        scored = np.zeros(p)
        scored[alive] = found[: len(alive)]
        history.append(scored)
        thresholds.append(threshold)
        hits[alive[scored[alive] > threshold]] += 1
        decision = decide(decision, hits, iteration, alpha)
    above = np.zeros(p, dtype=bool)
    if history:
        above = (np.median(history, axis=0) > np.median(thresholds)) & (decision != REJECTED)
    return Outcome(decision, above, hits, iteration)


def boruta(values: npt.NDArray[np.floating], positive: Bools, max_iter: int, trees: int, depth: int, seed: int,
           percentile: float = 100.0, alpha: float = 0.05, bins: int = BINS) -> Outcome:  # fmt: skip
    """Boruta with a forest on binned features.

    Parameters
    ----------
    values : float array (n, p)
        Finite. Constant columns are rejected without a forest.
    positive : bool array (n,)
        Both classes present.
    max_iter : int
        At most `max_iter - 1` forests.
    trees, depth : int
        Of each forest.
    seed : int
    percentile, alpha : float
        See `iterate`.
    bins : int
        See `forest.binned`.
    """
    codes = binned(values, bins)
    # A feature with two values may fall into one bin when the larger is very rare: no cut can use it either.
    varies = np.flatnonzero(codes.min(axis=1) != codes.max(axis=1))
    p = values.shape[1]
    decision, hits = np.full(p, REJECTED, dtype=np.int64), np.zeros(p, dtype=np.int64)
    above = np.zeros(p, dtype=bool)
    if not len(varies):
        return Outcome(decision, above, hits, 0)

    def of_forest(codes: npt.NDArray[np.uint8], seed: int) -> Floats:
        return importance(codes, positive, bins, trees, depth, seed)

    found = iterate(codes[varies], of_forest, max_iter, seed, percentile, alpha)
    decision[varies], above[varies], hits[varies] = found.decision, found.above_shadows, found.hits
    return Outcome(decision, above, hits, found.iterations)
