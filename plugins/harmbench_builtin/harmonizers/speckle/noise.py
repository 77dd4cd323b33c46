"""Mean and variance of a window about every pixel, and the noise level that follows from them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from harmbench.data import Floats, Image
from harmbench.errors import DataError
from harmbench_builtin.harmonizers.image_method import sector_of


def window_moments(pixels: Floats, size: int) -> tuple[Floats, Floats]:
    """Mean and variance (divisor size^2) of the square window about every pixel, the border mirrored.

    Parameters
    ----------
    pixels : float64 (H, W)
    size : int
        Odd, in pixels.
    """
    # About the overall mean: the difference of two large sums would leave nothing of a small variance.
    middle = pixels.mean()
    mean = ndimage.uniform_filter(pixels - middle, size, mode="mirror")
    square = ndimage.uniform_filter((pixels - middle) ** 2, size, mode="mirror")
    return mean + middle, np.maximum(square - mean**2, 0.0)


def noise_sd(pixels: Floats, image: Image, size: int) -> float:
    """The median over the sector of the standard deviation in a window: most windows hold speckle and no edge.

    Raises
    ------
    DataError
        More than half of the sector's windows are flat.
    """
    sector = sector_of(pixels, image)
    value = float(np.sqrt(np.median(window_moments(pixels, size)[1][sector])))
    if not value > 1e-9 * np.ptp(pixels[sector]):
        raise DataError(
            f"sample '{image.sample}': most of the sector is flat, so its noise cannot be estimated.",
            remedy="Give the noise's standard deviation in grey levels (parameter noise).",
        )
    return value
