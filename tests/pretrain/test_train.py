"""The training loop: learning, stopping, resuming, and what it leaves behind. Tiny networks, 64 pixels, one thread."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels
from harmbench_builtin.pretrain import checkpoint, hardware, model, optimizer, terms, train
from harmbench_builtin.pretrain.monitor import stem_facts
from harmbench_builtin.pretrain.presets import PRESETS, preset
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.train import PretrainingStopped, TrainingDiverged, pretrain
from pretraining_toy import TOY, log_of, same_weights, state_of, toy_settings, weights_of
from pretraining_toy import toy_images as images


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setitem(model.ARCHITECTURES, "toy", TOY)
    return toy_settings()


def test_a_few_steps_on_a_few_images_beat_the_trivial_loss(tmp_path: Path, tiny: Settings) -> None:
    settings = replace(tiny, steps=80, lr=5e-3, log_every=10, crop=(1.0, 1.0))
    pretrain(images(2), tmp_path, settings)
    first, last = log_of(tmp_path)[0], log_of(tmp_path)[-1]
    assert first["loss"] == pytest.approx(first["trivial_loss"], rel=0.05)
    assert last["loss"] < 0.9 * last["trivial_loss"]


def test_the_log_has_the_figures_that_show_whether_anything_was_learnt(tmp_path: Path, tiny: Settings) -> None:
    pretrain(images(), tmp_path, tiny)
    records = log_of(tmp_path)
    assert [r["step"] for r in records] == [2, 4, 6]
    assert set(records[0]) >= {
        "loss", "trivial_loss", "lr", "gradient_norm", "images_per_second", "stem_cosine", "stem_relative_change",
        "kernel_diversity", "skipped_steps",
    }  # fmt: skip
    assert all(r["trivial_loss"] <= 1 for r in records)
    assert 0 < records[-1]["stem_relative_change"] < 1 and 0 < records[-1]["stem_cosine"] < 1


class _Stop(Exception):
    pass


def stop_at(step: int, how: Any) -> Any:
    def progress(stage: str, done: int, total: int) -> None:
        if done == step:
            how()

    return progress


def die() -> None:
    raise _Stop


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_training_is_the_same_to_the_bit(tmp_path: Path, tiny: Settings, accumulate: int) -> None:
    tiny = replace(tiny, accumulate=accumulate)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    pretrain(images(), whole, tiny)
    with pytest.raises(_Stop):
        # Dies after step 5; the last checkpoint is that of step 3.
        pretrain(images(), parts, tiny, stop_at(5, die))
    assert state_of(parts)["progress"]["step"] == 3
    pretrain(images(), parts, tiny)
    assert same_weights(state_of(whole), state_of(parts))
    ours, theirs = load_kernels(whole / train.KERNELS), load_kernels(parts / train.KERNELS)
    assert ours.digest() == theirs.digest()
    assert [r["step"] for r in log_of(parts)] == [2, 4, 6]
    assert log_of(parts)[-1]["loss"] == log_of(whole)[-1]["loss"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_a_checkpoint_and_ends_the_training(tmp_path: Path, tiny: Settings, number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(PretrainingStopped, match="after step 3 of 6"):
        pretrain(images(), tmp_path, tiny, stop_at(2, lambda: os.kill(os.getpid(), number)))
    assert signal.getsignal(number) is before
    # It came between the second step and the third.
    assert state_of(tmp_path)["progress"]["step"] == 3
    assert pretrain(images(), tmp_path, tiny).is_file()


def test_training_outside_the_main_thread_works_without_signals(tmp_path: Path, tiny: Settings) -> None:
    done: list[Path] = []
    thread = threading.Thread(target=lambda: done.append(pretrain(images(), tmp_path, replace(tiny, steps=1))))
    thread.start()
    thread.join()
    assert done[0].is_file()


def test_a_finished_training_is_exported_again_without_a_step(tmp_path: Path, tiny: Settings) -> None:
    path = pretrain(images(), tmp_path, tiny)
    before = load_kernels(path)
    path.unlink()
    steps: list[int] = []
    pretrain(images(), tmp_path, tiny, lambda stage, done, total: steps.append(done))
    after = load_kernels(path)
    assert steps == [] and after.digest() == before.digest() and after.provenance == before.provenance


def test_other_settings_or_images_in_the_same_folder_are_refused(tmp_path: Path, tiny: Settings) -> None:
    pretrain(images(), tmp_path, tiny)
    with pytest.raises(UsageError, match=r"settings: lr 0\.001 -> 0\.002"):
        pretrain(images(), tmp_path, replace(tiny, lr=0.002))
    with pytest.raises(UsageError, match="other images"):
        pretrain(images(seed=1), tmp_path, tiny)


def test_a_non_finite_step_is_skipped_and_counted(
    tmp_path: Path, tiny: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = terms.objective.masked_loss, []

    def sometimes_nan(*args: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(1)
        loss, trivial = real(*args)
        return (loss * math.nan if len(calls) == 3 else loss), trivial

    monkeypatch.setattr(terms.objective, "masked_loss", sometimes_nan)
    pretrain(images(), tmp_path, tiny)
    assert [r["skipped_steps"] for r in log_of(tmp_path)] == [0, 1, 1]
    assert all(torch.isfinite(w).all() for w in weights_of(tmp_path).values())
    assert math.isfinite(log_of(tmp_path)[1]["loss"])


def test_a_training_that_stays_non_finite_rolls_back_and_then_ends_with_advice(
    tmp_path: Path, tiny: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = terms.objective.masked_loss, []

    def nan_from_the_fifth(*args: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(1)
        loss, trivial = real(*args)
        return (loss * math.nan if len(calls) > 5 else loss), trivial

    monkeypatch.setattr(terms.objective, "masked_loss", nan_from_the_fifth)
    settings = replace(tiny, steps=30, rollback_after=4, rollbacks=2)
    with (
        pytest.warns(UserWarning, match=r"4 steps in a row, up to step 9, .* from step 3 .* times 0\.5"),
        pytest.raises(TrainingDiverged, match=r"4 steps in a row.*after 2 roll-back.*lower learning rate"),
    ):
        pretrain(images(), tmp_path, settings)
    # Five good steps and four bad ones; back to the checkpoint of step 3 (none is written after a bad step), twice.
    assert len(calls) == 5 + 3 * 4
    progress = state_of(tmp_path)["progress"]
    assert (progress["step"], progress["rollbacks"], progress["rate_scale"], progress["skipped"]) == (3, 2, 0.25, 8)


def test_a_checkpoint_cut_off_while_it_is_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 1, {"step": 1})

    def full_disk(state: Any, file: Any) -> None:
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full_disk)
    with pytest.raises(DataError, match=r"No space left.*earlier checkpoints are intact"):
        checkpoint.save(tmp_path, 2, {"step": 2})
    assert state_of(tmp_path)["step"] == 1
    assert [p.name for p in (tmp_path / checkpoint.FOLDER).iterdir()] == ["step-000000001.pt"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # the child does nothing but write a file
def test_a_process_killed_while_it_writes_a_checkpoint_leaves_the_old_one(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, {"step": 1})

    def killed(state: Any, file: Any) -> None:
        file.write(b"half of it")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            checkpoint.torch.save = killed
            checkpoint.save(tmp_path, 2, {"step": 2})
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert state_of(tmp_path)["step"] == 1
    # What the killed process left is under another name and does not keep the next checkpoint from being written.
    checkpoint.save(tmp_path, 3, {"step": 3})
    assert state_of(tmp_path)["step"] == 3


def test_the_newest_checkpoints_are_kept_and_a_damaged_one_gives_way_to_the_one_before(tmp_path: Path) -> None:
    for step in range(1, 5):
        checkpoint.save(tmp_path, step, {"step": step}, keep=2)
    third, fourth = checkpoint.all_in(tmp_path)
    assert (third.name, fourth.name) == ("step-000000003.pt", "step-000000004.pt")
    fourth.write_bytes(fourth.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"step-000000004\.pt: this is not a whole.*goes on from step-000000003"):
        assert state_of(tmp_path)["step"] == 3
    third.write_bytes(b"")
    with pytest.raises(DataError, match=r"step-000000004\.pt: this is not a whole checkpoint.*Delete it"):
        checkpoint.load_latest(tmp_path)


def test_a_checkpoint_of_an_earlier_step_makes_the_later_ones_void(tmp_path: Path) -> None:
    for step in (3, 6):
        checkpoint.save(tmp_path, step, {}, keep=5)
    checkpoint.save(tmp_path, 3, {}, keep=5)
    assert [p.name for p in checkpoint.all_in(tmp_path)] == ["step-000000003.pt"]


def test_a_checkpoint_that_would_execute_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "step-000000001.pt"
    torch.save({"format_version": 2, "harm": Path("x")}, path)  # a class is not plain data
    with pytest.raises(DataError, match="not a whole checkpoint"):
        checkpoint.load(path)


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    path = checkpoint.path_of(tmp_path, 1)
    path.parent.mkdir()
    torch.save({"format_version": 1, "step": 1}, path)
    with pytest.raises(DataError, match="format version 1, not 2"):
        checkpoint.load_latest(tmp_path)
    path.rename(tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match=r"checkpoint\.pt: .*earlier version of harmbench"):
        checkpoint.load_latest(tmp_path)


def test_the_export_holds_the_trained_stem_and_says_where_it_comes_from(tmp_path: Path, tiny: Settings) -> None:
    data = images()
    path = pretrain(data, tmp_path, tiny)
    kernels, weights = load_kernels(path), weights_of(tmp_path)
    assert np.array_equal(kernels.weight, weights["encoder.stem.0.weight"][:, 0].double().numpy())
    assert np.array_equal(kernels.bias, weights["encoder.stem.0.bias"].double().numpy())
    assert (kernels.mean, kernels.std) == data.statistics()
    assert kernels.synthetic and kernels.licence == "none"
    facts = kernels.provenance
    assert facts["data"]["samples_sha256"] == data.ids_digest() and facts["data"]["images"] == 6
    assert facts["settings"]["lr"] == tiny.lr and facts["settings"]["seed"] == 0
    assert facts["result"]["steps"] == 6 and facts["result"]["images_seen"] == 24
    card = (tmp_path / train.CARD).read_text()
    assert "Synthetic" in card and data.ids_digest() in card and "6 steps of 4 images" in card


def test_a_data_set_is_only_called_synthetic_when_it_is(tmp_path: Path, tiny: Settings) -> None:
    path = pretrain(replace(images(), synthetic=False), tmp_path, tiny)
    assert not load_kernels(path).synthetic
    assert "Synthetic" not in (tmp_path / train.CARD).read_text()


def test_stem_facts_of_a_stem_that_turned_by_60_degrees() -> None:
    start = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 1, 1, 2)
    turned = torch.tensor([[0.5, math.sqrt(0.75)], [-math.sqrt(0.75), 0.5]]).view(2, 1, 1, 2)
    facts = stem_facts(turned, start)
    assert facts["stem_cosine"] == pytest.approx(0.5)
    assert facts["stem_relative_change"] == pytest.approx(1.0)  # the third side of an equilateral triangle
    assert facts["kernel_diversity"] == pytest.approx(1.0, abs=1e-6)


def test_kernels_that_differ_in_sign_and_size_only_have_no_diversity() -> None:
    kernels = torch.tensor([[1.0, 2.0], [-3.0, -6.0]]).view(2, 1, 1, 2)
    assert stem_facts(kernels, kernels)["kernel_diversity"] == pytest.approx(0.0, abs=1e-12)


def test_the_learning_rate_rises_then_follows_half_a_cosine_to_zero() -> None:
    settings = Settings(steps=100, warmup=0.1, lr=2.0)
    rates = [optimizer.learning_rate(settings, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2) and rates[9] == pytest.approx(2.0)
    assert rates[10] == pytest.approx(2.0) and rates[55] == pytest.approx(1.0) and rates[99] < 0.001
    assert Settings(steps=1).lr == optimizer.learning_rate(Settings(steps=1), 0)


def test_norms_biases_grn_and_the_mask_token_are_not_decayed(tiny: Settings) -> None:
    network = model.MaskedAutoencoder(model.architecture("toy"), decoder_width=16)
    groups = optimizer.make_optimizer(network, tiny, fused=False).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    names = {name for name, p in network.named_parameters() if id(p) in decayed}
    assert "encoder.stem.0.weight" in names and "encoder.stages.0.blocks.0.conv_dw.weight" in names
    assert not any("grn" in n or "norm" in n or n.endswith("bias") or "mask_token" in n for n in names)
    # The stem's and the downsampling layers' norms have numbers instead of names.
    assert not {"encoder.stem.1.weight", "encoder.stages.1.downsample.0.weight"} & names


def test_bf16_stays_close_to_fp32(tmp_path: Path, tiny: Settings) -> None:
    for precision in ("fp32", "bf16"):
        pretrain(images(), tmp_path / precision, replace(tiny, precision=precision))
    full, half = (log_of(tmp_path / precision)[-1]["loss"] for precision in ("fp32", "bf16"))
    assert half == pytest.approx(full, rel=0.02)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 100}, "image_size is 100; it must be a multiple of 32"),
        ({"mask_ratio": 1.0}, "mask_ratio is 1.0"),
        ({"crop": (0.5, 0.2)}, "crop"),
        ({"device": "tpu"}, "device is 'tpu'; it must be one of auto, cpu, cuda"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Settings(**change)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_asking_for_a_gpu_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no CUDA GPU"):
        hardware.find_device("cuda")
    assert hardware.find_device("auto").type == "cpu"


def test_presets_are_valid_and_changed_by_name() -> None:
    assert PRESETS["official"].lr == 1.5e-4 * PRESETS["official"].batch / 256
    assert preset("echo", steps=3).steps == 3
    with pytest.raises(UsageError, match="Did you mean 'echo'"):
        preset("ecko")
    with pytest.raises(UsageError, match="Did you mean 'steps'"):
        preset("echo", step=3)


def test_pretraining_imports_none_of_what_a_gpu_machine_may_lack() -> None:
    program = (
        "import sys, harmbench_builtin.pretrain.train, harmbench_builtin.pretrain.data, "
        "harmbench_builtin.pretrain.presets\n"
        "lacking = {'pydantic', 'SimpleITK', 'timm', 'torchvision', 'pandas', 'radiomics', 'sklearn', 'xgboost', 'PIL',"
        " 'pluggy', 'typer'}\n"
        "print(sorted(lacking & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
