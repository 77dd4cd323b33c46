"""`combat-gam` against neuroHarmonize 2.5.2 (values of `golden/make_combat.py`), a dense derivation and a curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable
from harmbench_builtin.harmonizers.combat.design import learn_codes
from harmbench_builtin.harmonizers.combat.gam import CombatGam
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmbench_builtin.harmonizers.combat.splines import Smooth, learn_smooth
from harmonizers.feature_tables import make_table

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "combat.npz")


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    covariates = {"age": GOLDEN["gam_age"], "bmi": GOLDEN["gam_bmi"]}
    return make_table(GOLDEN["gam_values"], GOLDEN["gam_site"], covariates=covariates)


@pytest.mark.parametrize("i", range(3))
def test_with_a_fixed_penalty_it_equals_neuroharmonize(i: int, table: FeatureTable) -> None:
    # statsmodels doubles the penalty it is given ("I do not understand why", says its source).
    penalty = str(2 * GOLDEN["gam_penalties"][i])
    result = CombatGam(smooth="age", covariates="bmi", penalty=penalty).fit(table, Context()).transform(table)
    np.testing.assert_allclose(result.values, GOLDEN["gam_fixed"][i], rtol=0, atol=1e-10)


def test_with_its_own_choice_it_is_close_to_neuroharmonize_with_its_own(table: FeatureTable) -> None:
    result = CombatGam(smooth="age", covariates="bmi").fit(table, Context()).transform(table).values
    difference = np.sqrt(np.mean((result - GOLDEN["gam_chosen"]) ** 2))
    assert difference < 0.05 * GOLDEN["gam_chosen"].std()


def test_the_penalty_is_the_one_of_least_generalised_cross_validation(table: FeatureTable) -> None:
    fitted = CombatGam(smooth="age", df=8).fit(table, Context()).fitted
    code = learn_smooth("age", table.covariates["age"], 8)
    columns = code.expand(table.covariates["age"])
    batch = (table.manufacturer[:, None] == np.unique(table.manufacturer)).astype(float)
    design = np.column_stack([batch, columns])
    n = len(table)

    def score_and_effects(weight: float, y: np.ndarray) -> tuple[float, np.ndarray]:
        roughness = np.zeros((design.shape[1],) * 2)
        roughness[3:, 3:] = weight * code.penalty
        inverse = np.linalg.inv(design.T @ design + roughness)
        residual = y - design @ inverse @ design.T @ y
        freedom = n - np.trace(design @ inverse @ design.T)
        return n * residual @ residual / freedom**2, (inverse @ design.T @ y)[3:]

    for j, y in enumerate(table.values.T):
        # The least score over a fine grid, and the score of the effects that were taken.
        tried = [score_and_effects(w, y) for w in np.logspace(-6, 8, 400)]
        best = min(score for score, _ in tried)
        nearest = min(tried, key=lambda t: float(np.abs(t[1] - fitted.coefficients[:, j]).max()))
        assert nearest[0] == pytest.approx(best, rel=0.02)
        np.testing.assert_allclose(columns @ nearest[1], columns @ fitted.coefficients[:, j], atol=0.1)


def test_the_penalty_is_the_integral_of_the_squared_second_derivative() -> None:
    code = learn_smooth("age", np.random.default_rng(0).uniform(20, 80, 50), 9)
    b = np.random.default_rng(1).normal(size=len(code.columns))
    at = np.linspace(code.knots[0], code.knots[-1], 200_001)
    curve = code.expand(at) @ b
    step = at[1] - at[0]
    second = np.diff(curve, 2) / step**2
    assert b @ code.penalty @ b == pytest.approx(np.sum(second**2) * step, rel=1e-3)


def test_a_smooth_effect_is_kept_where_a_linear_model_takes_it_for_the_manufacturers() -> None:
    rng = np.random.default_rng(3)
    n = 600
    ge = rng.random(n) < 0.5
    age = np.where(ge, rng.normal(50, 6, n), rng.choice([35.0, 65.0], n) + rng.normal(0, 3, n))
    bend = ((age - 50) / 10) ** 2
    truth = bend[:, None] + 0.3 * rng.normal(size=(n, 12))
    table = make_table(truth + np.where(ge, 1.0, -1.0)[:, None], np.where(ge, "GE", "Philips"), covariates={"age": age})

    def error(method: Combat) -> float:
        result = method.fit(table, Context()).transform(table).values
        centred = result - truth - (result - truth).mean(axis=0)
        return float(np.sqrt(np.mean(centred**2)))

    smooth, linear = error(CombatGam(smooth="all")), error(Combat(covariates="age"))
    assert smooth < 0.1 and linear > 5 * smooth


def test_beyond_the_training_range_the_curve_goes_on_along_its_tangent() -> None:
    rng = np.random.default_rng(0)
    code = learn_smooth("age", rng.uniform(20, 80, 60), 10)
    assert isinstance(code, Smooth)
    for edge, outwards in ((code.knots[0], -1.0), (code.knots[-1], 1.0)):
        inside = (code.expand(np.array([edge])) - code.expand(np.array([edge - outwards * 1e-6]))) / 1e-6
        outside = code.expand(np.array([edge + 5 * outwards])) - code.expand(np.array([edge]))
        np.testing.assert_allclose(outside / 5, inside, atol=1e-5)


def test_knots_and_centres_come_of_the_training_rows_alone(table: FeatureTable) -> None:
    method = CombatGam(smooth="age").fit(table.rows(slice(0, 60)), Context())
    one = table.rows([75])
    older = table.rows([75, 76, 77])
    older.covariates["age"][1:] = 200.0  # fancy indexing made a copy
    np.testing.assert_array_equal(method.transform(older).values[:1], method.transform(one).values)


def test_a_number_with_few_values_has_no_curve_and_repeated_values_need_fewer_knots(table: FeatureTable) -> None:
    four = np.array([1.0, 2, 3, 4] * 20)
    with pytest.raises(NotApplicable, match=r"'age' has 4 distinct values.*linear covariate"):
        learn_smooth("age", four, 10)
    rows = table.rows(slice(0, 80))
    grades = make_table(rows.values, rows.manufacturer, covariates={"grade": four, "age": rows.covariates["age"]})
    assert {name.split(".")[0] for name in CombatGam(smooth="all").fit(grades, Context()).fitted.covariates} == {
        "smooth(age)"
    }
    only_grades = make_table(rows.values, rows.manufacturer, covariates={"grade": four})
    with pytest.raises(
        NotApplicable, match=r"at least 5 distinct values; these data have none \(numbers here: grade\)"
    ):
        CombatGam(smooth="all").fit(only_grades, Context())
    code = learn_smooth("age", np.arange(90) % 6 * 1.0, 10)
    columns = code.expand(np.arange(90) % 6 * 1.0)
    assert np.linalg.matrix_rank(columns) == len(code.columns) <= 5


def test_a_missing_age_is_named(table: FeatureTable) -> None:
    age = table.covariates["age"].copy()
    age[5] = np.nan
    broken = make_table(table.values, table.manufacturer, covariates={"age": age})
    with pytest.raises(DataError, match="covariate 'age' is missing for sample 's5'"):
        CombatGam(smooth="all").fit(broken, Context())


def test_one_code_protocol_serves_linear_and_smooth_numbers() -> None:
    (linear,) = learn_codes({"age": np.array([1.0, 3.0])}, ["a", "b"])
    assert linear.columns == ("age",)
