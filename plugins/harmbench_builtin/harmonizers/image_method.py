"""What every harmonizer that turns an image into one other image has in common."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import numpy as np

from harmbench.components import Context
from harmbench.data import Bools, FilteredImage, Floats, Image, ImageSet
from harmbench.errors import DataError, UsageError
from harmbench_builtin.sector import whole_sector


class ImageMethod:
    """One image in, one map out. Whoever derives from this says what becomes of the pixels.

    Attributes
    ----------
    method : str
        The name by which messages call it.
    map_name : str
        What its map is called in feature names.
    """

    method: ClassVar[str]
    map_name: ClassVar[str]

    def fit(self, images: ImageSet, context: Context) -> Self:
        """Nothing is learnt, unless overridden."""
        return self

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The new pixels, float64 (H, W), from the old ones."""
        raise NotImplementedError

    def transform(self, image: Image) -> FilteredImage:
        """The changed image as one map.

        Raises
        ------
        DataError
            A pixel is not finite, or the image shows nothing that the method could work on.
        """
        return FilteredImage(
            image.sample, self.changed(finite_pixels(image), image)[None], (self.map_name,), image.mask, image.spacing
        )


def finite_pixels(image: Image) -> Floats:
    """The pixels as float64; DataError where one is not finite."""
    pixels = image.pixels.astype(np.float64)
    if not (finite := np.isfinite(pixels)).all():
        row, column = np.argwhere(~finite)[0].tolist()
        raise DataError(
            f"sample '{image.sample}': the pixel in row {row}, column {column} is {pixels[row, column]}.",
            remedy="Leave the image out, or fill such pixels in.",
        )
    return pixels


def sector_of(pixels: Floats, image: Image) -> Bools:
    """The sector, in which there are at least two grey levels; DataError otherwise."""
    sector = whole_sector(pixels)
    if not sector.any() or pixels[sector].min() == pixels[sector].max():
        raise DataError(
            f"sample '{image.sample}': the image is black or of one grey level throughout.",
            remedy="Leave the image out.",
        )
    return sector


def number(where: str, value: float, low: float, high: float = math.inf, *, above: bool = False) -> float:
    """A parameter within [low, high], or (low, high] with `above`; UsageError otherwise."""
    fits = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if not fits or value > high or value < low or (above and value == low):
        upper = "" if math.isinf(high) else f" and at most {high:g}"
        raise UsageError(
            f"{where} must be a number {'above' if above else 'of at least'} {low:g}{upper}, not {value!r}."
        )
    return float(value)


def odd(where: str, value: int) -> int:
    """A window's side: an odd number of at least 3 pixels, so that it has a middle; UsageError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 3 or value % 2 == 0:
        raise UsageError(f"{where} must be an odd number of at least 3, not {value!r}.")
    return value


def one_of(where: str, value: str, allowed: tuple[str, ...]) -> str:
    """A parameter that takes one of some words; UsageError otherwise."""
    if value not in allowed:
        raise UsageError(f"{where} is {value!r}; it must be one of {', '.join(allowed)}.")
    return value
