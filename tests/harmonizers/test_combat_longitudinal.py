"""`longitudinal-combat`: its mixed model against statsmodels, its algorithm written out, and what it is for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable
from harmbench_builtin.harmonizers.combat import mixed_model
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmbench_builtin.harmonizers.combat.longitudinal import LongitudinalCombat
from harmonizers.feature_tables import make_table, scanner_data

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "combat.npz")


def golden_table() -> FeatureTable:
    batch = np.array(["GE", "Philips", "Siemens"])[GOLDEN["mixed_batch"]]
    table = make_table(GOLDEN["mixed_values"], batch, covariates={"time": GOLDEN["mixed_time"]})
    return replace(table, patient=GOLDEN["mixed_patient"].astype(str))


def test_the_mixed_model_equals_statsmodels() -> None:
    time = GOLDEN["mixed_time"]
    design = np.column_stack([*(GOLDEN["mixed_batch"] == i for i in range(3)), time - time.mean()]).astype(float)
    model = mixed_model.fit(GOLDEN["mixed_values"], design, GOLDEN["mixed_patient"])
    np.testing.assert_allclose(model.coefficients, GOLDEN["mixed_coefficients"], atol=1e-6)
    np.testing.assert_allclose(model.variance, GOLDEN["mixed_variance"], rtol=1e-6)
    np.testing.assert_allclose(model.ratio, GOLDEN["mixed_ratio"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.intercepts, GOLDEN["mixed_intercepts"], atol=1e-6)


def test_without_any_difference_between_patients_the_intercepts_are_nought_and_it_is_least_squares() -> None:
    rng = np.random.default_rng(1)
    patient = np.repeat(np.arange(40), 3)
    values = rng.normal(size=(120, 1))
    # Taking patients' means out makes patients more alike than chance: no positive variance is supported.
    values -= np.repeat(values.reshape(40, 3).mean(axis=1), 3)[:, None]
    model = mixed_model.fit(values, np.ones((120, 1)), patient)
    assert model.ratio[0] == 0.0
    np.testing.assert_array_equal(model.intercepts, 0.0)
    assert model.coefficients[0, 0] == pytest.approx(values.mean(), abs=1e-12)
    assert model.variance[0] == pytest.approx(values.var(ddof=1))


def test_the_whole_algorithm_written_out_from_statsmodels_estimates() -> None:
    table = golden_table()
    y, codes, u = table.values, GOLDEN["mixed_batch"], GOLDEN["mixed_intercepts"][GOLDEN["mixed_patient"]]
    beta, sigma = GOLDEN["mixed_coefficients"], np.sqrt(GOLDEN["mixed_variance"])
    n = np.bincount(codes)
    time = (GOLDEN["mixed_time"] - GOLDEN["mixed_time"].mean())[:, None]
    # Beer et al. constrain the manufacturers' effects to sum to nought over rows.
    alpha = n @ beta[:3] / n.sum()
    predicted = alpha + time * beta[3] + u
    z = (y - predicted) / sigma
    adjusted = np.empty_like(y)
    for i in range(3):
        rows = codes == i
        g, d = z[rows].mean(axis=0), z[rows].var(axis=0, ddof=1)
        g_bar, tau = g.mean(), g.var(ddof=1)
        lam, theta = (d.mean() ** 2 + 2 * d.var(ddof=1)) / d.var(ddof=1), None
        theta = (d.mean() ** 3 + d.mean() * d.var(ddof=1)) / d.var(ddof=1)
        gamma, delta = g, d
        for _ in range(200):
            gamma = (n[i] * tau * g + delta * g_bar) / (n[i] * tau + delta)
            delta = (theta + 0.5 * ((z[rows] - gamma) ** 2).sum(axis=0)) / (n[i] / 2 + lam - 1)
        adjusted[rows] = sigma / np.sqrt(delta) * (z[rows] - gamma) + predicted[rows]
    result = LongitudinalCombat(covariates="time").fit(table, Context()).transform(table)
    np.testing.assert_allclose(result.values, adjusted, atol=5e-4)  # ours stops at a relative change of 1e-4


def test_a_patients_level_is_kept_where_combat_takes_it_for_the_manufacturers() -> None:
    rng = np.random.default_rng(5)
    patients, p = 60, 20
    level = 3 * rng.normal(size=(patients, p))
    patient = np.repeat(np.arange(patients), 4)
    # Most patients stay at one manufacturer, some are seen at both.
    home = rng.random(patients) < 0.5
    ge = np.where(rng.random(len(patient)) < 0.25, ~home[patient], home[patient])
    truth = level[patient] + 0.5 * rng.normal(size=(len(patient), p))
    table = make_table(truth + 1.0 * ge[:, None], np.where(ge, "GE", "Philips"))
    table = replace(table, patient=patient.astype(str))

    def shift_left(method: Combat | LongitudinalCombat) -> float:
        error = method.fit(table, Context()).transform(table).values - truth
        return float(np.sqrt(np.mean((error[ge].mean(axis=0) - error[~ge].mean(axis=0)) ** 2)))

    longitudinal, plain = shift_left(LongitudinalCombat()), shift_left(Combat())
    assert longitudinal < 0.1 < 0.3 < plain


def test_patients_with_one_row_each_are_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="every patient has one"):
        LongitudinalCombat().fit(scanner_data(), Context())


def test_a_row_of_an_unknown_patient_gets_no_intercept() -> None:
    table = golden_table()
    method = LongitudinalCombat().fit(table, Context())
    row = table.rows([0])
    known, unknown = method.transform(row), method.transform(replace(row, patient=np.array(["stranger"])))
    assert not np.allclose(known.values, unknown.values)
    np.testing.assert_array_equal(unknown.values, method.transform(replace(row, patient=np.array(["another"]))).values)


def test_covariates_that_cannot_be_told_apart_are_named() -> None:
    table = golden_table()
    twice = replace(table, covariates={"time": table.covariates["time"], "again": 2 * table.covariates["time"]})
    with pytest.raises(DataError, match="'time' is determined by 'again' and the manufacturer"):
        LongitudinalCombat(covariates="all").fit(twice, Context())
