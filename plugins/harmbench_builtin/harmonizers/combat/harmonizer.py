"""`combat`, its variant that keeps the label's effect, and the canary `leaky-combat`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable
from harmbench_builtin.harmonizers.checks import require_finite
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.design import Covariates, Floats, encode, learn_codes
from harmbench_builtin.harmonizers.combat.model import (
    Model,
    adjust,
    check_flags,
    check_rows,
    check_texts,
    check_unseen,
    fitted_or_raise,
    learn,
    select,
)


class Combat:
    """ComBat, fitted on the training rows and applied to any rows.

    Parameters
    ----------
    parametric : bool, default True
        Parametric empirical Bayes; False: non-parametric (time grows with the square of the number of features).
    eb : bool, default True
        Empirical-Bayes shrinkage across features.
    mean_only : bool, default False
        Adjust means and leave variances. With `eb` each mean counts as one observation of unit variance, as in R's
        sva: shrinkage is strong, and much of a manufacturer's shift stays. `eb=False` removes the shift entirely.
    reference : str, default ""
        Manufacturer to which the others are brought; its own rows stay as they are.
    covariates : str, default "none"
        Effects to keep: "none", "all", or names separated by commas. The label is never one of them, and neither
        must be what stands for it (a grade, a measurement that makes the diagnosis): rows to transform bring their
        covariates along, so its effect would be written into them.
    unseen : {"error", "pooled", "nearest"}, default "error"
        A row of a manufacturer that the fit has not seen raises `UnseenManufacturer`; is taken to lie on the pooled
        scale already and returned as it is; or is adjusted as the known manufacturer that it resembles most (see
        `unseen.nearest`). Each row by itself in every case.

    Notes
    -----
    Values must be finite. Features that do not vary are adjusted in location only and influence no other; see
    `engine` for this and the other edge cases.

    References
    ----------
    Johnson, Li, Rabinovic (2007), doi:10.1093/biostatistics/kxj037; Fortin et al. (2018),
    doi:10.1016/j.neuroimage.2017.11.024. Reference manufacturer: Stein et al. (2015), doi:10.1186/s12859-015-0478-3.
    """

    name = "combat"

    def __init__(
        self,
        parametric: bool = True,
        eb: bool = True,
        mean_only: bool = False,
        reference: str = "",
        covariates: str = "none",
        unseen: str = "error",
    ) -> None:
        check_flags(self.name, parametric=parametric, eb=eb, mean_only=mean_only)
        check_texts(self.name, reference=reference, covariates=covariates)
        check_unseen(self.name, unseen)
        self.options = engine.Options(parametric, eb, mean_only, reference)
        self.covariates = covariates
        self.unseen = unseen
        self._model: Model | None = None

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """With these parameters."""
        return self.unseen != "error"

    def fit(self, table: FeatureTable, context: Context) -> Combat:
        """Learn from these rows only; an earlier fit is forgotten.

        Parameters
        ----------
        table : FeatureTable
            Training rows; the label is not looked at.
        context : Context
            Not used: ComBat has no randomness.

        Raises
        ------
        NotApplicable, UsageError, DataError
            See `engine.fit`; also for non-finite values and for missing or unknown covariates.
        """
        self._model = None
        chosen = select(self.name, "covariates", self.covariates, table.covariates)
        self._model = learn(table, self.name, chosen, self.options)
        return self

    @property
    def fitted(self) -> engine.Fitted:
        """The estimates of the last fit."""
        return fitted_or_raise(self._model, self.name).fitted

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Adjust each row by itself.

        Raises
        ------
        UnseenManufacturer
            With `unseen="error"`.
        DataError
            Non-finite values, other features than in the fit, a covariate missing or of an unseen level.
        """
        return adjust(fitted_or_raise(self._model, self.name), table, self.unseen)


