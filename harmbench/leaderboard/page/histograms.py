"""Feature tables as histograms small enough for a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harmbench.data import FeatureTable, Floats, map_of
from harmbench.leaderboard.page.evidence import BINS, Histograms, Names

QUANTILES = (0.01, 0.99)
_EACH = 30
"""Characters that a feature takes besides its histograms: ends of its axis, JSD."""


@dataclass
class Counted:
    """Histograms of every feature of a table, before they are written.

    Parameters
    ----------
    features : tuple of str, length p
    low, high : float64 (p,)
        Ends of the axis; NaN for a feature without a finite value.
    shares : mapping of manufacturer to uint8 (p, BINS)
        Share of its rows, 255 for all.
    jsd : float64 (p,) or None
        To be shown.
    order : float64 (p,)
        Which features are kept first where not all can be, largest first.
    """

    features: tuple[str, ...]
    low: Floats
    high: Floats
    shares: dict[str, np.ndarray]
    jsd: Floats | None
    order: Floats

    def kept(self, most: int, order: Floats) -> np.ndarray:
        """Positions of at most so many features, those with the largest values of `order`, as they stand."""
        if len(self.features) <= most:
            return np.arange(len(self.features))
        value = np.where(np.isnan(order), -np.inf, order)
        return np.sort(np.argsort(-value, kind="stable")[:most])

    def written(self, names: int, keep: np.ndarray) -> Histograms:
        """As the page takes it; `names` says where the names of the kept features stand."""
        return Histograms(
            names=names,
            low=_short(self.low[keep]),
            high=_short(self.high[keep]),
            shares={m: base64.b64encode(s[keep].tobytes()).decode() for m, s in self.shares.items()},
            jsd=None if self.jsd is None else [None if np.isnan(x) else round(float(x), 3) for x in self.jsd[keep]],
        )


def counted(table: FeatureTable, jsd: Floats | None = None, order: Floats | None = None) -> Counted:
    """Histograms of every feature by manufacturer.

    Parameters
    ----------
    table : FeatureTable
        n rows, p features; values that are not finite are left out.
    jsd, order : float64 (p,), optional
    """
    values = np.where(np.isfinite(table.values), table.values, np.nan)
    known = ~np.isnan(values).all(axis=0)
    bounds = np.full((2, values.shape[1]), np.nan)
    if known.any():
        bounds[:, known] = np.nanquantile(values[:, known], QUANTILES, axis=0)
    low, high = bounds
    place = _bins(values, low, high)
    shares = {}
    for maker in table.manufacturers:
        counts = _counts(place[table.manufacturer == maker], values.shape[1])
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        shares[maker] = np.rint(255 * counts / total).astype(np.uint8)
    if order is None:
        order = np.zeros(len(table.features)) if jsd is None else jsd
    return Counted(table.features, low, high, shares, jsd, order)


def most_features(tables: Sequence[Counted], budget: int) -> int:
    """How many features every table may keep, so that all of them together take at most so many characters."""
    if not tables:
        return 0
    size = max(_EACH + len(t.shares) * BINS * 4 // 3 for t in tables)
    counts = sorted(len(t.features) for t in tables)
    left = budget // size
    for i, count in enumerate(counts):
        share = left // (len(counts) - i)
        if count > share:
            return max(1, share)
        left -= count
    return counts[-1]


def _bins(values: Floats, low: Floats, high: Floats) -> np.ndarray:
    """The bin of each value, -1 where there is none; a constant feature is in the middle bin."""
    width = np.where(high > low, high - low, 1.0)
    with np.errstate(invalid="ignore"):
        place = np.floor((values - low) / width * BINS)
    place = np.where(high > low, np.clip(place, 0, BINS - 1), BINS // 2)
    return np.where(np.isnan(values), -1, place).astype(np.int64)


def _counts(place: np.ndarray, features: int) -> np.ndarray:
    """How many rows each feature has in each bin, int (p, BINS)."""
    flat = place + np.arange(features) * BINS
    return np.bincount(flat[place >= 0], minlength=features * BINS).reshape(features, BINS)


def _short(values: Floats) -> list[float | None]:
    """Four digits are enough for the ends of an axis."""
    return [None if np.isnan(v) else float(f"{v:.4g}") for v in values]


def short_names(names: Sequence[str]) -> Names:
    """Names as maps times suffixes when that gives exactly these names in this order."""
    found = [map_of(name) for name in names]
    maps = list(dict.fromkeys(found))
    suffixes = list(dict.fromkeys(name[len(head) + 1 :] for name, head in zip(names, found, strict=True)))
    if all(found) and len(maps) > 1 and [f"{m}_{s}" for m in maps for s in suffixes] == list(names):
        return Names(maps=maps, suffixes=suffixes)
    return Names(names=list(names))
