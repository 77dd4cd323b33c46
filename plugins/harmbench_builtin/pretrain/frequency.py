"""Targets in which fine texture counts: what is predicted instead of grey levels.

The spectrum of an image falls with frequency, so that most of the squared error of grey levels is about slow changes,
and a stem can leave its finest patterns as they were. Filtered before cells are normalised, all frequencies weigh
about the same (whitened), or the finest most (Laplacian).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TARGETS = ("pixels", "laplacian", "whitened")
CUTOFF = 0.4
"""Cycles per pixel at which the whitening filter turns down, as noise would be all that is left above."""


def filtered(images: Tensor, target: str) -> Tensor:
    """The images whose cells are to be predicted.

    Parameters
    ----------
    images : float32 (B, C, H, W)
    target : {"pixels", "laplacian", "whitened"}
        "laplacian": each pixel minus the mean of its four neighbours, borders repeated. "whitened": amplitude times
        f exp(-(f / 0.4)^4), f in cycles per pixel (Olshausen and Field 1996, doi:10.1038/381607a0), scaled to the
        image's variance.

    Returns
    -------
    float32 (B, C, H, W)
    """
    if target == "pixels":
        return images
    if target == "laplacian":
        around = F.pad(images, (1, 1, 1, 1), mode="replicate")
        neighbours = (
            around[..., :-2, 1:-1] + around[..., 2:, 1:-1] + around[..., 1:-1, :-2] + around[..., 1:-1, 2:]
        ) / 4.0
        return images - neighbours
    height, width = images.shape[-2:]
    down = torch.fft.fftfreq(height, device=images.device)[:, None]
    across = torch.fft.rfftfreq(width, device=images.device)[None]
    frequency = torch.sqrt(down**2 + across**2)
    gain = frequency * torch.exp(-((frequency / CUTOFF) ** 4))
    white = torch.fft.irfft2(torch.fft.rfft2(images) * gain, s=(height, width))
    # The floor of the cells' variance is meant for images of unit variance.
    spread = white.std((1, 2, 3), keepdim=True)
    return white * (images.std((1, 2, 3), keepdim=True) / spread.clamp(min=math.ulp(1.0)))
