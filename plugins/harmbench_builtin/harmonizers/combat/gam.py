"""`combat-gam`: ComBat that keeps smooth, not only linear, effects of covariates."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.linalg import block_diag

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import NotApplicable, UsageError
from harmbench_builtin.harmonizers.combat.design import Code, learn_codes
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmbench_builtin.harmonizers.combat.least_squares import statistics
from harmbench_builtin.harmonizers.combat.model import check_number, check_texts, is_text, learn, select
from harmbench_builtin.harmonizers.combat.splines import DEGREE, LEAST_VALUES, Smooth, learn_smooth, smooth_effects


class CombatGam(Combat):
    """ComBat with penalised splines.

    Parameters
    ----------
    smooth : str, default "none"
        Covariates with a smooth effect, which is kept: names separated by commas, or "all" (every number with at least
        five distinct values in the training rows). Which numbers are biology and which stand for the diagnosis cannot
        be guessed, so there is no other default; see `Combat`.
    df : int, default 10
        B-splines for each, knots at quantiles of the training rows.
    penalty : str, default "gcv"
        Weight of the curve's integrated squared second derivative: "gcv" (generalised cross-validation, for each
        feature), or a number; "0" for plain regression splines.
    covariates : str, default "none"
        Effects to keep that are linear or categorical: "none", "all" (those that are not smooth), or names.
    parametric, eb, mean_only, reference, unseen
        As in `Combat`.

    Notes
    -----
    With a fixed penalty equal to neuroHarmonize, which chooses it by random five-fold cross-validation: two of its
    runs differ, two of ours do not. Beyond the training range a curve goes on along its tangent.

    References
    ----------
    Pomponio et al. (2020), doi:10.1016/j.neuroimage.2019.116450.
    """

    name = "combat-gam"

    def __init__(
        self,
        parametric: bool = True,
        eb: bool = True,
        mean_only: bool = False,
        reference: str = "",
        covariates: str = "none",
        unseen: str = "error",
        smooth: str = "none",
        df: int = 10,
        penalty: str = "gcv",
    ) -> None:
        super().__init__(parametric, eb, mean_only, reference, covariates, unseen)
        check_texts(self.name, smooth=smooth, penalty=penalty)
        check_number(self.name, "df", df, DEGREE + 1, whole=True)
        self.smooth, self.df, self.strength = smooth, df, _strength(penalty)

    def fit(self, table: FeatureTable, context: Context) -> CombatGam:
        """Learn from these rows only; see `Combat.fit`.

        Raises
        ------
        NotApplicable
            No covariate was named, or there is no number with at least five distinct values, or a named one has fewer.
        UsageError
            A smooth covariate is a category.
        DataError
            A value is missing; fewer rows than columns.
        """
        self._model = None
        numbers = {name: column for name, column in table.covariates.items() if not is_text(column)}
        everything = self.smooth.strip() == "all"
        many = {name: column for name, column in numbers.items() if len(np.unique(column)) >= LEAST_VALUES}
        curves = select(self.name, "smooth", self.smooth, many if everything else table.covariates)
        if not curves:
            there = f" (numbers here: {', '.join(sorted(numbers))})" if numbers else ""
            wanted = f"a continuous covariate, such as age, with at least {LEAST_VALUES} distinct values"
            raise NotApplicable(
                f"combat-gam needs {wanted}: name it with combat-gam.smooth{there}"
                if many
                else f"combat-gam needs {wanted}; these data have none{there}"
            )
        wrong = [name for name in curves if name not in numbers]
        if wrong:
            raise UsageError(f"combat-gam.smooth: covariate '{wrong[0]}' is a category; only a number has a curve.")
        linear = [c for c in select(self.name, "covariates", self.covariates, table.covariates) if c not in curves]
        names = (*linear, *curves)
        # Also refuses missing values, with the sample's name.
        plain = learn_codes({name: table.covariates[name] for name in names}, table.samples)
        bent = [learn_smooth(name, np.asarray(table.covariates[name], dtype=np.float64), self.df) for name in curves]
        codes: tuple[Code, ...] = (*plain[: len(linear)], *bent)
        straight = sum(len(code.columns) for code in plain[: len(linear)])
        penalty = block_diag(np.zeros((straight, straight)), *(self._scaled(code, table) for code in bent))
        prepare = partial(smooth_effects, penalty=penalty, strength=self.strength)
        regression = partial(statistics, prepare=prepare)
        self._model = learn(table, self.name, names, self.options, codes=codes, regression=regression)
        return self

    def _scaled(self, code: Smooth, table: FeatureTable) -> np.ndarray:
        """The penalty of one curve; freed of the covariate's unit where one strength is chosen for all curves."""
        if self.strength is not None:
            return code.penalty
        columns = code.expand(np.asarray(table.covariates[code.name], dtype=np.float64))
        return np.asarray(code.penalty * (np.sum(columns**2) / np.trace(code.penalty)))


def _strength(penalty: str) -> float | None:
    if penalty.strip() == "gcv":
        return None
    try:
        value = float(penalty)
    except ValueError:
        value = -1.0
    if not (np.isfinite(value) and value >= 0):
        raise UsageError(f"combat-gam.penalty must be 'gcv' or a number of 0 or more, not {penalty!r}.")
    return value
