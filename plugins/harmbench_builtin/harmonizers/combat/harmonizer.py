"""`combat` and the canary `leaky-combat`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, UsageError, suggestion
from harmbench_builtin.harmonizers.checks import require_features, require_finite
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.design import Code, Covariates, Floats, encode, learn_codes

UNSEEN = ("error", "pooled")


def _select(wanted: str, there: Mapping[str, npt.NDArray[Any]]) -> tuple[str, ...]:
    if wanted.strip() in ("", "none"):
        return ()
    if wanted.strip() == "all":
        return tuple(sorted(there))
    names = tuple(dict.fromkeys(part.strip() for part in wanted.split(",") if part.strip()))
    for name in names:
        if name not in there:
            raise UsageError(
                f"combat.covariates: the data have no covariate '{name}'.{suggestion(name, [*there, 'all', 'none'])}"
            )
    return names


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
        Effects to keep: "none", "all", or names separated by commas. The label is never one of them.
    unseen : {"error", "pooled"}, default "error"
        A row of a manufacturer that the fit has not seen raises `UnseenManufacturer`, or is taken to lie on the
        pooled scale already and returned as it is.

    Notes
    -----
    Values must be finite. Features that do not vary are adjusted in location only and influence no other; see
    `engine` for this and the other edge cases.

    References
    ----------
    Johnson, Li, Rabinovic (2007), doi:10.1093/biostatistics/kxj037; Fortin et al. (2018),
    doi:10.1016/j.neuroimage.2017.11.024. Reference manufacturer: Stein et al. (2015), doi:10.1186/s12920-015-0129-y.
    """

    def __init__(
        self,
        parametric: bool = True,
        eb: bool = True,
        mean_only: bool = False,
        reference: str = "",
        covariates: str = "none",
        unseen: str = "error",
    ) -> None:
        for name, value in (("parametric", parametric), ("eb", eb), ("mean_only", mean_only)):
            if not isinstance(value, bool):
                raise UsageError(f"combat.{name} must be true or false, not {value!r}.")
        for name, text in (("reference", reference), ("covariates", covariates)):
            if not isinstance(text, str):
                raise UsageError(f"combat.{name} must be text, not {text!r}.")
        if unseen not in UNSEEN:
            raise UsageError(f"combat.unseen is {unseen!r}.{suggestion(str(unseen), UNSEEN)}")
        self.options = engine.Options(parametric, eb, mean_only, reference)
        self.covariates = covariates
        self.unseen = unseen
        self._fitted: tuple[engine.Fitted, tuple[Code, ...], tuple[str, ...]] | None = None

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """With these parameters."""
        return self.unseen == "pooled"

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
        self._fitted = None
        require_finite(table, "combat")
        chosen = {name: table.covariates[name] for name in _select(self.covariates, table.covariates)}
        codes = learn_codes(chosen, table.samples)
        coded = encode(codes, chosen, table.samples)
        self._fitted = (engine.fit(table.values, table.manufacturer, coded, self.options), codes, table.features)
        return self

    @property
    def fitted(self) -> engine.Fitted:
        """The estimates of the last fit."""
        return self._state()[0]

    def _state(self) -> tuple[engine.Fitted, tuple[Code, ...], tuple[str, ...]]:
        if self._fitted is None:
            raise UsageError("combat has not been fitted; call fit before transform.")
        return self._fitted

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Adjust each row by itself.

        Raises
        ------
        UnseenManufacturer
            Unless `unseen="pooled"`.
        DataError
            Non-finite values, other features than in the fit, a covariate missing or of an unseen level.
        """
        fitted, codes, features = self._state()
        require_features(table, features, "combat")
        require_finite(table, "combat")
        coded = encode(codes, table.covariates, table.samples)
        pooled = self.unseen == "pooled"
        return table.with_values(engine.apply(fitted, table.values, table.manufacturer, coded, keep_unseen=pooled))


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
        if self._fitted is None:
            raise UsageError("leaky-combat has not been fitted; call fit before transform.")
        estimates, names, features, known, average = self._fitted
        require_features(table, features, "leaky-combat")
        require_finite(table, "leaky-combat")
        label = np.array([known.get(sample, average) for sample in table.samples.tolist()])
        coded = _label_covariate(label, names)
        return table.with_values(engine.apply(estimates, table.values, table.manufacturer, coded))
