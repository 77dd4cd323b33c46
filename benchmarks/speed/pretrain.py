"""A whole pretraining step against timm's plain step of the same encoder.

    python benchmarks/speed/pretrain.py [--quick] [--json] [--device auto|cpu|cuda] [--size atto] [--image-size 224]
                                        [--batch N] [--precision auto|fp32|tf32|bf16] [--threads N] [--steps N]

Ours is what a training does in every step: crops and flips of 8-bit images, masks, forward and backward pass of
encoder *and decoder*, loss, clipping, AdamW, running average of the weights, the check for non-finite numbers. It is
timed inside a real training, `harmbench_builtin.pretrain.train.pretrain`, by the clock between two of its steps.

The plain step is timm's `convnextv2_<size>` with one channel: forward pass of the whole encoder on random images that
are there already, mean of the last map as the loss, backward pass, AdamW. No mask, no decoder, no data. The same batch,
image size, precision, memory layout, threads and fused optimizer; both compiled on a GPU, neither on a CPU.
So ours does more in a step.

ratio_to_plain_step
    THE ratio: time of the plain step / time of our whole step, for the first size measured. 0.9 is the goal.
ratio_to_plain_step_<size>_<pixels>, images_per_second_<...>, mfu_<...>, data_wait_share_<...>, peak_memory_mb_<...>
    The same for every size measured. MFU is by the measured speed of a large matrix product; peak memory is that of
    torch's tensors on a GPU, of the process so far (timm included) on a CPU.
encoder_ratio_<size>_<pixels>
    Plain step / our encoder alone, masked, with the same loss and optimizer: what the model costs without the task.
images_per_second, mfu, data_wait_share, peak_memory_mb, device
    Of the first size.

Measured are atto and base at 224 pixels on a GPU; atto at 128 and 224 pixels on a CPU (128 only with --quick), on one
thread unless --threads says otherwise, by the processor's time, in which other programs do not count. Rounds of all
sides alternate; a time is the median of a side's rounds, the spread that of the ratios within a round. Without timm
(`pip install harmbench[timm]`) the ratios are null.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import environment, parser, show
from import_timm import import_timm
from torch import Tensor, nn

from harmbench_builtin.pretrain import hardware, masking
from harmbench_builtin.pretrain.distributed import World
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.model import CELL, Encoder, architecture
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.train import LOG, pretrain

ROUNDS = 5


@dataclass(frozen=True)
class Case:
    """What is measured: a network, its images, and how."""

    size: str
    image_size: int
    batch: int
    steps: int
    device: torch.device
    precision: str
    threads: int

    @property
    def name(self) -> str:
        return f"{self.size}_{self.image_size}"

    @property
    def compiled(self) -> bool:
        return self.device.type == "cuda"


def some_images(size: int, count: int = 256) -> PretrainingImages:
    """Speckle in a sector: the time of a step does not depend on what is seen."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 255, (count, size, size), dtype=np.uint8)
    rows, columns = np.mgrid[:size, :size]
    sector = np.abs(columns - size / 2) <= rows * 0.7 + size / 10
    return PretrainingImages("speckle", pixels * sector, np.broadcast_to(sector, pixels.shape).copy(),
                             tuple(map(str, range(count))), synthetic=True)  # fmt: skip


