"""What the page is made of is in an installed harmbench, too."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from harmbench.leaderboard.page import build

ROOT = Path(__file__).resolve().parents[2]


def test_a_wheel_holds_every_style_and_script():
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("not run from a source tree")
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["harmbench"]
    held = {path for pattern in patterns for path in (ROOT / "harmbench").glob(pattern)}
    assets = set((ROOT / "harmbench" / "leaderboard" / "page" / "assets").iterdir())
    assert {p.name for p in assets} == {*build.STYLES, *build.SCRIPTS}  # nothing that is not used, either
    assert assets <= held
