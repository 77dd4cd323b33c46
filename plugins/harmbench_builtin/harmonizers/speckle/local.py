"""`median` and `lee`: filters that look at a window about each pixel."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy import ndimage

from harmbench.data import Floats, Image
from harmbench_builtin.harmonizers.image_method import ImageMethod, number, odd, one_of, sector_of
from harmbench_builtin.harmonizers.speckle.noise import noise_sd, window_moments


class Median(ImageMethod):
    """The median of a square window, the border mirrored.

    Parameters
    ----------
    size : int, default 5
        Side in pixels, odd.
    """

    method: ClassVar[str] = "median"
    map_name: ClassVar[str] = "median"

    def __init__(self, size: int = 5) -> None:
        self.size = odd("median.size", size)

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The smoothed image."""
        smooth: Floats = ndimage.median_filter(pixels, self.size, mode="mirror")
        return smooth


class Lee(ImageMethod):
    """mean + k (x - mean), with k the share of the window's variance that is not noise.

    "additive", z = x + n: Q = max(var z - s^2, 0), k = Q / (Q + s^2). Right for the logarithmic picture that scanners
    store, in which speckle is added with about the same spread everywhere (Loupas and others 1989).
    "multiplicative", z = x n with E n = 1: Q = max((var z + mean^2) / (1 + s^2) - mean^2, 0),
    k = Q / (mean^2 s^2 + Q). Right for envelope data. (Lee 1980, equations for one pixel; the multiplicative one is his
    linear approximation.)

    Parameters
    ----------
    size : int, default 5
        Side of the window in pixels, odd.
    model : {"additive", "multiplicative"}
    noise : float, default 0
        The standard deviation s: in grey levels for "additive", relative to the mean for "multiplicative". 0: the
        median over the sector of the window's standard deviation, or of that over the mean.

    References
    ----------
    10.1109/TPAMI.1980.4766994.
    """

    method: ClassVar[str] = "lee"
    map_name: ClassVar[str] = "lee"

    def __init__(self, size: int = 5, model: str = "additive", noise: float = 0.0) -> None:
        self.size = odd("lee.size", size)
        self.model = one_of("lee.model", model, ("additive", "multiplicative"))
        self.noise = number("lee.noise", noise, 0.0)

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The smoothed image."""
        if self.model == "additive":
            return lee_additive(pixels, self.size, self.noise or noise_sd(pixels, image, self.size))
        return lee_multiplicative(pixels, self.size, self.noise or self._relative_noise(pixels, image))

    def _relative_noise(self, pixels: Floats, image: Image) -> float:
        sector = sector_of(pixels, image)
        mean, variance = (moment[sector] for moment in window_moments(pixels, self.size))
        lit = mean > 0
        return float(np.median(np.sqrt(variance[lit]) / mean[lit]))


def lee_additive(pixels: Floats, size: int, noise: float) -> Floats:
    """Lee's filter for noise that is added, with standard deviation `noise` (above 0)."""
    mean, variance = window_moments(pixels, size)
    signal = np.maximum(variance - noise**2, 0.0)
    return mean + signal / (signal + noise**2) * (pixels - mean)


def lee_multiplicative(pixels: Floats, size: int, noise: float) -> Floats:
    """Lee's filter for noise that multiplies, with mean 1 and standard deviation `noise`."""
    mean, variance = window_moments(pixels, size)
    signal = np.maximum((variance + mean**2) / (1 + noise**2) - mean**2, 0.0)
    both = mean**2 * noise**2 + signal
    return mean + np.divide(signal, both, out=np.zeros_like(both), where=both > 0) * (pixels - mean)
