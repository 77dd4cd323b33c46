"""Reconstructions as pictures: original, what the network sees, what it makes of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harmbench_builtin.pretrain import frequency, masking, objective, sampling
from harmbench_builtin.pretrain.export import write_whole
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.model import CELL, MaskedAutoencoder
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.stack import Bytes

FOLDER = "reconstructions"
EXAMPLES = 8
_HIDDEN = 96
"""Grey level of a cell that the network does not see."""


class Pictures:
    """The same few images, hidden in the same cells, at every call: pictures of different steps can be compared.

    Parameters
    ----------
    out : Path
        The training's folder; the pictures go into its folder `reconstructions`.
    images : PretrainingImages
        The first 8 are shown whole.
    mean, std : float
        Of `pixels / 255`.
    settings : Settings
    device : torch.device
    """

    def __init__(
        self, out: Path, images: PretrainingImages, mean: float, std: float, settings: Settings, device: torch.device
    ) -> None:
        self._folder, self._mean, self._std = out / FOLDER, mean, std
        self._floor = (settings.floor / 255.0 / std) ** 2
        count, size = min(EXAMPLES, len(images)), settings.image_size
        # The middle of every random number: the whole image, not stretched.
        middle = torch.full((count, sampling.CROP_DRAWS), 0.5)
        pixels, sector = (torch.from_numpy(np.array(a[:count])) for a in (images.pixels, images.sector))
        grey, seen = sampling.crop_and_flip(pixels, sector, size, (1.0, 1.0), False, middle)
        _, noise = sampling.draws(settings.seed, 0, count, size // CELL)
        eligible = masking.eligible_cells(seen, settings.min_sector)
        self._images = ((grey / 255.0 - mean) / std).to(device)
        self._shown = frequency.filtered(self._images, settings.target)
        self._visible = masking.visible_cells(eligible, settings.mask_ratio, noise).to(device)

    def save(self, network: MaskedAutoencoder, step: int) -> Path:
        """Write `step-<number>.png`: a row per image; original, masked, reconstruction.

        A prediction is of cells normalised to mean 0 and variance 1; for the picture each gets its true mean and
        variance back. Cells that are seen are shown as they are.
        """
        with torch.no_grad():
            # `forward` itself: a compiled call would be compiled again for this number of images.
            predicted = network.forward(self._images, self._visible)
            assert isinstance(predicted, Tensor)
            cells = objective.patchify(self._shown)
            variance, mean = torch.var_mean(cells, dim=1, keepdim=True, correction=0)
            restored = objective.unpatchify(predicted.float() * torch.sqrt(variance + self._floor) + mean)
        seen = self._visible.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)
        original, made = self._grey(self._shown), self._grey(torch.where(seen, self._shown, restored))
        masked = np.where(seen.cpu().numpy(), original, np.uint8(_HIDDEN))
        rows = np.concatenate([original, masked, made], axis=3)[:, 0]
        return write_whole(self._folder / f"step-{step:09d}.png", _png(np.concatenate(list(rows), axis=0)))

    def _grey(self, images: Tensor) -> Bytes:
        grey = (images.cpu() * self._std + self._mean) * 255.0
        return grey.round().clamp(0, 255).to(torch.uint8).numpy()


def _png(pixels: Bytes) -> bytes:
    from PIL import Image as Picture

    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()
