"""Does a method see what it must not see? Asked of every cell, on one fold, by changing what must not matter.

A leak shows in two sharp ways that need no statistics: the harmonized test rows change when only the *labels of test
rows* are changed, or when *other test rows* are taken away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.methods import Component
from harmbench.run.feature_stage import harmonize


@dataclass(frozen=True)
class Audit:
    """What was found.

    Parameters
    ----------
    label_leak : bool
        Harmonized test rows depend on the labels of test rows.
    row_dependent : bool
        A harmonized test row depends on which other test rows there are.
    """

    label_leak: bool
    row_dependent: bool

    def as_dict(self) -> dict[str, bool]:
        return asdict(self)


def audit(stages: Sequence[Component], train: FeatureTable, test: FeatureTable, context: Context) -> Audit:
    """Audit the feature stages on one fold.

    Oracle controls are given labels on purpose and are not asked about them. A method that declares itself not
    deterministic is not asked whether rows see each other.
    """
    if not stages or len(test) < 2 or test.label is None:
        return Audit(False, False)
    reference = harmonize(stages, train, test, None, context).test
    scale = np.maximum(np.abs(reference.values).max(axis=0), 1e-300)

    def differs(table: FeatureTable, rows: np.ndarray) -> bool:
        if table.features != reference.features:
            return True
        return bool((np.abs(table.values - reference.values[rows]) / scale).max(initial=0.0) > 1e-9)

    everything = np.arange(len(test))
    leak = False
    if any(stage.spec.uses_label == "fit" for stage in stages):
        flipped = harmonize(stages, train, test.with_label(1 - test.label), None, context).test
        leak = differs(flipped, everything)
    if not all(stage.spec.deterministic for stage in stages):
        return Audit(leak, False)  # two calls differ anyway
    half = np.arange(0, len(test), 2)
    alone = harmonize(stages, train, test.rows(half), None, context).test
    return Audit(leak, differs(alone, half))
