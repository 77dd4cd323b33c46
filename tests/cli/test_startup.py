from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "pandas", "sklearn", "radiomics", "scipy", "SimpleITK", "xgboost", "boruta", "matplotlib", "numpy")
CODE = """
import sys
from harmbench.cli import run_command
code = run_command({arguments!r})
import json
print(json.dumps([m for m in {heavy!r} if m in sys.modules]), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["list"], ["list", "--json"], ["info", "combat"], ["--version"], ["data", "list"],
     ["run", "--dry-run"]],
    ids=" ".join,
)  # fmt: skip
def test_asking_for_help_or_lists_imports_nothing_heavy(arguments):
    code = CODE.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.strip().splitlines()[-1]) == []
    assert done.stdout.strip()
