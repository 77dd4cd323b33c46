"""JSD of many features in many replicates, block by block: the compiled program where it was built, else NumPy.

A block is as many features as fit a fixed number of bytes, so that memory does not grow with features; blocks are
worked on by several threads and come out in order, the same numbers for any number of threads.
"""

from __future__ import annotations

import importlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench_builtin.evaluators.divergence import TOLERANCE, divergences

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

BLOCK_BYTES = 32 << 20  # of one block's divergences; two blocks a thread are held at most
_MOST_MANUFACTURERS = 64


def _compiled() -> ModuleType | None:
    try:
        return importlib.import_module("harmbench_builtin.evaluators._divergence")
    except ImportError:
        return None


COMPILED = _compiled()
"""None where the package was installed without a C compiler: the same figures, about ten times slower."""
BEST_SET = -1  # of the compiled program's instruction sets; tests set others
WIDE = False  # 64-bit numbers even where 32 bits are enough: the same bits come out, which tests make sure of


@dataclass(frozen=True)
class Replicates:
    """What differs between replicates of one table.

    Parameters
    ----------
    codes : int16 array (n,) or (n, B)
        The manufacturer of each row, as a position in the list of manufacturers; in every replicate where the
        manufacturers are permuted.
    counts : int32 array (n, B) or None
        How often each row counts in each replicate; None: once.
    manufacturers : int
        How many there are.
    """

    codes: npt.NDArray[np.int16]
    counts: npt.NDArray[np.int32] | None
    manufacturers: int

    @property
    def size(self) -> int:
        """B."""
        if self.counts is not None:
            return self.counts.shape[1]
        return self.codes.shape[1] if self.codes.ndim == 2 else 1

    def rows(self, index: Array) -> Replicates:
        counts = None if self.counts is None else np.ascontiguousarray(self.counts[index])
        return Replicates(np.ascontiguousarray(self.codes[index]), counts, self.manufacturers)

    def weights(self) -> npt.NDArray[np.int32]:
        """How much each row counts for each manufacturer, (L, n, B), as `divergences` wants it."""
        codes = self.codes if self.codes.ndim == 2 else self.codes[:, None]
        one_hot = np.arange(self.manufacturers)[:, None, None] == codes[None]
        return one_hot.astype(np.int32) if self.counts is None else one_hot * self.counts[None]


@dataclass(frozen=True)
class Stratum:
    """Rows within which manufacturers are compared.

    Parameters
    ----------
    rows : int array (n_s,)
    mixtures : float64 (C, 2, L)
        See `divergences`.
    share : float64 (C,)
        The stratum's share in each contrast; 0: the contrast is not made here.
    """

    rows: npt.NDArray[np.intp]
    mixtures: Floats
    share: Floats


