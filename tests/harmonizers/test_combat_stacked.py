"""`stacked-combat`: pretended labels, held-out predictions, and what they buy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.design import Covariates
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmbench_builtin.harmonizers.combat.stacked import StackedCombat
from harmonizers.feature_tables import make_table, scanner_data


def imbalanced(seed: int, n: int = 300, p: int = 15) -> FeatureTable:
    """Disease at 20 % of GE and 80 % of Philips, with an effect on every feature; GE's scale is twice Philips'."""
    rng = np.random.default_rng(seed)
    ge = np.arange(n) < n // 2
    label = (rng.random(n) < np.where(ge, 0.2, 0.8)).astype(int)
    values = (rng.normal(size=(n, p)) + 1.0 * label[:, None]) * np.where(ge, 2.0, 1.0)[:, None] + 1.5 * ge[:, None]
    return make_table(values, np.where(ge, "GE", "Philips"), label=label)


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    return imbalanced(0)


@pytest.mark.parametrize("pretended", [0.0, 1.0, 0.3])
def test_a_pretended_label_is_a_column_of_the_design(pretended: float, table: FeatureTable) -> None:
    assert table.label is not None
    stack, _, _ = StackedCombat().fit(table, Context())._fitted  # type: ignore[misc]  # fitted on this line
    full = engine.fit(table.values, table.manufacturer, Covariates(table.label[:, None].astype(float), ("label",)))
    column = Covariates(np.full((len(table), 1), pretended), ("label",))
    expected = engine.apply(full, table.values, table.manufacturer, column)
    result = stack.harmonize(table, np.full(len(table), pretended), "error")
    np.testing.assert_allclose(result.values, expected, atol=1e-10)


def test_the_expected_label_of_a_new_row_is_mostly_right(table: FeatureTable) -> None:
    test = imbalanced(1)
    stack, judge, _ = StackedCombat().fit(table, Context())._fitted  # type: ignore[misc]  # fitted on this line
    expected = judge.predict_proba(stack.scores(test.with_label(None), "error"))[:, 1] > 0.5
    assert np.mean(expected == test.label) > 0.85


def test_training_rows_are_judged_by_models_that_did_not_see_them() -> None:
    # Features are noise: held-out predictions know nothing, predictions of the fit would know nearly everything.
    rng = np.random.default_rng(0)
    noise = scanner_data(n=120, p=300, seed=3)
    noise = noise.with_label((rng.random(120) < 0.5).astype(int))
    assert noise.label is not None
    method = StackedCombat(strength=1.0).fit(noise, Context())
    stack, _, remembered = method._fitted  # type: ignore[misc]  # fitted on the line before
    held_out = np.array([remembered[sample] for sample in noise.samples.tolist()]) > 0.5
    overfitted = stack.scores(noise, "error").mean(axis=1) > 0
    assert np.mean(held_out == noise.label) < 0.7
    assert np.mean(overfitted == noise.label) > 0.95
    renamed = replace(noise, samples=np.char.add("new-", noise.samples)).with_label(None)
    assert not np.allclose(method.transform(noise).values, method.transform(renamed).values)


def test_disease_differs_as_much_within_as_between_manufacturers_afterwards(table: FeatureTable) -> None:
    test = imbalanced(1)
    assert test.label is not None
    blind = test.with_label(None)
    ge, sick = test.manufacturer == "GE", test.label == 1

    def gap(values: np.ndarray) -> float:
        """Difference between the manufacturers among people of one diagnosis, in units of the disease's effect."""
        between = [values[ge & s].mean() - values[~ge & s].mean() for s in (sick, ~sick)]
        within = [values[m & sick].mean() - values[m & ~sick].mean() for m in (ge, ~ge)]
        return float(np.abs(np.mean(between)) / np.mean(within))

    assert gap(StackedCombat().fit(table, Context()).transform(blind).values) < 0.15
    assert gap(Combat().fit(table, Context()).transform(blind).values) > 0.5


def test_the_class_is_the_rounded_probability(table: FeatureTable) -> None:
    soft = StackedCombat().fit(table, Context())
    hard = StackedCombat(target="class").fit(table, Context())
    stack, _, remembered = soft._fitted  # type: ignore[misc]  # fitted two lines above
    label = np.array([remembered[sample] > 0.5 for sample in table.samples.tolist()]).astype(float)
    np.testing.assert_array_equal(hard.transform(table).values, stack.harmonize(table, label, "error").values)


def test_patients_are_not_split_between_inner_folds(table: FeatureTable) -> None:
    twice = replace(table, patient=np.array([f"p{i // 3}" for i in range(len(table))]))
    assert twice.label is not None
    method = StackedCombat()
    for train, held_out in method._folds(twice, twice.label, Context()):
        assert not set(twice.patient[train]) & set(twice.patient[held_out])


def test_what_it_cannot_do_is_said(table: FeatureTable) -> None:
    assert table.label is not None
    with pytest.raises(DataError, match="needs labels in its fit"):
        StackedCombat().fit(table.with_label(None), Context())
    with pytest.raises(NotApplicable, match="both classes"):
        StackedCombat().fit(table.with_label(np.zeros(len(table), dtype=int)), Context())
    few = np.zeros(len(table), dtype=int)
    few[[0, 200, 201]] = 1
    with pytest.raises(NotApplicable, match=r"5 patients of each class .* have 3"):
        StackedCombat().fit(table.with_label(few), Context())
    with pytest.raises(NotApplicable, match="every manufacturer of the training rows has one class only"):
        StackedCombat().fit(table.with_label((table.manufacturer == "GE").astype(int)), Context())
