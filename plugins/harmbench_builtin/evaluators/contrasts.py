"""Which manufacturers are set against which: each against the balanced mixture of the others, and every pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contrast:
    """Two groups to tell apart: a manufacturer and the balanced mixture of the others, or two manufacturers.

    `name` is the manufacturer, or "A|B". With two manufacturers there is one contrast, and it stands for both of them
    and for the pair.
    """

    name: str
    kind: Literal["rest", "pair"]
    mixture: tuple[tuple[float, ...], tuple[float, ...]]


def contrasts(manufacturers: Sequence[str]) -> tuple[Contrast, ...]:
    """One-against-the-rest for each manufacturer, then every pair; for two manufacturers the pair only."""
    count = len(manufacturers)
    unit = np.eye(count)
    pairs = [
        Contrast(f"{manufacturers[i]}|{manufacturers[j]}", "pair", (tuple(unit[i]), tuple(unit[j])))
        for i in range(count)
        for j in range(i + 1, count)
    ]
    if count == 2:
        return tuple(pairs)
    rest = [
        Contrast(name, "rest", (tuple(unit[i]), tuple((1.0 - unit[i]) / (count - 1))))
        for i, name in enumerate(manufacturers)
    ]
    return (*rest, *pairs)


def among_present(mixtures: Floats, present: Array) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The same contrasts where some manufacturers have no rows.

    A group keeps those of its manufacturers that are present, in their proportions: "the rest" is then the balanced
    mixture of the others that are there. A contrast with an empty group cannot be made.

    Parameters
    ----------
    mixtures : float64 (C, G, L)
    present : bool array (L,)

    Returns
    -------
    mixtures : float64 (C, G, L)
        Rows sum to 1; a contrast that cannot be made is returned as it was.
    possible : bool (C,)
    """
    if present.all():
        return mixtures, np.ones(len(mixtures), dtype=bool)
    kept = mixtures * present
    total = kept.sum(axis=2, keepdims=True)
    possible = (total > 0).all(axis=(1, 2))
    return np.divide(kept, total, out=mixtures.copy(), where=possible[:, None, None]), possible
