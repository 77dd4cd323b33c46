"""`image-zscore` and `percentile-clip`: an image on a scale of its own."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from harmbench.data import Floats, Image
from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.image_method import ImageMethod, number, sector_of


class ImageZscore(ImageMethod):
    """(x - mean) / standard deviation, both of the sector (divisor n).

    A straight line leaves a fixed number of grey-level bins where they were: with `bin_count` only first-order features
    change, with `bin_width` texture does.
    """

    method: ClassVar[str] = "image-zscore"
    map_name: ClassVar[str] = "zscore"

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The standardised image, outside the sector too."""
        inside = pixels[sector_of(pixels, image)]
        return (pixels - inside.mean()) / inside.std()


class PercentileClip(ImageMethod):
    """(x - a) / (b - a), clipped to [0, 1], with a and b two percentiles of the sector.

    Parameters
    ----------
    low, high : float, default 1 and 99
        Percentiles.
    """

    method: ClassVar[str] = "percentile-clip"
    map_name: ClassVar[str] = "clipped"

    def __init__(self, low: float = 1.0, high: float = 99.0) -> None:
        self.low, self.high = (
            number(f"{self.method}.{name}", value, 0.0, 100.0) for name, value in (("low", low), ("high", high))
        )
        if self.low >= self.high:
            raise UsageError(f"{self.method}.low={low:g} must be below {self.method}.high={high:g}.")

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The clipped image, outside the sector too."""
        a, b = np.percentile(pixels[sector_of(pixels, image)], [self.low, self.high])
        if a == b:
            raise DataError(
                f"sample '{image.sample}': percentiles {self.low:g} and {self.high:g} of the sector are both {a:g}.",
                remedy=f"Leave the image out, or set {self.method}.low and {self.method}.high further apart.",
            )
        return np.clip((pixels - a) / (b - a), 0.0, 1.0)
