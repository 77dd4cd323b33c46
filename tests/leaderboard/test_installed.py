"""What the page is made of is in an installed harmbench, too."""

from __future__ import annotations

from pathlib import Path

import pytest
from setuptools import Distribution

from harmbench.leaderboard.page import build

ROOT = Path(__file__).resolve().parents[2]


def test_a_wheel_holds_every_style_and_script(monkeypatch, tmp_path):
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("not run from a source tree")
    monkeypatch.chdir(ROOT)
    distribution = Distribution({"script_name": "setup.py"})
    distribution.parse_config_files([str(ROOT / "pyproject.toml")])
    command = distribution.get_command_obj("build_py")
    command.build_lib = str(tmp_path)
    command.ensure_finalized()
    held = {name for package, _, _, names in command.data_files if package == "harmbench" for name in names}
    beside = {p.name for p in (ROOT / "harmbench" / "leaderboard" / "page" / "assets").iterdir()}
    assert beside == {*build.STYLES, *build.SCRIPTS}  # nothing that is not used, either
    for name in beside:
        assert f"leaderboard/page/assets/{name}" in held
