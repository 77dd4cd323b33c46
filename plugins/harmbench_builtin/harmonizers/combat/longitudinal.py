"""`longitudinal-combat`: ComBat with a random intercept for every patient. Transductive."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable
from harmbench_builtin.harmonizers.checks import require_finite
from harmbench_builtin.harmonizers.combat import engine, mixed_model
from harmbench_builtin.harmonizers.combat.design import Covariates, Floats, factorise
from harmbench_builtin.harmonizers.combat.least_squares import Statistics
from harmbench_builtin.harmonizers.combat.model import (
    Model,
    check_flags,
    check_rows,
    check_texts,
    coded_rows,
    fitted_or_raise,
    learn,
    select,
)


class LongitudinalCombat:
    """ComBat for repeated images of patients.

    A mixed model with an intercept for every patient stands where `Combat` has least squares: what is typical of a
    patient is kept, like a covariate's effect, and manufacturers are compared by what remains.

    Parameters
    ----------
    covariates : str, default "none"
        Fixed effects to keep (such as time since the first image), as in `Combat`.
    parametric, eb, mean_only
        As in `Combat`.

    Notes
    -----
    A patient's intercept comes of that patient's rows, so the method must be fitted on all rows at once: it is
    declared transductive and is never ranked beside inductive ones. A row of a patient that the fit has not seen gets
    intercept 0. The empirical-Bayes iteration stops when it has settled; longCombat makes 30 steps.

    References
    ----------
    Beer et al. (2020), doi:10.1016/j.neuroimage.2020.117129.
    """

    name = "longitudinal-combat"

    def __init__(
        self, covariates: str = "none", parametric: bool = True, eb: bool = True, mean_only: bool = False
    ) -> None:
        check_texts(self.name, covariates=covariates)
        check_flags(self.name, parametric=parametric, eb=eb, mean_only=mean_only)
        self.covariates = covariates
        self.options = engine.Options(parametric, eb, mean_only)
        self._fitted: tuple[Model, dict[str, int], Floats] | None = None

    def fit(self, table: FeatureTable, context: Context) -> LongitudinalCombat:
        """Learn from all rows; the label is not looked at.

        Raises
        ------
        NotApplicable
            No patient has more than one row; also as `Combat.fit`.
        """
        self._fitted = None
        require_finite(table, self.name)
        patients, codes, counts = np.unique(table.patient, return_inverse=True, return_counts=True)
        if counts.max(initial=0) < 2:
            raise NotApplicable("longitudinal-combat needs patients with several rows; here every patient has one")
        chosen = select(self.name, "covariates", self.covariates, table.covariates)
        intercepts = np.zeros((len(patients), table.values.shape[1]))

        def regression(
            values: Floats, order: npt.NDArray[np.intp], groups: list[slice], covariates: Covariates
        ) -> Statistics:
            fitted = mixed_statistics(values, order, groups, covariates, codes)
            intercepts[:] = fitted[1]
            return fitted[0]

        model = learn(table, self.name, chosen, self.options, regression=regression)
        self._fitted = (model, {name: i for i, name in enumerate(patients.tolist())}, intercepts)
        return self

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Adjust each row, given its patient's intercept.

        Raises
        ------
        UnseenManufacturer
            A manufacturer that the fit has not seen.
        DataError
            See `Combat.transform`.
        """
        model, place, intercepts = fitted_or_raise(self._fitted, self.name)
        check_rows(table, model.features, self.name)
        known = np.vstack([intercepts, np.zeros((1, intercepts.shape[1]))])
        own = known[[place.get(patient, len(intercepts)) for patient in table.patient.tolist()]]
        coded = coded_rows(model, table)
        return table.with_values(engine.apply(model.fitted, table.values - own, table.manufacturer, coded) + own)


def mixed_statistics(
    values: Floats,
    order: npt.NDArray[np.intp],
    groups: list[slice],
    covariates: Covariates,
    patients: npt.NDArray[np.intp],
) -> tuple[Statistics, Floats]:
    """What ComBat needs, with patients' intercepts taken out, and the intercepts (patients, p).

    Parameters
    ----------
    values, order, groups, covariates
        See `least_squares.statistics`.
    patients : int (n,)
        Codes, in the row order of `values`.

    Raises
    ------
    DataError
        Covariates that cannot be told apart, or fewer rows than effects.
    """
    n, n_groups, q = len(values), len(groups), len(covariates.names)
    if n <= n_groups + q:
        raise DataError(
            f"{n} training rows cannot determine {n_groups} manufacturers and {q} covariate columns.",
            remedy="Add rows or use fewer covariates.",
        )
    indicator = np.zeros((n, n_groups))
    for i, g in enumerate(groups):
        indicator[order[g], i] = 1.0
    if q:
        columns = covariates.columns
        within = columns - indicator @ (indicator.T @ columns / indicator.sum(axis=0)[:, None])
        factorise(within, np.linalg.norm(columns - columns.mean(axis=0), axis=0), covariates.names)
    model = mixed_model.fit(values, np.column_stack((indicator, covariates.columns)), patients)
    effects, coefficients = model.coefficients[:n_groups], model.coefficients[n_groups:]
    rest = values - model.intercepts[patients] - covariates.columns @ coefficients
    means = np.stack([rest[order[g]].mean(axis=0) for g in groups])
    squares = np.stack([((rest[order[g]] - mean) ** 2).sum(axis=0) for g, mean in zip(groups, means, strict=True)])
    size = np.abs(values).max(axis=0)
    return Statistics(means, squares, coefficients, size, effects, model.variance), model.intercepts
