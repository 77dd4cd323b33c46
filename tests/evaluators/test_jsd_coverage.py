"""Do 95 % intervals of the class-conditional JSD hold the truth? The table in docs/metrics.md, smaller."""

from __future__ import annotations

import numpy as np
import pytest

import builders
from harmbench.data import FeatureTable
from harmbench.stats.bootstrap import interval, patient_resamples
from harmbench_builtin.evaluators.jsd import corrected_replicates
from harmbench_builtin.evaluators.manufacturer_divergence import ManufacturerDivergence


def simulated(rng: np.random.Generator, large: int, small: int, shift: float, p: int = 5) -> FeatureTable:
    table = builders.table(large + small, p, ratio=large / small)
    shared = rng.normal(size=(len(table), 1)) * np.sqrt(0.3)
    values = shared + rng.normal(size=(len(table), p)) * np.sqrt(0.7)
    return table.with_values(values + shift * (table.manufacturer == "Philips")[:, None])


def corrected(table: FeatureTable, replicates: int, seed: int) -> tuple[float, np.ndarray]:
    engine = ManufacturerDivergence(table, seed=seed)
    estimate = engine.estimate("conditional", p_values=False)
    value, subtracted = float(estimate.corrected.mean()), float(estimate.bias.mean())
    weights = patient_resamples(table.patient, table.manufacturer, table.label, replicates, seed)
    raw = engine.replicates("conditional", weights, np.ones((1, len(table.features)), bool))[:, 0].mean(axis=0)
    return value, corrected_replicates(engine, raw, value, subtracted)


@pytest.mark.parametrize(("large", "small"), [(160, 40), (400, 100)])
def test_an_interval_holds_its_own_estimate_also_when_features_tell_manufacturers_apart(large, small):
    rng = np.random.default_rng(1)
    for shift in (0.0, 0.5, 1.5):
        value, replicates = corrected(simulated(rng, large, small, shift), 200, 1)
        low, high = interval(replicates)
        assert low <= value <= high


@pytest.mark.slow
@pytest.mark.parametrize(("large", "small"), [(160, 40), (400, 100)])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_intervals_hold_the_truth_at_least_nine_times_in_ten(large, small, shift):
    rng = np.random.default_rng(2)
    big = simulated(rng, 20000, 20000, shift, p=2)
    truth = float(ManufacturerDivergence(big).estimate("conditional", p_values=False).raw.mean())
    held = 0
    for i in range(40):
        low, high = interval(corrected(simulated(rng, large, small, shift), 300, i)[1])
        held += bool(low <= truth <= high)
    assert held >= 34  # of 40: the lower bound of 0.95 at 40 draws, p = 0.01
