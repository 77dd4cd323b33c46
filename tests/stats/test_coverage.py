"""Intervals hold the truth and tests keep their level: the table of docs/statistics.md, asserted."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage.py"
spec = importlib.util.spec_from_file_location("coverage_study", SCRIPT)
assert spec is not None and spec.loader is not None
coverage = importlib.util.module_from_spec(spec)
sys.modules["coverage_study"] = coverage
spec.loader.exec_module(coverage)

CONSERVATIVE = ("JSD", "rank interval", "permutation", "Benjamini")
"""May be better than their level: above the coverage, below the rate of false findings."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(coverage.STUDIES))
def test_rates_are_what_they_should_be(name: str):
    for rate in coverage.study(name):
        if rate.nominal is None:
            continue
        # Three standard errors of the simulation, and two points for what asymptotic intervals miss at these sizes.
        room = 1.5 * max(rate.error, 2 * (rate.nominal * (1 - rate.nominal) / rate.simulations) ** 0.5) + 0.02
        low, high = rate.nominal - room, rate.nominal + room
        if rate.name.startswith(CONSERVATIVE):
            low, high = (low, 1.0) if rate.quantity == "coverage" else (0.0, high)
        assert low <= rate.rate <= high, rate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "naive", "least"),
    [
        ("auc", "AUC: row bootstrap, naive", 0.05),
        ("permutation", "permutation across labels, naive", 0.15),
        ("discovery", "p <= 0.05, naive", 0.15),
        ("cross-validation", "repeated CV: plain t over 25 folds, naive", 0.15),
    ],
)
def test_without_the_precaution_the_rates_are_far_off(name: str, naive: str, least: float):
    found = [rate for rate in coverage.study(name, quick=True) if rate.name == naive]
    assert len(found) == 1
    missed = 0.95 - found[0].rate if found[0].quantity == "coverage" else found[0].rate - 0.05
    assert missed > least


def test_two_standard_errors_are_those_of_a_share():
    rate = coverage.Rate("x", "coverage", 0.95, 0.9, 100)
    assert rate.error == pytest.approx(2 * (0.9 * 0.1 / 100) ** 0.5)
