"""The kit inside pytest, as a plugin author uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLUGIN = Path(__file__).with_name("broken_harmonizers.py")
MODULE = """
from harmbench.testing import parametrize_with_checks

PLUGIN = {plugin!r}

@parametrize_with_checks(["honest", "prints"], plugins=[PLUGIN], expected_failed_checks={expected})
def test_conforms(check):
    check()

@parametrize_with_checks(["leaky-combat"])
def test_canary(check):
    check()

def test_fixtures(tiny_table, confounded_table, null_table):
    assert len(tiny_table) == 60 and len(tiny_table.manufacturers) == 3
    share = [confounded_table.label[confounded_table.manufacturer == m].mean() for m in ("GE", "Philips", "Siemens")]
    assert share == [0.2, 0.5, 0.8]
    assert len(null_table) == 180
"""


def run_pytest(folder: Path, expected: str, *arguments: str) -> str:
    (folder / "test_it.py").write_text(MODULE.format(plugin=str(PLUGIN), expected=expected))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "harmbench.testing.pytest_plugin", "-rA", "-q", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


def test_every_check_is_a_test_of_its_own_with_the_reason_of_its_failure(tmp_path):
    out = run_pytest(tmp_path, "None", "-k", "H06 or H15 or H17 or fixtures or H11")
    assert "PASSED test_it.py::test_fixtures" in out
    assert "PASSED test_it.py::test_conforms[honest-H17]" in out
    assert "FAILED test_it.py::test_conforms[prints-H17]" in out
    assert "H17: it writes on standard output: 'fitting'" in out
    assert "Drop the print" in out  # what a failure means and how to mend it
    assert "SKIPPED" in out and "not applicable: declared inductive=False" in out
    assert "XFAIL test_it.py::test_canary[leaky-combat-H11] - a canary leaks on purpose" in out


def test_an_expected_failure_is_an_xfail_and_must_fail(tmp_path):
    expected = "lambda subject: {'H17': 'a habit'} if subject.name == 'prints' else {'H06': 'we thought so'}"
    out = run_pytest(tmp_path, expected, "-k", "(honest and H06) or (prints and H17)")
    assert "XFAIL test_it.py::test_conforms[prints-H17] - a habit" in out
    assert "FAILED test_it.py::test_conforms[honest-H06]" in out and "XPASS(strict)" in out


def test_the_pytest_plugin_imports_nothing_heavy():
    code = (
        "import sys, harmbench.testing.pytest_plugin;"
        "print([m for m in ('numpy', 'pandas', 'scipy', 'pluggy_', 'harmbench.data') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
