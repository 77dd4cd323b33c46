"""`recombat` against ComBat, scikit-learn's penalised regressions, and a design that least squares cannot solve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmbench_builtin.harmonizers.combat.regularised import ReCombat
from harmonizers.feature_tables import scanner_data


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    return scanner_data(n=120, p=15)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_without_a_penalty_it_is_combat(l1_ratio: float, table: FeatureTable) -> None:
    expected = Combat(covariates="all").fit(table, Context()).transform(table).values
    # Coordinate descent without any penalty does not settle to more digits than its tolerance.
    strength, atol = (0.0, 1e-9) if l1_ratio == 0 else (1e-9, 1e-4)
    result = (
        ReCombat(covariates="all", strength=strength, l1_ratio=l1_ratio).fit(table, Context()).transform(table).values
    )
    np.testing.assert_allclose(result, expected, rtol=0, atol=atol)


def centred(table: FeatureTable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates in units of their standard deviation and features, both centred within manufacturers; the units."""
    sex, view = table.covariates["sex"] == "m", table.covariates["view"]
    columns = np.column_stack([table.covariates["age"], sex, view == "a4c", view == "plax"]).astype(float)
    unit = columns.std(axis=0)
    columns = columns / unit
    values = table.values.copy()
    for name in table.manufacturers:
        rows = table.manufacturer == name
        columns[rows] -= columns[rows].mean(axis=0)
        values[rows] -= values[rows].mean(axis=0)
    return columns, values, unit


@pytest.mark.parametrize("strength", [0.01, 0.1, 3.0])
def test_ridge_effects_are_scikit_learns(strength: float, table: FeatureTable) -> None:
    columns, values, unit = centred(table)
    theirs = Ridge(alpha=strength * len(table), fit_intercept=False).fit(columns, values).coef_.T / unit[:, None]
    fitted = ReCombat(covariates="all", strength=strength).fit(table, Context()).fitted
    np.testing.assert_allclose(fitted.coefficients, theirs, atol=1e-10)


def test_elastic_net_effects_are_scikit_learns_on_standardised_features(table: FeatureTable) -> None:
    columns, values, unit = centred(table)
    sd = values.std(axis=0)
    for j in range(values.shape[1]):
        model = ElasticNet(alpha=0.05, l1_ratio=0.7, fit_intercept=False, tol=1e-10, max_iter=100_000)
        expected = model.fit(columns, values[:, j] / sd[j]).coef_ * sd[j] / unit
        found = ReCombat(covariates="all", strength=0.05, l1_ratio=0.7).fit(table, Context()).fitted.coefficients[:, j]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_strong_penalty_leaves_combat_without_covariates(table: FeatureTable) -> None:
    expected = Combat().fit(table, Context()).transform(table).values
    for l1_ratio in (0.0, 1.0):
        result = (
            ReCombat(covariates="all", strength=1e9, l1_ratio=l1_ratio).fit(table, Context()).transform(table).values
        )
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_the_units_of_covariates_and_features_do_not_matter(table: FeatureTable) -> None:
    months = replace(table, covariates={**table.covariates, "age": 12 * table.covariates["age"]})
    for params in ({}, {"l1_ratio": 0.5, "strength": 0.02}):
        plain = ReCombat(covariates="all", **params).fit(table, Context()).transform(table).values
        np.testing.assert_allclose(
            ReCombat(covariates="all", **params).fit(months, Context()).transform(months).values, plain, atol=1e-6
        )
        scaled = table.with_values(1000 * table.values + 5)
        again = (ReCombat(covariates="all", **params).fit(scaled, Context()).transform(scaled).values - 5) / 1000
        np.testing.assert_allclose(again, plain, atol=1e-6)


@pytest.mark.parametrize("params", [{}, {"strength": 0.0}, {"l1_ratio": 0.5}])
def test_a_design_that_combat_refuses_is_solved(params: dict, table: FeatureTable) -> None:
    device = np.char.add(table.manufacturer, "-1")
    twice = replace(table, covariates={**table.covariates, "device": device, "age again": table.covariates["age"]})
    with pytest.raises(DataError, match="determined by"):
        Combat(covariates="all").fit(twice, Context())
    result = ReCombat(covariates="all", **params).fit(twice, Context()).transform(twice)
    assert np.isfinite(result.values).all()
    if params.get("strength") == 0.0:
        expected = Combat(covariates="age,sex,view").fit(table, Context()).transform(table).values
        np.testing.assert_allclose(result.values, expected, atol=1e-8)


def test_an_unwanted_covariate_is_taken_out_and_a_wanted_one_stays(table: FeatureTable) -> None:
    age = table.covariates["age"][:, None]

    def slopes(values: np.ndarray) -> np.ndarray:
        within = np.column_stack([age - 60, *[table.manufacturer == m for m in table.manufacturers[1:]]])
        return LinearRegression().fit(within, values).coef_[:, 0]

    # Means alone, without shrinkage: what scaling does to a slope is no matter here.
    plain = {"eb": False, "mean_only": True}
    removed = ReCombat(strength=0.0, covariates="none", remove="age", **plain).fit(table, Context()).transform(table)
    np.testing.assert_allclose(slopes(removed.values), 0, atol=1e-9)
    kept = ReCombat(strength=0.0, covariates="age", **plain).fit(table, Context()).transform(table)
    np.testing.assert_allclose(slopes(kept.values), slopes(table.values), atol=1e-9)
