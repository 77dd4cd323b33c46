"""The guide and the kit's reference say what the code is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harmbench.cli import run_command
from harmbench.testing.kit import ALL

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "plugins" / "harmbench-median-align"
BLOCKS = re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", GUIDE, flags=re.M | re.S)


@pytest.mark.parametrize("file", sorted({file for file, _ in BLOCKS}))
def test_the_guide_writes_the_package_line_by_line(file):
    def lines(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.strip()]

    written = [line for name, text in BLOCKS if name == file for line in lines(text)]
    assert written == lines((PACKAGE / file).read_text(encoding="utf-8"))


def test_the_guide_shows_every_file_with_code_in_it():
    files = {p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py") if p.name != "__init__.py"}
    files = {f for f in files if not f.startswith(("build/", ".venv/"))}
    assert files | {"pyproject.toml"} == {file for file, _ in BLOCKS}


def test_the_ten_lines_of_the_guide_pass_the_kit(tmp_path, capsys):
    code = re.search(r"```python\n# robust_z.py\n(.*?)```", GUIDE, flags=re.S)
    assert code
    path = tmp_path / "robust_z_of_the_guide.py"
    path.write_text(code[1])
    assert run_command(["check", str(path)]) == 0
    assert "robust-z: 19 passed, 1 not applicable" in capsys.readouterr().out


def test_every_check_is_in_the_reference_with_what_it_means():
    text = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    rows = [
        tuple(cell.strip() for cell in line.split("|")[1:4]) for line in text.splitlines() if line.startswith("| `")
    ]
    wanted = [
        (f"`{c.id}`", c.title, c.help.split("\n\n")[0].replace("\n", " ")) for checks in ALL.values() for c in checks
    ]
    assert rows == wanted


@pytest.mark.parametrize("check", [c for checks in ALL.values() for c in checks], ids=lambda c: c.id)
def test_every_check_says_what_a_failure_means_and_how_to_mend_it(check):
    first, _, rest = check.help.partition("\n\n")
    assert first and "Fails" in rest


def test_a_check_id_means_one_thing_per_kind():
    for checks in ALL.values():
        assert len({c.id for c in checks}) == len(checks)
