"""Figures that say how a training goes: of the stem, and of the time that steps take."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harmbench_builtin.pretrain.model import architecture
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.throughput import measured_peak, peak_memory_mb, training_flops


def stem_facts(weight: Tensor, start: Tensor) -> dict[str, float]:
    """How far the stem has come from its random start, and how much its kernels differ from one another.

    Parameters
    ----------
    weight, start : (K, C, h, w)

    Returns
    -------
    dict
        `stem_cosine`: cosine between all weights now and at the start (1: same direction); `stem_relative_change`:
        norm of the difference over the norm at the start; `kernel_diversity`: mean over pairs of kernels of
        1 - |cosine| (0: all the same up to sign; about 0.8 for random kernels of 16 weights).
    """
    now, then = (t.detach().double().cpu().flatten(1) for t in (weight, start))
    unit = torch.nn.functional.normalize(now, dim=1)
    count = len(unit)
    pairs = count * (count - 1)
    likeness = ((unit @ unit.T).abs().sum() - count) / max(1, pairs)
    return {
        "stem_cosine": torch.nn.functional.cosine_similarity(now.flatten(), then.flatten(), dim=0).item(),
        "stem_relative_change": ((now - then).norm() / then.norm()).item(),
        "kernel_diversity": 1.0 - likeness.item() if pairs else 0.0,
    }


@dataclass(frozen=True)
class Work:
    """What a step costs.

    Parameters
    ----------
    images : int
        Of a step, over all processes.
    flops : float
        Of a step, per process.
    peak : float
        Floating-point operations that the device does in a second at best.
    """

    images: int
    flops: float
    peak: float


def work_of(settings: Settings, processes: int, device: torch.device, precision: str) -> Work:
    """What a step of a training costs each process."""
    flops = training_flops(architecture(settings.size), settings.image_size, settings.decoder_width)
    return Work(settings.batch, flops * settings.batch / processes, measured_peak(device, precision))


class Window:
    """The steps since the last record: their mean losses and how their time was spent."""

    def __init__(self, device: torch.device, work: Work) -> None:
        self._device, self._work = device, work
        if device.type == "cuda":
            # What was tried and measured before the first step does not count.
            torch.cuda.reset_peak_memory_stats(device)
        self._restart()

    def _restart(self) -> None:
        self._start = time.perf_counter()
        self._waited = 0.0
        self._marks: list[tuple[Any, Any]] = []
        self._values: list[dict[str, float]] = []

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what gets a batch ready.

        On a GPU its own time between both ends is taken: what it spends on crops, and what it idles when the images
        come too late. The clock of the CPU, which runs ahead of the GPU, would say nothing.
        """
        if self._device.type == "cuda":
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            yield
            last.record()
            self._marks.append((first, last))
            return
        start = time.perf_counter()
        yield
        self._waited += time.perf_counter() - start

    def add(self, values: dict[str, float]) -> None:
        """The loss and its parts in one step."""
        self._values.append(values)

    def close(self) -> dict[str, float]:
        """Means over the finite steps and figures of speed; then a new window begins."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        seconds = time.perf_counter() - self._start
        waited = self._waited + sum(first.elapsed_time(last) / 1000 for first, last in self._marks)
        steps = len(self._values)
        # As the loop judges: a step whose gradient is not finite is skipped, too.
        finite = [v for v in self._values if math.isfinite(v["loss"]) and math.isfinite(v.get("gradient_norm", 0.0))]
        facts = {
            name: sum(values[name] for values in finite) / len(finite) if finite else math.nan
            for name in self._values[-1]
        }
        facts |= {
            "images_per_second": steps * self._work.images / seconds,
            "step_ms": 1000 * seconds / steps,
            "data_wait_share": waited / seconds,
            "mfu": steps * self._work.flops / seconds / self._work.peak,
            "peak_memory_mb": peak_memory_mb(self._device),
        }
        self._restart()
        return facts
