"""`non-local-means`: a mean over pixels whose surroundings look alike."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import ndimage

from harmbench.data import Floats, Image
from harmbench.errors import DataError
from harmbench_builtin.harmonizers.image_method import ImageMethod, number, odd
from harmbench_builtin.harmonizers.speckle.noise import noise_sd


class NonLocalMeans(ImageMethod):
    """Weighted mean over a search window; weight exp(-max(d^2 - 2 s^2, 0) / h^2), h = strength x s.

    d^2 is the mean squared difference of the patches about two pixels, with Gaussian weights of standard deviation
    (patch - 1) / 4 as in the paper; s is the standard deviation of the noise. Two patches that differ by noise alone
    have d^2 = 2 s^2.

    Parameters
    ----------
    patch, search : int, default 5 and 11
        Sides in pixels, odd.
    strength : float, default 0.8
    noise : float, default 0
        s in grey levels; 0: the median over the sector of the standard deviation in a patch.

    References
    ----------
    Buades, Coll and Morel 2005, 10.1109/CVPR.2005.38; sums over patches by shifts of the whole image, after Darbon and
    others 2008, 10.1109/ISBI.2008.4541250.
    """

    method: ClassVar[str] = "non-local-means"
    map_name: ClassVar[str] = "nlm"

    def __init__(self, patch: int = 5, search: int = 11, strength: float = 0.8, noise: float = 0.0) -> None:
        self.patch, self.search = odd("non-local-means.patch", patch), odd("non-local-means.search", search)
        self.strength = number("non-local-means.strength", strength, 0.0, above=True)
        self.noise = number("non-local-means.noise", noise, 0.0)

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The smoothed image."""
        reach = (self.patch + self.search) // 2
        if min(pixels.shape) <= reach:
            raise DataError(
                f"sample '{image.sample}': the image has {pixels.shape[0]} x {pixels.shape[1]} pixels; "
                f"non-local-means with these windows needs more than {reach} a side.",
                remedy="Leave the image out, or set a smaller search window.",
            )
        noise = self.noise or noise_sd(pixels, image, self.patch)
        return non_local_means(pixels, self.patch, self.search, self.strength * noise, noise)


def non_local_means(pixels: Floats, patch: int, search: int, h: float, noise: float) -> Floats:
    """Non-local means of an image (H, W), the border mirrored; `h` and `noise` in grey levels."""
    (rows, columns), margin, reach = pixels.shape, patch // 2, search // 2
    gauss = np.exp(-0.5 * ((np.arange(patch) - margin) / ((patch - 1) / 4)) ** 2)
    gauss /= gauss.sum()
    # A flat image and its sums are then 0 throughout, without rounding.
    middle = pixels.mean()
    padded = np.pad(pixels - middle, margin + reach, mode="reflect")
    inner = padded[reach : reach + rows + 2 * margin, reach : reach + columns + 2 * margin]
    total, weights = np.zeros(pixels.shape), np.zeros(pixels.shape)
    for i in range(search):
        for j in range(search):
            shifted = padded[i : i + rows + 2 * margin, j : j + columns + 2 * margin]
            apart = ndimage.correlate1d((shifted - inner) ** 2, gauss, axis=0, mode="nearest")
            apart = ndimage.correlate1d(apart, gauss, axis=1, mode="nearest")
            own = slice(margin, margin + rows), slice(margin, margin + columns)
            weight = np.exp(-np.maximum(apart[own] - 2 * noise**2, 0.0) / h**2)
            total += weight * shifted[own]
            weights += weight
    return middle + total / weights
