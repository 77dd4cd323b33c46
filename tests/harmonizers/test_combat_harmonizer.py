"""`combat` and `leaky-combat` as the runner uses them: tables in, tables out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable, UnseenManufacturer, UsageError
from harmbench.specs import load_target
from harmbench_builtin.harmonizers.combat.harmonizer import Combat, LeakyCombat
from harmbench_builtin.harmonizers.specs import HARMONIZERS
from harmonizers.feature_tables import make_table, scanner_data

CONTEXT = Context(seed=3)
MODES = ({}, {"parametric": False}, {"eb": False}, {"mean_only": True}, {"reference": "GE"}, {"covariates": "all"})
every_mode = pytest.mark.parametrize("params", MODES, ids=str)


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    return scanner_data()


@pytest.mark.parametrize("name", ["combat", "leaky-combat"])
def test_the_class_behind_the_spec_takes_its_defaults(name: str, table: FeatureTable) -> None:
    spec = next(s for s in HARMONIZERS if s.name == name)
    assert spec.params == ({} if name == "leaky-combat" else vars_of_defaults())
    load_target(spec.target)(**spec.params).fit(table, CONTEXT).transform(table.with_label(None))


def vars_of_defaults() -> dict[str, object]:
    import inspect

    return {k: v.default for k, v in inspect.signature(Combat).parameters.items()}


@every_mode
def test_everything_but_the_values_stays(params: dict, table: FeatureTable) -> None:
    result = Combat(**params).fit(table, CONTEXT).transform(table)
    assert result.values.dtype == np.float64
    assert result == replace(table, values=result.values)
    assert not np.allclose(result.values, table.values)


@every_mode
def test_the_training_table_is_left_alone(params: dict) -> None:
    table, untouched = scanner_data(), scanner_data()
    Combat(**params).fit(table, CONTEXT).transform(table)
    np.testing.assert_array_equal(table.values, untouched.values)
    np.testing.assert_array_equal(table.covariates["age"], untouched.covariates["age"])


@every_mode
def test_unseen_rows_one_by_one_in_any_order_and_of_one_manufacturer_equal_the_batch(
    params: dict, table: FeatureTable
) -> None:
    train, test = table.rows(slice(0, 60)), table.rows(slice(60, None))
    method = Combat(**params).fit(train, CONTEXT)
    whole = method.transform(test).values
    for i in range(len(test)):
        np.testing.assert_array_equal(method.transform(test.rows([i])).values[0], whole[i])
    order = np.random.default_rng(0).permutation(len(test))
    np.testing.assert_array_equal(method.transform(test.rows(order)).values, whole[order])
    for name in test.manufacturers:
        of_one = test.manufacturer == name
        np.testing.assert_array_equal(method.transform(test.rows(of_one)).values, whole[of_one])


@every_mode
def test_the_label_changes_nothing(params: dict, table: FeatureTable) -> None:
    with_label = Combat(**params).fit(table, CONTEXT).transform(table)
    without = Combat(**params).fit(table.with_label(None), CONTEXT).transform(table.with_label(None))
    np.testing.assert_array_equal(with_label.values, without.values)


def test_a_second_fit_starts_afresh(table: FeatureTable) -> None:
    first, second = table.rows(slice(0, 60)), table.rows(slice(20, None))
    twice = Combat().fit(first, CONTEXT).fit(second, CONTEXT)
    np.testing.assert_array_equal(twice.transform(table).values, Combat().fit(second, CONTEXT).transform(table).values)


def test_a_fit_that_fails_leaves_no_earlier_fit_behind(table: FeatureTable) -> None:
    method = Combat().fit(table, CONTEXT)
    with pytest.raises(NotApplicable, match="hold only GE"):
        method.fit(table.rows(table.manufacturer == "GE"), CONTEXT)
    with pytest.raises(UsageError, match="has not been fitted"):
        method.transform(table)


@pytest.mark.parametrize("when", ["fit", "transform"])
@pytest.mark.parametrize("method", [Combat, LeakyCombat])
def test_a_missing_value_names_sample_feature_and_count(method: type, when: str, table: FeatureTable) -> None:
    values = table.values.copy()
    values[4, 7] = np.nan
    values[9, 1] = -np.inf
    broken = table.with_values(values)
    fitted = method().fit(table, CONTEXT)
    with pytest.raises(DataError, match=r"sample 's4' has nan in feature 'f7' \(and 1 more such cells\).*drop"):
        fitted.fit(broken, CONTEXT) if when == "fit" else fitted.transform(broken)


@pytest.mark.parametrize("method", [Combat, LeakyCombat])
def test_other_features_than_in_the_fit_are_named(method: type, table: FeatureTable) -> None:
    fitted = method().fit(table, CONTEXT)
    with pytest.raises(DataError, match="missing: 'f0'"):
        fitted.transform(table.columns(slice(1, None)))
    with pytest.raises(DataError, match="another order"):
        fitted.transform(table.columns(slice(None, None, -1)))


def test_an_unseen_manufacturer_is_an_error_or_stays_as_it_is(table: FeatureTable) -> None:
    train, test = table.rows(table.manufacturer != "Siemens"), table.rows(table.manufacturer == "Siemens")
    with pytest.raises(UnseenManufacturer, match=r"'Siemens'.*GE, Philips.*unseen=pooled"):
        Combat().fit(train, CONTEXT).transform(test)
    kept = Combat(unseen="pooled").fit(train, CONTEXT).transform(test)
    np.testing.assert_array_equal(kept.values, test.values)


def test_covariates_are_chosen_by_name(table: FeatureTable) -> None:
    def coded(covariates: str) -> tuple[str, ...]:
        return Combat(covariates=covariates).fit(table, CONTEXT).fitted.covariates

    assert coded("none") == ()
    assert coded("age") == ("age",)
    assert coded("view, age") == ("view=a4c", "view=plax", "age")
    assert coded("all") == ("age", "sex=m", "view=a4c", "view=plax")


def test_one_level_at_transform_is_not_taken_for_the_baseline(table: FeatureTable) -> None:
    method = Combat(covariates="sex").fit(table, CONTEXT)
    men = table.covariates["sex"] == "m"
    np.testing.assert_array_equal(method.transform(table.rows(men)).values, method.transform(table).values[men])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"covariates": "agee"}, r"no covariate 'agee'\. Did you mean 'age'"),
        ({"unseen": "pool"}, "Did you mean 'pooled'"),
        ({"eb": "false"}, "combat.eb must be true or false, not 'false'"),
        ({"reference": 3}, "combat.reference must be text"),
    ],
)
def test_a_wrong_parameter_is_a_usage_error(params: dict, message: str, table: FeatureTable) -> None:
    with pytest.raises(UsageError, match=message):
        Combat(**params).fit(table, CONTEXT)


def test_without_its_reference_it_is_not_applicable_so_that_a_left_out_manufacturer_fails_no_run(
    table: FeatureTable,
) -> None:
    method = Combat(reference="GE", unseen="pooled")
    method.fit(table, CONTEXT)
    with pytest.raises(NotApplicable, match="'GE' is not among the training rows"):
        method.fit(table.rows(table.manufacturer != "GE"), CONTEXT)
    with pytest.raises(NotApplicable, match="Did you mean 'Philips'"):
        Combat(reference="Phillips").fit(table, CONTEXT)


def test_a_covariate_that_is_the_manufacturer_in_other_words_is_named(table: FeatureTable) -> None:
    device = np.char.add(table.manufacturer, " 9")
    confounded = replace(table, covariates={**table.covariates, "device": device})
    with pytest.raises(DataError, match="covariate 'device=Philips 9' is determined by the manufacturer"):
        Combat(covariates="all").fit(confounded, CONTEXT)


def test_leaky_combat_remembers_the_labels_of_its_fit(table: FeatureTable) -> None:
    assert table.label is not None
    flipped = table.with_label(1 - table.label)
    result = LeakyCombat().fit(table, CONTEXT).transform(table.with_label(flipped.label))
    np.testing.assert_array_equal(
        result.values, LeakyCombat().fit(table, CONTEXT).transform(table.with_label(None)).values
    )
    assert not np.allclose(result.values, Combat().fit(table, CONTEXT).transform(table).values)


def test_leaky_combat_gives_an_unknown_row_the_average_label(table: FeatureTable) -> None:
    method = LeakyCombat().fit(table, CONTEXT)
    assert table.label is not None
    row = table.rows([5]).with_label(None)
    stranger = replace(row, samples=np.array(["stranger"]))
    index = {0: 0, 1: 1}
    known = {}
    for label in index:
        twin = int(np.flatnonzero((table.label == label) & (table.manufacturer == row.manufacturer[0]))[0])
        known[label] = method.transform(replace(row, samples=table.samples[[twin]])).values
    share = table.label.mean()
    expected = (1 - share) * known[0] + share * known[1]
    np.testing.assert_allclose(method.transform(stranger).values, expected, rtol=1e-12)


def test_leaky_combat_needs_the_label_and_accepts_a_single_class(table: FeatureTable) -> None:
    with pytest.raises(DataError, match="without one"):
        LeakyCombat().fit(table.with_label(None), CONTEXT)
    one_class = table.with_label(np.ones(len(table), dtype=int))
    np.testing.assert_array_equal(
        LeakyCombat().fit(one_class, CONTEXT).transform(one_class).values,
        Combat().fit(table, CONTEXT).transform(table).values,
    )


def test_leaky_combat_refuses_a_label_that_the_manufacturer_determines() -> None:
    rng = np.random.default_rng(0)
    table = make_table(rng.normal(size=(8, 3)), ["GE"] * 4 + ["Philips"] * 4, label=[0] * 4 + [1] * 4)
    with pytest.raises(DataError, match="covariate 'label' is determined by the manufacturer"):
        LeakyCombat().fit(table, CONTEXT)
