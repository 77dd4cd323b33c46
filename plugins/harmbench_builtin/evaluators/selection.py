"""Feature selection inside a fold: what Boruta keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench_builtin.evaluators import boruta as algorithm

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
        Training rows, finite. Constant columns are never selected.
    label : int array (n,) of 0 and 1
        Where it holds one class only, nothing is selected.
    iterations : int
        BorutaPy's `max_iter`: one forest less at most, and fewer when every feature is decided.
    trees, depth : int
        Of each forest (classes in balance, one thread).
    seed : int
    """
    positive = np.asarray(label) == 1
    if not values.shape[1] or positive.all() or not positive.any():
        none = np.zeros(values.shape[1], dtype=bool)
        return Selection(none, none.copy())
    found = algorithm.boruta(values, positive, iterations, trees, depth, seed)
    return Selection(found.confirmed, found.tentative)
