"""A bank of linear filters over an image: what the first layer of a network does, at every pixel.

A network moves its kernels in steps of 4 pixels or more; here they move by one, so that a map has the image's size and
the myocardium keeps its pixels. Sums are float64: rounding them to float32 (or to TF32, as a GPU may) moves texture
features, because a value next to the border of a grey-level bin changes sides.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harmbench.data import Floats
from harmbench.errors import DataError

_BLOCK = 64
_BYTES = 1 << 26
"""Of the table of taps: 16 x 16 kernels over a photograph would otherwise take gigabytes."""


def padding(size: int) -> tuple[int, int]:
    """Pixels added before and after for a kernel of this size, so that the map is as long as the image.

    An odd kernel is centred. An even one cannot be: one pixel fewer is added before than after, and the response
    lies half a pixel towards the origin. With 4 taps, an impulse at index 8 answers at 6 to 9, centred at 7.5.
    """
    return (size - 1) // 2, size // 2


def filter_bank(image: npt.ArrayLike, kernels: npt.ArrayLike, bias: npt.ArrayLike | None = None) -> Floats:
    """Correlate an image with K kernels at stride 1, the border mirrored.

    Correlation as `torch.nn.functional.conv2d` computes it: the kernel is not flipped. The border is mirrored without
    repeating the edge pixel ("reflect"); zeros would draw an edge along it.

    Parameters
    ----------
    image : (H, W)
    kernels : (K, h, w)
        Odd or even sizes; see `padding` for the half pixel by which even ones move the response.
    bias : (K,), optional

    Returns
    -------
    float64 (K, H, W)
        Equal neighbourhoods give equal values wherever they lie.

    Raises
    ------
    DataError
        When the image is too small to be mirrored.
    """
    pixels = np.asarray(image, dtype=np.float64)
    bank = np.asarray(kernels, dtype=np.float64)
    (rows, columns), (count, h, w) = pixels.shape, bank.shape
    if rows < h or columns < w:
        raise DataError(
            f"the image has {rows} x {columns} pixels, fewer than the filter's {h} x {w}.",
            remedy="Leave the image out, or resample it to a finer grid.",
        )
    padded = np.pad(pixels, (padding(h), padding(w)), mode="reflect")
    # One row per tap, so that the whole bank is one matrix product. BLAS adds the last few columns in another order
    # than the rest; with a whole number of its blocks all pixels are treated alike. So are all strips: the last one
    # overlaps the one before it instead of being shorter.
    strip = min(rows, max(1, _BYTES // (8 * (h * w + 1) * columns)))
    size = strip * columns
    taps = np.zeros((h * w + 1, -(-size // _BLOCK) * _BLOCK))
    windows = taps[:-1, :size].reshape(h, w, strip, columns)
    # The bias is the weight of a tap that is always 1: adding it afterwards would cost a pass over all maps.
    taps[-1] = 1.0
    weights = np.zeros((count, h * w + 1))
    weights[:, :-1] = bank.reshape(count, h * w)
    if bias is not None:
        weights[:, -1] = bias
    maps = np.empty((count, rows, columns))
    for start in (min(start, rows - strip) for start in range(0, rows, strip)):
        for i in range(h):
            for j in range(w):
                windows[i, j] = padded[start + i : start + i + strip, j : j + columns]
        maps[:, start : start + strip] = (weights @ taps)[:, :size].reshape(count, strip, columns)
    return maps
