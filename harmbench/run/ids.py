"""Patient and sample ids as they may be written down.

Evaluators already get these, not the real ones: resamples and permutations depend on the order of the ids, and what is
drawn must be a function of what a run folder holds.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from harmbench.data import FeatureTable, Texts

HIDDEN_COLUMNS = ("sample", "patient", "pair")


def hashed(name: str, key: str) -> str:
    """A patient or sample id as it may be written down."""
    return hmac.new(key.encode(), name.encode(), hashlib.sha256).hexdigest()[:16]


class Pseudonyms:
    """Hashed ids of one data set.

    Parameters
    ----------
    key : str
        The data's digest.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.of: Callable[[str], str] = cache(lambda name: hashed(name, key) if name else "")
        """The pseudonym of an id; "" stays "" (no pairing key)."""

    def texts(self, names: Any) -> Texts:
        """Ids, hashed."""
        return np.array([self.of(str(name)) for name in np.asarray(names).tolist()], dtype=str)

    def table(self, table: FeatureTable) -> FeatureTable:
        """The same table with its sample, patient and pairing ids hashed."""
        return replace(
            table,
            samples=self.texts(table.samples),
            patient=self.texts(table.patient),
            pair=None if table.pair is None else self.texts(table.pair),
        )

    def columns(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """A long table with its columns `sample`, `patient` and `pair` hashed."""
        return {name: self.texts(column) if name in HIDDEN_COLUMNS else column for name, column in columns.items()}


def ranked(names: Sequence[str], letter: str) -> dict[str, str]:
    """Numbers in place of ids, in the order of the ids: what is drawn by that order stays the same."""
    known = sorted(set(names))
    width = len(str(len(known)))
    return {name: f"{letter}{i:0{width}d}" for i, name in enumerate(known)}
