"""A run says which distribution each of its parts came from; plugins can be named, left out, traced and made strict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harmbench import plugins
from harmbench.cli import run_command
from harmbench.errors import PluginError, UsageError
from harmbench.plugins import build_registry

TINY = str(Path(__file__).parents[1] / "tiny_plugin.py")
METHOD = """
from harmbench import HarmonizerSpec, hookimpl

class Same:
    def fit(self, table, context):
        return self

    def transform(self, table):
        return table

@hookimpl
def register_harmonizers():
    return [HarmonizerSpec(name="same-again", target="same_plugin:Same", version="7", stage="feature", summary="same")]
"""


@pytest.fixture
def package(tmp_path):
    """The source folder of a plugin package that is not installed."""
    root = tmp_path / "harmbench-same"
    (root / "src").mkdir(parents=True)
    (root / "src" / "same_plugin.py").write_text(METHOD)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "harmbench-same"\nversion = "3.2"\n[project.entry-points.harmbench]\nsame = "same_plugin"\n'
    )
    return root


def test_a_run_records_the_distribution_of_every_method_and_component(package, tiny_benchmark, tmp_path):
    out = tmp_path / "out"
    command = ["run", "-b", str(tiny_benchmark), "--plugin", TINY, "--plugin", str(package), "-j", "1", "-o", str(out)]
    assert run_command([*command, "-m", "same-again"]) == 0
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    by_method = {r["method"]: r["stages"][0] for r in records}
    assert by_method["same-again"]["distribution"] == "harmbench-same (source folder) 3.2"
    assert by_method["same-again"]["version"] == "7"
    assert by_method["none"]["distribution"].startswith("harmbench 0.")
    (environment,) = json.loads((out / "environment.json").read_text())
    assert environment["facts"]["components"]["extractor mean-and-sd"].startswith("unpackaged file tiny_plugin.py ")
    assert {"data set tiny", "evaluator gap"} <= set(environment["facts"]["components"])
    same = {"name": "same", "distribution": "harmbench-same (source folder)", "version": "3.2"}
    assert same in environment["plugins"]


def test_methods_of_a_source_folder_run_in_worker_processes(package, tiny_benchmark, tmp_path):
    command = ["run", "-b", str(tiny_benchmark), "--plugin", TINY, "--plugin", str(package), "-j", "2"]
    assert run_command([*command, "-o", str(tmp_path / "out"), "-m", "same-again"]) == 0


def test_a_source_folder_takes_the_place_of_the_installed_package(package, monkeypatch):
    class Entry:
        name, value, dist = "same", "same_plugin", None

        def load(self):
            raise AssertionError("the installed one must not be loaded")

    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: [Entry()])
    registry = build_registry([package])
    assert str(registry.harmonizers.origin("same-again")) == "harmbench-same (source folder) 3.2"
    assert registry.failures == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has no pyproject.toml"),
        ("[project", "not valid TOML"),
        ('[project]\nname = "x"\n', "no entry point of the group 'harmbench'"),
    ],
)
def test_a_folder_that_is_no_plugin_is_refused_with_a_remedy(tmp_path, text, message):
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        build_registry([tmp_path])


def test_strict_is_an_option_of_every_command_too(monkeypatch, capsys):
    class Entry:
        name, value, dist = "broken", "no_such_module_anywhere", None

        def load(self):
            raise ModuleNotFoundError("no_such_module_anywhere")

    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: [Entry()])
    monkeypatch.delenv("HARMBENCH_STRICT", raising=False)
    assert run_command(["list", "methods"]) == 0
    assert "not loaded: plugin 'broken'" in capsys.readouterr().err
    assert run_command(["list", "methods", "--strict"]) == 3
    assert "plugin 'broken' of unknown distribution failed to load" in capsys.readouterr().err
    assert run_command(["list", "methods"]) == 0  # the option is for one command only


@pytest.mark.parametrize("value", ["none", "", " none "])
def test_none_loads_no_plugin_but_the_built_ins(monkeypatch, value):
    class Entry:
        name, value, dist = "other", "no_such_module_anywhere", None

        def load(self):
            raise AssertionError("must not be loaded")

    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: [Entry()])
    monkeypatch.setenv("HARMBENCH_PLUGINS", value)
    registry = build_registry()
    assert registry.failures == [] and [o.plugin for o in registry.origins] == ["builtin"]


def test_a_plugin_that_is_asked_for_and_not_there_is_a_failure_that_is_told(monkeypatch):
    monkeypatch.setattr(plugins.importlib.metadata, "entry_points", lambda group: [])
    monkeypatch.setenv("HARMBENCH_PLUGINS", "absent")
    (failure,) = build_registry().failures
    assert "HARMBENCH_PLUGINS" in str(failure) and "absent" in str(failure)
    monkeypatch.setenv("HARMBENCH_STRICT", "1")
    with pytest.raises(PluginError, match="absent"):
        build_registry()


def test_trace_names_hook_arguments_plugin_and_distribution(monkeypatch, capsys, tiny_benchmark, tmp_path):
    monkeypatch.setenv("HARMBENCH_TRACE", "1")
    command = ["run", "-b", str(tiny_benchmark), "--plugin", TINY, "-j", "1", "-o", str(tmp_path / "out")]
    assert run_command([*command, "-m", "center"]) == 0
    err = capsys.readouterr().err
    assert "harmbench: register_evaluators() -> tiny_plugin of unpackaged file tiny_plugin.py" in err
    assert "harmbench: on_cell_finished(record) -> tiny_plugin" in err
