"""What ships passes the kit, whatever is registered; exceptions are declared beside the plugin, with reasons."""

from __future__ import annotations

import pytest

from harmbench.testing import find_subjects, run_checks

SLOW = {"entropic-ot", "gmm-combat", "opnested-minus-gmm-combat", "lvh-auc", "manufacturer-predictability"}
"""Forests, boosted trees, optimal transport, mixtures (which `opnested-plus-gmm-combat` has too): the longest."""
SMALLER = {"plax-phantom": "plax-phantom[patients=40,paired=4]", "autocombat": "autocombat[max_clusters=3]"}
"""Done in seconds."""
NAMED = {
    "combat-gam": "combat-gam[smooth=age]",
    "recombat": "recombat[covariates=age]",
    "nested-combat": "nested-combat[batches=sex]",
    "opnested-combat": "opnested-combat[batches=sex]",
}
"""With the covariates that they need, which nobody but the user can name: without, no check can be run."""


def _subjects():
    for subject in find_subjects():
        target = {**SMALLER, **NAMED}.get(subject.spec.name)
        found = find_subjects([target])[0] if target else subject
        marks = [pytest.mark.slow] if subject.spec.name in SLOW | {"plax-phantom"} else []
        yield pytest.param(found, id=found.name, marks=marks)


@pytest.mark.parametrize("subject", list(_subjects()))
def test_what_ships_passes_the_kit(subject):
    results = list(run_checks(subject))
    assert [f"{r.check} {r.status}: {r.reason}" for r in results if r.bad] == []


def test_declared_exceptions_belong_to_components_that_are_registered():
    from harmbench_builtin.plugin import expected_failed_checks

    names = {s.spec.name for s in find_subjects()}
    assert set(expected_failed_checks) <= names
    assert all(reason for checks in expected_failed_checks.values() for reason in checks.values())
