"""Jensen-Shannon divergence, definition 1: one engine for the point estimate, the bootstrap and the permutation null.

For one feature and G groups: (1) a mixture in which every group weighs 1/G; (2) edges e_k, k = 1..K-1, the smallest
value whose cumulative mass in that mixture is at least k/K; bins (e_{k-1}, e_k], the outer ones open, duplicate edges
merged; (3) D = H(mean of p_g) - mean of H(p_g) in bits, divided by log2 G. Nothing is clipped.

Because only the order of the values counts, a monotone map of the feature changes nothing, exactly. A missing value
(NaN) counts as a value of its own above all others, so that values missing for one manufacturer only are seen.

How it is fast: the rows of a feature are ordered once, the weights of all replicates are then added up row by row
(small integers, replicates contiguous in memory), and the K-1 edges of all replicates are found together by one binary
search: first among every 16th row, whose mass is worked out for all replicates at once, then inside 16 rows, for those
rows only that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

DEFINITION = 1
TOLERANCE = 1e-11
"""Slack when a cumulative mass is compared with k/K. Summing n <= 10^4 shares errs by about 1e-12 at most, while two
different rational masses a/(2 n1) + b/(2 n2) and k/10 with n1, n2 <= 10^4 are at least 5e-10 apart."""
_BLOCK_BYTES = 16 << 20  # at 8 per row and replicate: wide rows spare calls, and memory stays bounded
_FINE_BITS = 4  # log2 of the rows between two whose mass is worked out for all replicates
_NARROW = 16  # replicates up to which one cumulative sum beats a call per row
_TINY = 1e-300  # 0 * log2(0 + tiny) is 0, as the entropy wants it


def jsd(values: Array, weights: Array, bins: int = 10) -> Floats:
    """Divergence between groups, for every feature and every replicate.

    Parameters
    ----------
    values : array (n, p)
        One column per feature.
    weights : array (L, n, B)
        How much each row counts for group l in replicate b. Only ratios within one (l, b) matter.
    bins : int
        K, 10 by default.

    Returns
    -------
    float64 (p, B)
        In [0, 1] (divided by log2 L); NaN where a group weighs nothing.
    """
    groups = len(weights)
    rows = divergences(values, weights, np.eye(groups)[None], bins)
    return np.array([d[0] for d, _ in rows]).reshape(np.shape(values)[1], np.shape(weights)[2])


def divergences(
    values: Array, weights: Array, mixtures: Array, bins: int = 10
) -> Iterator[tuple[Floats, npt.NDArray[np.int64]]]:
    """The same, feature by feature, for several ways of making groups of L manufacturers.

    Parameters
    ----------
    values : array (n, p)
    weights : array (L, n, B)
    mixtures : array (C, G, L)
        Group g of contrast c is the mixture of manufacturers with these shares (rows sum to 1): [[1, 0, 0],
        [0, .5, .5]] sets the first of three against the balanced mixture of the others.
    bins : int

    Yields
    ------
    divergence : float64 (C, B)
        One feature's values, in the order of the columns.
    effective : int (C, B)
        K_effective: the number of bins that hold mass.
    """
    values = np.asarray(values)
    weights = np.asarray(weights)
    n, replicates = weights.shape[1:]
    width = max(1, min(replicates, max(256, _BLOCK_BYTES // (8 * max(n, 1)))))
    blocks = [
        _Block(weights[:, :, start : start + width], np.asarray(mixtures, dtype=np.float64), bins)
        for start in range(0, replicates, width)
    ]
    for column in values.T:
        order = np.argsort(column, kind="stable")
        last = _last_of_ties(column[order])
        parts = [block.evaluate(order, last) for block in blocks]
        yield np.concatenate([p[0] for p in parts], axis=1), np.concatenate([p[1] for p in parts], axis=1)


def bias(effective: Array, rows: Array, mixtures: Array) -> Floats:
    """What the divergence of identical distributions is on average, to first order, on the scale of `jsd`.

    (K-1) / (2 ln 2) * sum_g (1/G) (1 - 1/G) / n_g, over log2 G, with 1/n_g = sum_l share_gl^2 / n_l for a group that is
    itself a mixture (the variance of a mixed frequency). Right for independent rows, one image per patient, and about
    50 rows or more per manufacturer.

    Parameters
    ----------
    effective : int array (C, ...)
        K_effective.
    rows : array (L,)
        Rows of each manufacturer.
    mixtures : array (C, G, L)

    Returns
    -------
    float64 (C, ...)
    """
    mixtures = np.asarray(mixtures, dtype=np.float64)
    groups = mixtures.shape[1]
    used = mixtures > 0
    inverse = np.where(used, mixtures**2, 0.0) / np.where(np.asarray(rows) > 0, rows, np.nan)
    spread = np.where(used, inverse, 0.0).sum(axis=(1, 2)) * (1.0 / groups) * (1.0 - 1.0 / groups)
    effective = np.asarray(effective, dtype=np.float64)
    shape = (-1,) + (1,) * (effective.ndim - 1)
    return (effective - 1.0) / (2.0 * np.log(2.0)) * spread.reshape(shape) / np.log2(groups)


def _last_of_ties(ordered: Array) -> npt.NDArray[np.int64]:
    """For each position of an ordered column the last position with the same value (all NaN are one value)."""
    n = len(ordered)
    differs = ordered[1:] != ordered[:-1]
    if ordered.dtype.kind == "f":
        differs &= ~(np.isnan(ordered[1:]) & np.isnan(ordered[:-1]))
    ends = np.append(np.flatnonzero(differs), n - 1)
    return np.repeat(ends, np.diff(ends, prepend=-1))


class _Block:
    """Replicates that are worked on together, with the buffers for it."""

    def __init__(self, weights: Array, mixtures: Floats, bins: int) -> None:
        manufacturers, n, width = weights.shape
        self.n, self.width, self.mixtures = n, width, mixtures
        counts, self.exact = _compact(weights)
        totals = counts.sum(axis=1, dtype=np.float64)  # (L, width)
        with np.errstate(divide="ignore"):
            per_row = np.where(totals > 0, 1.0 / totals, np.nan)
        # share[c, g, l, b]: what one unit of weight of manufacturer l adds to group g; 0 for those not in the contrast
        self.share = np.where(mixtures[..., None] > 0, mixtures[..., None] * per_row, 0.0)
        self.missing = np.asarray(np.isnan(self.share).any(axis=(1, 2)))  # (C, width)
        self.share = np.nan_to_num(self.share)
        self.balanced = self.share.mean(axis=1)  # (C, L, width)
        self.members = [np.flatnonzero(m.any(axis=0)).tolist() for m in mixtures]  # manufacturers of each contrast

        self.counts = np.ascontiguousarray(counts.transpose(1, 0, 2)).reshape(n, manufacturers * width)
        self.count_rows = list(self.counts) if width > _NARROW else []
        # The last step of a search may look at rows beyond the data: these hold at least all the mass there is.
        step = 1 << _FINE_BITS
        self.cumulative = np.full((n + step, manufacturers * width), totals.max(initial=0.0), dtype=counts.dtype)
        self.cumulative[0] = 0
        self.cumulative_rows = list(self.cumulative[: n + 1]) if self.count_rows else []
        # Likewise for the 2^bits coarse rows.
        self.coarse_rows = n >> _FINE_BITS
        self.bits = self.coarse_rows.bit_length()
        self.mass = np.full((1 << self.bits, width), np.inf)
        self.term = np.empty((self.coarse_rows, width))

        thresholds = (np.arange(1, bins) / bins)[:, None] - TOLERANCE
        self.thresholds = np.repeat(thresholds, width, axis=1)
        self.column = np.arange(width, dtype=np.int64)
        shape = (bins - 1, width)
        self.position, self.jump = np.empty(shape, np.int64), np.empty(shape, np.int64)
        self.probe, self.probe_term, self.less = np.empty(shape), np.empty(shape), np.empty(shape, bool)
        self.found = np.empty(shape, counts.dtype)

    def evaluate(
        self, order: npt.NDArray[np.int64], last: npt.NDArray[np.int64]
    ) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Divergence and effective bins (C, width) of one feature whose rows come in this order."""
        out = self.cumulative_rows
        if out:
            for i, row in enumerate(order.tolist()):
                np.add(out[i], self.count_rows[row], out[i + 1])
        else:
            inside = self.cumulative[1 : self.n + 1]
            np.cumsum(self.counts[order], axis=0, dtype=inside.dtype, out=inside)
        found = [self._contrast(c, last) for c in range(len(self.mixtures))]
        return np.array([d for d, _ in found]), np.array([k for _, k in found])

    def _contrast(self, c: int, last: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.int64]]:
        edges = last[self._first_at_least(c)]  # (K-1, width): the last row of each bin but the last one
        manufacturers = self.mixtures.shape[2]
        flat = self.cumulative.reshape(-1)
        at = (edges + 1) * (manufacturers * self.width) + self.column
        groups = self.mixtures.shape[1]
        p = np.zeros((groups, len(edges) + 1, self.width))
        below = np.empty((len(edges) + 2, self.width), dtype=self.cumulative.dtype)
        for m in self.members[c]:
            below[0], below[-1] = 0, self.cumulative[self.n, m * self.width : (m + 1) * self.width]
            flat[m * self.width :].take(at, out=below[1:-1], mode="clip")
            inside = below[1:] - below[:-1]
            for g in np.flatnonzero(self.mixtures[c, :, m]):
                p[g] += inside * self.share[c, g, m]
        if not self.exact:
            p[p < TOLERANCE] = 0.0  # what rounding leaves in an empty bin
        mean = p.mean(axis=0)
        d = (_plogp(p).sum(axis=1).mean(axis=0) - _plogp(mean).sum(axis=0)) / np.log2(groups)
        d = np.where(np.abs(d) < 1e-15, 0.0, d)  # identical groups differ from 0 by rounding only
        return np.where(self.missing[c], np.nan, d), (mean > 0).sum(axis=0)

    def _first_at_least(self, c: int) -> npt.NDArray[np.int64]:
        """For each k and replicate the first row (in order) at which the balanced mass is at least k/K."""
        width, step = self.width, 1 << _FINE_BITS
        mass, members = self.mass[: self.coarse_rows], self.members[c]
        for i, m in enumerate(members):
            counts = self.cumulative[step : self.n + 1 : step, m * width : (m + 1) * width]
            np.multiply(counts, self.balanced[c, m], out=self.term if i else mass)
            if i:
                np.add(mass, self.term, out=mass)
        flat = self.mass.reshape(-1)
        self.position[:] = self.column
        for bit in reversed(range(self.bits)):
            jump = width << bit
            flat[jump - width :].take(self.position, out=self.probe, mode="clip")
            self._advance(jump)

        # The same inside the 16 rows, in a table whose rows are as long as those of `cumulative`.
        row = self.cumulative.shape[1]
        np.floor_divide(self.position, width, out=self.position)
        np.multiply(self.position, step * row, out=self.position)
        np.add(self.position, self.column, out=self.position)
        flat = self.cumulative.reshape(-1)
        for bit in reversed(range(_FINE_BITS)):
            jump = row << bit
            for i, m in enumerate(members):
                flat[jump + m * width :].take(self.position, out=self.found, mode="clip")
                np.multiply(self.found, self.balanced[c, m], out=self.probe_term if i else self.probe)
                if i:
                    np.add(self.probe, self.probe_term, out=self.probe)
            self._advance(jump)
        return np.minimum(self.position // row, self.n - 1)

    def _advance(self, jump: int) -> None:
        """Move on by `jump` wherever the probe is below its threshold."""
        # Multiplying by the outcome, not assigning where it holds: unpredictable branches cost four times more.
        np.less(self.probe, self.thresholds, out=self.less)
        np.multiply(self.less, jump, out=self.jump)
        np.add(self.position, self.jump, out=self.position)


def _plogp(p: Floats) -> Floats:
    logs = np.log2(p + _TINY)
    logs *= p
    return logs


def _compact(weights: Array) -> tuple[Array, bool]:
    """Whole-number weights as the smallest integers whose sums fit (exact and quick); others as float64."""
    if weights.dtype.kind not in "iub":
        whole = np.rint(weights)
        if not np.array_equal(whole, weights):
            return weights.astype(np.float64), False
        weights = whole
    largest = float(weights.sum(axis=1, dtype=np.float64).max(initial=0.0))
    for kind in (np.int16, np.int32, np.int64):
        if largest <= np.iinfo(kind).max:
            return weights.astype(kind), True
    return weights.astype(np.float64), False
