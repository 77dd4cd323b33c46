"""Transforms of single features: values by hand and by SciPy, and what all of them keep to."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.preprocessing import PowerTransformer

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.pretransform import power
from harmbench_builtin.harmonizers.pretransform.rank_gauss import RankGauss
from harmbench_builtin.harmonizers.pretransform.signed_log import SignedLog
from harmbench_builtin.harmonizers.pretransform.yeo_johnson import YeoJohnson
from harmbench_builtin.harmonizers.robust import centre_and_scale
from harmbench_builtin.harmonizers.table_method import TableMethod
from harmonizers.feature_tables import make_table

Make = Callable[[], TableMethod]
ALL = pytest.mark.parametrize("make", [SignedLog, YeoJohnson, RankGauss])


def table(values, manufacturer=None) -> FeatureTable:
    array = np.asarray(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    return make_table(array, ["GE"] * len(array) if manufacturer is None else manufacturer)


def through(make: Make, train, test=None) -> np.ndarray:
    fitted = make().fit(table(train), Context())
    return fitted.transform(table(train if test is None else test)).values


def shapes(n: int = 301, seed: int = 0) -> np.ndarray:
    """Distributions that a feature may have, one per column."""
    rng = np.random.default_rng(seed)
    return np.stack(
        [
            rng.normal(size=n),
            rng.exponential(size=n),
            -rng.exponential(size=n),
            np.exp(1.5 * rng.normal(size=n)),
            1e-4 * np.exp(rng.normal(size=n)),
            1e6 - np.exp(2 * rng.normal(size=n)),
            1000 + 5 * rng.gamma(0.5, size=n),
            rng.standard_t(2, n) * 100,
            rng.integers(0, 4, n).astype(float),
            np.where(rng.random(n) < 0.7, 0.0, rng.exponential(size=n)),
        ],
        axis=1,
    )


# signed-log


def test_signed_log_of_one_sign_is_the_logarithm_beyond_the_5_percent_quantile():
    values = np.arange(1.0, 102.0)  # its 5 % quantile is 6
    expected = np.log1p(values / 6)
    np.testing.assert_allclose(through(SignedLog, values)[:, 0], expected, rtol=1e-15)


def test_signed_log_takes_the_median_where_both_signs_are_equally_common():
    values = np.array([-4.0, -3, -2, -1, 1, 2, 3, 4])
    np.testing.assert_allclose(
        through(SignedLog, values)[:, 0], np.sign(values) * np.log1p(np.abs(values) / 2.5), rtol=1e-15
    )


def test_the_level_of_the_scale_rises_with_the_share_of_the_rarer_sign():
    # 101 sizes 1..101, 25 of them negative: the level is 0.05 + 0.9 * 25/101, the quantile 1 + 100 times that.
    values = np.arange(1.0, 102.0)
    values[::4][:25] *= -1
    expected = 1 + 100 * (0.05 + 0.9 * 25 / 101)
    assert SignedLog().fit(table(values), Context()).fitted[0] == pytest.approx(expected, rel=1e-14)


def test_signed_log_leaves_zeros_out_of_the_scale_and_keeps_them():
    out = through(SignedLog, [0.0, 0, 0, 0, 0, 0, 3, 3, 3])
    np.testing.assert_allclose(out[:, 0], [0.0] * 6 + [math.log(2)] * 3)


@pytest.mark.parametrize("unit", [1e-9, 7.0, 1e12])
def test_signed_log_does_not_depend_on_the_unit(unit):
    np.testing.assert_allclose(through(SignedLog, shapes() * unit), through(SignedLog, shapes()), rtol=1e-9)


def test_signed_log_of_the_largest_numbers_stays_finite():
    train = np.array([1e-300, 2e-300, 3e-300])
    out = through(SignedLog, train, [1.7e308, -1.7e308])
    scale = SignedLog().fit(table(train), Context()).fitted[0]
    expected = math.log(1.7e308) - math.log(scale)
    np.testing.assert_allclose(out[:, 0], [expected, -expected], rtol=1e-12)


@pytest.mark.parametrize("level", [0, -0.1, 0.6, True, "x", float("nan")])
def test_signed_log_refuses_a_level_that_is_none(level):
    with pytest.raises(UsageError, match=r"signed-log\.level"):
        SignedLog(level=level)


# yeo-johnson


def likelihood_gap(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Our exponents, and by how much SciPy's likelihood is higher at SciPy's own."""
    ours = power.exponents(values, np.zeros(values.shape[1]), np.ones(values.shape[1]))
    gaps = [
        stats.yeojohnson_llf(stats.yeojohnson_normmax(column), column) - stats.yeojohnson_llf(mine, column)
        for mine, column in zip(ours, values.T, strict=True)
    ]
    return ours, np.array(gaps)


