"""Test patients that a method was pretrained on: counted in the record, shown in every table, and not ranked."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from harmbench.benchmark import load_benchmark
from harmbench.cli import run_command
from harmbench.components import DatasetContext
from harmbench.data import ImageSet
from harmbench.leaderboard import render
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.model import Board
from harmbench.plugins import Registry, build_registry
from harmbench.run.plan import make_plan
from harmbench.run.run import Options
from harmbench.run.run import run as run_plan
from harmbench.run.store import RunFolder
from harmbench.seen import Seen
from harmbench_builtin.datasets.image_folder import ImageFolder
from harmbench_builtin.pretrain.export import export_kernels

TINY = Path(__file__).parents[1] / "tiny_plugin.py"
PATIENTS = 24


def clinic(folder: Path, name: str = "manifest.csv", patients: range = range(PATIENTS)) -> Path:
    """A manifest of 36 x 36 images, two manufacturers, two classes; every sixth patient has a second image."""
    folder.mkdir(exist_ok=True)
    mask = np.zeros((36, 36), np.uint8)
    mask[8:28, 8:28] = 255
    Picture.fromarray(mask).save(folder / "mask.png")
    rows = ["image,mask,manufacturer,patient,label"]
    for i in patients:
        for number in range(2 if i % 6 == 0 else 1):
            grey = np.random.default_rng([i, number]).normal(90 + 40 * (i % 4 >= 2) + 15 * (i % 2), 12, (36, 36))
            Picture.fromarray(np.clip(grey, 1, 255).astype(np.uint8)).save(folder / f"p{i}-{number}.png")
            rows.append(f"p{i}-{number}.png,mask.png,{'AB'[i % 4 >= 2]},patient{i},{'NP'[i % 2]}")
    (folder / name).write_text("\n".join(rows) + "\n")
    return folder / name


@pytest.fixture
def benchmark(tmp_path: Path, tiny_benchmark: Path) -> Path:
    path = tmp_path / "own.toml"
    text = tiny_benchmark.read_text().replace('[dataset]\nname = "tiny"', '[dataset]\nname = "image-folder"')
    path.write_text(text)
    return path


def kernels(path: Path, seen: Seen | None, data: str = "clinic") -> Path:
    weight = np.random.default_rng(0).normal(size=(2, 1, 3, 3))
    return export_kernels(
        path, weight, np.zeros(2), mean=0.3, std=0.2, provenance={"data": {"name": data}}, licence="L", synthetic=False,
        seen=seen,
    )  # fmt: skip


def run_kernels(benchmark: Path, registry: Registry, manifest: Path, out: Path, *methods: str) -> Board:
    plan = make_plan(load_benchmark(str(benchmark)), registry, methods)
    return build([run_plan(plan, registry, Options(out=out, data=str(manifest))).folder])


def load(manifest: Path) -> ImageSet:
    return ImageFolder().load(DatasetContext(data=str(manifest)))


def test_kernels_pretrained_on_the_benchmarks_own_images_are_caught(
    tmp_path: Path, benchmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From images to the table by the commands that a user types; the training is a single small step."""
    manifest, out, folder = clinic(tmp_path / "clinic"), tmp_path / "kernels", tmp_path / "run"
    trained = clinic(tmp_path / "clinic", "some.csv", range(6))
    short = ["steps=1", "batch=2", "image_size=32", "decoder_width=8", "threads=1", "device=cpu", "compile=false"]
    sets = [part for setting in short for part in ("--set", setting)]
    assert run_command(["pretrain", "--data", str(trained), "--out", str(out), *sets, "--quiet"]) == 0
    method = f"ssl-kernel[kernels={out / 'kernels.safetensors'}]"
    arguments = ["run", "-b", str(benchmark), "--data", str(manifest), "--plugin", str(TINY), "-m", method]
    capsys.readouterr()
    assert run_command([*arguments, "-m", "center", "--out", str(folder), "-j", "1", "--quiet"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "leaks: 6 of 24 test patients were in the pretraining of ssl-kernel (image-folder)" in text
    assert "pretraining!" in text and "LEAK: image-folder; 6 of 24 test patients were in it (7 of their images)" in text

    record = next(r for r in RunFolder(folder).records().values() if r["method"].startswith("ssl-kernel"))
    (facts,) = record["pretraining"]
    assert (facts["seen_patients"], facts["test_patients"], facts["seen_images"]) == (6, 24, 7)
    assert facts["listed"] and facts["stage"] == "ssl-kernel" and "patient3" not in json.dumps(record)

    row = next(r for r in build([folder]).rows if r.method.startswith("ssl-kernel"))
    assert row.section == "not ranked" and row.rank is None
    assert "leaks: 6 of 24 test patients were in the pretraining of ssl-kernel" in row.reason
    board = json.loads((folder / "leaderboard.json").read_text())
    assert any(r["pretraining"] and r["pretraining"][0]["seen_patients"] == 6 for r in board["rows"])
    assert "6 of 24 test patients were in its pretraining!" in (folder / "leaderboard.md").read_text()
    rows = list(csv.DictReader(io.StringIO((folder / "leaderboard.csv").read_text())))
    flagged = {r["method"] for r in rows if "6 of 24 test patients were in its pretraining!" in r["flags"]}
    assert flagged == {row.method}


def test_kernels_that_saw_nobody_are_ranked_and_the_note_says_so(
    tmp_path: Path, benchmark: Path, tiny_registry: Registry
) -> None:
    manifest, others = clinic(tmp_path / "clinic"), clinic(tmp_path / "others", patients=range(100, 110))
    path = kernels(tmp_path / "k.safetensors", Seen.of(load(others)))
    methods = (f"ssl-kernel[kernels={path}]", f"random-kernel[like={path}]")
    board = run_kernels(benchmark, tiny_registry, manifest, tmp_path / "run", *methods)
    row = next(r for r in board.rows if r.method.startswith("ssl-kernel"))
    assert row.section in ("ranked", "below the gate") and row.flags == []
    assert any("clinic; 0 of 24 test patients seen" in note for note in board.warnings)
    assert "0 of 24 test patients seen" in render.markdown(board)
    assert all("random-kernel" not in note for note in board.warnings if "Pretraining" in note)


def test_pretraining_on_the_same_data_set_stands_beside_the_method(
    tmp_path: Path, benchmark: Path, tiny_registry: Registry
) -> None:
    manifest, others = clinic(tmp_path / "clinic"), clinic(tmp_path / "others", patients=range(100, 104))
    path = kernels(tmp_path / "k.safetensors", Seen.of(load(others)), "image-folder")
    board = run_kernels(benchmark, tiny_registry, manifest, tmp_path / "run", f"ssl-kernel[kernels={path}]")
    row = next(r for r in board.rows if r.method.startswith("ssl-kernel"))
    assert row.flags == ["pretrained on image-folder; 0 of 24 test patients seen"] and row.section != "not ranked"


def test_a_file_that_lists_nothing_is_said_not_to(tmp_path: Path, benchmark: Path, tiny_registry: Registry) -> None:
    manifest, path = clinic(tmp_path / "clinic"), kernels(tmp_path / "k.safetensors", None)
    board = run_kernels(benchmark, tiny_registry, manifest, tmp_path / "run", f"ssl-kernel[kernels={path}]")
    assert any("clinic; its images are not listed" in note for note in board.warnings)
    row = next(r for r in board.rows if r.method.startswith("ssl-kernel"))
    assert row.section != "not ranked"


def test_a_second_image_of_a_patient_is_found_by_name(tmp_path: Path, benchmark: Path, tiny_registry: Registry) -> None:
    manifest = clinic(tmp_path / "clinic")
    images = load(manifest)
    first = images.subset([i for i, s in enumerate(images.samples) if s.image == "p0-0.png"])
    path = kernels(tmp_path / "k.safetensors", Seen(patients=Seen.of(first).patients))
    board = run_kernels(benchmark, tiny_registry, manifest, tmp_path / "run", f"ssl-kernel[kernels={path}]+center")
    (row,) = [r for r in board.rows if r.method.startswith("ssl-kernel")]
    assert row.flags == ["1 of 24 test patients were in its pretraining!"] and row.section == "not ranked"
    assert any("by patient id only, none of their images" in note for note in board.warnings)


def test_with_a_fixed_hold_out_only_its_patients_are_asked_about(
    tmp_path: Path, benchmark: Path, tiny_registry: Registry
) -> None:
    manifest = clinic(tmp_path / "clinic")
    head, *lines = manifest.read_text().splitlines()
    held_out = {f"patient{i}" for i in range(8)}
    parts = [(line, "test" if line.split(",")[3] in held_out else "train") for line in lines]
    manifest.write_text("\n".join([f"{head},split", *(f"{line},{part}" for line, part in parts)]) + "\n")
    images = load(manifest)
    trained = images.subset([i for i, s in enumerate(images.samples) if s.split == "train" or s.patient == "patient2"])
    path = kernels(tmp_path / "k.safetensors", Seen.of(trained))
    board = run_kernels(benchmark, tiny_registry, manifest, tmp_path / "run", f"ssl-kernel[kernels={path}]")
    (row,) = [r for r in board.rows if r.method.startswith("ssl-kernel")]
    assert row.flags == ["1 of 8 test patients were in its pretraining!"]


PLUGIN = """
from harmbench import HarmonizerSpec, Overlap, hookimpl
class Plain:
    def fit(self, table, context):
        return self
    def transform(self, table):
        return table

class Honest(Plain):
    def trained_on(self, images):
        assert all(s.label == "" for s in images.samples), "labels are none of its business"
        return Overlap("my atlas", patients=("patient1", "patient2"))

class Broken(Plain):
    def trained_on(self, images):
        raise RuntimeError("the list is at /home/ann/list.txt")

@hookimpl
def register_harmonizers():
    return [
        HarmonizerSpec(name=n, target=f"{__name__}:{c}", version="1", stage="feature", summary=n,
                       handles_unseen_manufacturer=True)
        for n, c in (("honest", "Honest"), ("broken", "Broken"))
    ]
"""


def test_a_plugins_method_of_either_stage_is_asked(tmp_path: Path, benchmark: Path) -> None:
    plugin = tmp_path / "asked_plugin.py"
    plugin.write_text(PLUGIN)
    registry = build_registry([TINY, plugin])
    board = run_kernels(benchmark, registry, clinic(tmp_path / "clinic"), tmp_path / "run", "honest", "broken")
    rows = {row.method: row for row in board.rows}
    assert rows["honest"].section == "not ranked" and "(my atlas)" in rows["honest"].reason
    assert rows["broken"].section != "not ranked"
    assert any("could not be found out (RuntimeError: the list is at list.txt)" in note for note in board.warnings)
