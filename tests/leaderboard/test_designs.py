"""Figures are rebuilt whatever the design: repeats, three manufacturers, fitted image stages, several images of a
patient, a fixed hold-out."""

from __future__ import annotations

import pytest
from small_benchmark import small_benchmark

from harmbench.benchmark import load_benchmark
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.validate import validate
from harmbench.plugins import build_registry
from harmbench.run.parquet import read_parquet
from harmbench.run.plan import make_plan, read_settings
from harmbench.run.run import Options
from harmbench.run.run import run as run_plan

PLUGIN = """
from dataclasses import replace

from harmbench import DatasetSpec, hookimpl
from harmbench_builtin.datasets.plax_phantom.dataset import PlaxPhantom


class Designed:
    def __init__(self, design: str = "holdout") -> None:
        self.design = design

    def load(self, context):
        three = self.design == "three"
        images = PlaxPhantom(
            patients=36, paired=4, ratio=1.2, size=64, third_scanner=three, tissue_effect=1.5
        ).load(context)
        samples = []
        for i, sample in enumerate(images.samples):
            if self.design == "holdout" and sample.split != "paired":
                sample = replace(sample, split="test" if i % 2 else "train", pair="")
            if self.design == "holdout" and sample.split == "paired":
                continue
            if self.design == "several" and sample.split != "paired":
                one_of_two = replace(sample, patient=f"{sample.manufacturer}{sample.label}{i % 2}{i // 4 % 3}")
                sample = replace(one_of_two, pair="")
            samples.append(sample)
        if self.design == "several":
            samples = [s for s in samples if s.split != "paired"]
        return replace(images, samples=tuple(samples), rows=())


@hookimpl
def register_datasets():
    return DatasetSpec(
        name="designed", target=f"{__name__}:Designed", version="1", summary="designs", params={"design": "holdout"}
    )
"""
BENCHMARK = small_benchmark("designs", 'name = "designed"', 'default = ["nyul+pooled-zscore"]', iterations=10, trees=10)


@pytest.mark.parametrize(("design", "settings"), [("three", ["splits.repeats=2"]), ("several", []), ("holdout", [])])
def test_every_figure_is_rebuilt_in_every_design(tmp_path, design, settings):
    (tmp_path / f"designs_{design}.py").write_text(PLUGIN)
    (tmp_path / "designs.toml").write_text(BENCHMARK)
    registry = build_registry([tmp_path / f"designs_{design}.py"])
    given = read_settings([f"designed.design={design}", *settings])
    plan = make_plan(load_benchmark(str(tmp_path / "designs.toml")), registry, settings=given)
    summary = run_plan(plan, registry, Options(out=tmp_path / "run"))
    assert summary.exit_code == 0, [r["error"] for r in summary.records.values()]
    board = build([summary.folder], registry=registry)
    assert board.rebuilt and not any(d.recorded for d in board.definitions.values())
    assert len(board.row("nyul+pooled-zscore").cells) == (2 if design == "three" else 1)
    report = validate(summary.folder, registry, rebuild=False)
    assert [p for p in report.problems if "canary" not in p] == []
    samples = read_parquet(summary.folder / "samples.parquet")
    rows = len(samples["sample"])
    assert (design == "several") == (len(set(samples["patient"].tolist())) < sum(samples["split"] != "paired"))
    if design == "holdout":
        scored = read_parquet(summary.folder / "cells" / next(iter(summary.records)) / "features.parquet")
        assert len(scored["sample"]) == sum(samples["split"] == "test") < rows
