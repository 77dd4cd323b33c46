"""`combat-self`: a manufacturer that the fit has not seen is estimated from its own rows. Transductive."""

from __future__ import annotations

import numpy as np

from harmbench.data import FeatureTable
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmbench_builtin.harmonizers.combat.model import Model, adjust, check_rows, coded_rows, fitted_or_raise


class CombatSelf(Combat):
    """ComBat that estimates unseen manufacturers from the very rows to transform.

    Grand mean, covariate effects and pooled variance stay those of the fit; location and scale of an unseen
    manufacturer are estimated, and shrunk, from its rows in this call of `transform`. A row's result thus depends on
    the rows that come with it: the method is declared transductive, runs on all rows at once, and is never ranked
    beside inductive ones. In a run `fit` therefore gets the rows of a left-out manufacturer too.

    Parameters
    ----------
    parametric, eb, mean_only, reference, covariates
        As in `Combat`.
    """

    name = "combat-self"

    def __init__(
        self,
        parametric: bool = True,
        eb: bool = True,
        mean_only: bool = False,
        reference: str = "",
        covariates: str = "none",
    ) -> None:
        super().__init__(parametric, eb, mean_only, reference, covariates)

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """Always."""
        return True

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Adjust rows; those of unseen manufacturers together.

        Raises
        ------
        DataError
            An unseen manufacturer with a single row (unless only means are adjusted); also as `Combat.transform`.
        """
        model = fitted_or_raise(self._model, self.name)
        check_rows(table, model.features, self.name)
        strange = ~np.isin(table.manufacturer, model.fitted.batches)
        if not strange.any():
            return adjust(model, table)
        rows = table.rows(strange)
        extended = engine.add_batches(
            model.fitted, rows.values, rows.manufacturer, coded_rows(model, rows), self.options
        )
        return adjust(Model(extended, model.codes, model.features, self.name), table)
