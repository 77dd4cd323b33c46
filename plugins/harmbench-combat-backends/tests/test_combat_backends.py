"""Each package that is installed passes the kit and gives its own numbers to rows that it has never seen."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from harmbench import Context
from harmbench.plugins import build_registry
from harmbench.testing import parametrize_with_checks
from harmbench_combat_backends.__main__ import simulated
from harmbench_combat_backends.affine import NotAffine, lines_through
from harmbench_combat_backends.methods import CombatLearn, InMoose, NeuroCombat, NeuroHarmonize

METHODS = ["combat-neurocombat", "combat-neuroharmonize", "combat-combatlearn", "combat-inmoose"]
CLASSES = {"neuroCombat": NeuroCombat, "neuroHarmonize": NeuroHarmonize, "combatlearn": CombatLearn, "inmoose": InMoose}


@parametrize_with_checks(METHODS)
def test_each_method_conforms(check):
    check()


@pytest.mark.parametrize("package", CLASSES)
def test_training_rows_come_out_as_the_package_gives_them(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    table = simulated(40, 20)
    method = CLASSES[package]()
    given = method.harmonize(table.values.copy(), table.manufacturer, table.samples)
    ours = method.fit(table, Context()).transform(table).values
    np.testing.assert_allclose(ours, given, atol=1e-9)


@pytest.mark.parametrize("package", ["neuroCombat", "neuroHarmonize"])
def test_packages_that_follow_r_equal_the_built_in_combat(package):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    from harmbench.methods import parse_method

    table = simulated(60, 25)
    own = parse_method("combat", build_registry()).features[0].build().fit(table, Context()).transform(table)
    theirs = CLASSES[package]().fit(table, Context()).transform(table)
    np.testing.assert_allclose(theirs.values, own.values, atol=1e-9)


@pytest.mark.parametrize(("package", "least"), [("combatlearn", 0.05), ("inmoose", 0.005)])
def test_packages_that_do_not_follow_r_differ_from_the_built_in_combat(package, least):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    from harmbench.methods import parse_method

    table = simulated(48, 12)
    own = parse_method("combat", build_registry()).features[0].build().fit(table, Context()).transform(table)
    theirs = CLASSES[package]().fit(table, Context()).transform(table)
    assert (np.abs(theirs.values - own.values) / table.values.std(axis=0)).max() > least


def test_a_map_that_is_no_line_is_refused():
    table = simulated(10, 10)
    with pytest.raises(NotAffine, match="'GE'"):
        lines_through(table.values, table.values**3, table.manufacturer, "a package")


def test_the_lines_are_those_that_were_drawn():
    raw = np.array([[1.0], [2.0], [3.0], [5.0]])
    maker = np.array(["a", "a", "b", "b"])
    lines = lines_through(raw, np.array([[2.0], [4.0], [4.0], [5.0]]), maker, "a package")
    assert (lines.slope["a"].item(), lines.offset["a"].item()) == (2.0, 0.0)
    assert (lines.slope["b"].item(), lines.offset["b"].item()) == (0.5, 2.5)
    assert lines.apply(np.array([[10.0]]), np.array(["b"])).item() == 7.5


def test_a_package_that_is_absent_is_not_installed_and_not_broken():
    registry = build_registry()
    assert set(METHODS) <= set(registry.harmonizers.entries)
    assert not [f for f in registry.failures if "combat-backends" in str(f)]


def test_the_table_of_differences_has_a_line_for_every_package_there_is():
    done = subprocess.run([sys.executable, "-m", "harmbench_combat_backends"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    there = [p for p in CLASSES if importlib.util.find_spec(p) is not None]
    lines = done.stdout.splitlines()
    assert len(lines) == 2 + len(there)
    assert all(any(line.startswith(f"| {p} |") for line in lines) for p in there)
