"""From images to what the network sees in a step: crops, which cells are hidden, which are scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harmbench_builtin.pretrain import masking, sampling, scanners, views
from harmbench_builtin.pretrain.distributed import World
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.model import CELL
from harmbench_builtin.pretrain.residence import open_store
from harmbench_builtin.pretrain.settings import Settings


@dataclass(frozen=True)
class Batch:
    """What one process sees of a step, or a part of that.

    Parameters
    ----------
    chosen : int64 (b,)
        Rows of the images, on the CPU.
    images : float32 (b, C, H, W)
        Crops, in units of the images' standard deviation.
    visible, scored : bool (b, 1, H/32, W/32)
        Cells that are seen; cells that are to be predicted.
    total : int
        Images of the step, over all parts and processes.
    total_scored : float32, scalar
        Scored cells of the step, over all parts and processes. A loss that is divided by this sums to the mean over
        the whole step, however the step is divided.
    views : Views or None
        Windows of two views of each image; None unless a term needs them.
    """

    chosen: Tensor
    images: Tensor
    visible: Tensor
    scored: Tensor
    total: int
    total_scored: Tensor
    views: views.Views | None = None

    def parts(self, count: int) -> Iterator[Batch]:
        """The batch in `count` equal parts."""
        size = len(self.images) // count
        for first in range(0, len(self.images), size):
            own = slice(first, first + size)
            yield replace(
                self,
                chosen=self.chosen[own],
                images=self.images[own],
                visible=self.visible[own],
                scored=self.scored[own],
                views=None if self.views is None else views.Views(*(part[own] for part in self.views)),
            )


class Batches:
    """Makes this process's share of every step.

    Parameters
    ----------
    images : PretrainingImages
    mean, std : float
        Of `pixels / 255`.
    settings : Settings
    device : torch.device
    world : World
    """

    def __init__(
        self,
        images: PretrainingImages,
        mean: float,
        std: float,
        settings: Settings,
        device: torch.device,
        world: World,
    ) -> None:
        self._count, self._mean, self._std = len(images), mean, std
        self._settings, self._device, self._world = settings, device, world
        share = settings.batch // world.size
        self._own = slice(world.rank * share, (world.rank + 1) * share)
        self._store = open_store(images, device, settings.residence)
        paired = settings.consistency > 0 and settings.views == "pairs"
        self._other = open_store(images.second(), device, settings.residence) if paired else None
        self._ready: tuple[int, Batch] | None = None

    def take(self, step: int) -> Batch:
        """The batch of a step: a function of the settings and the step alone."""
        ready, self._ready = self._ready, None
        return ready[1] if ready is not None and ready[0] == step else self._make(step)

    def prepare(self, step: int) -> None:
        """Make a batch that will be taken next. On a GPU this only queues the work, behind that of the step before."""
        if self._device.type == "cuda":
            self._ready = (step, self._make(step))

    def _make(self, step: int) -> Batch:
        settings = self._settings
        cells = settings.image_size // CELL
        chosen = self._chosen(step)
        crops, noise = (part[self._own] for part in sampling.draws(settings.seed, step, settings.batch, cells))
        coming = self._chosen(step + 1)
        pixels, sector = self._store.take(chosen, coming)
        grey, seen = sampling.crop_and_flip(
            pixels, sector, settings.image_size, settings.crop, settings.flip, self._there(crops)
        )
        random = views.draws(settings.seed, step, settings.batch).of(self._own)
        if settings.augment == "scanner":
            grey = scanners.random_scanner(grey, seen, self._there(random.scanners[:, 2]))
        pair = None
        if settings.consistency > 0:
            other, also = (None, sector) if self._other is None else self._other.take(chosen, coming)
            random = views.Draws(*map(self._there, random))
            pair = views.windows(pixels, other, sector & also, settings.image_size, random)
        eligible = masking.eligible_cells(seen, settings.min_sector)
        visible = masking.visible_cells(eligible, settings.mask_ratio, self._there(noise))
        return Batch(
            chosen=chosen,
            images=(grey / 255.0 - self._mean) / self._std,
            visible=visible,
            scored=~visible,
            total=settings.batch,
            total_scored=self._world.total((~visible).sum(dtype=torch.float32)),
            views=pair,
        )

    def close(self) -> None:
        """Stop fetching images."""
        self._store.close()
        if self._other is not None:
            self._other.close()

    def _chosen(self, step: int) -> Tensor:
        return sampling.indices(self._settings.seed, step, self._settings.batch, self._count)[self._own]

    def _there(self, numbers: Tensor) -> Tensor:
        if self._device.type != "cuda":
            return numbers
        # From pinned memory the copy does not make the CPU wait for the GPU.
        return numbers.pin_memory().to(self._device, non_blocking=True)
