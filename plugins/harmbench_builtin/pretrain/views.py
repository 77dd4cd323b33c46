"""Two views of the same thing for the consistency term: windows of both, at the scale of the stored images.

Windows, not the random resized crops of the reconstruction: two views of one crop have its zoom in common, and a kernel
whose response shows nothing but the zoom would seem to agree with itself. At the stored scale what the views share is
what they show, and it is the scale at which the kernels are used as filters.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from harmbench.seeding import seed
from harmbench_builtin.pretrain import scanners

TRIES = 8
"""Places that are drawn for a window; the one with most of the sector is taken."""


class Views(NamedTuple):
    """Two views of each image.

    Parameters
    ----------
    first, second : float32 (b, 1, S, S), 0 to 255
    sector : float32 (b, 1, S, S), 0 or 1
        Where both show something.
    """

    first: Tensor
    second: Tensor
    sector: Tensor


class Draws(NamedTuple):
    """The random numbers of a step's views, uniform in [0, 1): functions of seed and step."""

    places: Tensor
    """(batch, TRIES, 2)"""
    scanners: Tensor
    """(batch, 3, scanners.DRAWS): of the two views, and of the image that is reconstructed"""

    def of(self, own: slice) -> Draws:
        """Those of some of the step's images."""
        return Draws(self.places[own], self.scanners[own])


def draws(base: int, step: int, batch: int) -> Draws:
    """Drawn on the CPU, apart from those of crops and masks: views change nothing about what is reconstructed."""
    random = torch.Generator().manual_seed(seed(base, pretrain="views", step=step))
    places = torch.rand((batch, TRIES, 2), generator=random)
    return Draws(places, torch.rand((batch, 3, scanners.DRAWS), generator=random))


def windows(pixels: Tensor, other: Tensor | None, sector: Tensor, size: int, random: Draws) -> Views:
    """The same window of both views.

    Parameters
    ----------
    pixels : uint8 (b, H, W)
    other : uint8 (b, H, W) or None
        The second views; None: both views are made from the first one by random post-processing.
    sector : bool (b, H, W)
        Where both show something.
    size : int
        Side of the window; the images' side where they are smaller.
    random : Draws
    """
    height, width = pixels.shape[1:]
    size = min(size, height, width)
    room = torch.tensor([height - size + 1, width - size + 1], device=pixels.device)
    corners = (random.places * room).long()  # (b, TRIES, 2)
    # Sector pixels of every window by an integral image.
    total = torch.zeros((len(sector), height + 1, width + 1), device=sector.device)
    total[:, 1:, 1:] = sector.float().cumsum(1).cumsum(2)
    image = torch.arange(len(sector), device=sector.device)[:, None]
    top, left = corners[..., 0], corners[..., 1]
    share = (
        total[image, top + size, left + size]
        - total[image, top, left + size]
        - total[image, top + size, left]
        + total[image, top, left]
    )
    best = share.argmax(1)
    row, column = (corners[image[:, 0], best, axis] for axis in (0, 1))
    steps = torch.arange(size, device=pixels.device)
    rows = (row[:, None] + steps)[:, :, None]
    columns = (column[:, None] + steps)[:, None, :]
    place = (image[:, :, None], rows, columns)
    seen = sector[place].float()[:, None]
    first = pixels[place].float()[:, None]
    if other is not None:
        return Views(first, other[place].float()[:, None], seen)
    return Views(
        scanners.random_scanner(first, seen, random.scanners[:, 0]),
        scanners.random_scanner(first, seen, random.scanners[:, 1]),
        seen,
    )
