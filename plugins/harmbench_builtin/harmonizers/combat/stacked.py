"""`stacked-combat`: the label's effect is kept without ever asking a row to transform for its label.

After Nieto et al. (arXiv:2410.19643), from public descriptions of the method, not from its code. ComBat with the label
in its design needs the label of every row. Instead each row is harmonized once for every class that it could have; a
predictor, trained on rows harmonized with their true labels, scores each version; a second model, trained on such
scores of rows held out in inner folds, turns them into the probability of the class; and the row is harmonized with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable
from harmbench_builtin.harmonizers.checks import require_finite
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.design import Floats
from harmbench_builtin.harmonizers.combat.harmonizer import with_label
from harmbench_builtin.harmonizers.combat.model import (
    Model,
    adjust,
    check_choice,
    check_flags,
    check_number,
    check_rows,
    check_texts,
    check_unseen,
    coded_rows,
    fitted_or_raise,
    select,
)
from harmbench_builtin.harmonizers.combat.unseen import known_batches

TARGETS = ("probability", "class")


@dataclass(frozen=True)
class Stack:
    """A ComBat that knows the label's effect, and a predictor on what it returns.

    Parameters
    ----------
    model : Model
        For a row of average label.
    effect : float64 (p,)
        The label's.
    average : float
        Mean label of the fit.
    predictor : scikit-learn classifier
    """

    model: Model
    effect: Floats
    average: float
    predictor: Any

    def harmonize(self, table: FeatureTable, label: Floats, unseen: str) -> FeatureTable:
        """Rows harmonized as if their labels (m,) were these; numbers between the classes are allowed."""
        average = adjust(self.model, table, unseen)
        fitted = self.model.fitted
        batch = table.manufacturer
        if unseen == "nearest":
            batch = known_batches(fitted, table.values, batch, coded_rows(self.model, table))
        # x b (1 - 1 / sqrt(delta*)) is what a label changes in the adjusted value; an unseen row has delta* = 1.
        rest = np.concatenate([1 - 1 / np.sqrt(fitted.delta_star), np.zeros((1, fitted.delta_star.shape[1]))])
        place = {name: i for i, name in enumerate(fitted.batches)}
        which = [place.get(name, len(place)) for name in batch.tolist()]
        return table.with_values(average.values + (label - self.average)[:, None] * (self.effect * rest)[which])

    def scores(self, table: FeatureTable, unseen: str) -> Floats:
        """The predictor's log odds of each row (m, 2), pretending class 0 and class 1."""
        pretended = (self.harmonize(table, np.full(len(table), float(c)), unseen).values for c in (0, 1))
        return np.column_stack([self.predictor.decision_function(values) for values in pretended])


