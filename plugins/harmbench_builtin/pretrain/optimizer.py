"""AdamW, what it decays, and its learning rate by step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harmbench_builtin.pretrain.model import MaskedAutoencoder
from harmbench_builtin.pretrain.settings import Settings


def learning_rate(settings: Settings, step: int) -> float:
    """Linear warm-up to `lr`, then half a cosine down to 0, by step."""
    warm = round(settings.warmup * settings.steps)
    if step < warm:
        return settings.lr * (step + 1) / warm
    return settings.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, settings.steps - warm)))


def make_optimizer(network: MaskedAutoencoder, settings: Settings, fused: bool) -> torch.optim.AdamW:
    """AdamW without decay on norms, GRN, biases and the mask token.

    Each group has a `scale`, by which its learning rate is multiplied.
    """
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in network.named_parameters():
        if parameter is network.stem.weight:
            continue
        plain = parameter.ndim < 2 or "grn" in name or name == "mask_token"
        (free if plain else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay, "scale": 1.0},
        {"params": free, "weight_decay": 0.0, "scale": 1.0},
        {"params": [network.stem.weight], "weight_decay": settings.weight_decay, "scale": settings.stem_lr},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.95), fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set every group's learning rate to its share of `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