def test_the_exponents_are_those_of_scipy():
    centre, scale = centre_and_scale(shapes())
    values = (shapes() - centre) / scale
    ours, gap = likelihood_gap(values)
    theirs = [stats.yeojohnson_normmax(column) for column in values.T]
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    assert (gap < 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 10, 50, 700]), st.floats(0.05, 3))
def test_no_exponent_near_ours_is_more_likely(seed, n, spread):
    rng = np.random.default_rng(seed)
    values = np.exp(spread * rng.normal(size=(n, 3))) - rng.normal(1, 1, size=3)
    ours = power.exponents(values, np.zeros(3), np.ones(3))
    for exponent, column in zip(ours, values.T, strict=True):
        here = stats.yeojohnson_llf(exponent, column)
        tolerance = 1e-9 * max(1, abs(here))
        for other in (exponent - 0.01, exponent + 0.01):
            if power.LOWEST <= other <= power.HIGHEST:
                assert stats.yeojohnson_llf(other, column) <= here + tolerance


@pytest.mark.parametrize("exponent", [0.0, 2.0, 1e-5, 2 - 1e-5, 0.03, 1.0, -3.0, 5.0, 10.0])
def test_the_slopes_are_the_derivatives_of_scipys_likelihood(exponent):
    values = np.random.default_rng(1).standard_t(3, size=(1, 200))
    slope, bend = power._slopes(np.array([exponent]), power._Features.of(values))
    step = 1e-4
    at = [stats.yeojohnson_llf(exponent + k * step, values[0]) for k in (-1, 0, 1)]
    assert slope[0] == pytest.approx((at[2] - at[0]) / (2 * step), rel=1e-5, abs=1e-5)
    assert bend[0] == pytest.approx((at[2] - 2 * at[1] + at[0]) / step**2, rel=1e-3)


def test_values_are_those_of_scikit_learn_on_what_is_brought_to_unit_spread():
    centre, scale = centre_and_scale(shapes())
    expected = PowerTransformer().fit_transform((shapes() - centre) / scale)
    np.testing.assert_allclose(through(YeoJohnson, shapes()), expected, atol=1e-4)


def test_the_transform_itself_is_scipys():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(50, 6)) * 5
    exponent = np.array([-2.0, 0.0, 0.5, 1.0, 2.0, 3.5])
    ours = power.transform(values, np.zeros(6), np.ones(6), exponent)
    theirs = np.stack([stats.yeojohnson(values[:, j], exponent[j]) for j in range(6)], axis=1)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize("change", [lambda x: 1e-7 * x, lambda x: x * 1e5 + 3e5])
def test_yeo_johnson_does_not_depend_on_unit_or_origin(change):
    values = shapes()[:, :4]
    np.testing.assert_allclose(through(YeoJohnson, change(values)), through(YeoJohnson, values), atol=1e-6)


def test_outliers_of_any_size_give_finite_numbers():
    values = np.concatenate([np.random.default_rng(0).normal(size=99), [1e300]])
    assert np.isfinite(through(YeoJohnson, values)).all()
    far = through(YeoJohnson, -np.exp(np.random.default_rng(0).normal(size=100)), [1e300, -1e300])
    assert np.isfinite(far**2).all()
    assert far[0] > far[1]


def test_most_values_equal_is_no_division_by_zero():
    values = np.concatenate([np.zeros(80), np.random.default_rng(0).normal(size=20)])
    out = through(YeoJohnson, values)
    assert np.isfinite(out).all()
    assert out.mean() == pytest.approx(0, abs=1e-12)
    assert out.std() == pytest.approx(1)


# rank-gauss


def test_scores_are_the_normal_quantiles_of_mid_ranks():
    out = through(RankGauss, [5.0, 1, 9, 3])
    np.testing.assert_allclose(out[:, 0], stats.norm.ppf([0.625, 0.125, 0.875, 0.375]), rtol=1e-13)


def test_ties_share_the_middle_of_their_ranks():
    values = np.array([2.0, 1, 2, 7, 2, 1, 8, 9])
    expected = stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values))
    np.testing.assert_allclose(through(RankGauss, values)[:, 0], expected, rtol=1e-13, atol=1e-15)


