from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from harmbench.cli import run_command

TINY = str(Path(__file__).parents[1] / "tiny_plugin.py")


@pytest.fixture
def tiny_run(tiny_benchmark, tmp_path):
    """A command line that runs the tiny benchmark."""
    return ["run", "-b", str(tiny_benchmark), "--plugin", TINY, "-j", "1", "-o", str(tmp_path / "out")]


def test_run_prints_the_table_and_writes_the_leaderboard(tiny_run, tmp_path, capsys):
    assert run_command([*tiny_run, "-m", "center"]) == 0
    out, err = capsys.readouterr()
    for text in ("SYNTHETIC", "A tiny benchmark", "center", "none", "Per manufacturer", "made for tests", "95 %"):
        assert text in out
    assert "2 cells run" in err
    board = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    assert {r["method"] for r in board["rows"]} == {"none", "center"}
    assert (tmp_path / "out" / "leaderboard.md").read_text().startswith("# A tiny benchmark")
    rows = list(csv.DictReader((tmp_path / "out" / "leaderboard.csv").open()))
    assert {"gap", "class_gap"} == {r["metric"] for r in rows}
    assert all(r["synthetic"] == "True" for r in rows)


def test_run_json_is_one_document_on_stdout(tiny_run, capsys):
    assert run_command([*tiny_run, "-m", "center", "-m", "crashes", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert {c["method"]: c["status"] for c in document["cells"]} == {"none": "ok", "center": "ok", "crashes": "failed"}
    assert document["exit_code"] == 2
    assert document["leaderboard"]["synthetic"] is True


def test_a_failed_method_is_named_with_its_error_and_log(tiny_run, capsys):
    assert run_command([*tiny_run, "-m", "crashes"]) == 2
    out, err = capsys.readouterr()
    assert "crashes: failed: ZeroDivisionError: the sum of nothing" in err
    assert "log.txt" in err
    assert "Not run: crashes" in out
    assert "Traceback" not in out + err


def test_dry_run_lists_cells_with_keys_and_loads_nothing(tiny_run, tmp_path, capsys):
    assert run_command([*tiny_run, "-m", "center", "--dry-run", "--json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [c["method"] for c in cells] == ["none", "center"]
    assert all(len(c["key"]) == 16 for c in cells)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "-m", "ssl-kernle"], 1, "Did you mean 'ssl-kernel'"),
        (["run", "-b", "plax"], 1, "no benchmark 'plax'"),
        (["run", "--set", "combat.mean=1"], 1, "Did you mean 'mean_only'"),
        (["run", "-b", "bus-bra"], 1, "needs --data"),
        (["run", "-b", "plax-phantom", "-d", "x"], 1, "makes its own data"),
        (["run", "-d", "absent/manifest.csv"], 3, "manifest.csv"),
        (["run", "--only", "some"], 1, "--only takes"),
        (["run", "--seed", "x"], 1, "--seed"),
        (["frobnicate"], 1, "frobnicate"),
        (["list", "method"], 1, "Did you mean 'methods'"),
        (["info", "combt"], 1, "Did you mean 'combat'"),
        (["leaderboard", "show", "nowhere"], 3, "plan.json"),
        (["data", "describe"], 1, "Name a data set"),
        (["data", "generate", "bus-bra", "-o", "x"], 1, "read, not generated"),
        (["data", "describe", "plax-phantom", "--set", "pateints=3"], 1, "Did you mean 'patients'"),
    ],
)
def test_a_wrong_command_is_a_short_error_with_a_remedy_and_an_exit_code(arguments, code, message, capsys):
    assert run_command(arguments) == code
    out, err = capsys.readouterr()
    assert message in err
    assert "Traceback" not in out + err


def test_errors_are_json_too_when_json_is_asked_for(capsys):
    assert run_command(["run", "-m", "ssl-kernle", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["type"] == "UsageError"


def test_debug_shows_the_traceback():
    from harmbench.errors import UsageError

    with pytest.raises(UsageError):
        run_command(["run", "-m", "ssl-kernle", "--debug"])


@pytest.mark.parametrize("kind", ["methods", "extractors", "evaluators", "datasets", "benchmarks", "plugins"])
def test_every_list_is_json_too(kind, capsys):
    assert run_command(["list", kind, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document[kind]
    assert document["failures"] == []


@pytest.mark.parametrize("name", ["combat", "pyradiomics", "jsd", "plax-phantom", "jsd_conditional", "bus-bra"])
def test_info_tells_what_is_declared(name, capsys):
    assert run_command(["info", name]) == 0
    assert name in capsys.readouterr().out
    assert run_command(["info", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_doctor_reports_a_package_that_is_missing(capsys):
    assert run_command(["doctor", "--plugin", TINY, "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert any("needs a_module_that_is_not_there" in p for p in problems)


def test_doctor_does_not_call_an_extra_that_was_left_out_a_problem(monkeypatch, capsys):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "radiomics" else real(name, *a))
    assert run_command(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "optional: extractor pyradiomics needs radiomics (pip install 'harmbench[pyradiomics]')" in out
    assert "Nothing is wrong." in out


def test_doctor_is_content_with_what_ships(capsys):
    assert run_command(["doctor"]) == 0
    assert "Nothing is wrong." in capsys.readouterr().out


def test_data_list_describe_and_validate(capsys):
    assert run_command(["data", "list"]) == 0
    assert run_command(["data", "describe", "tiny", "--plugin", TINY]) == 0
    assert "24 images of 24 patients, 4 more for pairs" in capsys.readouterr().out
    assert run_command(["data", "validate", "tiny", "--plugin", TINY, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_leaderboard_show_and_build(tiny_run, tmp_path, capsys):
    run_command([*tiny_run, "-m", "center", "-m", "center[scale=2]"])
    capsys.readouterr()
    run = str(tmp_path / "out")
    assert run_command(["leaderboard", "show", run, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 3
    assert run_command(["leaderboard", "show", run, "-m", "center"]) == 0
    assert "scale=2" not in capsys.readouterr().out
    assert run_command(["leaderboard", "build", run, "-o", str(tmp_path / "board"), "--plugin", TINY]) == 0
    names = {p.name for p in (tmp_path / "board").iterdir()}
    boards = {f"leaderboard.{x}" for x in ("csv", "json", "tex")}
    assert names - {"figures"} == {"README.md", "index.html", "evidence.json"} | boards


def test_cache_info_and_clear(tiny_run, capsys):
    run_command([*tiny_run, "-m", "center"])
    capsys.readouterr()
    assert run_command(["cache", "info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kinds"]["features"]["entries"] == 28
    assert run_command(["cache", "clear"]) == 0
    assert "29 entries removed" in capsys.readouterr().out


def test_a_read_only_folder_is_an_error_with_a_remedy(tiny_run, tmp_path, capsys):
    (tmp_path / "out").write_text("a file is in the way")
    assert run_command([*tiny_run, "-m", "center"]) == 3
    assert "cannot be written" in capsys.readouterr().err


def test_a_verb_of_a_plugin_is_found(monkeypatch, capsys):
    from harmbench import plugins

    class Entry:
        name, value, dist = "tiny", "tiny_plugin", None

        def load(self):
            import tiny_plugin

            return tiny_plugin

    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: [Entry()])
    assert run_command(["tiny-hello"]) == 0
    assert "hello from tiny" in capsys.readouterr().out
