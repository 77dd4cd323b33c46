"""Feature selection inside a fold: Boruta (Kursa and Rudnicki 2010) with a random forest."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from boruta import BorutaPy
from sklearn.ensemble import RandomForestClassifier

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Selection:
    """What Boruta decided.

    Parameters
    ----------
    confirmed : bool (p,)
        Better than the best shadow more often than chance allows.
    tentative : bool (p,)
        Undecided when the iterations ended, with a median importance above the shadows' median maximum.
    """

    confirmed: Bools
    tentative: Bools

    @property
    def kept(self) -> Bools:
        """The confirmed features; when there is none, the tentative ones."""
        return self.confirmed if self.confirmed.any() else self.tentative


def boruta(
    values: npt.NDArray[Any], label: npt.NDArray[Any], iterations: int, trees: int, depth: int, seed: int
) -> Selection:
    """Select features that tell the labels apart better than permuted copies of themselves do.

    Parameters
    ----------
    values : float array (n, p)
        Training rows, finite.
    label : array (n,)
    iterations : int
        At most so many forests; BorutaPy ends earlier when every feature is decided.
    trees, depth : int
        Of each forest (classes weighted to balance, one thread).
    seed : int

    Notes
    -----
    Constant columns are rejected beforehand: they carry nothing, and a forest on nothing else fails.
    """
    none = np.zeros(values.shape[1], dtype=bool)
    candidates = np.flatnonzero(np.ptp(values, axis=0) > 0)
    if not len(candidates) or len(np.unique(label)) < 2:
        return Selection(none, none.copy())
    forest = RandomForestClassifier(max_depth=depth, class_weight="balanced", n_jobs=1)
    selector = BorutaPy(forest, n_estimators=trees, max_iter=iterations, random_state=seed % 2**32)
    with warnings.catch_warnings():
        # Medians of nothing when every feature is decided: of no use to the user.
        warnings.simplefilter("ignore")
        selector.fit(values[:, candidates], label)
    confirmed, tentative = none.copy(), none.copy()
    confirmed[candidates] = selector.support_
    tentative[candidates] = selector.support_weak_
    return Selection(confirmed, tentative)
