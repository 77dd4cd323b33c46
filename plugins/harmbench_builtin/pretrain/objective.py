"""What is to be predicted, and how a prediction is scored."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harmbench_builtin.pretrain.model import CELL


def patchify(images: Tensor) -> Tensor:
    """Pixels of each cell as channels: (B, C, H, W) to (B, C * 32 * 32, H/32, W/32)."""
    return F.pixel_unshuffle(images, CELL)


def unpatchify(cells: Tensor) -> Tensor:
    """The inverse of `patchify`."""
    return F.pixel_shuffle(cells, CELL)


def targets(images: Tensor, floor: float) -> Tensor:
    """Cells normalised to mean 0 and about variance 1, each by its own pixels.

    Parameters
    ----------
    images : (B, C, H, W)
    floor : float
        Added to the variance, in the unit of `images` squared. Without it the compression noise of a black cell
        (a quarter of a grey level) would be blown up to unit variance and be learnt.

    Returns
    -------
    (B, C * 32 * 32, H/32, W/32)
    """
    cells = patchify(images)
    variance, mean = torch.var_mean(cells, dim=1, keepdim=True, correction=0)
    return (cells - mean) / torch.sqrt(variance + floor)


def masked_loss(
    predicted: Tensor, target: Tensor, scored: Tensor, count: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mean squared error over the scored cells of the whole batch, and that of predicting zero.

    Parameters
    ----------
    predicted, target : (B, P, h, w)
    scored : bool (B, 1, h, w)
        Cells that were hidden and lie in the sector.
    count : scalar, optional
        What the sums over cells are divided by; default: the scored cells that are given. Where a step comes in
        parts it is the count of the whole step, since the parts' counts differ.

    Returns
    -------
    loss, trivial : scalars
        `trivial` is the loss of a grey cell, at most 1; a loss near it means that nothing has been learnt. Both 0
        when no cell is scored.
    """
    weight = scored.to(target.dtype)
    count = (weight.sum() if count is None else count).clamp(min=1)
    loss = ((predicted.to(target.dtype) - target).square().mean(1, keepdim=True) * weight).sum() / count
    trivial = (target.square().mean(1, keepdim=True) * weight).sum() / count
    return loss, trivial
