"""Policies for unseen manufacturers, and the label as a covariate of the fit alone."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest

from harmbench.components import Context
from harmbench.data import FeatureTable, concatenate
from harmbench.errors import DataError, NotApplicable
from harmbench_builtin.harmonizers.combat import engine
from harmbench_builtin.harmonizers.combat.design import Covariates
from harmbench_builtin.harmonizers.combat.harmonizer import Combat, CombatLabel
from harmbench_builtin.harmonizers.combat.own_rows import CombatSelf
from harmbench_builtin.harmonizers.combat.unseen import nearest
from harmonizers.feature_tables import make_table, scanner_data


def three_sites(seed: int = 0, n: int = 300, p: int = 30) -> FeatureTable:
    """GE and Philips differ clearly; "Philips clone" is Philips under another name."""
    rng = np.random.default_rng(seed)
    shift = {"GE": np.zeros(p), "Philips": np.linspace(-2, 2, p)}
    names = rng.choice(["GE", "Philips", "Philips clone"], n)
    values = rng.normal(size=(n, p)) + np.stack([shift[name.split()[0]] for name in names])
    return make_table(values, names, covariates={"age": rng.normal(60, 9, n)})


def test_nearest_is_the_least_mean_absolute_distance() -> None:
    rows = np.array([[0.0, 0.0, 9.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]])
    locations = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    # Distances: 9/3 and 10/3; 1 and 0; .5 and .5 (the first of equals).
    assert nearest(rows, locations).tolist() == [0, 1, 0]


def test_an_unseen_manufacturer_is_adjusted_as_the_one_it_resembles() -> None:
    table = three_sites()
    train, clone = table.rows(table.manufacturer != "Philips clone"), table.rows(table.manufacturer == "Philips clone")
    result = Combat(unseen="nearest", covariates="age").fit(train, Context()).transform(clone)
    as_philips = replace(clone, manufacturer=np.full(len(clone), "Philips"))
    expected = Combat(covariates="age").fit(train, Context()).transform(as_philips)
    np.testing.assert_array_equal(result.values, expected.values)


def test_pooled_leaves_an_unseen_manufacturer_alone_and_known_ones_are_the_same_under_every_policy() -> None:
    table = three_sites()
    train = table.rows(table.manufacturer != "Philips clone")
    results = [Combat(unseen=p).fit(train, Context()).transform(train).values for p in ("error", "pooled", "nearest")]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    clone = table.rows(table.manufacturer == "Philips clone")
    kept = Combat(unseen="pooled").fit(train, Context()).transform(clone)
    np.testing.assert_array_equal(kept.values, clone.values)


def test_self_brings_an_unseen_manufacturer_to_the_grand_mean_and_pooled_variance_of_the_fit() -> None:
    table = three_sites()
    train = table.rows(table.manufacturer != "Philips clone")
    clone = table.rows(table.manufacturer == "Philips clone")
    method = CombatSelf(eb=False).fit(train, Context())
    result = method.transform(clone).values
    np.testing.assert_allclose(result.mean(axis=0), method.fitted.grand_mean, atol=1e-12)
    np.testing.assert_allclose(result.var(axis=0, ddof=1), method.fitted.pooled_variance, rtol=1e-12)


def test_self_equals_combat_for_manufacturers_of_the_fit() -> None:
    table = three_sites()
    train = table.rows(table.manufacturer != "Philips clone")
    together = CombatSelf().fit(train, Context()).transform(table).values
    seen = table.manufacturer != "Philips clone"
    np.testing.assert_array_equal(together[seen], Combat().fit(train, Context()).transform(train).values)


def test_self_shrinks_as_a_fit_does() -> None:
    # A fit that knows the third site and has the same grand mean and pooled variance gives the same estimates.
    table = three_sites()
    whole = engine.fit(table.values, table.manufacturer)
    known = table.manufacturer != "GE"
    without = replace(
        whole, batches=whole.batches[1:], gamma_star=whole.gamma_star[1:], delta_star=whole.delta_star[1:]
    )
    added = engine.add_batches(without, table.values[~known], table.manufacturer[~known], None, engine.Options())
    np.testing.assert_allclose(added.gamma_star[-1], whole.gamma_star[0], atol=1e-12)
    np.testing.assert_allclose(added.delta_star[-1], whole.delta_star[0], rtol=1e-12)


def test_self_depends_on_the_rows_that_come_together_which_is_why_it_is_transductive() -> None:
    table = three_sites()
    train = table.rows(table.manufacturer != "Philips clone")
    clone = table.rows(table.manufacturer == "Philips clone")
    method = CombatSelf().fit(train, Context())
    assert not np.allclose(method.transform(clone).values[:10], method.transform(clone.rows(slice(0, 10))).values)
    with pytest.raises(DataError, match="'Philips clone' has a single training row"):
        method.transform(clone.rows([0]))
    np.testing.assert_array_equal(
        method.transform(concatenate([clone, train])).values[: len(clone)], method.transform(clone).values
    )


def imbalanced(seed: int, n: int = 400, p: int = 20) -> tuple[FeatureTable, np.ndarray]:
    """Disease at 20 % of GE and 80 % of Philips; its effect is 1, the manufacturers' is 0.5 for every feature."""
    rng = np.random.default_rng(seed)
    ge = np.arange(n) < n // 2
    label = (rng.random(n) < np.where(ge, 0.2, 0.8)).astype(int)
    truth = rng.normal(size=(n, p)) + label[:, None]
    return make_table(truth + 0.5 * ge[:, None], np.where(ge, "GE", "Philips"), label=label), truth


