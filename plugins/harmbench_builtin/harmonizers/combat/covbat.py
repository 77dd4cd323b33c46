"""`covbat`: ComBat, then ComBat once more on the principal component scores of what is left.

ComBat makes means and variances agree; correlations between features can still name the manufacturer. CovBat takes
the adjusted residuals (grand mean and covariate effects out), scales each feature to unit variance, turns to
principal components, and removes the manufacturers' means and variances of the leading scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import NotApplicable
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.design import Floats
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmbench_builtin.harmonizers.combat.model import (
    adjust,
    check_flags,
    check_number,
    coded_rows,
    fitted_or_raise,
)
from harmbench_builtin.harmonizers.combat.unseen import known_batches


@dataclass(frozen=True)
class Components:
    """Principal components of the training rows' residuals.

    Parameters
    ----------
    used : bool (p,)
        Features that vary.
    centre, scale : float64 (u,)
        Mean and standard deviation (divisor n - 1) of the residuals of those features.
    directions : float64 (u, k)
        The leading components, orthonormal columns.
    scores : engine.Fitted
        ComBat on the k scores.
    """

    used: np.ndarray
    centre: Floats
    scale: Floats
    directions: Floats
    scores: engine.Fitted


class CovBat(Combat):
    """ComBat on features and then on principal component scores.

    Parameters
    ----------
    explained : float, default 0.95
        Share of variance that the harmonized components must exceed; the others keep their scores.
    score_eb : bool, default False
        Empirical-Bayes shrinkage of the scores' estimates.
    parametric, eb, mean_only, reference, covariates, unseen
        Of the first step, as in `Combat`. `mean_only` and `reference` hold for the scores too. A row that
        `unseen="nearest"` assigns keeps that manufacturer in both steps.

    Notes
    -----
    Components, centres and scales come from the training rows. A new row is projected on them, so it needs no others.

    References
    ----------
    Chen et al. (2022), doi:10.1002/hbm.25688.
    """

    name = "covbat"

    def __init__(
        self,
        parametric: bool = True,
        eb: bool = True,
        mean_only: bool = False,
        reference: str = "",
        covariates: str = "none",
        unseen: str = "error",
        explained: float = 0.95,
        score_eb: bool = False,
    ) -> None:
        super().__init__(parametric, eb, mean_only, reference, covariates, unseen)
        check_flags(self.name, score_eb=score_eb)
        check_number(self.name, "explained", explained, 0, 1)
        self.explained = explained
        self.score_options = engine.Options(True, score_eb, mean_only, reference)
        self._components: Components | None = None

    def fit(self, table: FeatureTable, context: Context) -> CovBat:
        """Learn from these rows only; see `Combat.fit`.

        Raises
        ------
        NotApplicable
            Fewer than two features vary; also as `Combat.fit`.
        """
        self._components = None
        super().fit(table, context)
        residuals = self._residuals(table, super().transform(table).values)
        used = ~self.fitted.location_only
        if np.count_nonzero(used) < 2:
            raise NotApplicable("covbat needs at least two features that vary: there is no correlation to harmonize")
        chosen = residuals[:, used]
        centre, scale = chosen.mean(axis=0), chosen.std(axis=0, ddof=1)
        scaled = (chosen - centre) / scale
        _, strength, axes = np.linalg.svd(scaled, full_matrices=False)
        share = np.cumsum(strength**2) / np.sum(strength**2)
        # The last of the shares is 1 but for rounding: then all components are taken.
        count = min(
            int(np.count_nonzero(share <= self.explained)) + 1, int(np.count_nonzero(strength > 1e-9 * strength[0]))
        )
        directions = np.ascontiguousarray(axes[:count].T)
        scores = engine.fit(scaled @ directions, table.manufacturer, options=self.score_options)
        self._components = Components(used, centre, scale, directions, scores)
        return self

    @property
    def components(self) -> Components:
        """The components of the last fit."""
        return fitted_or_raise(self._components, self.name)

    def _expected(self, table: FeatureTable) -> Floats:
        """What ComBat gives back: grand mean plus covariate effects (n, p)."""
        model = fitted_or_raise(self._model, self.name)
        out = np.tile(model.fitted.grand_mean, (len(table), 1))
        for column, effect in zip(coded_rows(model, table).columns.T, model.fitted.coefficients, strict=True):
            out += column[:, None] * effect
        return out

    def _residuals(self, table: FeatureTable, adjusted: Floats) -> Floats:
        return adjusted - self._expected(table)

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Adjust each row by itself; see `Combat.transform`."""
        parts = self.components
        model = fitted_or_raise(self._model, self.name)
        adjusted = adjust(model, table, self.unseen).values
        batch = table.manufacturer
        if self.unseen == "nearest":
            batch = known_batches(model.fitted, table.values, batch, coded_rows(model, table))
        scaled = (self._residuals(table, adjusted)[:, parts.used] - parts.centre) / parts.scale
        scores = scaled @ parts.directions
        change = engine.apply(parts.scores, scores, batch, unseen=self.unseen) - scores
        out = adjusted.copy()
        out[:, parts.used] += (change @ parts.directions.T) * parts.scale
        return table.with_values(out)
