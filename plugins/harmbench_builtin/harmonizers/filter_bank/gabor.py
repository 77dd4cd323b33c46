"""`gabor`: waves under a Gaussian, in several frequencies and directions."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harmbench.data import Floats
from harmbench.errors import UsageError
from harmbench_builtin.harmonizers.filter_bank.bank import FixedBank, Select, exact, numbers_of, stacked
from harmbench_builtin.harmonizers.image_method import number, one_of

PARTS = ("both", "even", "odd", "magnitude")
_REACH = 3.0
"""Standard deviations at which a kernel ends."""


class Gabor(FixedBank):
    """The maps of F frequencies x O orientations.

    g(x, y) = exp(-(x'^2 + y'^2) / (2 s^2)) / (2 pi s^2) exp(2 pi i f x'), with x' and y' being x and y turned by
    the angle; s follows from the frequency f and the bandwidth b in octaves:
    s = sqrt(ln 2 / 2) / (pi f) (2^b + 1) / (2^b - 1). Angles are 180 degrees / O apart.

    Parameters
    ----------
    frequencies : str, default "0.1,0.2,0.4"
        Cycles per pixel, above 0 and at most 0.5.
    orientations : int, default 4
    bandwidth : float, default 1
        Octaves.
    part : {"both", "even", "odd", "magnitude"}
        The cosine part, the sine part, both side by side (all even maps first), or sqrt(even^2 + odd^2), which is no
        linear filter and so takes the slower way through the extractor.
    reduce, select
        As for `ssl-kernel`.

    References
    ----------
    Daugman 1985, 10.1364/JOSAA.2.001160. The kernels are those of `skimage.filters.gabor_kernel`.
    """

    def __init__(
        self,
        frequencies: str = "0.1,0.2,0.4",
        orientations: int = 4,
        bandwidth: float = 1.0,
        part: str = "both",
        reduce: str = "concat",
        select: Select = "",
    ) -> None:
        chosen = numbers_of("gabor.frequencies", frequencies, 0.0, 0.5)
        if isinstance(orientations, bool) or not isinstance(orientations, int) or not 1 <= orientations <= 64:
            raise UsageError(f"gabor.orientations must be a whole number from 1 to 64, not {orientations!r}.")
        bandwidth = number("gabor.bandwidth", bandwidth, 0.0, 5.0, above=True)
        one_of("gabor.part", part, PARTS)
        angles = [180.0 * i / orientations for i in range(orientations)]
        waves = [gabor_kernel(f, math.radians(a), bandwidth) for f in chosen for a in angles]
        names = [f"gabor-f{f:g}-a{a:g}" for f in chosen for a in angles]
        even, odd = stacked([wave.real for wave in waves]), stacked([wave.imag for wave in waves])
        if part == "both":
            names = [f"{name}-{which}" for which in ("even", "odd") for name in names]
        kernels = {"even": even, "odd": odd, "both": np.concatenate([even, odd]), "magnitude": even}[part]
        super().__init__("gabor", kernels, names, reduce, select)
        if part == "magnitude":
            self.linear_maps = False
            self.kernels = np.concatenate([self.kernels, exact(odd[list(self.choice.numbers)])])

    def respond(self, maps: Floats) -> Floats:
        """The magnitude, where that is asked for: of even maps, then odd ones."""
        return maps if self.linear_maps else np.hypot(*np.split(maps, 2))


def gabor_kernel(frequency: float, angle: float, bandwidth: float = 1.0) -> npt.NDArray[np.complex128]:
    """One complex kernel (h, w), both sides odd, ending 3 standard deviations from its middle.

    Parameters
    ----------
    frequency : float
        Cycles per pixel.
    angle : float
        Radians; 0 is a wave along the row.
    bandwidth : float
        Octaves.
    """
    octaves = 2.0**bandwidth
    sd = math.sqrt(math.log(2) / 2) / (math.pi * frequency) * (octaves + 1) / (octaves - 1)
    wide = math.ceil(max(abs(_REACH * sd * math.cos(angle)), abs(_REACH * sd * math.sin(angle)), 1))
    y, x = np.mgrid[-wide : wide + 1, -wide : wide + 1].astype(np.float64)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    envelope = np.exp(-0.5 * (along**2 + across**2) / sd**2) / (2 * math.pi * sd**2)
    return envelope * np.exp(2j * math.pi * frequency * along)
