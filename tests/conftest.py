"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

TINY = Path(__file__).with_name("tiny_plugin.py")
BENCHMARK = """
schema = 1
name = "tiny"
version = "1"
title = "A tiny benchmark"
[dataset]
name = "tiny"
[extractor]
name = "mean-and-sd"
[[evaluators]]
name = "gap"
[methods]
default = ["center"]
reference = ["none"]
[splits]
folds = 3
[ranking]
gate = "class_gap"
goal = "gap"
[uncertainty]
replicates = 100
permutations = 99
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("HARMBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def tiny_benchmark(tmp_path) -> Path:
    """A benchmark file over the tiny plugin."""
    path = tmp_path / "tiny.toml"
    path.write_text(BENCHMARK)
    return path


@pytest.fixture(scope="session")
def tiny_registry():
    from harmbench.plugins import build_registry

    return build_registry([TINY])
