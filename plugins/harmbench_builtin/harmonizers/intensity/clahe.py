"""`clahe`: contrast-limited adaptive histogram equalisation of the sector."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from harmbench.data import Floats, Image
from harmbench.errors import UsageError
from harmbench_builtin.harmonizers.image_method import ImageMethod, number, sector_of

TOP = 255.0
_HALVINGS = 50


class Clahe(ImageMethod):
    """Histogram equalisation tile by tile, with a limit to how steep it may get.

    The image is divided into `tiles` x `tiles` tiles. Each has the histogram of its sector pixels over `bins` bins of
    the sector's range; what exceeds `clip` is taken off and spread evenly over the bins below the limit; the cumulative
    histogram maps grey to 0 to 255. A pixel takes the bilinear mean of the maps of the four tiles whose centres are
    nearest. Pixels outside the sector count in no histogram: black frame would push the tissue beside it to white. A
    tile without sector pixels has the map of the whole sector.

    Parameters
    ----------
    tiles : int, default 8
        Per side.
    clip : float, default 0.01
        The largest share of a tile's pixels in one bin; 1 sets no limit, and at 1 / bins or less every grey level is
        left in its place.
    bins : int, default 256

    References
    ----------
    Zuiderveld 1994, Graphics Gems IV, 10.1016/B978-0-12-336156-1.50061-6. Agrees with
    `skimage.exposure.equalize_adapthist` where the sector is the whole image, up to its 14-bit arithmetic (tests).
    """

    method: ClassVar[str] = "clahe"
    map_name: ClassVar[str] = "clahe"

    def __init__(self, tiles: int = 8, clip: float = 0.01, bins: int = 256) -> None:
        self.clip = number("clahe.clip", clip, 0.0, 1.0, above=True)
        for name, value, low, high in (("tiles", tiles, 1, 64), ("bins", bins, 2, 4096)):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise UsageError(f"clahe.{name} must be a whole number from {low} to {high}, not {value!r}.")
        self.tiles, self.bins = tiles, bins

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """The equalised image, 0 to 255."""
        if min(pixels.shape) < self.tiles:
            raise UsageError(
                f"clahe.tiles is {self.tiles}, but sample '{image.sample}' has only {pixels.shape[0]} x "
                f"{pixels.shape[1]} pixels."
            )
        sector = sector_of(pixels, image)
        low, high = pixels[sector].min(), pixels[sector].max()
        bin_ = np.clip((pixels - low) * (self.bins / (high - low)), 0, self.bins - 1).astype(np.intp)
        rows, columns = (np.arange(side) * self.tiles // side for side in pixels.shape)
        tile = rows[:, None] * self.tiles + columns
        counts = np.bincount((tile * self.bins + bin_)[sector], minlength=self.tiles**2 * self.bins)
        curves = self._curves(counts.reshape(-1, self.bins)).reshape(self.tiles, self.tiles, self.bins)
        result = np.zeros(pixels.shape)
        for row, row_weight in _neighbours(pixels.shape[0], self.tiles):
            for column, column_weight in _neighbours(pixels.shape[1], self.tiles):
                result += row_weight[:, None] * column_weight * curves[row[:, None], column, bin_]
        return TOP * result

    def _curves(self, counts: npt.NDArray[np.integer]) -> Floats:
        """Cumulative clipped histograms (tiles, bins), ending at 1."""
        counts = np.where(counts.sum(axis=1, keepdims=True) > 0, counts, counts.sum(axis=0))
        share = counts / counts.sum(axis=1, keepdims=True)
        limit = max(self.clip, 1.0 / self.bins)
        # The bins are filled by one amount each, up to the limit, until the share is 1 again.
        below, above = np.zeros((len(share), 1)), np.full((len(share), 1), limit)
        for _ in range(_HALVINGS):
            middle = (below + above) / 2
            full = np.minimum(share + middle, limit).sum(axis=1, keepdims=True) >= 1.0
            below, above = np.where(full, below, middle), np.where(full, middle, above)
        curves = np.cumsum(np.minimum(share + above, limit), axis=1)
        return curves / curves[:, -1:]


def _neighbours(side: int, tiles: int) -> tuple[tuple[npt.NDArray[np.intp], Floats], ...]:
    """For every pixel of a side the two nearest tile centres and their weights; at the edge both are the same tile."""
    place = (np.arange(side) + 0.5) * tiles / side - 0.5
    first = np.floor(place).astype(np.intp)
    weight = place - first
    return (np.clip(first, 0, tiles - 1), 1 - weight), (np.clip(first + 1, 0, tiles - 1), weight)