class StackedCombat:
    """Leak-free ComBat that keeps the label's effect, by pretended labels and stacking.

    Parameters
    ----------
    target : {"probability", "class"}, default "probability"
        Harmonize a row with the probability of class 1, or with the more probable class.
    inner_folds : int, default 5
        Grouped by patient, stratified by manufacturer and label.
    strength : float, default 0.01
        Inverse penalty (C) of the L2 logistic predictor on standardised features.
    covariates : str, default "none"
        Further effects to keep, as in `Combat`.
    parametric, eb, mean_only, unseen
        As in `Combat`.

    Notes
    -----
    The paper ends with the second model's prediction. A harmonizer must return features, so the row is harmonized
    with it; any classifier can follow. For a row of the fit `transform` uses its held-out prediction (remembered by
    sample id), because a prediction by a model that saw the row's label would be better than any new row's.

    References
    ----------
    Nieto et al. (2024), arXiv:2410.19643; Neurocomputing 680 (2026), doi:10.1016/j.neucom.2026.133146.
    """

    name = "stacked-combat"

    def __init__(
        self,
        target: str = "probability",
        inner_folds: int = 5,
        strength: float = 0.01,
        covariates: str = "none",
        parametric: bool = True,
        eb: bool = True,
        mean_only: bool = False,
        unseen: str = "error",
    ) -> None:
        check_choice(self.name, "target", target, TARGETS)
        check_number(self.name, "inner_folds", inner_folds, 2, whole=True)
        check_number(self.name, "strength", strength, 1e-12)
        check_texts(self.name, covariates=covariates)
        check_flags(self.name, parametric=parametric, eb=eb, mean_only=mean_only)
        check_unseen(self.name, unseen)
        self.target, self.inner_folds, self.strength = target, inner_folds, strength
        self.covariates, self.unseen = covariates, unseen
        self.options = engine.Options(parametric, eb, mean_only)
        self._fitted: tuple[Stack, Any, dict[str, float]] | None = None

    @property
    def handles_unseen_manufacturer(self) -> bool:
        """With these parameters."""
        return self.unseen != "error"

    def fit(self, table: FeatureTable, context: Context) -> StackedCombat:
        """Learn from these rows and their labels.

        Parameters
        ----------
        table : FeatureTable
        context : Context
            Seeds the inner folds.

        Raises
        ------
        NotApplicable
            One class only; the manufacturer determines the label; fewer patients of a class than inner folds.
        DataError
            No label; an inner fold leaves a manufacturer a single row; also as `Combat.fit`.
        """
        self._fitted = None
        require_finite(table, self.name)
        if table.label is None:
            raise DataError(f"{self.name} needs labels in its fit and got a table without them.")
        if len(set(table.label.tolist())) < 2:
            raise NotApplicable(f"{self.name} needs both classes in the training rows")
        scores = np.empty((len(table), 2))
        for train, held_out in self._folds(table, table.label, context):
            stack = self._stack(table.rows(train))
            # A manufacturer may be missing from an inner training fold; its rows then count as pooled.
            scores[held_out] = stack.scores(table.rows(held_out), "pooled")
        judge = _logistic(1.0).fit(scores, table.label)
        held_out_probability = judge.predict_proba(scores)[:, 1]
        remembered = dict(zip(table.samples.tolist(), held_out_probability.tolist(), strict=True))
        self._fitted = (self._stack(table), judge, remembered)
        return self

    def _stack(self, table: FeatureTable) -> Stack:
        assert table.label is not None  # checked in fit
        chosen = select(self.name, "covariates", self.covariates, table.covariates)
        model, effect = with_label(table, self.name, chosen, self.options)
        label = table.label.astype(np.float64)
        stack = Stack(model, effect, float(label.mean()), None)
        harmonized = stack.harmonize(table, label, "error").values
        return Stack(model, effect, stack.average, _logistic(self.strength).fit(harmonized, table.label))

    def _folds(
        self, table: FeatureTable, label: npt.NDArray[np.int_], context: Context
    ) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
        from sklearn.model_selection import StratifiedGroupKFold

        fewest = min(len(set(table.patient[label == c].tolist())) for c in (0, 1))
        if fewest < self.inner_folds:
            raise NotApplicable(
                f"{self.name} needs {self.inner_folds} patients of each class for its inner folds; the training rows "
                f"have {fewest}"
            )
        seed = int(context.rng(step="inner folds").integers(2**31))
        splitter = StratifiedGroupKFold(self.inner_folds, shuffle=True, random_state=seed)
        return list(splitter.split(table.values, _strata(table, label, self.inner_folds), table.patient))

    def transform(self, table: FeatureTable) -> FeatureTable:
        """Adjust each row by itself, with the label that the stack expects of it.

        Raises
        ------
        UnseenManufacturer
            With `unseen="error"`.
        DataError
            See `Combat.transform`.
        """
        stack, judge, remembered = fitted_or_raise(self._fitted, self.name)
        check_rows(table, stack.model.features, self.name)
        if len(table) == 0:
            return table
        probability = judge.predict_proba(stack.scores(table, self.unseen))[:, 1]
        held_out = [remembered.get(sample) for sample in table.samples.tolist()]
        expected = np.array([new if old is None else old for new, old in zip(probability, held_out, strict=True)])
        if self.target == "class":
            expected = (expected > 0.5).astype(np.float64)
        return stack.harmonize(table, expected, self.unseen)


def _strata(table: FeatureTable, label: npt.NDArray[np.int_], folds: int) -> npt.NDArray[np.str_]:
    """Manufacturer and label; the label alone where a combination has fewer rows than folds."""
    both = np.char.add(table.manufacturer.astype(str), np.char.add("|", label.astype(str)))
    return both if np.unique(both, return_counts=True)[1].min() >= folds else label.astype(str)


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
