"""`harmbench check`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harmbench.cli import run_command

BROKEN = str(Path(__file__).parents[1] / "testing" / "broken_harmonizers.py")
FEW = ["--only", "H01,H06,H17"]


def test_a_component_that_passes_is_shown_check_by_check(capsys):
    assert run_command(["check", "combat", *FEW]) == 0
    out = capsys.readouterr().out
    assert "combat: 3 passed" in out
    assert "H06    the input is not written into" in out


def test_parameters_in_brackets_are_checked(capsys):
    assert run_command(["check", "combat[mean_only=true]", *FEW]) == 0
    assert "combat[mean_only=true]: 3 passed" in capsys.readouterr().out


def test_a_failure_is_exit_code_2_with_the_reason_and_where_to_read_on(capsys):
    assert run_command(["check", "prints", "--plugin", BROKEN, *FEW]) == 2
    out, err = capsys.readouterr()
    assert "failed: it writes on standard output: 'fitting'" in out
    assert "harmbench check --explain H17" in err


def test_a_file_is_checked_with_all_that_it_registers(capsys):
    assert run_command(["check", BROKEN, "--only", "H17", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    failed = {r["subject"] for r in document["results"] if r["status"] == "failed"}
    assert failed == {"prints", "prints-from-c", "stage-that-prints", "transposes"}  # the last one cannot even run
    assert document["exit_code"] == 2 and document["failed"] == 4


def test_what_a_component_prints_stays_out_of_the_json(tmp_path):
    """In a process of its own: pytest's capture would hide what compiled code writes."""
    command = "from harmbench.cli import main; main()"
    arguments = ["check", "prints", "prints-from-c", "--plugin", BROKEN, "--only", "H03", "--json"]
    done = subprocess.run([sys.executable, "-c", command, *arguments], capture_output=True, text=True, check=False)
    assert {r["status"] for r in json.loads(done.stdout)["results"]} == {"passed"}
    assert "fitting" in done.stderr


def test_a_reason_that_many_checks_share_is_told_once(capsys):
    assert run_command(["check", "nested-combat", "--only", "H01,H03,H04"]) == 0
    out = capsys.readouterr().out
    assert out.count("needs acquisition covariates") == 1
    assert next(line for line in out.splitlines() if " H04 " in line).endswith("not applicable: as H03")


def test_markdown_is_a_table_per_component(capsys):
    assert run_command(["check", "none", "combat", "--markdown", *FEW]) == 0
    out = capsys.readouterr().out
    assert "## none\n\n3 passed.\n\n| check | what | result | reason |" in out
    assert "| H17 | nothing is written on standard output | passed |  |" in out


def test_expected_failures_are_read_from_a_file(tmp_path, capsys):
    file = tmp_path / "expected.toml"
    file.write_text('[prints]\nH17 = "it always did"\n')
    command = ["check", "prints", "--plugin", BROKEN, *FEW, "--expected-failures", str(file)]
    assert run_command(command) == 0
    assert "expected failure: it always did (it writes on standard output" in capsys.readouterr().out
    file.write_text('[prints]\nH06 = "we thought so"\n')
    assert run_command(command) == 2
    assert "unexpected pass: was expected to fail (we thought so)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no such file"),
        ("[prints", "not valid TOML"),
        ('[prints]\nH99 = "x"\n', "no check 'H99'"),
        ("[prints]\nH17 = 1\n", "the reason"),
        ('[prnts]\nH17 = "x"\n', "Did you mean 'prints'"),
    ],
)
def test_a_wrong_file_of_expected_failures_is_refused(tmp_path, capsys, text, message):
    file = tmp_path / "expected.toml"
    if text is not None:
        file.write_text(text)
    assert run_command(["check", "prints", "--plugin", BROKEN, "--expected-failures", str(file)]) == 1
    assert message in capsys.readouterr().err


def test_what_is_not_installed_is_told_in_a_line_and_nothing_ran(capsys):
    assert run_command(["check", "needs-the-moon", "--plugin", BROKEN]) == 3
    out = capsys.readouterr().out
    assert "needs-the-moon: no check applies: not installed: needs a_module_that_is_not_there" in out


@pytest.mark.parametrize("id_", ["H11", "E08", "V06", "D07"])
def test_a_check_explains_itself_and_how_to_mend_it(id_, capsys):
    assert run_command(["check", "--explain", id_]) == 0
    out = capsys.readouterr().out
    assert out.startswith(id_) and "Fails" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name what to check"),
        (["combt"], "Did you mean 'combat'"),
        (["combat", "--all"], "not both"),
        (["combat", "--only", "H99"], "no check 'H99'"),
        (["combat", "--kind", "harmoniser"], "Did you mean 'harmonizer'"),
        (["combat[meanonly=true]"], "Did you mean 'mean_only'"),
        (["nowhere/plugin.py"], "no such file"),
        (["--explain", "X1"], "no check 'X1'"),
    ],
)
def test_a_wrong_command_is_a_short_error_with_a_remedy(arguments, message, capsys):
    assert run_command(["check", *arguments]) == 1
    assert message in capsys.readouterr().err
