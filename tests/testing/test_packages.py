"""The example packages are packages of their own, and no part of harmbench's distribution."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from setuptools import find_packages

from harmbench.testing import find_subjects, run_checks

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted((ROOT / "plugins").glob("harmbench-*"))


def test_harmbench_ships_itself_and_the_built_ins_only():
    find = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    found = {
        name.partition(".")[0]
        for where in find["where"]
        for name in find_packages(str(ROOT / where), exclude=find["exclude"], include=find["include"])
    }
    assert found == {"harmbench", "harmbench_builtin"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_an_example_package_is_complete(package):
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["name"] == package.name
    assert project["entry-points"]["harmbench"]
    assert any(line.startswith("harmbench>=") for line in project["dependencies"])
    assert list((package / "tests").glob("test_*.py"))
    readme = (package / "README.md").read_text()
    assert readme.startswith(f"# {package.name}\n") and "harmbench check" in readme


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_an_example_package_registers_from_its_folder_what_passes_without_its_libraries(package):
    subjects = find_subjects((), [str(package)])
    assert subjects
    for subject in subjects:
        results = list(run_checks(subject, only=["H01", "H02", "H19", "E01", "E02", "E11"]))
        assert [r for r in results if r.bad] == []
        assert subject.origin is not None and subject.origin.distribution == f"{package.name} (source folder)"
