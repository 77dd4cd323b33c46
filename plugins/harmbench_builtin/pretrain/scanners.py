"""An image as another scanner might have shown it, by what is done to a picture after it was received.

Where there is no second view of the same heart, one is made: blurred (a wider beam, a longer pulse) or sharpened along
each axis, its grey levels moved and stretched (gain, dynamic range) and bent (grey map), as the display chain of
the phantom does. What a scanner does before the envelope (frequency, aperture) cannot be made from a picture: the
speckle of two real scanners differs more than that of two such views.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

DRAWS = 7
"""Random numbers that a scanner takes: blur down and across, sharpening, gain, dynamic range, gamma, S-curve."""
BLUR_PIXELS = 1.5
"""Largest standard deviation of the blur."""
SHARPENING = 0.6
GAIN = 0.15
"""Largest shift of the grey levels, of white; 4 dB at a dynamic range of 27 dB to 10 dB at 65 dB."""
STRETCH = (0.75, 1.35)
GAMMA = (0.8, 1.25)
S_CURVE = 0.5
_RADIUS = 4


def random_scanner(grey: Tensor, sector: Tensor, draws: Tensor) -> Tensor:
    """Each image on a scanner of its own.

    Parameters
    ----------
    grey : float32 (B, 1, H, W), 0 to 255
    sector : float32 (B, 1, H, W), 0 to 1
        Outside it the result is black.
    draws : float32 (B, DRAWS)
        Uniform random numbers in [0, 1).

    Returns
    -------
    float32 (B, 1, H, W), 0 to 255
    """
    sharp, gain, stretch, bend, curve = (draws[:, i, None, None, None] for i in range(2, DRAWS))
    y = grey / 255.0
    smooth = _blurred(y, BLUR_PIXELS * draws[:, 0], BLUR_PIXELS * draws[:, 1])
    # A scanner that is finer than the first one: half of them get back what the blur took away.
    y = torch.where(sharp < 0.5, smooth, y + SHARPENING * (2.0 * sharp - 1.0) * (y - smooth))
    middle = (y * sector).sum((1, 2, 3), keepdim=True) / sector.sum((1, 2, 3), keepdim=True).clamp(min=1.0)
    y = middle + _between(STRETCH, stretch) * (y - middle) + GAIN * (2.0 * gain - 1.0)
    y = y.clamp(0.0, 1.0) ** _between(GAMMA, bend)
    y = y + S_CURVE * curve * (y * y * (3.0 - 2.0 * y) - y)
    return 255.0 * y * (sector > 0)


def _between(bounds: tuple[float, float], share: Tensor) -> Tensor:
    return bounds[0] + (bounds[1] - bounds[0]) * share


def _blurred(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Gaussian blur of every image with its own standard deviations (B,), in pixels; borders repeated."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, device=images.device, dtype=images.dtype)
    padded = images
    for sd, axis in ((down, 2), (across, 3)):
        weights = torch.exp(-0.5 * (offsets / sd.clamp(min=1e-3)[:, None]) ** 2)
        weights = weights / weights.sum(1, keepdim=True)
        shape = (len(images), 1, -1, 1) if axis == 2 else (len(images), 1, 1, -1)
        pad = (0, 0, _RADIUS, _RADIUS) if axis == 2 else (_RADIUS, _RADIUS, 0, 0)
        swapped = F.pad(padded, pad, mode="replicate").transpose(0, 1)
        # One group per image: every image has a kernel of its own.
        padded = F.conv2d(swapped, weights.view(shape), groups=len(images)).transpose(0, 1)
    return padded
