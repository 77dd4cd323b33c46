"""Location and scale, and quantile maps: values by hand, by SciPy and by brute force; what they do at the edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler, StandardScaler

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable, UnseenManufacturer, UsageError
from harmbench_builtin.harmonizers.quantile.harmonizer import Quantile
from harmbench_builtin.harmonizers.quantile.mapping import mixture, quantiles
from harmbench_builtin.harmonizers.robust import NORMAL
from harmbench_builtin.harmonizers.scaling.harmonizers import PooledRobust, PooledZScore, RobustZScore, ZScore
from harmbench_builtin.harmonizers.table_method import TableMethod
from harmonizers.feature_tables import make_table, scanner_data

Make = Callable[..., TableMethod]
BY_MANUFACTURER = pytest.mark.parametrize("make", [ZScore, RobustZScore, Quantile])
ALL = pytest.mark.parametrize("make", [ZScore, RobustZScore, Quantile, PooledZScore, PooledRobust])


def column(values, manufacturer) -> FeatureTable:
    return make_table(np.asarray(values, dtype=float)[:, None], manufacturer)


def of(table: FeatureTable, name: str) -> np.ndarray:
    return table.values[table.manufacturer == name]


# z-scores


def test_zscore_by_hand():
    train = column([1, 2, 3, 10, 30], ["A", "A", "A", "B", "B"])
    out = ZScore().fit(train, Context()).transform(column([4, 20], ["A", "B"]))
    np.testing.assert_allclose(out.values[:, 0], [2, 0])


def test_robust_zscore_by_hand():
    # A: median 3, deviations 2 1 0 1 97, MAD 1. B: median 20, MAD 10.
    train = column([1, 2, 3, 4, 100, 10, 20, 30], list("AAAAABBB"))
    out = RobustZScore().fit(train, Context()).transform(column([5, 0], ["A", "B"]))
    np.testing.assert_allclose(out.values[:, 0], [2 / NORMAL, -2 / NORMAL])


def test_zscore_gives_every_manufacturer_mean_0_and_sd_1_and_agrees_with_scikit_learn():
    table = scanner_data()
    out = ZScore().fit(table, Context()).transform(table)
    for name in table.manufacturers:
        n = len(of(table, name))
        expected = StandardScaler().fit_transform(of(table, name)) * np.sqrt((n - 1) / n)
        np.testing.assert_allclose(of(out, name), expected, atol=1e-12)


def test_robust_scaling_agrees_with_scikit_learn_where_quartiles_are_symmetric():
    values = np.arange(-50.0, 51.0)  # median 0, MAD 25, interquartile range 50
    table = column(values, ["A"] * 101)
    expected = RobustScaler().fit_transform(values[:, None]) * 50 / (NORMAL * 25)
    for make in (PooledRobust, RobustZScore):
        np.testing.assert_allclose(make().fit(table, Context()).transform(table).values, expected, rtol=1e-12)


def test_pooled_scaling_is_the_same_map_for_all():
    table = scanner_data()
    out = PooledZScore().fit(table, Context()).transform(table)
    expected = (table.values - table.values.mean(axis=0)) / table.values.std(axis=0, ddof=1)
    np.testing.assert_allclose(out.values, expected, rtol=1e-12)


@pytest.mark.parametrize("make", [ZScore, RobustZScore])
def test_with_the_policy_pooled_an_unseen_manufacturer_gets_the_moments_of_all_rows(make):
    table = scanner_data()
    pooled = {ZScore: PooledZScore, RobustZScore: PooledRobust}[make]
    rows = make_table(table.values[:5], ["Canon"] * 5, features=table.features)
    out = make(unseen="pooled").fit(table, Context()).transform(rows)
    np.testing.assert_array_equal(out.values, pooled().fit(table, Context()).transform(rows).values)


@pytest.mark.parametrize("make", [ZScore, RobustZScore])
def test_a_feature_constant_at_a_manufacturer_is_only_shifted_there(make):
    train = make_table([[0.1, 1], [0.1, 2], [0.1, 3], [5, 1], [6, 2], [7, 4]], list("AAABBB"))
    fitted = make().fit(train, Context())
    assert (of(fitted.transform(train), "A")[:, 0] == 0).all()
    np.testing.assert_allclose(fitted.transform(make_table([[0.6, 2]], ["A"])).values[0, 0], 0.5)


def test_a_mad_of_0_is_replaced_by_the_standard_deviation():
    values = [0.0, 0, 0, 0, 10]
    out = RobustZScore().fit(column(values, ["A"] * 5), Context()).transform(column([8], ["A"]))
    assert out.values[0, 0] == pytest.approx(8 / np.std(values))


# quantile


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.sampled_from([2, 5, 100]))
def test_quantiles_are_those_of_numpy(seed, n, k):
    values = np.random.default_rng(seed).integers(0, 9, size=(n, 3)).astype(float)
    levels = np.linspace(0, 1, k)
    np.testing.assert_allclose(quantiles(values, levels), np.quantile(values, levels, axis=0), atol=1e-12)


def brute_mixture(curves, levels) -> np.ndarray:
    """The mixture's quantiles from a million draws that are as even as can be."""
    u = (np.arange(200_000) + 0.5) / 200_000
    draws = np.concatenate([np.interp(u, levels, curve) for curve in curves])
    return np.quantile(draws, levels)


