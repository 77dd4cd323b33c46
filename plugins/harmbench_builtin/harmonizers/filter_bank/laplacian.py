"""`laplacian-of-gaussian`: blobs and edges of several sizes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from harmbench.data import FilterBank, Floats, Image
from harmbench.errors import DataError
from harmbench_builtin.harmonizers.filter_bank.bank import BankHarmonizer, Select, choose, exact, numbers_of, stacked
from harmbench_builtin.harmonizers.image_method import one_of

_REACH = 4.0
"""Standard deviations at which a kernel ends."""


class LaplacianOfGaussian(BankHarmonizer):
    """One map for each sigma: s^2 (d^2/dx^2 + d^2/dy^2) of the image smoothed by a Gaussian of standard deviation s.

    The factor s^2 makes maps of different sigmas comparable. The kernel is
    (r^2 / s^2 - 2) exp(-r^2 / (2 s^2)) / (2 pi s^2) at the pixels, less its mean, so that flat tissue gives 0; a bright
    spot gives a dark centre.

    Parameters
    ----------
    sigmas : str, default "1,2,3,4,5"
    unit : {"px", "mm"}, default "px"
        "mm": sigmas are divided by the sample's spacing, rows and columns each by their own.
    reduce, select
        As for `ssl-kernel`.

    References
    ----------
    Marr and Hildreth 1980, 10.1098/rspb.1980.0020; scale normalisation: Lindeberg 1998, 10.1023/A:1008045108935.
    """

    def __init__(
        self, sigmas: str = "1,2,3,4,5", unit: str = "px", reduce: str = "concat", select: Select = ""
    ) -> None:
        values = numbers_of("laplacian-of-gaussian.sigmas", sigmas, 0.0, 100.0)
        self.unit = one_of("laplacian-of-gaussian.unit", unit, ("px", "mm"))
        self.choice = choose("laplacian-of-gaussian", [f"log-s{value:g}{unit}" for value in values], reduce, select)
        self.sigmas = tuple(values[i] for i in self.choice.numbers)

    def bank(self, image: Image) -> FilterBank:
        """The grey levels, and a kernel for each sigma.

        Raises
        ------
        DataError
            Sigmas are in mm, and the sample has no spacing.
        """
        if self.unit == "mm" and image.spacing is None:
            raise DataError(
                f"sample '{image.sample}' has no pixel spacing, so laplacian-of-gaussian.unit=mm cannot be used.",
                remedy="Give the spacing in the manifest, or use unit=px.",
            )
        spacing = image.spacing if self.unit == "mm" and image.spacing else (1.0, 1.0)
        kernels = _kernels(self.sigmas, spacing)
        return FilterBank(image.pixels.astype(np.float64), kernels, np.zeros(len(kernels)), self.choice.names)


@lru_cache(maxsize=32)
def _kernels(sigmas: tuple[float, ...], spacing: tuple[float, float]) -> Floats:
    kernels = stacked([laplacian_kernel(sigma / spacing[0], sigma / spacing[1]) for sigma in sigmas])
    kernels.setflags(write=False)  # shared by all images
    return kernels


def laplacian_kernel(row_sigma: float, column_sigma: float) -> Floats:
    """One scale-normalised kernel (h, w), both sides odd; its sum is 0."""
    high, wide = (int(np.ceil(_REACH * sigma)) for sigma in (row_sigma, column_sigma))
    y, x = (np.arange(-side, side + 1) / sigma for side, sigma in ((high, row_sigma), (wide, column_sigma)))
    square = y[:, None] ** 2 + x**2
    kernel = (square - 2) * np.exp(-0.5 * square) / (2 * np.pi * row_sigma * column_sigma)
    kernel = exact(kernel - kernel.mean())
    kernel[high, wide] -= kernel.sum()
    return np.asarray(kernel)
