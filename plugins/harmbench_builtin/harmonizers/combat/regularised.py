"""`recombat`: ComBat whose covariate effects are penalised, for designs that least squares cannot solve.

Many covariates, rare levels, or a covariate that the manufacturer nearly determines make the design singular. A ridge
or elastic-net penalty gives such effects a finite, shrunken estimate; the rest of ComBat is the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import NotApplicable
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.design import Floats
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmbench_builtin.harmonizers.combat.least_squares import Solve, statistics
from harmbench_builtin.harmonizers.combat.model import Model, check_number, check_texts, learn, select


def penalised(
    within: Floats, spread: Floats, names: Sequence[str], groups: int, *, strength: float, l1_ratio: float
) -> Solve:
    """Covariate effects under an elastic-net penalty; manufacturers' means are not penalised.

    With n rows, covariates x scaled to unit standard deviation over all training rows, and a feature y scaled to unit
    standard deviation within manufacturers, b minimises

        |y - x b|^2 / (2 n) + strength (l1_ratio |b|_1 + (1 - l1_ratio) |b|^2 / 2).

    Scaling makes one strength mean the same for every covariate and feature, whatever its unit. At strength 0 the
    smallest of the least-squares solutions is taken.
    """
    n = len(within)
    unit = np.where(spread > 0, spread, 1.0) / np.sqrt(n)
    scaled = within / unit
    if l1_ratio == 0:
        left, values, right = np.linalg.svd(scaled, full_matrices=False)
        kept = values > 1e-9 * max(float(values.max(initial=0.0)), 1.0)
        gain = np.zeros_like(values)
        gain[kept] = values[kept] / (values[kept] ** 2 + n * strength)
        inverse = (right.T * gain) @ left.T / unit[:, None]
        return lambda block: inverse @ block

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import ElasticNet

    def solve(block: Floats) -> Floats:
        sd = np.sqrt(np.einsum("ij,ij->j", block, block) / n)
        y = block / np.where(sd > 0, sd, 1.0)
        model = ElasticNet(alpha=strength, l1_ratio=l1_ratio, fit_intercept=False, max_iter=10_000, tol=1e-8)
        with warnings.catch_warnings():
            # A tolerance below rounding is asked for; stopping at the rounding error is what is wanted.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(scaled, y)
        return np.asarray(np.atleast_2d(model.coef_).T * sd / unit[:, None])

    return solve


class ReCombat(Combat):
    """ComBat with a penalised design.

    Parameters
    ----------
    covariates : str, default "none"
        Effects to keep: names separated by commas, or "all". Which covariates are biology and which stand for the
        diagnosis cannot be guessed, so there is no other default; see `Combat`.
    remove : str, default "none"
        Covariates whose effect is taken out (unwanted variation beside the manufacturer); they are not kept.
    strength : float, default 0.1
        Weight of the penalty, 0 for none; see `penalised`.
    l1_ratio : float, default 0.0
        0: ridge, in closed form; up to 1: lasso, by coordinate descent.
    parametric, eb, mean_only, reference, unseen
        As in `Combat`.

    Notes
    -----
    The published code penalises the manufacturers' means as well, which makes results depend on the origin of a
    feature's scale; here only covariate effects are penalised, after scaling.

    References
    ----------
    Adamer et al. (2022), doi:10.1093/bioadv/vbac071.
    """

    name = "recombat"

    def __init__(
        self,
        parametric: bool = True,
        eb: bool = True,
        mean_only: bool = False,
        reference: str = "",
        covariates: str = "none",
        unseen: str = "error",
        remove: str = "none",
        strength: float = 0.1,
        l1_ratio: float = 0.0,
    ) -> None:
        super().__init__(parametric, eb, mean_only, reference, covariates, unseen)
        check_texts(self.name, remove=remove)
        check_number(self.name, "strength", strength, 0)
        check_number(self.name, "l1_ratio", l1_ratio, 0, 1)
        self.remove, self.strength, self.l1_ratio = remove, strength, l1_ratio

    def fit(self, table: FeatureTable, context: Context) -> ReCombat:
        """Learn from these rows only; see `Combat.fit`.

        Raises
        ------
        NotApplicable
            No covariate was named, or the data have none.
        """
        self._model = None
        unwanted = select(self.name, "remove", self.remove, table.covariates)
        wanted = [c for c in select(self.name, "covariates", self.covariates, table.covariates) if c not in unwanted]
        if not wanted and not unwanted:
            there = f" (here: {', '.join(sorted(table.covariates))})" if table.covariates else "; these data have none"
            raise NotApplicable(
                "recombat regularises the effects of covariates: name them with recombat.covariates or recombat.remove"
                f"{there}"
            )
        regression = partial(statistics, prepare=partial(penalised, strength=self.strength, l1_ratio=self.l1_ratio))
        model = learn(table, self.name, (*wanted, *unwanted), self.options, regression=regression)
        gone = tuple(name for code in model.codes if code.name in unwanted for name in code.columns)
        fitted: engine.Fitted = replace(model.fitted, removed=gone)
        self._model = Model(fitted, model.codes, model.features, self.name)
        return self
