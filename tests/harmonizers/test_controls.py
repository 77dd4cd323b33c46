"""The controls have known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, UnseenManufacturer, UsageError
from harmbench.specs import load_target
from harmbench_builtin.harmonizers.controls import Collapse, OracleLabel, OracleSite, Shuffle
from harmbench_builtin.harmonizers.none import Identity
from harmbench_builtin.harmonizers.specs import HARMONIZERS
from harmonizers.feature_tables import make_table, scanner_data

CONTEXT = Context(seed=11)
CONTROLS = (Identity, Collapse, Shuffle, OracleLabel, OracleSite)
every_control = pytest.mark.parametrize("control", CONTROLS)


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    return scanner_data(n=60, p=7)


@pytest.mark.parametrize(
    ("name", "control"),
    list(zip(("none", "collapse", "shuffle", "oracle-label", "oracle-site"), CONTROLS, strict=True)),
)
def test_the_spec_names_the_class_and_its_parameters(name: str, control: type) -> None:
    spec = next(s for s in HARMONIZERS if s.name == name)
    assert load_target(spec.target) is control
    control(**spec.params)


@every_control
def test_everything_but_the_values_stays(control: type, table: FeatureTable) -> None:
    before = table.values.copy()
    result = control().fit(table, CONTEXT).transform(table)
    assert result.values.shape == before.shape and result.values.dtype == np.float64
    assert result == replace(table, values=result.values)
    np.testing.assert_array_equal(table.values, before)


@every_control
def test_row_by_row_and_shuffled_equal_the_batch(control: type, table: FeatureTable) -> None:
    train, test = table.rows(slice(0, 40)), table.rows(slice(30, None))
    method = control().fit(train, CONTEXT)
    whole = method.transform(test).values
    for i in range(len(test)):
        np.testing.assert_array_equal(method.transform(test.rows([i])).values[0], whole[i])
    order = np.random.default_rng(0).permutation(len(test))
    np.testing.assert_array_equal(method.transform(test.rows(order)).values, whole[order])


@pytest.mark.parametrize("control", [Shuffle, OracleLabel, OracleSite])
def test_the_seed_decides(control: type, table: FeatureTable) -> None:
    def run(seed: int) -> np.ndarray:
        return control().fit(table, Context(seed=seed)).transform(table).values

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


@pytest.mark.parametrize("control", [Identity, Collapse, Shuffle, OracleLabel])
def test_an_unseen_manufacturer_is_handled(control: type, table: FeatureTable) -> None:
    train, test = table.rows(table.manufacturer != "Siemens"), table.rows(table.manufacturer == "Siemens")
    assert control().fit(train, CONTEXT).transform(test).values.shape == test.values.shape


@pytest.mark.parametrize("control", [Collapse, Shuffle, OracleLabel, OracleSite])
def test_transform_before_fit_is_a_clear_error(control: type, table: FeatureTable) -> None:
    with pytest.raises(UsageError, match="has not been fitted"):
        control().transform(table)


@pytest.mark.parametrize("control", [Collapse, Shuffle])
def test_other_features_than_in_the_fit_are_an_error(control: type, table: FeatureTable) -> None:
    with pytest.raises(DataError, match="not in the fit: 'f6'"):
        control().fit(table.columns(slice(0, 6)), CONTEXT).transform(table)


def test_none_changes_no_bit(table: FeatureTable) -> None:
    np.testing.assert_array_equal(Identity().fit(table, CONTEXT).transform(table).values, table.values)


def test_collapse_gives_the_same_constant_whatever_it_was_fitted_on() -> None:
    test = make_table([[7, 7, 7]] * 3, ["GE"] * 3)
    for rows in ([[1, np.nan, 2], [3, 5, np.inf]], [[8, 8, 8], [9, 9, 9]]):
        train = make_table(rows, ["GE", "Philips"])
        np.testing.assert_array_equal(Collapse().fit(train, CONTEXT).transform(test).values, np.zeros((3, 3)))


@pytest.mark.parametrize("seed", range(8))
def test_shuffle_gives_whole_training_rows_and_never_a_sample_its_own(seed: int, table: FeatureTable) -> None:
    result = Shuffle().fit(table, Context(seed=seed)).transform(table).values
    source = [np.flatnonzero((table.values == row).all(axis=1)) for row in result]
    assert all(len(rows) == 1 for rows in source)
    assert all(int(rows[0]) != i for i, rows in enumerate(source))


def test_shuffle_draws_every_training_row_equally_often() -> None:
    train = make_table(np.arange(5.0)[:, None], ["GE"] * 5)
    n = 5000
    test = make_table(np.zeros((n, 1)), ["GE"] * n, samples=[f"t{i}" for i in range(n)])
    counts = np.bincount(Shuffle().fit(train, CONTEXT).transform(test).values[:, 0].astype(int), minlength=5)
    # Binomial with standard deviation sqrt(5000 * .2 * .8) = 28.3; five of them is safe for a fixed seed.
    np.testing.assert_allclose(counts, n / 5, atol=5 * 28.3)


def test_shuffle_with_one_training_row_gives_that_row_and_with_none_refuses() -> None:
    one = make_table([[4.0]], ["GE"])
    np.testing.assert_array_equal(Shuffle().fit(one, CONTEXT).transform(one).values, one.values)
    with pytest.raises(DataError, match="there are none"):
        Shuffle().fit(make_table(np.zeros((0, 1)), []), CONTEXT)


def test_oracle_label_is_the_label_plus_normal_noise_of_the_given_size() -> None:
    n, p = 400, 50
    label = np.arange(n) % 2
    table = make_table(np.zeros((n, p)), ["GE"] * n, label=label)
    exact = OracleLabel(noise=0).fit(table, CONTEXT).transform(table)
    np.testing.assert_array_equal(exact.values, np.repeat(label[:, None], p, axis=1))
    noise = (OracleLabel(noise=0.5).fit(table, CONTEXT).transform(table).values - label[:, None]) / 0.5
    # 20 000 normal numbers: standard error of the mean .007, of the standard deviation .005.
    assert abs(noise.mean()) < 0.035 and abs(noise.std() - 1) < 0.025
    assert len(np.unique(noise)) == n * p
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.035


def test_oracle_label_without_label_is_an_error(table: FeatureTable) -> None:
    with pytest.raises(DataError, match="has none"):
        OracleLabel().fit(table, CONTEXT).transform(table.with_label(None))


def test_oracle_site_spreads_the_indicators_of_the_manufacturers_over_the_features() -> None:
    table = make_table(np.zeros((3, 5)), ["Siemens", "GE", "Philips"])
    result = OracleSite(noise=0).fit(table, CONTEXT).transform(table)
    # In the order GE, Philips, Siemens, GE, Philips.
    np.testing.assert_array_equal(result.values, [[0, 0, 1, 0, 0], [1, 0, 0, 1, 0], [0, 1, 0, 0, 1]])


def test_oracle_site_knows_the_manufacturers_of_the_fit_only(table: FeatureTable) -> None:
    train, test = table.rows(table.manufacturer != "GE"), table.rows(table.manufacturer == "GE")
    with pytest.raises(UnseenManufacturer, match=r"Philips, Siemens.*not 'GE'"):
        OracleSite().fit(train, CONTEXT).transform(test)


@pytest.mark.parametrize("control", [OracleLabel, OracleSite])
@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf"), "a lot", True])
def test_a_noise_that_is_no_size_is_a_usage_error(control: type, noise: object) -> None:
    with pytest.raises(UsageError, match="must be a finite number of at least 0"):
        control(noise=noise)
