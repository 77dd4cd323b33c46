"""`gain-normalization`: the same mean and spread of grey at every depth."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from harmbench.data import Bools, Floats, Image
from harmbench_builtin.harmonizers.image_method import ImageMethod, number, one_of, sector_of

_SHARE_OF_HEIGHT = (0.1, 0.6)
"""Rows of a sector in which its sides are straight: below the probe, above the arc."""
_LEAST_ROWS = 10
_OPENING = (10.0, 160.0)
"""Degrees between the sides of a sector; less is a linear probe, more is no sector."""
_FLAT = 1e-6
"""Spread at one depth, as a share of the whole, below which it is rounding."""


class GainNormalization(ImageMethod):
    """(x - m(d)) / s(d), with d the depth of a pixel, m the trend of grey over depth and s the spread about it.

    The picture of a scanner is logarithmic: x = a log(A) + b. A gain g(d) by which the echo at depth d is multiplied
    (overall gain, time gain compensation, attenuation) is therefore added, x + a log g(d), and another dynamic range
    multiplies, a. m is a local straight line through the sector's grey levels over depth, fitted by least squares with
    Gaussian weights, so adding any straight line alpha + beta d to x adds the same line to m and nothing is left of it:
    a gain that is constant in dB, or grows by a constant number of dB per cm, is removed exactly, and so is the dynamic
    range, wherever the display was neither black nor white. A gain that bends is removed as far as it is straight over
    the width. What goes with it is any mean difference between shallow and deep tissue. Pixels of the image's lowest
    grey level count for nothing: they may be frame, and how dark the echo was they do not say.

    Parameters
    ----------
    depth : {"range", "row"}, default "range"
        "range": distance to the point where the sides of the sector meet; "row": the row, right for a linear probe.
        Where the sector has no two straight sides that meet above it (a linear probe, a cropped picture), "range" takes
        the row.
    width : float, default 0.05
        Standard deviation of the weights, as a share of the sector's depth.
    scale : bool, default True
        False: only m is taken away.

    References
    ----------
    Derived here; that features free of gain are wanted: Roy and others 2020 (standardisation of ultrasound texture).
    """

    method: ClassVar[str] = "gain-normalization"
    map_name: ClassVar[str] = "gain"

    def __init__(self, depth: str = "range", width: float = 0.05, scale: bool = True) -> None:
        self.depth = one_of("gain-normalization.depth", depth, ("range", "row"))
        self.width = number("gain-normalization.width", width, 0.0, 1.0, above=True)
        self.scale = scale

    def changed(self, pixels: Floats, image: Image) -> Floats:
        """Grey levels about 0, with a standard deviation of about 1 at every depth."""
        sector = sector_of(pixels, image)
        depth = depths(sector, image.spacing, self.depth)
        sector &= pixels > pixels.min()
        inside = depth[sector]
        # Beyond the depths of the sector the trend of its ends goes on, flat.
        depth = np.clip(depth, inside.min(), inside.max())
        trend = _Trend(depth, sector, self.width)
        rest = pixels - trend.line(pixels)
        if not self.scale:
            return rest
        spread = trend.level(rest**2)
        overall = np.mean(rest[sector] ** 2)
        result: Floats = rest / np.sqrt(np.maximum(spread, max(_FLAT**2 * overall, np.finfo(float).tiny)))
        return result


class _Trend:
    """Kernel regression over depth. Sums are kept per step of depth, so its cost is that of a few histograms."""

    def __init__(self, depth: Floats, sector: Bools, width: float) -> None:
        low, high = float(depth.min()), float(depth.max())
        steps = max(1, min(512, round(float(np.ptp(np.flatnonzero(sector.any(axis=1)))))))
        step = (high - low) / steps if high > low else 1.0
        self.sector = sector
        self.place = np.minimum(((depth - low) / step).astype(np.intp), steps - 1)
        self.centre = low + (np.arange(steps) + 0.5) * step
        self.offset = depth - self.centre[self.place]
        apart = self.centre - self.centre[:, None]
        self.weight = np.exp(-0.5 * (apart / (width * (high - low) or 1.0)) ** 2)
        self.apart = apart
        self.count = self._sums(np.ones(depth.shape))
        self.first, self.second = self._sums(self.offset), self._sums(self.offset**2)

    def _sums(self, values: Floats) -> Floats:
        sums = np.bincount(self.place[self.sector], values[self.sector], minlength=len(self.centre))
        return sums.astype(np.float64)

    def level(self, values: Floats) -> Floats:
        """The weighted mean of `values` at the depth of every pixel, (H, W)."""
        mean = (self.weight @ self._sums(values)) / (self.weight @ self.count)
        out: Floats = mean[self.place]
        return out

    def line(self, values: Floats) -> Floats:
        """The weighted least-squares line of `values` about the depth of every pixel, taken at that pixel, (H, W)."""
        w, t = self.weight, self.apart
        s, so = self._sums(values), self._sums(values * self.offset)
        # A pixel in step j lies at t_j + offset from the centre of step i; moments of that distance about i.
        m0 = w @ self.count
        m1 = (w * t) @ self.count + w @ self.first
        m2 = (w * t * t) @ self.count + 2 * (w * t) @ self.first + w @ self.second
        y0, y1 = w @ s, (w * t) @ s + w @ so
        determinant = m0 * m2 - m1**2
        sloped = determinant > 1e-12 * m0 * m2
        slope = np.where(sloped, (m0 * y1 - m1 * y0) / np.where(sloped, determinant, 1.0), 0.0)
        level = (y0 - slope * m1) / m0
        return level[self.place] + slope[self.place] * self.offset


def depths(sector: Bools, spacing: tuple[float, float] | None, kind: str) -> Floats:
    """The depth of every pixel, in mm where the spacing is known, else in rows."""
    high, wide = spacing or (1.0, 1.0)
    row, column = (np.arange(side, dtype=np.float64) for side in sector.shape)
    top = apex(sector, (high, wide)) if kind == "range" else None
    if top is None:
        return np.broadcast_to(row[:, None] * high, sector.shape).copy()
    return np.hypot((row[:, None] - top[0]) * high, (column - top[1]) * wide)


def apex(sector: Bools, spacing: tuple[float, float] = (1.0, 1.0)) -> tuple[float, float] | None:
    """Where the straight sides of a sector meet, as row and column; None where they do not meet above it."""
    rows = np.flatnonzero(sector.any(axis=1))
    height = rows[-1] - rows[0] + 1
    rows = rows[int(_SHARE_OF_HEIGHT[0] * height) : int(np.ceil(_SHARE_OF_HEIGHT[1] * height))]
    left = sector[rows].argmax(axis=1)
    right = sector.shape[1] - 1 - sector[rows, ::-1].argmax(axis=1)
    free = (left > 0) & (right < sector.shape[1] - 1)
    if free.sum() < _LEAST_ROWS:
        return None
    (left_slope, left_at), (right_slope, right_at) = (
        np.polyfit(rows[free].astype(np.float64), side[free].astype(np.float64), 1) for side in (left, right)
    )
    high, wide = spacing
    opening = np.degrees(np.arctan(right_slope * wide / high) - np.arctan(left_slope * wide / high))
    if not _OPENING[0] <= opening <= _OPENING[1]:
        return None
    row = (left_at - right_at) / (right_slope - left_slope)
    if row > rows[free][0]:
        return None
    return float(row), float(left_at + left_slope * row)