def shift_left(values: np.ndarray, truth: np.ndarray, table: FeatureTable) -> float:
    """Mean difference between the manufacturers that is not in the truth."""
    error, ge = values - truth, table.manufacturer == "GE"
    return float(np.abs(error[ge].mean(axis=0) - error[~ge].mean(axis=0)).mean())


def test_with_the_label_in_the_fit_prevalence_is_not_taken_for_the_manufacturer() -> None:
    (train, _), (test, truth) = imbalanced(0), imbalanced(1)
    blind = test.with_label(None)
    with_label = CombatLabel(eb=False).fit(train, Context()).transform(blind).values
    without = Combat(eb=False).fit(train, Context()).transform(blind).values
    assert shift_left(with_label, truth, test) < 0.2 < 0.5 < shift_left(without, truth, test)


def test_the_estimates_are_neurocombats_with_the_label_as_covariate() -> None:
    neurocombat = pytest.importorskip("neuroCombat", reason="install harmbench[reference]")
    pandas = pytest.importorskip("pandas")
    table = scanner_data()
    assert table.label is not None
    frame = pandas.DataFrame({"batch": table.manufacturer, "label": table.label.astype(str)})
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = neurocombat.neuroCombat(table.values.T.copy(), frame, "batch", categorical_cols=["label"])["estimates"]
    fitted = CombatLabel().fit(table, Context()).fitted
    np.testing.assert_allclose(fitted.gamma_star, theirs["gamma.star"], atol=1e-10)
    np.testing.assert_allclose(fitted.delta_star, theirs["delta.star"], atol=1e-10)
    assert fitted.covariates == ()


def test_a_row_is_adjusted_as_one_of_average_label() -> None:
    table = scanner_data()
    assert table.label is not None
    label = table.label - table.label.mean()
    full = engine.fit(table.values, table.manufacturer, Covariates(label[:, None], ("label",)))
    average = engine.apply(full, table.values, table.manufacturer, Covariates(np.zeros((len(table), 1)), ("label",)))
    result = CombatLabel().fit(table, Context()).transform(table.with_label(None))
    np.testing.assert_allclose(result.values, average, atol=1e-12)


def test_one_class_is_plain_combat_and_a_label_that_the_manufacturer_determines_is_not_applicable() -> None:
    table = scanner_data()
    one = table.with_label(np.ones(len(table), dtype=int))
    plain = Combat().fit(table, Context()).transform(table).values
    np.testing.assert_array_equal(CombatLabel().fit(one, Context()).transform(table).values, plain)
    with pytest.raises(NotApplicable, match="every manufacturer of the training rows has one class only"):
        CombatLabel().fit(table.with_label((table.manufacturer == "GE").astype(int)), Context())