@pytest.mark.parametrize("seed", range(5))
def test_the_mixture_is_that_of_draws_from_all_with_equal_weights(seed):
    rng = np.random.default_rng(seed)
    levels = np.linspace(0, 1, 21)
    sizes = (300, 40, 11)
    curves = [np.quantile(rng.normal(i, 1 + i, n), levels) for i, n in enumerate(sizes)]
    np.testing.assert_allclose(mixture(curves, levels), brute_mixture(curves, levels), atol=2e-3)


def test_the_mixture_of_values_with_ties_has_flat_parts():
    levels = np.linspace(0, 1, 5)
    curves = [np.array([0.0, 0, 0, 0, 0]), np.array([0.0, 1, 2, 3, 4])]
    # Half of the mass is at 0; the other half is spread evenly from 0 to 4.
    np.testing.assert_allclose(mixture(curves, levels), [0, 0, 0, 2, 4])


def test_the_mixture_of_one_distribution_is_itself():
    levels = np.linspace(0, 1, 50)
    curve = np.quantile(np.random.default_rng(0).normal(size=200), levels)
    np.testing.assert_allclose(mixture([curve, curve, curve], levels), curve, atol=1e-12)


def test_target_mean_with_equally_many_rows_is_bolstads_quantile_normalization():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=30), rng.gamma(2, 3, size=30)
    table = column(np.r_[a, b], ["A"] * 30 + ["B"] * 30)
    out = Quantile(target="mean", quantiles=30).fit(table, Context()).transform(table).values[:, 0]
    common = (np.sort(a) + np.sort(b)) / 2
    np.testing.assert_allclose(out[:30], common[np.argsort(np.argsort(a))], rtol=1e-12)
    np.testing.assert_allclose(out[30:], common[np.argsort(np.argsort(b))], rtol=1e-12)


def test_to_a_reference_training_rows_get_its_quantiles_and_its_own_stay():
    rng = np.random.default_rng(1)
    table = column(np.r_[rng.normal(size=50), rng.gamma(2, 3, size=50)], ["A"] * 50 + ["B"] * 50)
    out = Quantile(reference="A", quantiles=50).fit(table, Context()).transform(table)
    np.testing.assert_array_equal(of(out, "A"), of(table, "A"))
    np.testing.assert_allclose(np.sort(of(out, "B")[:, 0]), np.sort(of(table, "A")[:, 0]), rtol=1e-12)


@pytest.mark.parametrize("target", ["mixture", "mean"])
def test_a_pure_shift_between_manufacturers_is_gone(target):
    values = np.random.default_rng(0).normal(size=60)
    table = column(np.r_[values, values + 3], ["A"] * 60 + ["B"] * 60)
    out = Quantile(target=target).fit(table, Context()).transform(table)
    np.testing.assert_allclose(of(out, "A"), of(out, "B"), atol=1e-12)


def test_beyond_the_training_range_values_move_as_its_ends_do():
    train = column([0, 1, 2, 10, 12, 16], list("AAABBB"))
    fitted = Quantile(reference="B", quantiles=3).fit(train, Context())
    out = fitted.transform(column([-5, 0, 0.5, 2, 7], ["A"] * 5))
    np.testing.assert_allclose(out.values[:, 0], [5, 10, 11, 16, 21])


def test_ties_go_to_the_mean_of_the_target_over_their_levels():
    train = column([5, 5, 5, 9, 1, 2, 3, 4], list("AAAABBBB"))
    out = Quantile(reference="B", quantiles=4).fit(train, Context()).transform(column([5, 9], ["A", "A"]))
    np.testing.assert_allclose(out.values[:, 0], [2, 4])


