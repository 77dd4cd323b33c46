"""Which images a step sees, and which part of each.

Every number is a function of (seed, step, position in the batch of all processes): there is no state to lose, and
neither the number of processes nor that of the parts of a batch changes what is seen.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from harmbench.seeding import rng, seed


@lru_cache(maxsize=4)
def _order(base: int, epoch: int, count: int) -> Tensor:
    return torch.from_numpy(rng(base, pretrain="order", epoch=epoch).permutation(count))


def indices(base: int, step: int, batch: int, count: int) -> Tensor:
    """The images of a step: every image once before any image comes again.

    Returns
    -------
    int64 (batch,)
    """
    parts: list[Tensor] = []
    at, end = step * batch, (step + 1) * batch
    while at < end:
        epoch, offset = divmod(at, count)
        parts.append(_order(base, epoch, count)[offset : offset + end - at])
        at += len(parts[-1])
    return torch.cat(parts)


CROP_DRAWS = 5
"""Random numbers that a crop takes: area, aspect, place (2), mirror."""


def draws(base: int, step: int, batch: int, cells: int) -> tuple[Tensor, Tensor]:
    """The random numbers of a step, uniform in [0, 1), always drawn on the CPU: every device gets the same.

    Returns
    -------
    crops : float32 (batch, 5)
    noise : float32 (batch, 1, cells, cells)
        Decides which cells are hidden.
    """
    random = torch.Generator().manual_seed(seed(base, pretrain="step", step=step))
    crops = torch.rand((batch, CROP_DRAWS), generator=random)
    return crops, torch.rand((batch, 1, cells, cells), generator=random)


def crop_and_flip(
    pixels: Tensor, sector: Tensor, size: int, area: tuple[float, float], flip: bool, draws: Tensor
) -> tuple[Tensor, Tensor]:
    """Random resized crops, half of them mirrored left to right, on the device that holds the images.

    Parameters
    ----------
    pixels : uint8 (B, H, W)
    sector : bool (B, H, W)
    size : int
        Side of the result.
    area : (float, float)
        Smallest and largest share of the image's area; the aspect ratio lies between 3:4 and 4:3.
    flip : bool
    draws : float32 (B, 5)
        Uniform random numbers.

    Returns
    -------
    crops : float32 (B, 1, size, size), 0 to 255
    sector : float32 (B, 1, size, size), 0 to 1
    """
    batch = len(pixels)
    share = area[0] + (area[1] - area[0]) * draws[:, 0]
    stretch = torch.exp((2 * draws[:, 1] - 1) * (0.5 * math.log(4 / 3)))
    width = (share.sqrt() * stretch).clamp(max=1)
    height = (share.sqrt() / stretch).clamp(max=1)
    mirror = torch.where(draws[:, 4] < 0.5, -1.0, 1.0) if flip else torch.ones_like(width)
    theta = torch.zeros((batch, 2, 3), device=pixels.device)
    # In the coordinates of grid_sample the image reaches from -1 to 1 and the centre may move by 1 - width.
    theta[:, 0, 0], theta[:, 0, 2] = width * mirror, (1 - width) * (2 * draws[:, 2] - 1)
    theta[:, 1, 1], theta[:, 1, 2] = height, (1 - height) * (2 * draws[:, 3] - 1)
    # Twice as many points as pixels, then averaged in fours: crops larger than `size` would alias otherwise.
    grid = F.affine_grid(theta, [batch, 2, 2 * size, 2 * size], align_corners=False)
    stacked = torch.stack([pixels.float(), sector.float()], dim=1)
    taken = F.grid_sample(stacked, grid, mode="bilinear", padding_mode="border", align_corners=False)
    small = F.avg_pool2d(taken, 2)
    return small[:, :1], small[:, 1:]
