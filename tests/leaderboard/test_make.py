"""The committed boards come from one command, and whoever runs it gets the same figures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from harmbench.leaderboard.diff import diff
from harmbench.leaderboard.files import read_board
from harmbench.plugins import build_registry

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "plax-phantom.patients=28",
    "plax-phantom.paired=4",
    "plax-phantom.size=96",
    "uncertainty.replicates=100",
    "uncertainty.permutations=99",
    "lvh-auc.boruta_iterations=12",
    "lvh-auc.trees=20",
)


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_boards", ROOT / "leaderboard" / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_shipped_method_is_on_the_boards(make):
    registry = build_registry()
    listed = make.methods(registry)
    expected = {n for n in registry.harmonizers.entries if registry.harmonizers.get(n).role == "method"}
    assert expected - set(listed) == set(make.PARTNER)
    assert all(any(partner in chain for chain in make.CHAINS) for partner in make.PARTNER)
    assert len(listed) == len(set(listed))


def test_the_same_command_gives_the_same_figures(make, tmp_path, monkeypatch):
    boards = []
    settings = [text for setting in SMALL for text in ("--set", setting)]
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{make.HEAD}\nold\n{make.END}\nafter\n")
    for turn in ("first", "second"):
        monkeypatch.setenv("HARMBENCH_CACHE", str(tmp_path / turn / "cache"))
        listing = tmp_path / turn / "boards" / "README.md"
        listing.parent.mkdir(parents=True)
        listing.write_text(f"# Boards\n{make.LIST}\n{make.END}\nmore\n")
        folders = ["--out", str(tmp_path / turn / "boards"), "--runs", str(tmp_path / turn / "runs")]
        methods = ["--method", "signed-log+combat", "ssl-kernel[reduce=l2]"]
        make.main(["--on", "plax-phantom", *methods, *settings, *folders, "--jobs", "1", "--readme", str(readme)])
        boards.append(read_board(tmp_path / turn / "boards" / "plax-phantom"))
    one, other = boards
    assert [r.method for r in one.rows] == [r.method for r in other.rows] and one.rebuilt
    for a, b in zip(one.rows, other.rows, strict=True):
        assert (a.section, a.rank, a.difference) == (b.section, b.rank, b.difference)
        recorded = {name for name, d in one.definitions.items() if d.recorded}
        same = {k: v for k, v in a.overall.items() if k not in recorded}
        assert same and same == {k: v for k, v in b.overall.items() if k not in recorded}
        assert (a.manufacturer, a.pair, a.draws) == (b.manufacturer, b.pair, b.draws)
    text = readme.read_text()
    assert text.startswith("before") and text.endswith("after\n") and "old" not in text
    assert "| none | reference |" in text
    assert "[plax-phantom](plax-phantom/README.md)" in listing.read_text() and listing.read_text().endswith("more\n")
    assert not diff(one, one).any


def test_some_methods_never_take_the_place_of_the_committed_boards(make, capsys):
    for given in (["--method", "combat"], ["--set", "splits.folds=3"]):
        with pytest.raises(SystemExit):
            make.main(["--on", "plax-phantom", *given])
        assert "name another --out" in capsys.readouterr().err


def test_the_readme_and_the_list_are_those_of_the_committed_boards(make):
    head, boards = ROOT / "README.md", ROOT / "leaderboard" / "README.md"
    inside = [path.read_text().partition(mark)[2].partition(make.END)[0].strip()
              for path, mark in ((head, make.HEAD), (boards, make.LIST))]  # fmt: skip
    assert inside[0] == make.head(read_board(ROOT / "leaderboard" / make.BENCHMARKS[0]))
    assert inside[1] == make.listed(ROOT / "leaderboard")
    assert all((ROOT / "leaderboard" / name / "index.html").is_file() for name in make.BENCHMARKS)
