"""Nested, OPNested and GMM ComBat against sequences of neuroCombat, scipy's test and scikit-learn's mixture."""

from __future__ import annotations

import contextlib
import io
import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import anderson_ksamp
from sklearn.mixture import GaussianMixture

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable, UnseenManufacturer, UsageError
from harmbench_builtin.harmonizers.combat import mixture
from harmbench_builtin.harmonizers.combat.distribution_test import anderson_darling, count_differing
from harmbench_builtin.harmonizers.combat.nested import HIDDEN, NestedCombat, OPNestedCombat
from harmbench_builtin.harmonizers.combat.nested_gmm import GmmCombat, OPNestedMinusGmmCombat, OPNestedPlusGmmCombat
from harmonizers.feature_tables import make_table


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    """Manufacturer, kernel and contrast each shift and scale the features."""
    rng = np.random.default_rng(4)
    n, p = 150, 14
    maker = rng.choice(["GE", "Philips", "Siemens"], n, p=[0.5, 0.3, 0.2])
    kernel = rng.choice(["sharp", "soft"], n)
    contrast = rng.choice(["no", "yes"], n, p=[0.3, 0.7])
    values = rng.normal(size=(n, p))
    for batch, strength in ((maker, 0.6), (kernel, 1.0), (contrast, 0.4)):
        levels, codes = np.unique(batch, return_inverse=True)
        values = values * rng.uniform(0.7, 1.6, (len(levels), p))[codes]
        values = values + strength * rng.normal(size=(len(levels), p))[codes]
    return make_table(values, maker, covariates={"kernel": kernel, "contrast": contrast})


def classical(values: np.ndarray, batch: np.ndarray) -> np.ndarray:
    neurocombat = pytest.importorskip("neuroCombat", reason="install harmbench[reference]")
    pandas = pytest.importorskip("pandas")
    with contextlib.redirect_stdout(io.StringIO()):
        return neurocombat.neuroCombat(values.T.copy(), pandas.DataFrame({"b": batch}), "b")["data"].T


