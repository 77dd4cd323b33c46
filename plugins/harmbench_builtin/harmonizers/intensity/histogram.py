"""`histogram-matching`: an image takes the grey-level histogram of a reference made of training images."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from harmbench.components import Context
from harmbench.data import Floats, Image, ImageSet
from harmbench.errors import DataError, NotApplicable, UsageError
from harmbench_builtin.harmonizers.image_method import ImageMethod, finite_pixels, sector_of

BALANCED = "balanced"
_POINTS = 4096
"""Points that stand for an image of continuous grey levels."""

Histogram = tuple[Floats, Floats]
"""Grey levels, rising, and the share of the pixels at each; the shares add up to 1."""


class HistogramMatching(ImageMethod):
    """Every grey level is replaced by the reference's grey level of the same rank, counted inside the sector.

    With F the cumulative histogram of the image and G that of the reference, y = G^-1(F(x)), G interpolated linearly.
    Equal grey levels stay equal and their order is kept, so an 8-bit image has as many levels as before, at other
    places. With one training image of the same sector this is `skimage.exposure.match_histograms`.

    Parameters
    ----------
    reference : str, default "balanced"
        "balanced": the mixture in which every manufacturer of the training images weighs the same, whatever its number
        of images; or a manufacturer, whose images alone make the reference. Within a manufacturer every image weighs
        the same.

    Raises
    ------
    NotApplicable
        At `fit`, when no training image is of the reference manufacturer.

    References
    ----------
    Gonzalez and Woods, Digital Image Processing (histogram specification).
    """

    method: ClassVar[str] = "histogram-matching"
    map_name: ClassVar[str] = "matched"

    def __init__(self, reference: str = BALANCED) -> None:
        self.reference = reference
        self.target: Histogram | None = None

    def fit(self, images: ImageSet, context: Context) -> Self:
        """The reference histogram, from the training images."""
        present = sorted({sample.manufacturer for sample in images.samples})
        wanted = present if self.reference == BALANCED else [self.reference]
        if not present:
            raise DataError(f"{self.method} needs training images, but there are none.")
        if wanted[0] not in present:
            raise NotApplicable(
                f"{self.method}.reference is '{self.reference}', of which there is no training image; there are "
                f"images of {', '.join(present)}, or '{BALANCED}' for all of them."
            )
        chosen = [i for i, sample in enumerate(images.samples) if sample.manufacturer in wanted]
        count = {name: sum(sample.manufacturer == name for sample in images.samples) for name in wanted}
        levels, shares = [], []
        for i in chosen:
            level, share = histogram_of(images.read(i))
            levels.append(level)
            shares.append(share / (len(wanted) * count[images.samples[i].manufacturer]))
        self.target = _merged(np.concatenate(levels), np.concatenate(shares))
        return self

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The image with the reference's histogram; grey levels outside the sector are mapped by the same curve."""
        if self.target is None:
            raise UsageError(f"{self.method} has not been fitted; call fit before transform.")
        level, share = histogram_of(image)
        reference, weight = self.target
        moved = np.interp(np.cumsum(share), np.cumsum(weight), reference)
        # A level that only occurs outside the sector lies between two that occur inside.
        matched: Floats = np.interp(pixels, level, moved)
        return matched


def histogram_of(image: Image) -> Histogram:
    """The histogram of an image inside its sector; continuous grey levels are reduced to 4096 of equal share."""
    pixels = finite_pixels(image)
    values = pixels[sector_of(pixels, image)]
    level, count = np.unique(values, return_counts=True)
    if len(level) <= _POINTS:
        return level, count / count.sum()
    ranks = (np.arange(_POINTS) + 1) / _POINTS
    return _merged(np.quantile(values, ranks, method="inverted_cdf"), np.full(_POINTS, 1 / _POINTS))


def _merged(levels: Floats, shares: Floats) -> Histogram:
    """The same mass with every level once, in rising order."""
    level, place = np.unique(levels, return_inverse=True)
    return level, np.bincount(place, weights=shares).astype(np.float64)
