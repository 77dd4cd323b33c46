"""Each deliberately broken harmonizer is caught by the check that asks about its fault; the honest ones pass all."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from harmbench.testing import find_subjects, run_checks

PLUGIN = str(Path(__file__).with_name("broken_harmonizers.py"))
CAUGHT = [
    ("fits-at-transform", "H08", "alone differs"),
    ("updates-its-state", "H09", "after test rows were transformed"),
    ("peeks-at-label", "H10", "where the table holds a label"),
    ("uses-undeclared-label", "H10", "uses_label='no' is declared"),
    ("keeps-every-covariate", "H10", "'grade', which no parameter names"),
    ("remembers-labels", "H11", "on pure noise"),
    ("transposes", "H03", "ValueError"),
    ("scrambles", "H04", "shuffled rows"),
    ("sorts-rows", "H03", "samples changed"),
    ("sorts-values", "H04", "shuffled rows"),
    ("recodes-categories", "H08", "alone differs"),
    ("mutates-at-fit", "H06", "fit writes"),
    ("mutates-at-transform", "H06", "transform writes"),
    ("global-random", "H07", "two calls"),
    ("shared-state", "H07", "fitted on other rows changed this one"),
    ("hash-order", "H07", "a fresh process gives other numbers"),
    ("log-of-negatives", "H03", "non-finite"),
    ("renames-columns", "H03", "other names"),
    ("drops-columns", "H03", "12 in, 11 out"),
    ("float32", "H03", "float32"),
    ("changes-manufacturers", "H03", "manufacturer changed"),
    ("mixes-columns", "H05", "shuffled columns"),
    ("learns-from-three-rows", "H12", "makes manufacturers differ"),
    ("rounds", "H12", "rank correlation"),
    ("adds-the-shift", "H13", "still differ"),
    ("rounds", "H14", "falls from"),
    ("key-error-for-new", "H15", "raises KeyError"),
    ("silent-for-new", "H15", "handles_unseen_manufacturer=False"),
    ("claims-to-know-new", "H15", "handles_unseen_manufacturer=True"),
    ("singular-for-one-row", "H16", "one training row: LinAlgError"),
    ("nan-for-one-row", "H16", "one training row"),
    ("prints", "H17", "'fitting'"),
    ("prints-from-c", "H17", "'fitting'"),
    ("holds-a-lambda", "H18", "cannot be pickled"),
    ("hidden-parameter", "H19", "'secret'"),
    ("no-summary", "H01", "summary is empty"),
    ("not-a-reference", "H01", "our paper"),
    ("wants-pytest", "H20", "imports pytest"),
    ("stage-with-other-names", "H03", "other names"),
    ("stage-with-memory", "H04", "after others"),
    ("stage-with-memory", "H09", "after others were transformed"),
    ("stage-that-mutates", "H06", "writes into the pixels"),
    ("stage-that-fits-in-secret", "H09", "fits=False"),
    ("stage-that-uses-labels", "H10", "where there is a label"),
    ("stage-that-remembers-labels", "H11", "without signal"),
    ("stage-that-is-too-modest", "H15", "declare handles_unseen_manufacturer=True"),
    ("stage-that-divides-by-zero", "H16", "one grey level"),
    ("stage-that-prints", "H17", "'filtering'"),
    ("stage-that-holds-a-lambda", "H18", "cannot be pickled"),
    ("stage-with-a-wrong-bank", "H21", "differ"),
]


def subject(name):
    (found,) = find_subjects([name], [PLUGIN])
    return found


@pytest.mark.parametrize(("name", "check", "reason"), CAUGHT, ids=lambda v: v if isinstance(v, str) else "")
def test_a_broken_harmonizer_is_caught_by_the_check_that_should(name, check, reason):
    (result,) = run_checks(subject(name), only=[check])
    assert result.status == "failed"
    assert reason in result.reason


@pytest.mark.parametrize("name", ["honest", "honest-stage"])
def test_the_honest_ones_they_derive_from_pass_everything(name):
    results = list(run_checks(subject(name)))
    assert [r.check for r in results if r.status == "failed"] == []
    assert sum(r.status == "passed" for r in results) >= len(results) - 2


@pytest.mark.parametrize(("package", "caught"), [("numpy", True), ("json", False)])
def test_a_heavy_import_at_registration_is_caught(tmp_path, package, caught):
    name = f"imports_{package}"
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1"\n[project.entry-points.harmbench]\nx = "{name}"\n'
    )
    (tmp_path / f"{name}.py").write_text(
        f"import {package}\nfrom harmbench import HarmonizerSpec, hookimpl\n\n@hookimpl\ndef register_harmonizers():\n"
        f'    return [HarmonizerSpec(name="imports-{package}", target="{name}:X", version="1", stage="feature", '
        'summary="x")]\n'
    )
    (found,) = find_subjects((), [str(tmp_path)])
    (result,) = run_checks(found, only=["H02"])
    assert (result.status == "failed") is caught
    assert not caught or "registering imports numpy" in result.reason


def test_leaky_combat_fails_the_leak_checks_and_is_expected_to():
    (found,) = find_subjects(["leaky-combat"])
    results = {r.check: r for r in run_checks(found)}
    assert {"H09", "H10", "H11"} == {k for k, r in results.items() if r.status == "expected failure"}
    assert "AUC within manufacturers is 0.7" in results["H11"].reason
    assert results["canary"].status == "passed"
    assert not any(r.bad for r in results.values())


def test_a_canary_that_no_check_catches_is_no_canary():
    results = {r.check: r for r in run_checks(subject("harmless-canary"))}
    assert results["canary"].status == "failed"


def test_what_is_not_installed_is_not_checked():
    results = list(run_checks(subject("needs-the-moon")))
    assert {r.status for r in results} == {"not applicable"}
    assert "a_module_that_is_not_there" in results[0].reason


def test_what_the_plugin_expects_to_fail_is_an_expected_failure_with_its_reason():
    (result,) = run_checks(subject("other-default"), only=["H01"])
    assert result.status == "expected failure"
    assert result.reason.startswith("kept for old users (")


def test_an_expected_failure_that_passes_is_bad():
    (result,) = run_checks(subject("honest"), {"H06": "we thought so"}, ["H06"])
    assert result.status == "unexpected pass" and result.bad
    assert "take it off the list" in result.reason


def test_the_kit_runs_where_a_spec_is_handed_over():
    from harmbench.testing import check_harmonizer

    spec = subject("honest").spec
    checks = dict(check_harmonizer(spec))
    assert list(checks) == [f"H{i:02d}" for i in range(1, 21)]
    checks["H06"]()


def test_the_tolerance_of_the_null_leak_test_is_that_of_the_auc_it_measures():
    """Honest features on many data sets: the spread predicted from the group sizes is the one that is seen."""
    import numpy as np

    from harmbench.testing.measures import within_manufacturer
    from harmbench.testing.tables import CONFOUNDED, simulate

    found = [
        within_manufacturer(
            [simulate("spread", dict.fromkeys(CONFOUNDED, 48), 100, prevalence=CONFOUNDED, shift=1.0, seed=seed)],
            lambda train, test: (train, test),
            3,
        )
        for seed in range(60)
    ]
    values = np.array([f.value for f in found])
    assert abs(values.mean() - 0.5) < 3 * found[0].null_sd / np.sqrt(60)
    assert 0.7 < values.std(ddof=1) / found[0].null_sd < 1.3


@pytest.mark.skipif(importlib.util.find_spec("neuroCombat") is None, reason="neuroCombat is not installed")
def test_an_import_that_spec_requires_is_allowed():
    from harmbench.testing.imports import allowed_distributions

    assert "neurocombat" not in allowed_distributions("", ())
    assert "neurocombat" in allowed_distributions("", ("neuroCombat (pip install neuroCombat)",))
    assert {"numpy", "python-dateutil"} <= allowed_distributions("", ())
