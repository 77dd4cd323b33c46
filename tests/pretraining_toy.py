"""A network and images so small that a training takes a second. Also for tests that start other processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harmbench_builtin.pretrain import checkpoint, model
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.settings import Settings

TOY = model.Architecture((1, 1, 1, 1), (4, 8, 8, 16), conv_mlp=True)


def toy_settings(**changes: Any) -> Settings:
    """Six steps of four images; `TOY` must be registered as size "toy"."""
    given: dict[str, Any] = {
        "size": "toy", "image_size": 64, "steps": 6, "batch": 4, "decoder_width": 16, "threads": 1, "log_every": 2,
        "checkpoint_every": 3,
    }  # fmt: skip
    return Settings(**{**given, **changes})


def toy_images(count: int = 6, seed: int = 0) -> PretrainingImages:
    """Smooth noise in a wedge: something a decoder can predict."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (count, 12, 12)).astype(np.uint8)
    pixels = coarse.repeat(8, 1).repeat(8, 2)
    sector = np.abs(np.arange(96) - 48)[None, :] <= np.arange(96)[:, None] + 8
    return PretrainingImages(
        "noise", pixels * sector, np.broadcast_to(sector, pixels.shape).copy(), tuple(f"n{i}" for i in range(count)),
        synthetic=True, licence="none",
    )  # fmt: skip


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def state_of(out: Path) -> dict[str, Any]:
    state = checkpoint.load_latest(out)
    assert state is not None
    return state


def weights_of(out: Path) -> dict[str, torch.Tensor]:
    return state_of(out)["network"]


def same_weights(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether two checkpoints hold the same network, average and optimizer to the bit."""
    networks = all(torch.equal(a[part][key], b[part][key]) for part in ("network", "average") for key in a[part])
    moments = all(
        torch.equal(value, b["optimizer"]["state"][key][name])
        for key, state in a["optimizer"]["state"].items()
        for name, value in state.items()
    )
    return networks and moments
