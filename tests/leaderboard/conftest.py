"""A small run with the evaluators that ship, made once: 24 simulated patients, a method, two references, controls."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_benchmark import small_benchmark

from harmbench.benchmark import load_benchmark
from harmbench.plugins import build_registry
from harmbench.run.plan import make_plan
from harmbench.run.run import Options
from harmbench.run.run import run as run_plan

SMALL = small_benchmark(
    "small",
    """name = "plax-phantom"
params = { patients = 28, paired = 4, ratio = 1.2, size = 96, tissue_effect = 1.5, seed = 3 }""",
    """default = ["zscore", "laplacian-of-gaussian+select-maps[maps=2,inner_folds=2,inner_repeats=1]"]
reference = ["none"]
controls = ["collapse", "shuffle", "leaky-combat"]""",
    iterations=12,
    trees=20,
    more="""[[evaluators]]
name = "cost"
""",
)


@pytest.fixture(scope="session")
def registry():
    return build_registry()


@pytest.fixture(scope="session")
def kept_run(tmp_path_factory, registry) -> Path:
    """The run folder; not to be written to."""
    home = tmp_path_factory.mktemp("small")
    (home / "small.toml").write_text(SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARMBENCH_CACHE", str(home / "cache"))
        plan = make_plan(load_benchmark(str(home / "small.toml")), registry)
        summary = run_plan(plan, registry, Options(out=home / "run"))
    assert summary.exit_code == 0, [r["error"] for r in summary.records.values()]
    return summary.folder


@pytest.fixture
def small_run(kept_run, tmp_path) -> Path:
    """A copy of it that may be spoilt."""
    return Path(shutil.copytree(kept_run, tmp_path / "run"))