class CombatLabel(Combat):
    """ComBat whose fit is told the label, so that prevalence is not mistaken for a manufacturer's effect.

    The label is a column of the design in `fit` only. `transform` needs none: x b of the label is left out, which
    treats a row as one of average label, so the label's effect stays in the residual and is rescaled with it.
    Parameters are those of `Combat`.

    Notes
    -----
    Unlike a ComBat that is given the label of every row, this one cannot carry a test label into a test row. What is
    true of every supervised step holds here too: training rows look better separated than they are, so only rows
    that the fit has not seen may be scored.
    """

    name = "combat-label"

    def fit(self, table: FeatureTable, context: Context) -> CombatLabel:
        """Learn from these rows and their labels.

        Raises
        ------
        NotApplicable
            The manufacturer determines the label, so their effects cannot be told apart.
        DataError
            No label; see also `Combat.fit`.
        """
        self._model = None
        require_finite(table, self.name)
        chosen = select(self.name, "covariates", self.covariates, table.covariates)
        self._model = with_label(table, self.name, chosen, self.options)[0]
        return self


def centred_label(table: FeatureTable, method: str) -> Floats:
    """The label of each row minus the mean label.

    Raises
    ------
    DataError
        The table has no label.
    NotApplicable
        No manufacturer has rows of both classes although both occur.
    """
    if table.label is None:
        raise DataError(f"{method} preserves the label, but its fit got a table without one.")
    label = table.label.astype(np.float64)
    mixed = any(np.ptp(label[table.manufacturer == name]) > 0 for name in table.manufacturers)
    if len(label) and np.ptp(label) > 0 and not mixed:
        raise NotApplicable(
            f"{method} must tell the label's effect from the manufacturer's, but every manufacturer of the training "
            "rows has one class only"
        )
    return label - label.mean() if len(label) and np.ptp(label) > 0 else np.zeros(len(label))


def with_label(
    table: FeatureTable, method: str, chosen: tuple[str, ...], options: engine.Options
) -> tuple[Model, Floats]:
    """ComBat with the label in the design of the fit, and the label's effect (p,) apart from it.

    The model's covariates are without the label: it is applied to rows as to rows of average label. The effect is 0
    where the training rows have one class.
    """
    label = centred_label(table, method)
    values = {name: table.covariates[name] for name in chosen}
    codes = learn_codes(values, table.samples)
    coded = encode(codes, values, table.samples)
    if not label.any():
        model = learn(table, method, chosen, options)
        return model, np.zeros(table.values.shape[1])
    both = Covariates(np.column_stack((coded.columns, label)), (*coded.names, "label"))
    fitted = engine.fit(table.values, table.manufacturer, both, options)
    without = replace(fitted, coefficients=fitted.coefficients[:-1], covariates=coded.names)
    return Model(without, codes, table.features, method), fitted.coefficients[-1]


def _label_covariate(label: Floats, names: tuple[str, ...]) -> Covariates:
    """The label as the one covariate, or none where the fit saw a single class (`names` empty)."""
    return Covariates(label[:, None] if names else np.zeros((len(label), 0)), names)


class LeakyCombat:
    """What many studies do, and what the audit must catch: ComBat on all rows, with the label preserved. A canary.

    `fit` gets every row, test rows included, with labels. The label is a covariate whose effect, overfitted to those
    very rows, is left in when the manufacturer's effect is taken out. `transform` gets no label, so the ones seen in
    the fit are remembered by sample id; a row that the fit has not seen gets the average label of the fit.
    """

    def __init__(self) -> None:
        self._fitted: tuple[engine.Fitted, tuple[str, ...], tuple[str, ...], dict[str, float], float] | None = None

    def fit(self, table: FeatureTable, context: Context) -> LeakyCombat:
        """Learn from all rows and their labels.

        Raises
        ------
        DataError
            No label, non-finite values, or a label that the manufacturer determines.
        """
        self._fitted = None
        require_finite(table, "leaky-combat")
        if table.label is None:
            raise DataError("leaky-combat preserves the label, but its fit got a table without one.")
        label = table.label.astype(np.float64)
        names = ("label",) if len(set(label.tolist())) > 1 else ()
        estimates = engine.fit(table.values, table.manufacturer, _label_covariate(label, names))
        known = dict(zip(table.samples.tolist(), label.tolist(), strict=True))
        self._fitted = (estimates, names, table.features, known, float(label.mean()))
        return self

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Adjust rows, looking their labels up in memory."""
        estimates, names, features, known, average = fitted_or_raise(self._fitted, "leaky-combat")
        check_rows(table, features, "leaky-combat")
        label = np.array([known.get(sample, average) for sample in table.samples.tolist()])
        coded = _label_covariate(label, names)
        return table.with_values(engine.apply(estimates, table.values, table.manufacturer, coded))
