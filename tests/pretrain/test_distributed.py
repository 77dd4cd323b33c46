"""Two processes on one CPU (Gloo) do together what one does alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from harmbench.errors import HarmbenchError
from harmbench_builtin.pretrain import distributed, kept, model
from harmbench_builtin.pretrain.distributed import World
from harmbench_builtin.pretrain.train import pretrain
from pretraining_toy import TOY, log_of, state_of, toy_images, toy_settings

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(), reason="torch without Gloo"
)
PROGRAM = """
import json, os, sys
from pretraining_toy import TOY, toy_images, toy_settings
from harmbench_builtin.pretrain import model
from harmbench_builtin.pretrain.train import PretrainingStopped, pretrain

out, changes, killed_at, number = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
model.ARCHITECTURES["toy"] = TOY

def progress(stage, done, total):
    # Only the second process gets the signal.
    if done == killed_at and os.environ["RANK"] == "1":
        os.kill(os.getpid(), number)

try:
    pretrain(toy_images(), out, toy_settings(**changes), progress)
except PretrainingStopped as stopped:
    print(stopped)
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}


def two_processes(
    out: Path, changes: dict[str, Any], killed_at: int = 0, number: int = signal.SIGTERM
) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each of two processes; the second gets a signal at the end of a step."""
    shared = {**environment(), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(out), json.dumps(changes), str(killed_at), str(int(number))],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    ended = [process.communicate(timeout=300) for process in started]
    return [(process.returncode, *said) for process, said in zip(started, ended, strict=True)]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model.ARCHITECTURES, "toy", TOY)


@pytest.mark.usefixtures("toy")
def test_two_processes_learn_what_one_learns_and_stop_at_the_same_step(tmp_path: Path) -> None:
    pretrain(toy_images(), tmp_path / "one", toy_settings())
    # In parts, and stopped by a signal that only the second process gets; then one goes on with it, undivided.
    ended = two_processes(tmp_path / "two", {"accumulate": 2}, killed_at=3)
    assert [code for code, _, _ in ended] == [0, 0], ended
    printed = [out for _, out, _ in ended]
    assert printed[0] == printed[1] and "stopped after step 4 of 6" in printed[0]
    assert state_of(tmp_path / "two")["progress"]["step"] == 4
    pretrain(toy_images(), tmp_path / "two", toy_settings())
    for alone, together in zip(log_of(tmp_path / "one"), log_of(tmp_path / "two"), strict=True):
        for name in ("step", "loss", "trivial_loss", "gradient_norm", "masked_cells", "lr", "stem_relative_change"):
            assert together[name] == pytest.approx(alone[name], rel=1e-4), name
    a, b = (state_of(tmp_path / name) for name in ("one", "two"))
    for part in ("network", "average"):
        assert all(torch.allclose(a[part][key], b[part][key], rtol=1e-3, atol=1e-6) for key in a[part])
    assert (tmp_path / "two" / "kernels.safetensors").is_file()


@pytest.mark.usefixtures("toy")
def test_a_killed_process_ends_the_other_with_a_word_and_costs_no_checkpoint(tmp_path: Path) -> None:
    (first, _, said), (second, _, _) = two_processes(tmp_path, {}, killed_at=4, number=signal.SIGKILL)
    assert second == -signal.SIGKILL and first == 1
    assert "Another process of this training has gone" in said and "start the same command again" in said
    assert state_of(tmp_path)["progress"]["step"] == 3
    assert pretrain(toy_images(), tmp_path, toy_settings()).is_file()


def test_torchrun_starts_the_command_itself(tmp_path: Path) -> None:
    settings = ("steps=1", "batch=2", "image_size=32", "decoder_width=8", "threads=1", "reconstruct_every=0")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "harmbench",
        "pretrain", "--images", "2", "--out", str(tmp_path), "--json", "--quiet",
        *(part for setting in settings for part in ("--set", setting)),
    ]  # fmt: skip
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    # One document: the second process says nothing.
    assert json.loads(ended.stdout)["kernels"] == str(tmp_path / "kernels.safetensors")
    assert len(log_of(tmp_path)) == 1


def test_a_module_is_wrapped_and_numbers_are_summed_only_where_there_are_several() -> None:
    alone, layer, values = World(), torch.nn.Linear(1, 1), torch.tensor([1.0, 2.0])
    assert alone.parallel(layer, torch.device("cpu")) is layer
    assert alone.total(values) is values and values.tolist() == [1.0, 2.0]


def test_when_the_first_process_fails_the_others_fail_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(failure: list[str | None]) -> None:
        failure[0] = "no usable image in folder"

    monkeypatch.setattr(distributed.dist, "broadcast_object_list", told)
    with pytest.raises(HarmbenchError, match="first process failed: no usable image in folder"):
        World(rank=1, size=2).first_does(lambda: None)


def test_images_that_one_process_read_are_the_same_for_all(tmp_path: Path) -> None:
    images = toy_images()
    kept.keep(images, tmp_path)
    again = kept.open_kept(tmp_path)
    assert again.digest() == images.digest() and again.ids == images.ids and again.ids_digest() == images.ids_digest()
    assert again.statistics() == images.statistics() and again.licence == images.licence and again.synthetic