def clock(device: torch.device) -> float:
    """Seconds: of the wall on a GPU, when all that was asked of it is done; of the processor on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def our_steps(case: Case, images: PretrainingImages) -> tuple[float, dict[str, float]]:
    """Seconds of a step of a training, steps before being left out, and the last record of its log."""
    settings = Settings(
        size=case.size, image_size=case.image_size, batch=case.batch, steps=2 * case.steps, log_every=case.steps,
        device=case.device.type, precision=case.precision, threads=case.threads, checkpoint_every=10**9,
        reconstruct_every=0,
    )  # fmt: skip
    ends: list[float] = []

    def note(stage: str, done: int, total: int) -> None:
        # The last step also writes a checkpoint, and is left out.
        if done in (case.steps, total - 1):
            ends.append(clock(case.device))

    with tempfile.TemporaryDirectory() as folder:
        pretrain(images, folder, settings, note)
        records = [json.loads(line) for line in (Path(folder) / LOG).read_text().splitlines()]
    return (ends[1] - ends[0]) / (case.steps - 1), records[-1]


def plain_steps(case: Case, network: nn.Module, forward: Callable[[Tensor], Tensor]) -> float:
    """Seconds of a step: forward, mean, backward, AdamW on images that are there already."""
    images = torch.randn(case.batch, 1, case.image_size, case.image_size, device=case.device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05, fused=True)

    def step() -> None:
        with torch.autocast(case.device.type, dtype=torch.bfloat16, enabled=case.precision == "bf16"):
            value = forward(images)
        value.float().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(case.steps):
        step()
    start = clock(case.device)
    for _ in range(case.steps - 1):
        step()
    return (clock(case.device) - start) / (case.steps - 1)


def timm_encoder(timm: Any, case: Case) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    network = timm.create_model(f"convnextv2_{case.size}", in_chans=1, num_classes=0)
    network = network.to(case.device, memory_format=torch.channels_last)
    forward = torch.compile(network.forward_features, dynamic=False) if case.compiled else network.forward_features
    return network, forward


def our_encoder(case: Case) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    network = Encoder(architecture(case.size)).to(case.device)
    cells = case.image_size // CELL
    eligible = torch.ones(case.batch, 1, cells, cells, dtype=torch.bool)
    visible = masking.visible_cells(eligible, 0.6, torch.rand(eligible.shape)).to(case.device)
    call = torch.compile(network, dynamic=False) if case.compiled else network
    return network, lambda images: call(images, visible)


def measure_case(
    case: Case, timm: Any, rounds: int
) -> tuple[dict[str, float | None], dict[str, list[float]], list[str]]:
    """Figures of one size, their spread (smallest and largest over rounds), and lines for people."""
    images = some_images(case.image_size)
    plain, encoder, whole = [], [], []
    record: dict[str, float] = {}
    with hardware.torch_set_up(case.threads, case.precision):
        theirs = timm_encoder(timm, case) if timm else None
        ours = our_encoder(case)
        for _ in range(rounds):
            if theirs is not None:
                plain.append(plain_steps(case, *theirs))
            encoder.append(plain_steps(case, *ours))
            gc.collect()
            taken, record = our_steps(case, images)
            whole.append(taken)
    seconds = statistics.median(whole)
    figures: dict[str, float | None] = {
        f"ratio_to_plain_step_{case.name}": statistics.median(plain) / seconds if plain else None,
        f"encoder_ratio_{case.name}": statistics.median(plain) / statistics.median(encoder) if plain else None,
        f"images_per_second_{case.name}": case.batch / seconds,
        f"mfu_{case.name}": record["mfu"] * record["step_ms"] / 1000 / seconds,
        f"data_wait_share_{case.name}": record["data_wait_share"],
        f"peak_memory_mb_{case.name}": record["peak_memory_mb"],
    }
    spread = {}
    lines = [
        f"{case.size}, {case.image_size} pixels, batch {case.batch}, {case.precision}: our whole step "
        f"{1000 * seconds:.0f} ms ({case.batch / seconds:.1f} images/s), our encoder alone "
        f"{1000 * statistics.median(encoder):.0f} ms"
    ]
    if plain:
        ratios = [a / b for a, b in zip(plain, whole, strict=True)]
        spread[f"ratio_to_plain_step_{case.name}"] = [min(ratios), max(ratios)]
        lines.append(
            f"  timm's plain step {1000 * statistics.median(plain):.0f} ms: ratio "
            f"{statistics.median(plain) / seconds:.2f} (in a round {min(ratios):.2f} to {max(ratios):.2f}), "
            f"encoder alone {statistics.median(plain) / statistics.median(encoder):.2f}"
        )
    else:
        lines.append("  timm is not installed (pip install harmbench[timm]): nothing to compare with")
    lines.append(
        f"  MFU {100 * (figures[f'mfu_{case.name}'] or 0):.0f} % of a measured matrix product, data wait "
        f"{100 * record['data_wait_share']:.1f} %, peak memory {record['peak_memory_mb']:.0f} MB"
    )
    return figures, spread, lines


def cases(options: argparse.Namespace) -> list[Case]:
    device = hardware.find_device(options.device)
    precision = hardware.find_precision(options.precision, device)
    gpu = device.type == "cuda"
    chosen = [("atto", 224), ("base", 224)] if gpu else [("atto", 128), ("atto", 224)]
    if options.quick:
        chosen = chosen[:1]
    if options.size or options.image_size:
        chosen = [(options.size or "atto", options.image_size or 224)]
    batches = {"atto": 512 if gpu else 16}
    threads = options.threads or (0 if gpu else 1)
    return [
        Case(size, side, options.batch or batches.get(size, 128 if gpu else 4), options.steps or (20 if gpu else 3),
             device, precision, threads)
        for size, side in chosen
    ]  # fmt: skip


def measure(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, list[float]], list[str]]:
    """Figures, their spread, and lines for people."""
    timm = None
    with contextlib.suppress(ImportError):
        timm = import_timm()
    figures: dict[str, Any] = {}
    spread: dict[str, list[float]] = {}
    lines: list[str] = []
    todo = cases(options)
    for case in todo:
        more, wide, text = measure_case(case, timm, 3 if options.quick else ROUNDS)
        figures |= more
        spread |= wide
        lines += text
    for name in ("ratio_to_plain_step", "images_per_second", "mfu", "data_wait_share", "peak_memory_mb"):
        figures[name] = figures[f"{name}_{todo[0].name}"]
    figures["device"] = hardware.device_name(todo[0].device)
    return figures, spread, lines


def main() -> None:
    arguments = parser(__doc__, "the first size and fewer rounds")
    arguments.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    arguments.add_argument("--precision", default="auto", choices=["auto", "fp32", "tf32", "bf16"])
    arguments.add_argument("--size", default="", help="atto to huge; default: see above")
    arguments.add_argument("--image-size", type=int, default=0)
    arguments.add_argument("--batch", type=int, default=0)
    arguments.add_argument(
        "--steps", type=int, default=0, help="of a round; one less is timed, after as many that are not"
    )
    arguments.add_argument("--threads", type=int, default=0, help="default: 1 on a CPU, torch's choice on a GPU")
    options = arguments.parse_args()
    if options.steps == 1:
        arguments.error("--steps must be at least 2")
    figures, spread, lines = measure(options)
    about = environment(
        ("torch", "timm"),
        threads=cases(options)[0].threads or torch.get_num_threads(),
        batch=[case.batch for case in cases(options)],
        processes=World().size,
    )
    show(options.json, figures, spread, about, lines)


if __name__ == "__main__":
    main()
