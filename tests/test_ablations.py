"""The ablation files plan what they say, and the ablation scripts draw and write what they were given."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from harmbench.benchmark import load_benchmark
from harmbench.benchmark_files import benchmark_files
from harmbench.plugins import build_registry
from harmbench.run.plan import make_plan

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import figures  # noqa: E402 - the scripts are no package
import learning_curve  # noqa: E402
import per_kernel  # noqa: E402

ABLATIONS = [name for name in benchmark_files() if name.startswith("ablation-")]


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_differs_from_the_default_benchmark_in_its_methods_only(name: str) -> None:
    ours, default = load_benchmark(name), load_benchmark("plax-phantom")
    same = ("extractor", "evaluators", "splits", "ranking", "uncertainty")
    assert all(getattr(ours, part) == getattr(default, part) for part in same)
    assert ours.dataset == default.dataset or ours.dataset.name == "image-folder"


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_method_of_an_ablation_can_be_built(name: str) -> None:
    plan = make_plan(load_benchmark(name), build_registry())
    names = [cell.method.name for cell in plan.cells]
    assert names[0] == "none" and len(set(names)) == len(names)
    for cell in plan.cells:
        for stage in cell.method.stages:
            stage.build()


def test_kernels_are_compared_with_random_ones_of_the_same_number() -> None:
    plan = make_plan(load_benchmark("ablation-number"), build_registry())
    count: dict[str, list[int]] = {"ssl-kernel": [], "random-kernel": []}
    for cell in plan.cells:
        if cell.method.image:
            count[cell.method.image.spec.name].append(len(cell.method.image.build().choice.names))
    assert count["ssl-kernel"] == count["random-kernel"] == [1, 2, 4, 8, 16, 40]


ROWS = [
    {"kernels": "none", "images": 0, "cosine_to_start": float("nan"), "jsd_conditional": 0.2, "auc_within": 0.6},
    {"kernels": "GE-like:4", "images": 8, "cosine_to_start": 0.9, "jsd_conditional": 0.15, "auc_within": 0.62},
    {"kernels": "GE-like:4", "images": 64, "cosine_to_start": 0.8, "jsd_conditional": 0.1, "auc_within": 0.7},
]


def test_a_learning_curve_is_drawn_with_better_points_lower_where_lower_is_better() -> None:
    tree = ElementTree.fromstring(learning_curve.drawing(ROWS))
    lines = [e.attrib["points"] for e in tree.iter() if e.tag.endswith("polyline")]
    assert len(lines) == 2  # JSD and AUC of the one mix; none is a dashed line
    (x1, y1), (x2, y2) = ([float(v) for v in point.split(",")] for point in lines[0].split())
    assert x2 > x1 and y2 > y1  # JSD falls: further down the page
    (_, y1), (_, y2) = ([float(v) for v in point.split(",")] for point in lines[1].split())
    assert y2 < y1  # AUC rises


def test_the_points_of_a_curve_get_the_figures_of_their_own_kernels(tmp_path: Path) -> None:
    trained = {}
    for (mix, count), cosine in {("virtual", 8): 0.9, ("virtual", 64): 0.7}.items():
        folder = tmp_path / f"{mix}-{count}"
        folder.mkdir()
        (folder / "log.jsonl").write_text(
            f'{{"step": 1, "stem_cosine": 1.0}}\n{{"step": 2, "stem_cosine": {cosine}}}\n'
        )
        trained[mix, count] = folder / "kernels.safetensors"
    found = {
        "none": {"jsd_conditional": 0.3},
        "ssl-kernel[kernels=kernels.safetensors@11]": {"jsd_conditional": 0.2},
        "ssl-kernel[kernels=kernels.safetensors@22]": {"jsd_conditional": 0.1},
        "random-kernel[like=kernels.safetensors@11]": {"jsd_conditional": 0.25},
    }
    rows = learning_curve.curve(found, trained)
    assert [(row["kernels"], row["images"], row["jsd_conditional"]) for row in rows] == [
        ("none", 0, 0.3),
        ("random-kernel", 0, 0.25),
        ("virtual", 8, 0.2),
        ("virtual", 64, 0.1),
    ]
    assert [row["cosine_to_start"] for row in rows[2:]] == [0.9, 0.7]


def test_kernels_are_drawn_in_the_order_of_the_rows() -> None:
    bright, dark = np.full((4, 4), 1.0), np.full((4, 4), -1.0)
    rows = [
        {"method": "ssl-kernel", "kernel": 1, "jsd_conditional": 0.1, "auc_within": 0.7},
        {"method": "none", "kernel": "", "jsd_conditional": 0.2, "auc_within": 0.6},
        {"method": "ssl-kernel", "kernel": 0, "jsd_conditional": 0.3, "auc_within": 0.5},
    ]
    picture = np.asarray(per_kernel.picture(rows, {"ssl-kernel": np.stack([bright, dark])}))
    first, second = picture[8 + 30, 8 + 30], picture[8 + 30, 8 + 80 + 30]
    assert first[2] > first[0] and second[0] > second[2]  # kernel 1 is below 0 (blue), kernel 0 above (red)


def test_a_table_is_written_with_all_rows(tmp_path: Path) -> None:
    figures.write_csv(tmp_path / "sub" / "t.csv", ROWS)
    with (tmp_path / "sub" / "t.csv").open(newline="") as stream:
        read = list(csv.DictReader(stream))
    assert [row["kernels"] for row in read] == ["none", "GE-like:4", "GE-like:4"] and read[2]["auc_within"] == "0.7"
    assert figures.table(ROWS).splitlines()[2] == "| none | 0 | nan | 0.200 | 0.600 |"