def blocks(
    values: Floats, strata: Sequence[Stratum], replicates: Replicates, bins: int, n_jobs: int = 1
) -> Iterator[tuple[slice, Floats]]:
    """Divergences of every feature, contrast and replicate, summed over strata by their shares.

    Parameters
    ----------
    values : float64 (n, p)
    strata : sequence of Stratum
    replicates : Replicates
        Of all n rows.
    bins : int
        K of the definition.
    n_jobs : int
        Threads. Any number gives the same bits.

    Yields
    ------
    columns : slice
        The features of the block.
    divergence : float64 (features of the block, C, B)
        NaN where a group weighs nothing, or where no stratum has the contrast.
    """
    parts = [_Part(s, replicates.rows(s.rows), bins) for s in strata]
    contrasts = len(strata[0].share)
    never = ~np.any([s.share > 0 for s in strata], axis=0)
    features = values.shape[1]
    width = max(1, BLOCK_BYTES // (8 * max(1, contrasts * replicates.size)))

    own = threading.local()

    def work(columns: slice) -> tuple[slice, Floats]:
        out = np.zeros((len(range(features)[columns]), contrasts, replicates.size))
        if not hasattr(own, "scratch"):  # kept by the thread: fresh memory costs more than the sums themselves
            own.scratch = np.empty((min(width, features), contrasts, replicates.size))
        for part in parts:
            part.add(values[part.stratum.rows, columns], out, scratch=own.scratch[: len(out)])
        out[:, never] = np.nan
        return columns, out

    todo = [slice(start, min(start + width, features)) for start in range(0, features, width)]
    if n_jobs < 2 or len(todo) < 2:
        yield from map(work, todo)
        return
    with ThreadPoolExecutor(n_jobs) as pool:
        waiting: deque[Future[tuple[slice, Floats]]] = deque()
        for columns in todo:
            waiting.append(pool.submit(work, columns))
            if len(waiting) > n_jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def per_stratum(values: Floats, stratum: Stratum, replicates: Replicates, bins: int) -> tuple[Floats, Floats]:
    """Divergences and K_effective (p, C, B) inside one stratum, all features at once: for few replicates."""
    shape = (values.shape[1], len(stratum.share), replicates.size)
    out, effective = np.zeros(shape), np.zeros(shape)
    whole = Stratum(stratum.rows, stratum.mixtures, (stratum.share > 0).astype(np.float64))
    _Part(whole, replicates.rows(stratum.rows), bins).add(values[stratum.rows], out, effective)
    return out, effective


class _Part:
    """One stratum with its replicates, in the form that the programs take."""

    def __init__(self, stratum: Stratum, replicates: Replicates, bins: int) -> None:
        self.stratum, self.replicates, self.bins = stratum, replicates, bins
        self.groups = _two_groups(stratum.mixtures)
        self._weights: npt.NDArray[np.int32] | None = None

    def add(self, values: Floats, out: Floats, effective: Floats | None = None, scratch: Floats | None = None) -> None:
        """Add share x divergence (and share x K_effective) of these columns; `scratch` is shaped as `out`."""
        if not len(values):
            return
        if COMPILED is None or self.groups is None or self.replicates.manufacturers > _MOST_MANUFACTURERS:
            self._add_plainly(values, out, effective)
            return
        rows, columns = values.shape
        order, inside = _ordered(values, COMPILED.CHUNK)
        own, others = self.groups
        codes = self.replicates.codes
        mine, its = (np.empty_like(out) if scratch is None else scratch), None
        mine.fill(0.0)
        if effective is not None:
            its = np.zeros_like(effective)
        sizes = (columns, order.shape[1], rows, self.replicates.size, *others.shape, self.bins, int(codes.ndim == 1))
        if COMPILED.add(
            order, inside, codes, self.replicates.counts, own, others, self.stratum.share, mine, its,
            (*sizes, int(WIDE)), TOLERANCE, BEST_SET,
        ) is not None:  # fmt: skip
            out += mine
            if effective is not None and its is not None:
                effective += its
        else:  # more rows than its fixed point holds
            self._add_plainly(values, out, effective)

    def _add_plainly(self, values: Floats, out: Floats, effective: Floats | None) -> None:
        if self._weights is None:
            self._weights = self.replicates.weights()
        share = self.stratum.share[:, None]
        for i, (d, k) in enumerate(divergences(values, self._weights, self.stratum.mixtures, self.bins)):
            out[i] += np.where(share > 0, share * d, 0.0)
            if effective is not None:
                effective[i] += share * k


def _ordered(values: Floats, chunk: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64] | None]:
    """Rows of each column in the order of its values (p, padded), and which are not the last of equal ones, if any."""
    rows, columns = values.shape
    by_column = np.ascontiguousarray(values.T)
    order = np.argsort(by_column, axis=1, kind="stable")
    ordered = np.take_along_axis(by_column, order, axis=1)
    same = ordered[:, 1:] == ordered[:, :-1]
    same |= np.isnan(ordered[:, :-1])  # sorted last: all NaN are one value
    padded = -(-rows // chunk) * chunk
    full = np.full((columns, padded), rows, dtype=np.int32)
    full[:, :rows] = order
    if not same.any():
        return full, None
    inside = np.zeros((columns, padded), dtype=np.int64)
    inside[:, : rows - 1] = -same.astype(np.int64)
    return full, inside


def _two_groups(mixtures: Floats) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]] | None:
    """(own manufacturer, others) of each contrast, where every one is a manufacturer against others of equal weight."""
    if mixtures.shape[1] != 2:
        return None
    first, second = mixtures[:, 0], mixtures[:, 1]
    others = second > 0
    equal = np.where(others, 1.0 / np.maximum(others.sum(axis=1, keepdims=True), 1), 0.0)
    own = first.argmax(axis=1)
    single = (first == np.eye(mixtures.shape[2])[own]).all()
    if not single or np.abs(second - equal).max() > 1e-15 or others[np.arange(len(own)), own].any():
        return None
    return own.astype(np.int32), others.astype(np.uint8)
