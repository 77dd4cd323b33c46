"""Several batch variables, one after the other: Nested and OPNested ComBat.

Every step is a ComBat whose groups are the levels of one variable (the manufacturer, an acquisition covariate, or the
hidden groups of a Gaussian mixture), fitted on what the step before returned. The order is chosen on the training
rows by counting features that still differ between groups (Anderson-Darling, 5 %). A new row goes through the fitted
steps one by one; its hidden group is told from its raw value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import numpy.typing as npt

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import NotApplicable, UsageError
from harmbench_builtin.harmonizers.checks import require_finite
from harmbench_builtin.harmonizers.combat import engine, mixture
from harmbench_builtin.harmonizers.combat.distribution_test import count_differing
from harmbench_builtin.harmonizers.combat.model import (
    Model,
    adjust,
    check_flags,
    check_rows,
    check_texts,
    check_unseen,
    fitted_or_raise,
    is_text,
    learn,
    select,
    text_covariate,
)

MANUFACTURER = "manufacturer"
HIDDEN = "hidden group"
MAX_VARIABLES = 6
"""More batch variables than this have too many orders (6! = 720) to try them all."""

Batches = Mapping[str, npt.NDArray[np.str_]]


@dataclass(frozen=True)
class Step:
    """One ComBat of the sequence."""

    variable: str
    model: Model


@dataclass(frozen=True)
class Fitted:
    """What a sequence has learned.

    Parameters
    ----------
    steps : tuple of Step
        In the order of use.
    hidden : Mixture or None
    features : tuple of str
    """

    steps: tuple[Step, ...]
    hidden: mixture.Mixture | None
    features: tuple[str, ...]


class NestedCombat:
    """ComBat for one batch variable after the other, the best next one first.

    In every round each variable that is left is tried, and the one is taken whose ComBat leaves the fewest features
    that differ between its own groups.

    Parameters
    ----------
    batches : str, default ""
        Covariates that describe the acquisition, separated by commas, or "all" for every categorical one. The
        manufacturer is always among the batch variables. Which covariates are acquisition and which are biology
        cannot be guessed, so there is no other default.
    covariates : str, default "none"
        Effects to keep in every step: "none", "all" (but `batches`), or names separated by commas.
    parametric, eb, mean_only
        As in `Combat`, for every step.
    unseen : {"error", "pooled", "nearest"}, default "error"
        For rows of an unseen manufacturer or an unseen level of a batch variable, as in `Combat`.

    References
    ----------
    Horng et al. (2022), doi:10.1038/s41598-022-08412-9.
    """

    name = "nested-combat"
    exhaustive = False
    hidden_as = "no"

    def __init__(
        self,
        batches: str = "",
        covariates: str = "none",
        parametric: bool = True,
        eb: bool = True,
        mean_only: bool = False,
        unseen: str = "error",
    ) -> None:
        check_texts(self.name, batches=batches, covariates=covariates)
        check_flags(self.name, parametric=parametric, eb=eb, mean_only=mean_only)
        check_unseen(self.name, unseen)
        self.batches, self.covariates, self.unseen = batches, covariates, unseen
        self.options = engine.Options(parametric, eb, mean_only)
        self._fitted: Fitted | None = None

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """With these parameters."""
        return self.unseen != "error"

    @property
    def fitted(self) -> Fitted:
        """The steps of the last fit."""
        return fitted_or_raise(self._fitted, self.name)

    @property
    def order(self) -> tuple[str, ...]:
        """The batch variables in the order in which they are harmonized."""
        return tuple(step.variable for step in self.fitted.steps)

    def fit(self, table: FeatureTable, context: Context) -> NestedCombat:
        """Learn order and steps from these rows only.

        Parameters
        ----------
        table : FeatureTable
            Training rows; the label is not looked at.
        context : Context
            Not used: nothing is random.

        Raises
        ------
        NotApplicable
            No acquisition covariate was named, or the data lack it; no hidden group (GMM variants), or hidden groups
            that are to be kept and coincide with the manufacturers.
        UsageError, DataError
            See `Combat.fit`; a batch variable that is a number; too many batch variables.
        """
        self._fitted = None
        require_finite(table, self.name)
        text = {name: column for name, column in table.covariates.items() if is_text(column)}
        variables = self._acquisition(table, text)
        kept = [
            name for name in select(self.name, "covariates", self.covariates, table.covariates) if name not in variables
        ]
        hidden = mixture.find(table.values) if self.hidden_as != "no" else None
        work = table
        if hidden is not None and self.hidden_as == "covariate":
            work = _with_hidden(table, hidden)
            kept.append(HIDDEN)
            group = work.covariates[HIDDEN]
            if all(len(set(group[table.manufacturer == m].tolist())) == 1 for m in table.manufacturers):
                raise NotApplicable(
                    f"{self.name}: the hidden groups that the mixture finds are those of the manufacturers; to keep "
                    "them is to keep what should go; opnested-plus-gmm-combat removes them"
                )
        batches = _batches(table, variables, hidden if self.hidden_as == "batch" else None)
        steps = self._best(work, batches, tuple(kept))
        self._fitted = Fitted(steps, hidden, table.features)
        return self

    def _acquisition(self, table: FeatureTable, text: Batches) -> tuple[str, ...]:
        """The covariates that are batch variables."""
        everything = self.batches.strip() == "all"
        variables = select(self.name, "batches", self.batches, text if everything else table.covariates)
        if not variables and self.hidden_as == "no":
            there = f" (categorical covariates here: {', '.join(sorted(text))})" if text else ""
            raise NotApplicable(
                f"{self.name} needs acquisition covariates beside the manufacturer: name them with "
                f"{self.name}.batches{there}"
            )
        for name in variables:
            if name not in text:
                raise UsageError(
                    f"{self.name}.batches: covariate '{name}' is a number; batch variables are categories."
                )
        if len(variables) + 2 > MAX_VARIABLES:
            raise UsageError(
                f"{self.name}.batches names {len(variables)} variables; at most {MAX_VARIABLES - 2} can be."
            )
        return variables

    def step(
        self, table: FeatureTable, variable: str, batches: Batches, kept: tuple[str, ...]
    ) -> tuple[Step, FeatureTable]:
        """Fit one step, and the training rows after it."""
        model = learn(table, self.name, kept, replace(self.options, unit=_unit(variable)), batch=batches[variable])
        return Step(variable, model), adjust(model, table, batch=batches[variable])

    def _best(self, table: FeatureTable, batches: Batches, kept: tuple[str, ...]) -> tuple[Step, ...]:
        """The steps in the best order; the first of equals."""
        return self._of_all_orders(table, batches, kept) if self.exhaustive else self._greedy(table, batches, kept)

    def _greedy(self, table: FeatureTable, batches: Batches, kept: tuple[str, ...]) -> tuple[Step, ...]:
        left, steps = list(batches), []
        while left:
            tried = [self.step(table, variable, batches, kept) for variable in left]
            counts = [count_differing(after.values, batches[step.variable]) for step, after in tried]
            step, table = tried[int(np.argmin(counts))]
            steps.append(step)
            left.remove(step.variable)
        return tuple(steps)

    def _of_all_orders(self, table: FeatureTable, batches: Batches, kept: tuple[str, ...]) -> tuple[Step, ...]:
        """Orders share their beginnings, so every beginning is fitted once."""
        best: tuple[int, tuple[Step, ...]] | None = None
        reached: dict[tuple[str, ...], tuple[tuple[Step, ...], FeatureTable]] = {(): ((), table)}
        for order in permutations(batches):
            # Only the path to the present order is kept in memory.
            reached = {begin: state for begin, state in reached.items() if order[: len(begin)] == begin}
            for length in range(1, len(order) + 1):
                if order[:length] not in reached:
                    steps, work = reached[order[: length - 1]]
                    step, after = self.step(work, order[length - 1], batches, kept)
                    reached[order[:length]] = ((*steps, step), after)
            steps, after = reached[order]
            differing = sum(count_differing(after.values, batch) for batch in batches.values())
            if best is None or differing < best[0]:
                best = (differing, steps)
        assert best is not None  # the manufacturer is always there
        return best[1]

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Take each row through the steps, by itself.

        Raises
        ------
        UnseenManufacturer
            An unseen manufacturer, or an unseen level of a batch variable, with `unseen="error"`.
        DataError
            Non-finite values, other features than in the fit, a batch variable or covariate missing.
        """
        fitted = self.fitted
        check_rows(table, fitted.features, self.name)
        work = table
        if fitted.hidden is not None and self.hidden_as == "covariate":
            work = _with_hidden(table, fitted.hidden)
        variables = tuple(step.variable for step in fitted.steps if step.variable not in (MANUFACTURER, HIDDEN))
        batches = _batches(table, variables, fitted.hidden if self.hidden_as == "batch" else None)
        for step in fitted.steps:
            work = adjust(step.model, work, self.unseen, batch=batches[step.variable])
        return table.with_values(work.values)


class OPNestedCombat(NestedCombat):
    """Nested ComBat in the order that leaves the fewest differences over all batch variables together.

    Every order is tried. Parameters are those of `NestedCombat`.

    References
    ----------
    Horng et al. (2022), doi:10.1038/s41598-022-23328-0.
    """

    name = "opnested-combat"
    exhaustive = True


def _unit(variable: str) -> str:
    return variable if variable in (MANUFACTURER, HIDDEN) else f"level of {variable}"


def _with_hidden(table: FeatureTable, hidden: mixture.Mixture) -> FeatureTable:
    """The table with its hidden groups as a covariate."""
    return replace(table, covariates={**table.covariates, HIDDEN: hidden.assign(table.values)})


def _batches(
    table: FeatureTable, variables: tuple[str, ...], hidden: mixture.Mixture | None
) -> dict[str, npt.NDArray[np.str_]]:
    """The groups of every batch variable, the manufacturer first.

    Raises
    ------
    DataError
        A variable of the fit is not in this table.
    """
    found = {MANUFACTURER: table.manufacturer}
    for name in variables:
        found[name] = text_covariate(table, name)
    if hidden is not None:
        found[HIDDEN] = hidden.assign(table.values)
    return found
