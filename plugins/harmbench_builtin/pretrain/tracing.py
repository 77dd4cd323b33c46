"""A trace of a few steps, to see where time goes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from harmbench_builtin.pretrain.distributed import World

FOLDER = "profile"
SKIPPED, WARM, TRACED = 5, 2, 3
"""Steps that are left out, run under the profiler but not kept, and kept."""


def tracer(wanted: bool, out: Path, device: torch.device, world: World) -> AbstractContextManager[Any]:
    """A profiler whose `step()` is called after every step, or a context that gives None.

    It writes `profile/rank-<n>-step-<m>.json` in Chrome's trace format.
    """
    if not wanted:
        return nullcontext()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]

    def write(profiler: Any) -> None:
        folder = out / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        profiler.export_chrome_trace(str(folder / f"rank-{world.rank}-step-{profiler.step_num}.json"))

    return profile(
        activities=activities,
        schedule=schedule(wait=SKIPPED, warmup=WARM, active=TRACED, repeat=1),
        on_trace_ready=write,
        profile_memory=True,
    )
