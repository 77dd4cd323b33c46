"""Nested ComBat with a hidden batch that a Gaussian mixture finds: OPNested + GMM, OPNested - GMM, GMM ComBat."""

from __future__ import annotations

from harmbench.data import FeatureTable
from harmbench_builtin.harmonizers.combat.nested import (
    HIDDEN,
    MANUFACTURER,
    Batches,
    NestedCombat,
    OPNestedCombat,
    Step,
)


class OPNestedPlusGmmCombat(OPNestedCombat):
    """OPNested + GMM: the hidden groups of a Gaussian mixture are one more batch variable, to be removed.

    `batches` may be empty: manufacturer and hidden group are two variables. See `mixture`.
    """

    name = "opnested-plus-gmm-combat"
    hidden_as = "batch"


class OPNestedMinusGmmCombat(OPNestedCombat):
    """OPNested - GMM: the hidden groups of a Gaussian mixture are a covariate, to be kept. See `mixture`."""

    name = "opnested-minus-gmm-combat"
    hidden_as = "covariate"


class GmmCombat(NestedCombat):
    """GMM ComBat: first the hidden groups of a Gaussian mixture, then the manufacturer, then `batches` as given.

    References
    ----------
    Horng et al. (2022), doi:10.1038/s41598-022-08412-9.
    """

    name = "gmm-combat"
    hidden_as = "batch"

    def _best(self, table: FeatureTable, batches: Batches, kept: tuple[str, ...]) -> tuple[Step, ...]:
        steps: list[Step] = []
        others = [variable for variable in batches if variable not in (HIDDEN, MANUFACTURER)]
        for variable in (HIDDEN, MANUFACTURER, *others):
            step, table = self.step(table, variable, batches, kept)
            steps.append(step)
        return tuple(steps)