def test_a_feature_constant_at_a_manufacturer_is_shifted_to_the_targets_mean():
    train = column([7, 7, 7, 1, 2, 6], list("AAABBB"))
    out = Quantile(reference="B", quantiles=3).fit(train, Context()).transform(column([7, 8, 5], ["A"] * 3))
    np.testing.assert_allclose(out.values[:, 0], [3, 4, 1])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["mixture", "mean"]), st.sampled_from([2, 7, 100]))
def test_the_order_of_values_at_a_manufacturer_is_never_turned_round(seed, target, k):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(60) < 0.4, rng.integers(0, 3, 60), rng.normal(0, 2, 60))
    fitted = Quantile(target=target, quantiles=k).fit(column(values, ["A"] * 20 + ["B"] * 40), Context())
    line = np.sort(rng.normal(0, 5, 50))
    for name in "AB":
        out = fitted.transform(column(line, [name] * 50)).values[:, 0]
        assert (np.diff(out) >= -1e-12).all()


def test_an_unseen_manufacturer_is_left_as_it_is_where_that_is_asked_for():
    rows = make_table(scanner_data().values[:5], ["Canon"] * 5)
    out = Quantile(unseen="pooled").fit(scanner_data(), Context()).transform(rows)
    np.testing.assert_array_equal(out.values, rows.values)


def test_a_reference_that_is_not_there_is_not_applicable():
    with pytest.raises(NotApplicable, match=r"reference manufacturer 'Philip'.*Did you mean 'Philips'"):
        Quantile(reference="Philip").fit(scanner_data(), Context())


def test_one_manufacturer_has_nothing_to_be_mapped_to():
    with pytest.raises(NotApplicable, match="at least two manufacturers; the training rows hold only A"):
        Quantile().fit(column([1, 2, 3], ["A"] * 3), Context())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target": "mixtur"}, "Did you mean 'mixture'"),
        ({"quantiles": 1}, r"whole number from 2 to 10000, not 1"),
        ({"quantiles": 2.5}, "whole number"),
        ({"reference": 3}, "must be text"),
        ({"unseen": "self"}, "Known: error, pooled"),
    ],
)
def test_a_wrong_parameter_is_named(given, message):
    with pytest.raises(UsageError, match=rf"quantile\.{next(iter(given))}.*{message}"):
        Quantile(**given)


# all of them


@BY_MANUFACTURER
def test_an_unseen_manufacturer_is_an_error_with_its_name(make):
    fitted = make().fit(scanner_data(), Context())
    assert not fitted.handles_unseen_manufacturer and make(unseen="pooled").handles_unseen_manufacturer
    with pytest.raises(UnseenManufacturer, match=f"{make.name} cannot transform manufacturer 'Canon'.*GE, Philips"):
        fitted.transform(make_table(scanner_data().values[:2], ["GE", "Canon"]))


@BY_MANUFACTURER
def test_a_manufacturer_of_one_row_is_an_error_with_its_name(make):
    with pytest.raises(DataError, match="at least 2 training rows of each manufacturer, but 'B' has 1"):
        make().fit(column([1, 2, 3], ["A", "A", "B"]), Context())


@ALL
def test_one_row_at_a_time_equals_all_at_once_and_the_input_is_left_alone(make):
    train, test = scanner_data(seed=1), scanner_data(30, seed=2)
    test.values.flags.writeable = train.values.flags.writeable = False
    fitted = make().fit(train, Context())
    whole = fitted.transform(test)
    alone = np.concatenate([fitted.transform(test.rows([i])).values for i in range(len(test))])
    np.testing.assert_array_equal(whole.values, alone)
    assert whole.features == test.features and whole.samples.tolist() == test.samples.tolist()


@ALL
def test_test_rows_and_the_order_of_training_rows_change_nothing(make):
    train, test = scanner_data(seed=1), scanner_data(30, seed=2)
    mixed = train.rows(np.random.default_rng(0).permutation(len(train)))
    one, two = (make().fit(t, Context()).transform(test).values for t in (train, mixed))
    np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-10)


@ALL
def test_a_constant_feature_stays_finite_and_touches_no_other(make):
    table = scanner_data()
    wider = make_table(np.column_stack([table.values, np.full(len(table), 0.1)]), table.manufacturer)
    out = make().fit(wider, Context()).transform(wider).values
    np.testing.assert_array_equal(out[:, :-1], make().fit(table, Context()).transform(table).values)
    assert np.ptp(out[:, -1]) < 1e-15


@ALL
def test_a_missing_value_is_named(make):
    values = scanner_data().values.copy()
    values[3, 5] = np.nan
    with pytest.raises(DataError, match="sample 's3' has nan in feature 'f5'"):
        make().fit(make_table(values, scanner_data().manufacturer), Context())
