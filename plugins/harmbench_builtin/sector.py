"""Where a scanner shows anything: the part of an ultrasound picture that is not black frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from harmbench.data import Bools, Floats

_SEEN = 8
"""Grey levels of 0 to 255 below this are taken for background or compression noise."""
_NEIGHBOURHOOD = 9
_PART = 0.05
"""Of the largest connected part; smaller ones are not part of the picture."""


def find_sector(pixels: npt.NDArray[Any]) -> Bools:
    """Where an image shows something: within 4 pixels of a grey level of at least 8.

    A guess, for images whose sector is not known: a large echo-free region inside it counts as background.

    Parameters
    ----------
    pixels : (H, W)
        Grey levels 0 to 255.

    Returns
    -------
    bool (H, W)
    """
    highest = ndimage.maximum_filter(pixels, _NEIGHBOURHOOD, mode="constant", cval=0)
    return np.asarray(highest >= _SEEN)


def whole_sector(pixels: npt.NDArray[Any]) -> Bools:
    """The convex hull of what is seen (a grey level of at least 8), for grey levels of any range.

    The field of a phased array or a linear probe is convex, so dark blood, shadows and deep tissue that the gain leaves
    black are within the hull; how much of it is seen depends on the scanner, which is what a harmonizer must not take
    for anatomy. Small parts that touch nothing (text, a mark) are left out. A picture without a black frame is its own
    sector. The region of interest plays no part: where a scanner shows something does not depend on what somebody
    outlined.

    Parameters
    ----------
    pixels : float (H, W), finite
        When the grey levels do not look like 8 bit (below 0, above 255, or none above 1), the image's range is taken
        for 0 to 255.

    Returns
    -------
    bool (H, W)
        Nothing where the image is black.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 255 or high <= 1:
        pixels = (pixels - low) * (255.0 / (high - low)) if high > low else np.zeros_like(pixels)
    # Back by the 4 pixels by which `find_sector` reaches out: black frame would count as dark tissue.
    tight = ndimage.minimum_filter(find_sector(pixels), _NEIGHBOURHOOD, mode="constant", cval=1)
    parts, count = ndimage.label(tight)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    if not count:
        return np.zeros(pixels.shape, dtype=bool)
    seen = np.isin(parts, 1 + np.flatnonzero(sizes >= _PART * sizes.max()))
    rows = np.flatnonzero(seen.any(axis=1))
    left = seen[rows].argmax(axis=1)
    right = seen.shape[1] - 1 - seen[rows, ::-1].argmax(axis=1)
    every = np.arange(rows[0], rows[-1] + 1)
    from_, to = _lower_hull(every, rows, left), -_lower_hull(every, rows, -right)
    columns = np.arange(seen.shape[1])
    hull = np.zeros(seen.shape, dtype=bool)
    # Rounding must not take away a pixel that lies on the hull's edge.
    hull[every] = (columns >= from_[:, None] - 1e-9) & (columns <= to[:, None] + 1e-9)
    return hull


def _lower_hull(at: npt.NDArray[np.integer], x: npt.NDArray[np.integer], y: npt.NDArray[np.integer]) -> Floats:
    """The largest convex function below the points (x, y), x rising, at the places `at` (Andrew's monotone chain)."""
    kept: list[tuple[int, int]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while len(kept) > 1 and _turn(kept[-2], kept[-1], point) <= 0:
            kept.pop()
        kept.append(point)
    corners = np.array(kept, dtype=np.float64)
    return np.interp(at, corners[:, 0], corners[:, 1])


def _turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    """Above 0 where a, b, c turn to the left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
