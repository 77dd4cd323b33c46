"""`srad`: speckle-reducing anisotropic diffusion."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from harmbench.data import Floats, Image
from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.image_method import ImageMethod, number

WHITE = 255.0


class Srad(ImageMethod):
    """Diffusion that is strong where the local coefficient of variation is that of speckle, and stops at edges.

    dI/dt = div(c(q) grad I), with c = 1 / (1 + (q^2 - q0^2) / (q0^2 (1 + q0^2))) and
    q^2 = ((|grad I| / I)^2 / 2 - (lap I / I)^2 / 16) / (1 + lap I / 4I)^2. q0 is the coefficient of variation of
    speckle; it falls while the image grows smoother: q0(t) = q0 exp(-decay t).

    The equation is for intensity, and a picture is its logarithm. So grey x becomes I = 10^(x D / 2550), with D the
    display's dynamic range in dB, and goes back afterwards. Fully developed speckle has q0 = 1 in intensity.

    c is kept within [0, 1], and a step moves a pixel by step / 4 times the sum over its four neighbours of
    c (neighbour - pixel): a weighted mean for any step up to 1. So no value leaves the range of the image, a flat image
    stays as it is, and the mean of I is kept (nothing flows over the border).

    Parameters
    ----------
    iterations : int, default 50
    step : float, default 0.2
        Time step; iterations x step is how long it diffuses. (The paper takes 0.05.)
    dynamic_range : float, default 50
        dB from black to white.
    q0 : float, default 1
    decay : float, default 1/6

    References
    ----------
    Yu and Acton 2002, 10.1109/TIP.2002.804276.
    """

    method: ClassVar[str] = "srad"
    map_name: ClassVar[str] = "srad"

    def __init__(
        self,
        iterations: int = 50,
        step: float = 0.2,
        dynamic_range: float = 50.0,
        q0: float = 1.0,
        decay: float = 1 / 6,
    ) -> None:
        if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
            raise UsageError(f"srad.iterations must be a whole number of at least 1, not {iterations!r}.")
        self.iterations = iterations
        self.step = number("srad.step", step, 0.0, 1.0, above=True)
        self.dynamic_range = number("srad.dynamic_range", dynamic_range, 0.0, 200.0, above=True)
        self.q0 = number("srad.q0", q0, 0.0, above=True)
        self.decay = number("srad.decay", decay, 0.0)

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The smoothed image, in grey levels again."""
        if pixels.min() < 0 or pixels.max() > WHITE:
            raise DataError(
                f"sample '{image.sample}': grey levels from {pixels.min():g} to {pixels.max():g}; srad takes 0 to 255, "
                "because it turns grey levels back into echo intensity.",
                remedy="Store the images with 8 bit.",
            )
        scale = self.dynamic_range * np.log(10) / (10 * WHITE)
        intensity = diffused(np.exp(scale * pixels), self.iterations, self.step, self.q0, self.decay)
        return np.log(intensity) / scale


def diffused(intensity: Floats, iterations: int, step: float, q0: float, decay: float) -> Floats:
    """Speckle-reducing anisotropic diffusion of an intensity image (H, W), all values above 0."""
    image = intensity.copy()
    for turn in range(iterations):
        speckle = (q0 * np.exp(-decay * turn * step)) ** 2
        down = np.diff(image, axis=0, append=image[-1:])  # to the next row; 0 at the border, where nothing flows
        right = np.diff(image, axis=1, append=image[:, -1:])
        up = np.zeros_like(image)
        up[1:] = -down[:-1]
        left = np.zeros_like(image)
        left[:, 1:] = -right[:, :-1]
        gradient = (down**2 + up**2 + right**2 + left**2) / image**2
        laplacian = (down + up + right + left) / image
        q = np.maximum(gradient / 2 - laplacian**2 / 16, 0.0) / (1 + laplacian / 4) ** 2
        c = np.clip(1 / (1 + (q - speckle) / (speckle * (1 + speckle))), 0.0, 1.0)
        # Between two pixels flows what the lower or the right one of them lets through, in both directions alike.
        flow_down, flow_right = np.zeros_like(image), np.zeros_like(image)
        flow_down[:-1] = c[1:] * down[:-1]
        flow_right[:, :-1] = c[:, 1:] * right[:, :-1]
        change = flow_down + flow_right
        change[1:] -= flow_down[:-1]
        change[:, 1:] -= flow_right[:, :-1]
        image += step / 4 * change
    return image
