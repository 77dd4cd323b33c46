"""`nyul`: grey-level landmarks moved to where the training images have them on average."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from harmbench.components import Context
from harmbench.data import Floats, Image, ImageSet
from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.image_method import ImageMethod, finite_pixels, number, sector_of

TOP = 255.0


class Nyul(ImageMethod):
    """Piecewise linear standardisation of the grey-level scale (Nyul and Udupa).

    Landmarks of an image are percentiles of its sector: `low`, every `step` from `step` to 100 - `step`, and `high`.
    Training brings each image's landmarks to a common scale, on which `low` is 0 and `high` is 255, and averages them.
    An image is then mapped piecewise linearly, its landmarks to the averages; beyond `low` and `high` the first and the
    last piece go on.

    Parameters
    ----------
    low, high : float, default 1 and 99
        Percentiles between which the scale is set.
    step : float, default 10
        Percentiles between neighbouring landmarks; 10 gives the deciles of Nyul et al. 2000.

    Notes
    -----
    In an 8-bit image several landmarks may fall on one grey level. They are then one landmark, at the mean of their
    places on the standard scale: a grey level can be sent to one place only.

    References
    ----------
    Nyul and Udupa 1999, 10.1002/(SICI)1522-2594(199912)42:6<1072::AID-MRM11>3.0.CO;2-M; Nyul, Udupa and Zhang 2000,
    10.1109/42.836373.
    """

    method: ClassVar[str] = "nyul"
    map_name: ClassVar[str] = "nyul"

    def __init__(self, low: float = 1.0, high: float = 99.0, step: float = 10.0) -> None:
        step = number("nyul.step", step, 0.0, 50.0, above=True)
        low, high = number("nyul.low", low, 0.0, 100.0), number("nyul.high", high, 0.0, 100.0)
        inner = np.arange(1, round(100.0 / step)) * step
        inner = inner[inner < 100.0 - 1e-9]
        if not low < inner[0] or not inner[-1] < high:
            raise UsageError(
                f"nyul.low={low:g} and nyul.high={high:g} must lie outside the landmarks {inner[0]:g} to "
                f"{inner[-1]:g} that nyul.step={step:g} makes."
            )
        self.percentiles = np.array([low, *inner, high])
        self.standard: Floats | None = None

    def fit(self, images: ImageSet, context: Context) -> Self:
        """The mean landmarks of the training images on the scale from 0 to 255."""
        if not len(images):
            raise DataError(f"{self.method} needs training images, but there are none.")
        places = np.empty((len(images), len(self.percentiles)))
        for place, image in zip(places, images, strict=True):
            marks = self._landmarks(finite_pixels(image), image)
            place[:] = TOP * (marks - marks[0]) / (marks[-1] - marks[0])
        self.standard = places.mean(axis=0)
        return self

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The image on the standard scale, outside the sector too."""
        if self.standard is None:
            raise UsageError(f"{self.method} has not been fitted; call fit before transform.")
        marks, piece = np.unique(self._landmarks(pixels, image), return_inverse=True)
        places = np.bincount(piece, weights=self.standard) / np.bincount(piece)
        return _piecewise(pixels, marks, places)

    def _landmarks(self, pixels: Floats, image: Image) -> Floats:
        marks: Floats = np.percentile(pixels[sector_of(pixels, image)], self.percentiles)
        if marks[0] == marks[-1]:
            raise DataError(
                f"sample '{image.sample}': percentiles {self.percentiles[0]:g} and {self.percentiles[-1]:g} of the "
                f"sector are both {marks[0]:g}, so {self.method} finds no scale in it.",
                remedy="Leave the image out, or set nyul.low and nyul.high further apart.",
            )
        return marks


def _piecewise(values: Floats, x: Floats, y: Floats) -> Floats:
    """Linear between the points (x, y), x rising; the first and the last piece go on beyond them."""
    piece = np.clip(np.searchsorted(x, values, side="right") - 1, 0, len(x) - 2)
    slope = np.diff(y) / np.diff(x)
    return y[piece] + slope[piece] * (values - x[piece])
