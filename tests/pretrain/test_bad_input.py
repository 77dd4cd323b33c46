"""What can be wrong with a pretraining's input is said in one line, with the remedy, through the command itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from harmbench.cli import run_command
from harmbench.errors import DataError
from harmbench_builtin.pretrain import checkpoint, data, model
from harmbench_builtin.pretrain.stack import FACTS, Stack, StackFull
from harmbench_builtin.pretrain.stopping import PretrainingStopped, TrainingDiverged
from harmbench_builtin.pretrain.train import pretrain
from pretraining_toy import TOY, log_of, same_weights, state_of, toy_images, toy_settings

SMALL = ("--set", "size=toy", "--set", "image_size=32", "--set", "batch=2", "--set", "decoder_width=8",
         "--set", "threads=1", "--set", "reconstruct_every=0", "--quiet")  # fmt: skip


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model.ARCHITECTURES, "toy", TOY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images."""
    (tmp_path / "images").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64)).astype(np.uint8)
        Picture.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    return tmp_path / "images"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and message of `harmbench pretrain`."""
    code = run_command(["pretrain", *SMALL, "--set", "steps=1", *arguments])
    return code, capsys.readouterr().err


def write_image(path: Path, pixels: np.ndarray) -> None:
    Picture.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no usable image"),
        ({"a.png": b"nothing", "b.jpg": b"nothing"}, "2 could not be used. The first: a.png"),
        ({"a.png": np.full((20, 300), 9, np.uint8)}, "20 x 300 pixels; at least 32 a side"),
        ({"a.png": np.zeros((64, 64), np.uint8)}, "black or of one grey level"),
        ({"a.png": np.full((64, 64), 90, np.uint8)}, "black or of one grey level"),
    ],
)
def test_a_folder_without_a_usable_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, Any], message: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, content in files.items():
        if isinstance(content, bytes):
            (source / name).write_bytes(content)
        else:
            write_image(source / name, content)
    code, said = refused(capsys, "--data", str(source), "--out", str(tmp_path / "out"))
    assert code == 3 and message in said and "at least 32 pixels a side, not black" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--data", "nowhere"), 3, "nowhere: there is no such folder"),
        (("--data", "nowhere.csv"), 3, "nowhere.csv"),
        (("--set", "steps=0"), 1, "steps is 0; it must be at least 1"),
        (("--set", "stepz=3"), 1, "Did you mean 'steps'"),
        (("--set", "steps"), 1, "must read setting=value"),
        (("--set", "steps=many"), 1, "pretrain.steps takes a whole number"),
        (("--set", "crop=1"), 1, "crop takes two shares"),
        (("--set", "residence=cloud"), 1, "residence is 'cloud'; it must be one of auto, device, memory-map"),
        (("--set", "ema=1"), 1, "ema is 1.0; it must be 0 (none) or a decay below 1"),
        (("--preset", "offical"), 1, "Did you mean 'official'"),
    ],
)
def test_a_wrong_argument(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    got, said = refused(capsys, "--out", "out", *arguments)
    assert (got, message in said) == (code, True), said


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refused(capsys, "--data", str(folder), "--out", str(folder / "out"), "--set", "device=cuda")
    assert code == 1 and "no CUDA GPU" in said


def test_a_folder_that_cannot_be_written_to_is_found_before_the_first_step(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    code, said = refused(capsys, "--data", str(folder), "--out", str(tmp_path / "file" / "out"))
    assert code == 3 and "could not be written" in said and "choose another folder" in said
    steps: list[int] = []
    with pytest.raises(DataError, match="could not be written"):
        pretrain(toy_images(), tmp_path / "file" / "out", toy_settings(), lambda *at: steps.append(at[1]))
    assert steps == []


def test_a_folder_that_holds_another_training(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert refused(capsys, "--data", str(folder), "--out", out)[0] == 0
    code, said = refused(capsys, "--data", str(folder), "--out", out, "--set", "lr=0.5")
    assert code == 1 and "other settings: lr 0.001 -> 0.5" in said and "Choose another folder" in said


def test_a_damaged_checkpoint(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert refused(capsys, "--data", str(folder), "--out", str(out))[0] == 0
    for path in checkpoint.all_in(out):
        path.write_bytes(path.read_bytes()[:200])
    code, said = refused(capsys, "--data", str(folder), "--out", str(out))
    assert code == 3 and "step-000000001.pt: this is not a whole checkpoint" in said and "Delete it" in said


def test_a_batch_larger_than_the_data_shows_images_again(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(capsys, "--data", str(folder), "--out", str(tmp_path / "out"), "--set", "batch=8")
    assert code == 0, said


def test_one_bad_file_is_named_and_the_rest_is_trained_on(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.png").write_bytes(b"no image")
    code, said = refused(capsys, "--data", str(folder), "--out", str(tmp_path / "out"))
    assert code == 0 and "left out: bad.png" in said


def test_images_in_files_give_the_training_that_images_in_memory_give(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for residence in ("auto", "memory-map"):
        out = str(tmp_path / residence)
        assert refused(capsys, "--data", str(folder), "--out", out, "--set", f"residence={residence}")[0] == 0
    assert (tmp_path / "memory-map" / "images" / "pixels.bin").stat().st_size == 3 * 224 * 224
    assert not (tmp_path / "auto" / "images").exists()
    assert same_weights(state_of(tmp_path / "auto"), state_of(tmp_path / "memory-map"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without space")
def test_no_space_for_the_images_is_no_fault_of_an_image(tmp_path: Path, folder: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "pixels.bin").symlink_to("/dev/full")
    with pytest.raises(StackFull, match=r"images could not be written .*No space left.*choose another --out"):
        data.from_folder(folder, files=files, in_memory=0)
    assert not (files / FACTS).exists()


def test_a_stack_in_files_is_the_stack_in_memory(tmp_path: Path) -> None:
    images = toy_images(4)
    pairs = []
    for folder in (None, tmp_path):
        stack = Stack(96, folder)
        for pixels, sector in zip(images.pixels, images.sector, strict=True):
            stack.add(pixels, sector)
        assert len(stack) == 4
        pairs.append(stack.arrays())
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(*pairs, strict=True))
    assert isinstance(pairs[1][0], np.memmap) and not pairs[1][0].flags.writeable


def test_a_full_disk_in_the_middle_costs_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, real, calls = toy_settings(), torch.save, []

    def full_at_the_third(state: Any, file: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(state, file)

    pretrain(toy_images(), tmp_path / "whole", settings)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.torch, "save", full_at_the_third)
        with pytest.raises(DataError, match="No space left"):
            pretrain(toy_images(), tmp_path / "full", settings)
    assert state_of(tmp_path / "full")["progress"]["step"] == 3
    pretrain(toy_images(), tmp_path / "full", settings)
    assert same_weights(state_of(tmp_path / "whole"), state_of(tmp_path / "full"))


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pretraining_toy import TOY, toy_images, toy_settings\n"
        "from harmbench_builtin.pretrain import model\n"
        "from harmbench_builtin.pretrain.train import pretrain\n"
        "model.ARCHITECTURES['toy'] = TOY\n"
        "def kill(stage, done, total):\n"
        "    if done == 5: os.kill(os.getpid(), signal.SIGKILL)\n"
        "pretrain(toy_images(), sys.argv[1], toy_settings(), kill)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "killed")], env=environment, capture_output=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    assert state_of(tmp_path / "killed")["progress"]["step"] == 3
    for name in ("killed", "whole"):
        pretrain(toy_images(), tmp_path / name, toy_settings())
    assert same_weights(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))
    whole, killed = (log_of(tmp_path / name) for name in ("whole", "killed"))
    # The record of step 4 is a mean over the steps since the training went on, so only of one of two.
    assert [r["step"] for r in killed] == [2, 4, 6]
    assert [r["loss"] for r in whole[::2]] == [r["loss"] for r in killed[::2]]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PretrainingStopped("saved", asked_to_end=True), 0),
        (PretrainingStopped("saved", asked_to_end=False), 130),
        (TrainingDiverged("not finite"), 4),
    ],
)
def test_a_stopped_and_a_diverged_training_have_exit_codes_of_their_own(
    tmp_path: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
) -> None:
    def fail(*arguments: Any) -> Path:
        raise error

    monkeypatch.setattr("harmbench_builtin.pretrain.train.pretrain", fail)
    assert refused(capsys, "--data", str(folder), "--out", str(tmp_path)) == (code, f"harmbench: {error}\n")
    assert run_command(["pretrain", *SMALL, "--data", str(folder), "--out", str(tmp_path), "--json"]) == code
    assert json.loads(capsys.readouterr().out)["exit_code"] == code


def test_settings_that_do_not_shape_the_result_may_change_on_the_way(tmp_path: Path) -> None:
    settings = toy_settings(steps=3)
    pretrain(toy_images(), tmp_path, settings)
    changed = replace(settings, log_every=1, keep_checkpoints=9, residence="memory-map", accumulate=2, compile="false")
    assert pretrain(toy_images(), tmp_path, changed).is_file()
