"""Where the 8-bit images live while a network trains on them: in the device's memory, or in a file on disk."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from harmbench.errors import UsageError
from harmbench_builtin.pretrain.images import PretrainingImages

_SHARE = 0.5
"""Of a GPU's free memory that the images may take; the rest is for the network."""
_CHUNK = 1024


class Store(Protocol):
    """Gives the images of a batch."""

    def take(self, chosen: Tensor, coming: Tensor) -> tuple[Tensor, Tensor]:
        """The chosen images, on the device.

        Parameters
        ----------
        chosen : int64 (b,)
        coming : int64 (b,)
            What will be asked for next; it may be fetched meanwhile.

        Returns
        -------
        pixels : uint8 (b, H, W)
        sector : bool (b, H, W)
        """
        ...

    def close(self) -> None:
        """Stop fetching."""
        ...


def find_residence(images: PretrainingImages, device: torch.device, wanted: str) -> str:
    """ "device" or "memory-map".

    "auto" takes the device where the images fit in half of its free memory. On a CPU images that are in memory
    already are "device"; those in a file stay there.

    Raises
    ------
    UsageError
        When "device" is wanted and the images do not fit.
    """
    if device.type != "cuda":
        mapped = isinstance(images.pixels, np.memmap)
        return wanted if wanted != "auto" else "memory-map" if mapped else "device"
    needed = images.pixels.size + images.pixels.size // 8
    free = torch.cuda.mem_get_info(device)[0]
    if wanted == "device" and needed > free:
        raise UsageError(
            f"residence is 'device', but the images take {needed / 2**30:.1f} GiB and the GPU has "
            f"{free / 2**30:.1f} GiB free. Use residence 'auto' or 'memory-map'."
        )
    return wanted if wanted != "auto" else "device" if needed <= _SHARE * free else "memory-map"


def open_store(images: PretrainingImages, device: torch.device, wanted: str) -> Store:
    """The store for a residence ("auto", "device" or "memory-map")."""
    if find_residence(images, device, wanted) == "memory-map":
        return FetchedImages(images, device)
    if device.type == "cuda":
        return ImagesOnGpu(images, device)
    return ImagesInMemory(images)


class ImagesInMemory:
    """All images as tensors over the arrays they came in: nothing is copied."""

    def __init__(self, images: PretrainingImages) -> None:
        self._pixels = torch.from_numpy(np.require(images.pixels, requirements="W"))
        self._sector = torch.from_numpy(np.require(images.sector, requirements="W"))

    def take(self, chosen: Tensor, coming: Tensor) -> tuple[Tensor, Tensor]:
        return self._pixels[chosen], self._sector[chosen]

    def close(self) -> None:
        pass


class ImagesOnGpu:
    """All images in the GPU's memory, eight pixels of a sector in one byte: cropping needs no transfer."""

    def __init__(self, images: PretrainingImages, device: torch.device) -> None:
        count, self._height, self._width = images.pixels.shape
        self._device = device
        self._pixels = torch.empty(images.pixels.shape, dtype=torch.uint8, device=device)
        self._packed = torch.empty((count, self._height, -(-self._width // 8)), dtype=torch.uint8, device=device)
        self._bits = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
        for first in range(0, count, _CHUNK):
            part = slice(first, first + _CHUNK)
            self._pixels[part] = torch.from_numpy(np.array(images.pixels[part])).to(device)
            self._packed[part] = torch.from_numpy(np.packbits(images.sector[part], axis=-1)).to(device)

    def take(self, chosen: Tensor, coming: Tensor) -> tuple[Tensor, Tensor]:
        chosen = chosen.to(self._device, non_blocking=True)
        bits = (self._packed[chosen].unsqueeze(-1) >> self._bits) & 1
        return self._pixels[chosen], bits.flatten(-2)[..., : self._width].bool()

    def close(self) -> None:
        pass


class FetchedImages:
    """Images that stay in a file: a thread reads the next batch while the network works on this one.

    For a GPU the thread reads into pinned memory, from which the copy runs beside the GPU's work.
    """

    def __init__(self, images: PretrainingImages, device: torch.device) -> None:
        self._images, self._device = images, device
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pretraining-images")
        self._coming: tuple[Tensor, Future[tuple[Tensor, Tensor]]] | None = None

    def take(self, chosen: Tensor, coming: Tensor) -> tuple[Tensor, Tensor]:
        if self._coming is not None and torch.equal(self._coming[0], chosen):
            pixels, sector = self._coming[1].result()
        else:
            pixels, sector = self._read(chosen)
        self._coming = (coming, self._thread.submit(self._read, coming))
        return pixels.to(self._device, non_blocking=True), sector.to(self._device, non_blocking=True)

    def _read(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        rows = chosen.numpy()
        pinned = self._device.type == "cuda"
        shape = (len(rows), *self._images.pixels.shape[1:])
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        sector = torch.empty(shape, dtype=torch.bool, pin_memory=pinned)
        pixels.numpy()[:] = self._images.pixels[rows]
        sector.numpy()[:] = self._images.sector[rows]
        return pixels, sector

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