def test_between_training_values_scores_are_interpolated_and_beyond_them_clipped():
    out = through(RankGauss, [0.0, 10, 20], [5.0, -100, 1e9])
    low, middle, high = stats.norm.ppf([1 / 6, 0.5, 5 / 6])
    np.testing.assert_allclose(out[:, 0], [(low + middle) / 2, low, high], atol=1e-15)


@pytest.mark.parametrize("change", [np.exp, lambda x: x**3, lambda x: 1e-9 * x])
def test_a_rising_change_of_the_feature_changes_no_training_score(change):
    values = np.random.default_rng(0).normal(size=100)
    np.testing.assert_allclose(through(RankGauss, change(values)), through(RankGauss, values), rtol=1e-12)


# all of them


@ALL
def test_order_is_kept(make):
    values = shapes()
    out = through(make, values)
    for before, after in zip(values.T, out.T, strict=True):
        order = np.argsort(before, kind="stable")
        assert (np.diff(after[order]) >= 0).all()
        assert len(np.unique(after)) == len(np.unique(before))


@ALL
def test_most_of_the_skewness_of_a_lognormal_is_gone(make):
    values = np.exp(1.5 * np.random.default_rng(0).normal(size=500))
    assert stats.skew(values) > 3
    assert abs(stats.skew(through(make, values)[:, 0])) < 0.6


@ALL
def test_one_row_at_a_time_equals_all_at_once(make):
    fitted = make().fit(table(shapes()), Context())
    other = table(shapes(40, seed=9))
    whole = fitted.transform(other).values
    alone = np.concatenate([fitted.transform(other.rows([i])).values for i in range(len(other))])
    np.testing.assert_array_equal(whole, alone)


@ALL
def test_manufacturer_and_label_make_no_difference_and_unseen_ones_are_served(make):
    values, half = shapes(), np.where(np.arange(301) % 3 == 0, "GE", "Philips")
    one = make().fit(table(values), Context())
    two = make().fit(table(values, half).with_label(np.arange(301) % 2), Context())
    rows = table(shapes(20, seed=5), ["Siemens"] * 20)
    np.testing.assert_array_equal(one.transform(rows).values, two.transform(rows).values)


@ALL
def test_shuffled_training_rows_learn_the_same(make):
    values = shapes()
    mixed = np.random.default_rng(0).permutation(values)
    np.testing.assert_allclose(through(make, mixed, values), through(make, values), rtol=1e-6, atol=1e-6)


@ALL
def test_a_constant_feature_stays_constant_and_touches_no_other(make):
    values = shapes()
    with_constant = np.column_stack([values, np.full(len(values), 0.1)])
    out = through(make, with_constant)
    assert len(np.unique(out[:, -1])) == 1
    np.testing.assert_array_equal(out[:, :-1], through(make, values))
    assert np.isfinite(through(make, with_constant, with_constant + 1.0)).all()


@ALL
def test_one_training_row_is_enough_for_finite_numbers(make):
    assert np.isfinite(through(make, [[1.0, -2.0]], [[5.0, 3.0]])).all()


@ALL
def test_input_is_not_written_to_and_columns_stay(make):
    given = table(shapes())
    before = given.values.copy()
    given.values.flags.writeable = False
    out = make().fit(given, Context()).transform(given)
    np.testing.assert_array_equal(given.values, before)
    assert out.features == given.features
    assert out.samples.tolist() == given.samples.tolist()


@ALL
def test_a_missing_value_is_named(make):
    values = shapes()
    values[7, 2] = np.nan
    with pytest.raises(DataError, match=rf"{make.name} needs finite numbers, but sample 's7' .* feature 'f2'"):
        make().fit(table(values), Context())
    fitted = make().fit(table(shapes()), Context())
    with pytest.raises(DataError, match="sample 's7'"):
        fitted.transform(table(values))


@ALL
def test_other_columns_than_in_the_fit_are_refused(make):
    fitted = make().fit(table(shapes()), Context())
    with pytest.raises(DataError, match="was fitted on 10 features and got 9"):
        fitted.transform(table(shapes()[:, :9]))


@ALL
def test_transform_before_fit_is_an_error(make):
    with pytest.raises(UsageError, match=f"{make.name} has not been fitted"):
        make().transform(table(shapes()))


@ALL
def test_no_rows_to_learn_from_is_an_error(make):
    with pytest.raises(DataError, match="there are none"):
        make().fit(table(np.zeros((0, 2))), Context())
