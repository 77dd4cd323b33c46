"""Which cells are hidden. Only cells that show enough of the ultrasound sector take part."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harmbench_builtin.pretrain.model import CELL


def eligible_cells(sector: Tensor, share: float) -> Tensor:
    """Cells of which at least `share` lies in the sector.

    Parameters
    ----------
    sector : float (B, 1, H, W), 0 to 1
    share : float

    Returns
    -------
    bool (B, 1, H/32, W/32)
    """
    # A cell fully inside must count at share = 1 too, whatever the order in which its 1024 ones are averaged.
    return F.avg_pool2d(sector, CELL) >= share - 1e-6


def kept(eligible: Tensor, ratio: float) -> Tensor:
    """How many of `eligible` cells stay visible: floor(n (1 - ratio)), as 19 of 49 at ratio 0.6."""
    # The small term keeps 0.4 x 10 from becoming 3.9999999.
    return torch.floor(eligible.double() * (1.0 - ratio) + 1e-9).long()


def visible_cells(eligible: Tensor, ratio: float, noise: Tensor) -> Tensor:
    """Hide a share of the eligible cells of each sample; background cells are never hidden.

    Parameters
    ----------
    eligible : bool (B, 1, h, w)
    ratio : float
        Share of eligible cells to hide.
    noise : float (B, 1, h, w)
        Uniform random numbers that decide which (the lowest stay visible).

    Returns
    -------
    bool (B, 1, h, w)
        False where hidden. Exactly `kept(number eligible, ratio)` eligible cells of each sample are True.
    """
    flat = eligible.flatten(1)
    # Ineligible cells sort behind all eligible ones and so never use up a place.
    order = noise.flatten(1).masked_fill(~flat, float("inf")).argsort(dim=1)
    rank = order.argsort(dim=1)
    keep = kept(flat.sum(1, keepdim=True), ratio)
    return ((rank < keep) | ~flat).view_as(eligible)
