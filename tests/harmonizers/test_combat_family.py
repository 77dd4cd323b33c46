"""What every method of the ComBat family owes the runner, whatever it computes."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harmbench.components import Context
from harmbench.data import FeatureTable, concatenate
from harmbench.errors import DataError, HarmbenchError, NotApplicable, UnseenManufacturer, UsageError
from harmbench.specs import load_target
from harmbench_builtin.harmonizers.combat.specs import COMBAT
from harmonizers.feature_tables import make_table, scanner_data

CONTEXT = Context(seed=5)
PARAMS: dict[str, dict[str, Any]] = {
    "combat-gam": {"smooth": "all"},
    "recombat": {"covariates": "all"},
    "nested-combat": {"batches": "view"},
    "opnested-combat": {"batches": "view", "covariates": "age"},
    "opnested-plus-gmm-combat": {"batches": "view"},
    "autocombat": {"by": "features"},
    "covbat": {"covariates": "age"},
    "stacked-combat": {"covariates": "age"},
}
NAMES = [spec.name for spec in COMBAT if spec.role == "method"]
INDUCTIVE = [spec.name for spec in COMBAT if spec.role == "method" and spec.inductive]
every_method = pytest.mark.parametrize("name", NAMES)
every_inductive = pytest.mark.parametrize("name", INDUCTIVE)


def make(name: str, **more: Any) -> Any:
    spec = next(s for s in COMBAT if s.name == name)
    return load_target(spec.target)(**{**spec.params, **PARAMS.get(name, {}), **more})


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    """Two features with two humps (a hidden group); patients with one to three rows."""
    plain = scanner_data(n=120, p=25, seed=1)
    rng = np.random.default_rng(2)
    values = plain.values.copy()
    hidden = rng.random(len(plain)) < 0.4
    values[:, 3] += 9 * values[:, 3].std() * hidden
    values[:, 8] += 6 * values[:, 8].std() * hidden
    patient = np.array([f"p{i}" for i in np.sort(rng.integers(0, 70, len(plain)))])
    return replace(plain, values=values, patient=patient)


@pytest.fixture(scope="module")
def fitted(table: FeatureTable) -> Callable[[str], Any]:
    made: dict[str, Any] = {}

    def get(name: str) -> Any:
        if name not in made:
            made[name] = make(name).fit(table.rows(slice(0, 80)), CONTEXT)
        return made[name]

    return get


@pytest.fixture(scope="module")
def test_rows(table: FeatureTable) -> FeatureTable:
    return table.rows(slice(80, None)).with_label(None)


@every_method
def test_the_spec_lists_every_parameter_with_its_default(name: str) -> None:
    spec = next(s for s in COMBAT if s.name == name)
    signature = inspect.signature(load_target(spec.target))
    assert dict(spec.params) == {k: v.default for k, v in signature.parameters.items()}
    assert load_target(spec.target).name == name
    assert spec.reference


@every_method
def test_the_label_is_declared_where_it_is_used(name: str, table: FeatureTable) -> None:
    spec = next(s for s in COMBAT if s.name == name)
    train = table.rows(slice(0, 80))
    if spec.uses_label == "fit":
        with pytest.raises(DataError, match="label"):
            make(name).fit(train.with_label(None), CONTEXT)
        return
    assert train.label is not None
    with_label = make(name).fit(train, CONTEXT).transform(train).values
    flipped = make(name).fit(train.with_label(1 - train.label), CONTEXT).transform(train).values
    np.testing.assert_array_equal(with_label, flipped)


@every_method
def test_values_change_are_finite_and_nothing_else_changes(
    name: str, table: FeatureTable, fitted: Callable[[str], Any], test_rows: FeatureTable
) -> None:
    before = copy.deepcopy(test_rows)
    result = fitted(name).transform(test_rows)
    assert np.isfinite(result.values).all()
    assert result == replace(test_rows, values=result.values)
    assert not np.allclose(result.values, test_rows.values)
    np.testing.assert_array_equal(test_rows.values, before.values)


@every_method
def test_read_only_tables_will_do(name: str, table: FeatureTable, test_rows: FeatureTable) -> None:
    values = table.values[:80].copy()
    values.flags.writeable = False
    train = replace(table.rows(slice(0, 80)), values=values)
    make(name).fit(train, CONTEXT).transform(replace(train, label=None))


@every_inductive
def test_rows_one_by_one_and_shuffled_equal_the_batch(
    name: str, fitted: Callable[[str], Any], test_rows: FeatureTable
) -> None:
    method = fitted(name)
    whole = method.transform(test_rows).values
    alone = np.concatenate([method.transform(test_rows.rows([i])).values for i in range(len(test_rows))])
    np.testing.assert_allclose(alone, whole, rtol=0, atol=1e-11 * np.abs(whole).max())
    order = np.random.default_rng(0).permutation(len(test_rows))
    shuffled = method.transform(test_rows.rows(order)).values
    np.testing.assert_allclose(shuffled, whole[order], rtol=0, atol=1e-11 * np.abs(whole).max())


@every_method
def test_transform_leaves_the_fit_alone(name: str, fitted: Callable[[str], Any], test_rows: FeatureTable) -> None:
    method = fitted(name)
    first = method.transform(test_rows).values
    method.transform(test_rows.with_values(100 * test_rows.values + 7))
    np.testing.assert_array_equal(method.transform(test_rows).values, first)


@every_method
def test_order_of_the_training_rows_does_not_matter(
    name: str, table: FeatureTable, fitted: Callable[[str], Any], test_rows: FeatureTable
) -> None:
    if name == "stacked-combat":
        pytest.skip("its inner folds are drawn for rows in their order")
    order = np.random.default_rng(3).permutation(80)
    again = make(name).fit(table.rows(slice(0, 80)).rows(order), CONTEXT).transform(test_rows).values
    np.testing.assert_allclose(again, fitted(name).transform(test_rows).values, rtol=1e-6, atol=1e-6)


@every_method
def test_two_fits_are_the_same_and_survive_pickling(
    name: str, table: FeatureTable, fitted: Callable[[str], Any], test_rows: FeatureTable
) -> None:
    expected = fitted(name).transform(test_rows).values
    again = make(name).fit(table.rows(slice(0, 80)), CONTEXT)
    np.testing.assert_array_equal(again.transform(test_rows).values, expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again)).transform(test_rows).values, expected)


@every_method
def test_a_fit_that_fails_leaves_no_earlier_fit_behind(name: str, table: FeatureTable, test_rows: FeatureTable) -> None:
    method = make(name).fit(table.rows(slice(0, 80)), CONTEXT)
    broken = table.values.copy()
    broken[4, 7] = np.nan
    with pytest.raises(DataError, match="'s4' has nan in feature 'f7'"):
        method.fit(table.with_values(broken), CONTEXT)
    with pytest.raises(UsageError, match=f"{name} has not been fitted"):
        method.transform(test_rows)


@every_method
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_value_to_transform_is_named(
    name: str, bad: float, fitted: Callable[[str], Any], test_rows: FeatureTable
) -> None:
    values = test_rows.values.copy()
    values[1, 2] = bad
    with pytest.raises(DataError, match=r"'s81' has .* in feature 'f2'"):
        fitted(name).transform(test_rows.with_values(values))


@every_method
def test_other_columns_are_an_error(name: str, fitted: Callable[[str], Any], test_rows: FeatureTable) -> None:
    with pytest.raises(DataError, match="missing: 'f0'"):
        fitted(name).transform(test_rows.columns(slice(1, None)))


@every_method
def test_constant_features_stay_and_move_no_other(name: str, table: FeatureTable) -> None:
    train, test = table.rows(slice(0, 80)), table.rows(slice(80, None)).with_label(None)
    extended = [
        replace(t, values=np.column_stack([t.values, np.full((len(t), 2), 3.7)]), features=(*t.features, "c1", "c2"))
        for t in (train, test)
    ]
    result = make(name).fit(extended[0], CONTEXT).transform(extended[1]).values
    np.testing.assert_allclose(result[:, -2:], 3.7, rtol=1e-14)
    plain = make(name).fit(train, CONTEXT).transform(test).values
    np.testing.assert_allclose(result[:, :-2], plain, rtol=1e-6, atol=1e-8)


@every_method
def test_a_manufacturer_of_one_row_is_a_clear_error_or_finite(name: str, table: FeatureTable) -> None:
    one = np.flatnonzero(table.manufacturer == "Siemens")[:1]
    rows = table.rows(np.r_[np.flatnonzero(table.manufacturer != "Siemens"), one])
    try:
        result = make(name).fit(rows, CONTEXT).transform(rows.with_label(None))
    except HarmbenchError as error:
        assert "Siemens" in str(error) and "single training row" in str(error)
    else:
        assert np.isfinite(result.values).all()


@every_method
def test_an_unseen_manufacturer_is_handled_as_declared(name: str, table: FeatureTable) -> None:
    spec = next(s for s in COMBAT if s.name == name)
    seen, unseen = table.rows(table.manufacturer != "Siemens"), table.rows(table.manufacturer == "Siemens")
    method = make(name).fit(seen, CONTEXT)
    assert getattr(method, "handles_unseen_manufacturer", spec.handles_unseen_manufacturer) == (
        spec.handles_unseen_manufacturer
    )
    if spec.handles_unseen_manufacturer:
        assert np.isfinite(method.transform(unseen.with_label(None)).values).all()
    else:
        with pytest.raises(UnseenManufacturer, match="'Siemens'"):
            method.transform(unseen.with_label(None))


@pytest.mark.parametrize("policy", ["pooled", "nearest"])
@pytest.mark.parametrize("name", [s.name for s in COMBAT if "unseen" in s.params])
def test_a_policy_for_unseen_manufacturers_works_row_by_row(name: str, policy: str, table: FeatureTable) -> None:
    seen, unseen = table.rows(table.manufacturer != "Siemens"), table.rows(table.manufacturer == "Siemens")
    method = make(name, unseen=policy).fit(seen, CONTEXT)
    assert method.handles_unseen_manufacturer
    rows = unseen.with_label(None)
    whole = method.transform(rows).values
    alone = np.concatenate([method.transform(rows.rows([i])).values for i in range(len(rows))])
    np.testing.assert_allclose(alone, whole, rtol=0, atol=1e-11 * np.abs(whole).max())
    together = method.transform(concatenate([rows, seen.with_label(None)])).values[: len(rows)]
    np.testing.assert_allclose(together, whole, rtol=0, atol=1e-11 * np.abs(whole).max())


@pytest.mark.parametrize("name", [s.name for s in COMBAT if "unseen" in s.params])
def test_the_policy_that_looks_at_other_rows_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=r"unseen cannot be 'self'.*combat-self.*transductive"):
        make(name, unseen="self")


@pytest.mark.parametrize("name", ["combat-gam", "nested-combat", "opnested-combat", "recombat", "autocombat"])
def test_without_the_covariates_it_needs_a_method_is_not_applicable(name: str) -> None:
    spec = next(s for s in COMBAT if s.name == name)
    rng = np.random.default_rng(0)
    bare = make_table(rng.normal(size=(30, 4)), ["GE", "Philips"] * 15)
    with pytest.raises(NotApplicable, match=name.split("-")[0]):
        load_target(spec.target)(**spec.params).fit(bare, CONTEXT)


@pytest.mark.parametrize("name", NAMES)
def test_no_method_keeps_a_covariate_that_nobody_named(name: str) -> None:
    """A covariate may stand for the diagnosis, as a BI-RADS grade does, and rows to transform bring theirs along."""
    table = scanner_data(n=120, p=15, seed=4)
    rng = np.random.default_rng(5)
    table = replace(table, patient=np.array([f"p{i // 2}" for i in range(len(table))]))
    other = replace(
        table, covariates={"grade": rng.normal(size=len(table)), "side": rng.choice(["l", "r"], len(table))}
    )
    spec = next(s for s in COMBAT if s.name == name)

    def result(rows: FeatureTable) -> list[list[float]] | str:
        try:
            method = load_target(spec.target)(**spec.params).fit(rows, CONTEXT)
        except NotApplicable:
            return "names wanted"
        return method.transform(rows.with_label(None)).values.tolist()

    assert result(table) == result(other)


@pytest.mark.parametrize("name", ["combat", "combat-gam", "nested-combat", "autocombat"])
def test_a_named_covariate_that_the_data_lack_is_not_applicable_and_a_typing_error_is_one(
    name: str, table: FeatureTable
) -> None:
    parameter = {"combat": "covariates", "combat-gam": "smooth", "nested-combat": "batches", "autocombat": "by"}[name]
    with pytest.raises(NotApplicable, match="no covariate 'kilovoltage'"):
        make(name, **{parameter: "kilovoltage"}).fit(table, CONTEXT)
    with pytest.raises(UsageError, match=r"no covariate 'agee'\. Did you mean 'age'"):
        make(name, **{parameter: "agee"}).fit(table, CONTEXT)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("combat-gam", {"penalty": "rough"}, "penalty must be 'gcv' or a number"),
        ("combat-gam", {"penalty": "-1"}, "penalty must be 'gcv' or a number"),
        ("combat-gam", {"df": 2}, "df must be a whole number from 4 or more, not 2"),
        ("combat-gam", {"smooth": "sex"}, "'sex' is a category"),
        ("nested-combat", {"batches": "age"}, "'age' is a number"),
        ("covbat", {"explained": 1.5}, "explained must be a number from 0 to 1, not 1.5"),
        ("recombat", {"strength": True}, "strength must be a number"),
        ("autocombat", {"min_rows": 0}, "min_rows must be a whole number from 2 or more"),
        ("stacked-combat", {"target": "clas"}, "Did you mean 'class'"),
        ("longitudinal-combat", {"eb": 1}, "eb must be true or false"),
        ("covbat", {"score_eb": "no"}, "score_eb must be true or false"),
    ],
)
def test_a_wrong_parameter_is_a_usage_error(
    name: str, params: dict[str, Any], message: str, table: FeatureTable
) -> None:
    with pytest.raises(UsageError, match=message):
        make(name, **params).fit(table, CONTEXT)