def differing(values: np.ndarray, batch: np.ndarray) -> int:
    """Features that scipy's test finds different at 5 %."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = [anderson_ksamp([y[batch == level] for level in np.unique(batch)], midrank=True) for y in values.T]
    return sum(test.statistic > test.critical_values[2] for test in tests)


def batches(table: FeatureTable) -> dict[str, np.ndarray]:
    return {"manufacturer": table.manufacturer, **table.covariates}


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_the_anderson_darling_statistic_equals_scipys_ties_included(groups: int) -> None:
    rng = np.random.default_rng(groups)
    values = rng.normal(size=(57, 4))
    values[:, 1] = np.round(values[:, 1])
    values[:, 2] = np.round(2 * values[:, 2])
    batch = rng.integers(0, groups, 57).astype(str)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = [
            anderson_ksamp([y[batch == level] for level in np.unique(batch)], midrank=True).statistic for y in values.T
        ]
    np.testing.assert_allclose(anderson_darling(values, batch), expected, rtol=1e-10)


def test_the_share_of_features_found_different_without_a_difference_is_the_level_of_the_test() -> None:
    rng = np.random.default_rng(0)
    share = count_differing(rng.normal(size=(60, 4000)), rng.choice(["a", "b", "c"], 60)) / 4000
    assert 0.035 < share < 0.065  # 0.05 within four standard errors
    assert count_differing(np.full((20, 3), 2.5), np.array(["a", "b"] * 10)) == 0


def test_nested_takes_the_next_best_variable_in_every_round(table: FeatureTable) -> None:
    values, left, expected = table.values, dict(batches(table)), []
    while left:
        tried = {name: classical(values, batch) for name, batch in left.items()}
        counts = {name: differing(after, left[name]) for name, after in tried.items()}
        best = min(counts, key=lambda name: counts[name])  # the first of equals, as dicts keep their order
        values = tried[best]
        expected.append(best)
        del left[best]
    method = NestedCombat(batches="kernel,contrast").fit(table, Context())
    assert list(method.order) == expected
    np.testing.assert_allclose(method.transform(table).values, values, rtol=0, atol=1e-9)


def test_opnested_takes_the_order_that_leaves_the_fewest_differences(table: FeatureTable) -> None:
    results = {}
    for order in itertools.permutations(batches(table)):
        values = table.values
        for name in order:
            values = classical(values, batches(table)[name])
        results[order] = (sum(differing(values, batch) for batch in batches(table).values()), values)
    best = min(results, key=lambda order: results[order][0])
    method = OPNestedCombat(batches="kernel,contrast").fit(table, Context())
    assert method.order == best
    np.testing.assert_allclose(method.transform(table).values, results[best][1], rtol=0, atol=1e-9)


def test_all_takes_the_categorical_covariates(table: FeatureTable) -> None:
    with_age = replace(table, covariates={**table.covariates, "age": np.arange(float(len(table)))})
    method = NestedCombat(batches="all").fit(with_age, Context())
    assert set(method.order) == {"manufacturer", "kernel", "contrast"}


def test_without_acquisition_covariates_the_reason_lists_what_there_is(table: FeatureTable) -> None:
    with pytest.raises(NotApplicable, match=r"name them with nested-combat.batches .*contrast, kernel"):
        NestedCombat().fit(table, Context())


def test_too_many_batch_variables_are_refused(table: FeatureTable) -> None:
    many = {f"setting{i}": table.covariates["kernel"] for i in range(5)}
    with pytest.raises(UsageError, match="names 5 variables; at most 4"):
        OPNestedCombat(batches="all").fit(replace(table, covariates=many), Context())


def test_an_unseen_level_is_named_and_a_missing_covariate_too(table: FeatureTable) -> None:
    method = NestedCombat(batches="kernel").fit(table, Context())
    other = replace(table, covariates={**table.covariates, "kernel": np.full(len(table), "bone")})
    with pytest.raises(UnseenManufacturer, match="level of kernel 'bone'"):
        method.transform(other)
    with pytest.raises(DataError, match="covariate 'kernel' was used in the fit"):
        method.transform(replace(table, covariates={}))
    tolerant = NestedCombat(batches="kernel", unseen="nearest").fit(table, Context())
    assert np.isfinite(tolerant.transform(other).values).all()


def hidden_table(n: int = 200, seed: int = 0) -> tuple[FeatureTable, np.ndarray]:
    """A hidden acquisition setting shifts every feature, feature 2 so far that its distribution has two humps."""
    rng = np.random.default_rng(seed)
    group = rng.random(n) < 0.4
    values = rng.normal(size=(n, 6)) + group[:, None] * np.array([0.5, 1.0, 8.0, -1.0, 0.7, 0.4])
    maker = np.where(rng.random(n) < 0.5, "GE", "Philips")
    values += (maker == "GE")[:, None] * 0.3
    values[:, 4] *= 1e-6  # a small unit
    return make_table(values, maker), group


def test_the_hidden_group_is_found_whatever_the_units_and_for_unseen_rows() -> None:
    (train, group), (test, unseen_group) = hidden_table(), hidden_table(seed=1)
    found = mixture.find(train.values)
    assert found.feature == 2
    assert np.mean((found.assign(train.values) == "high") == group) > 0.99
    assert np.mean((found.assign(test.values) == "high") == unseen_group) > 0.99
    units = np.array([1e3, 1e-3, 1e-9, 5, 1e6, 7])
    again = mixture.find(train.values * units)
    assert again.feature == 2
    np.testing.assert_array_equal(again.assign(train.values * units), found.assign(train.values))


def test_the_mixture_is_as_likely_as_scikit_learns() -> None:
    table, _ = hidden_table()
    z = (table.values - table.values.mean(axis=0)) / table.values.std(axis=0)
    likelihood, _ = mixture.improve(z, mixture.halves(z), 1000).judge(z)
    for j in (0, 2):
        theirs = GaussianMixture(2, n_init=5, tol=1e-8, max_iter=2000, random_state=0).fit(z[:, [j]])
        gap = theirs.score(z[:, [j]]) * len(z) - likelihood[j]
        # The clear case is the same; a single hump has several optima, and the start is fixed here.
        assert gap == pytest.approx(0, abs=0.05) if j == 2 else gap < 6


def test_no_two_groups_is_not_applicable() -> None:
    values = np.zeros((40, 2))
    values[:2] = 9.0  # two outliers are no group
    with pytest.raises(NotApplicable, match="two groups that each hold more than a quarter"):
        mixture.find(values)


def test_plus_gmm_removes_the_hidden_group_and_minus_gmm_keeps_it() -> None:
    table, group = hidden_table(400)

    def gap(method: NestedCombat) -> float:
        values = method.fit(table, Context()).transform(table).values
        return float(np.abs(values[group][:, 2].mean() - values[~group][:, 2].mean()))

    raw = float(np.abs(table.values[group][:, 2].mean() - table.values[~group][:, 2].mean()))
    assert gap(OPNestedPlusGmmCombat()) < 0.1 * raw
    assert gap(GmmCombat()) < 0.1 * raw
    assert gap(OPNestedMinusGmmCombat()) == pytest.approx(raw, rel=0.02)


def test_gmm_combat_goes_from_the_hidden_group_to_the_manufacturer() -> None:
    table, _ = hidden_table()
    method = GmmCombat().fit(table, Context())
    assert method.order == (HIDDEN, "manufacturer")
    by_hand = classical(classical(table.values, mixture.find(table.values).assign(table.values)), table.manufacturer)
    np.testing.assert_allclose(method.transform(table).values, by_hand, rtol=1e-7, atol=1e-12)


def test_hidden_groups_that_are_the_manufacturers_are_not_kept() -> None:
    """One feature parts the manufacturers without overlap, so the mixture finds nothing but them."""
    rng = np.random.default_rng(0)
    manufacturer = np.repeat(["GE", "Philips"], 60)
    values = rng.normal(size=(120, 5))
    values[:, 0] += 12.0 * (manufacturer == "Philips")
    table = make_table(values, manufacturer)
    with pytest.raises(NotApplicable, match="those of the manufacturers"):
        OPNestedMinusGmmCombat().fit(table, Context())
    OPNestedPlusGmmCombat().fit(table, Context())
