"""Feature tables as histograms small enough for a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from harmbench.data import FeatureTable, Floats, map_of
from harmbench.leaderboard.page.evidence import BINS, Histograms, Names

QUANTILES = (0.01, 0.99)


def histograms(table: FeatureTable, names: int, jsd: Floats | None = None) -> Histograms:
    """Histograms of every feature by manufacturer.

    Parameters
    ----------
    table : FeatureTable
        n rows, p features; values that are not finite are left out.
    names : int
        Where the names of its features stand.
    jsd : float64 (p,), optional
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
        own = place[table.manufacturer == maker]
        counts = _counts(own, values.shape[1])
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        shares[maker] = base64.b64encode(np.rint(255 * counts / total).astype(np.uint8).tobytes()).decode()
    return Histograms(
        names=names,
        low=_short(low),
        high=_short(high),
        shares=shares,
        jsd=None if jsd is None else [None if np.isnan(x) else round(float(x), 3) for x in jsd],
    )


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


def thinned(table: FeatureTable, jsd: Floats, most: int) -> tuple[FeatureTable, Floats]:
    """At most so many features: those with the largest JSD, in their order."""
    if len(table.features) <= most:
        return table, jsd
    keep = np.sort(np.argsort(np.where(np.isnan(jsd), -np.inf, -jsd), kind="stable")[:most])
    return table.columns(keep), jsd[keep]
