"""`harmbench new`: packages that pass their own checks as they stand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from harmbench.cli import run_command

KINDS = {
    "harmonizer": ["harmonizer"],
    "image": ["harmonizer", "--stage", "image"],
    "extractor": ["extractor"],
    "evaluator": ["evaluator"],
    "dataset": ["dataset"],
}


def write(kind: str, folder: Path, *more: str) -> Path:
    name = f"fresh-{kind}"
    first, *options = KINDS[kind]
    assert run_command(["new", first, name, *options, "--dir", str(folder), *more]) == 0
    return folder / f"harmbench-{name}"


def environment(*paths: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, paths), *(p for p in sys.path if p)])}


def pretend_to_install(package: Path) -> None:
    """What pip leaves behind, beside the sources: metadata with the entry point."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    folder = package / "src" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    entries = "".join(f"{k} = {v}\n" for k, v in project["entry-points"]["harmbench"].items())
    (folder / "entry_points.txt").write_text(f"[harmbench]\n{entries}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_the_kit_before_it_is_installed(kind, tmp_path, capsys):
    package = write(kind, tmp_path)
    capsys.readouterr()
    assert run_command(["check", str(package), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert {r["subject"] for r in results} == {f"fresh-{kind}"}
    assert sum(r["status"] == "passed" for r in results) >= 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_own_tests_once_it_is_installed(kind, tmp_path):
    package = write(kind, tmp_path)
    pretend_to_install(package)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "harmbench.testing.pytest_plugin"],
        cwd=package,
        env=environment(package / "src"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_a_new_method_and_extractor_run_in_a_benchmark(tmp_path, tiny_benchmark):
    method, extractor = write("harmonizer", tmp_path), write("extractor", tmp_path)
    tiny = str(Path(__file__).parents[1] / "tiny_plugin.py")
    plugins = [word for path in (tiny, str(method), str(extractor)) for word in ("--plugin", path)]
    out = tmp_path / "out"
    command = ["run", "-b", str(tiny_benchmark), *plugins, "--extractor", "fresh-extractor", "-j", "1", "-o", str(out)]
    assert run_command([*command, "-m", "fresh-harmonizer"]) == 0
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert {r["status"] for r in records} == {"ok"}
    assert {r["features"] for r in records} == {5}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["harmonizer", "extractor"])
def test_a_new_package_installs_with_pip_and_is_found(kind, tmp_path):
    package = write(kind, tmp_path)
    target = tmp_path / "site"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(package)], check=True)
    code = f"from harmbench.cli import run_command; raise SystemExit(run_command(['check', 'fresh-{kind}']))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(target), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"fresh-{kind}: " in done.stdout


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("MIT", "Permission is hereby granted"),
        ("BSD-3-Clause", "Redistribution and use"),
        ("Apache-2.0", "Version 2.0"),
    ],
)
def test_the_licence_is_written_out_and_declared(tmp_path, licence, words):
    package = write("harmonizer", tmp_path, "--licence", licence, "--author", "Ada L.")
    assert words in (package / "LICENSE").read_text()
    assert tomllib.loads((package / "pyproject.toml").read_text())["project"]["license"] == licence
    assert licence == "Apache-2.0" or "Ada L." in (package / "LICENSE").read_text()


def test_without_a_licence_none_is_declared(tmp_path):
    package = write("harmonizer", tmp_path, "--licence", "none")
    assert not (package / "LICENSE").exists()
    assert "license" not in tomllib.loads((package / "pyproject.toml").read_text())["project"]


def test_the_next_steps_are_printed_and_are_json_too(tmp_path, capsys):
    package = write("harmonizer", tmp_path / "a")
    out = capsys.readouterr().out
    assert f"cd {package}" in out and "pip install -e '.[test]'" in out and "harmbench check fresh-harmonizer" in out
    write("harmonizer", tmp_path / "b", "--json")
    document = json.loads(capsys.readouterr().out)
    assert ".gitignore" in document["files"] and "src/harmbench_fresh_harmonizer/method.py" in document["files"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["harmoniser", "x"], "Did you mean 'harmonizer'"),
        (["harmonizer", "MyMethod"], "Try 'my-method'"),
        (["harmonizer", "my_method"], "Try 'my-method'"),
        (["harmonizer", "2d"], "small letters"),
        (["harmonizer", "harmbench-x"], "Leave 'harmbench-' out"),
        (["harmonizer", "combat"], "registered already"),
        (["harmonizer", "lambda"], "word of Python"),
        (["harmonizer", "x", "--stage", "both"], "--stage both"),
        (["harmonizer", "x", "--licence", "mit"], "Known: Apache-2.0, BSD-3-Clause, MIT"),
        (["harmonizer", "x", "--author", 'A "B" C'], "no quotes"),
    ],
)
def test_a_bad_name_or_option_is_refused_with_a_remedy(tmp_path, capsys, arguments, message):
    assert run_command(["new", *arguments, "--dir", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_not_touched(tmp_path, capsys):
    (tmp_path / "harmbench-fresh-harmonizer").mkdir()
    assert run_command(["new", "harmonizer", "fresh-harmonizer", "--dir", str(tmp_path)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert list((tmp_path / "harmbench-fresh-harmonizer").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert run_command(["new", "harmonizer", "fresh-harmonizer", "--dir", str(tmp_path / "file")]) == 3
    assert "--dir" in capsys.readouterr().err
