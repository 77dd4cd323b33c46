"""The forest behind Boruta in NumPy: what the compiled `_forest` computes, and what runs where that is missing.

A classification forest of Breiman (2001) for two classes, grown for its importances only:

- Every tree is grown on n draws with replacement, the class drawn first with probability 1/2 (what scikit-learn's
  `class_weight="balanced"` does since its version 1.9).
- A node looks for the best cut (largest decrease of the Gini impurity) of `tried` features, drawn without replacement.
  A node is a leaf when it holds one row or one class, lies `depth` cuts below the root, or none of its features varies.
- The importance of a feature in a tree is its share of the tree's decrease of impurity.

All trees grow together, level by level. Random numbers come from SplitMix64 by position (tree, node, draw) and not in
sequence, integers are exact, and each floating-point value is one product or sum at a time in a fixed order: so two
programs that share nothing but this rule give the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.uint8]
GOLDEN = 0x9E3779B97F4A7C15
WORD = 2**64 - 1
ENTRIES = 1 << 20
"""Codes looked up at a time: bounds the memory."""


def mix(z: Words) -> Words:
    """SplitMix64's finalizer (Steele, Lea and Flood 2014): 64 scrambled bits for each word."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def draw(key: Any, k: Any) -> Words:
    """Random words number k of a key; both broadcast."""
    return mix(np.asarray(key, dtype=np.uint64) + np.asarray(k, dtype=np.uint64) * np.uint64(GOLDEN))


def below(bits: Words, bound: Any) -> Integers:
    """Uniform integers below `bound` from words of 32 random bits."""
    return ((bits * np.asarray(bound, dtype=np.uint64)) >> np.uint64(32)).astype(np.int64)


def importance(
    codes: Codes, members: npt.NDArray[np.uint32], negatives: int, bins: int, trees: int, depth: int, tried: int,
    seed: int,
) -> Floats:  # fmt: skip
    """Importances summed over trees; the part of each tree sums to 1 (0 where it has no cut).

    Parameters
    ----------
    codes : uint8 array (p, n)
        Bin of every feature and row, below `bins`.
    members : uint32 array (n,)
        Rows of the negative class, then those of the positive class.
    negatives : int
        How many rows are negative; between 1 and n - 1.
    bins, trees, depth : int
    tried : int
        Features that a node looks at, between 1 and p.
    seed : int
        Below 2**64.

    Returns
    -------
    float64 array (p,)
    """
    keys = draw(seed, np.arange(1, trees + 1))
    rows = _bootstrap(members, negatives, keys)
    gains: list[tuple[Integers, Integers, Floats]] = []
    for _ in range(depth):
        rows = _mixed(rows, trees)
        if not len(rows.row):
            break
        cuts = _cuts(codes, rows, keys, bins, tried)
        gains.append((rows.tree[cuts.valid], cuts.feature[cuts.valid], cuts.gain[cuts.valid]))
        rows = _children(codes, rows, cuts)
    # Levels follow each other and a level's nodes are in order, so a stable sort by tree gives each tree's own order.
    tree, feature, gain = (np.concatenate(part) for part in zip(*gains, strict=True)) if gains else [np.array([])] * 3
    order = np.argsort(tree, kind="stable")
    tree, feature, gain = tree[order].astype(np.int64), feature[order].astype(np.int64), gain[order]
    total = np.bincount(tree, gain, trees)  # adds one after the other, as the compiled loop does
    share = np.divide(gain, total[tree], out=np.zeros_like(gain), where=total[tree] > 0)
    return np.bincount(feature, share, len(codes)).astype(np.float64)


@dataclass(frozen=True)
class _Rows:
    """The rows of all nodes of a level: of each entry its node, row and weight; of each node its tree and number."""

    node: Integers
    row: Integers
    count: Integers
    positive: Integers
    tree: Integers
    number: Integers  # 1 is the root, 2i and 2i + 1 are the children of i


@dataclass(frozen=True)
class _Cuts:
    """The best cut of each node: codes of `feature` up to `cut` go left. Nothing found: not valid."""

    valid: npt.NDArray[np.bool_]
    feature: Integers
    cut: Integers
    gain: Floats


def _bootstrap(members: npt.NDArray[np.uint32], negatives: int, keys: Words) -> _Rows:
    n, trees = len(members), len(keys)
    bits = draw(draw(keys, 0)[:, None], np.arange(1, n + 1))
    positive = (bits >> np.uint64(63)).astype(np.int64)
    position = below(bits & np.uint64(0xFFFFFFFF), np.where(positive, n - negatives, negatives)) + positive * negatives
    drawn = np.bincount((np.arange(trees)[:, None] * n + members[position]).ravel(), minlength=trees * n)
    entry = np.flatnonzero(drawn)
    is_positive = np.zeros(n, dtype=np.int64)
    is_positive[members[negatives:]] = 1
    row, count = entry % n, drawn[entry]
    return _Rows(entry // n, row, count, count * is_positive[row], np.arange(trees), np.ones(trees, dtype=np.int64))


def _mixed(rows: _Rows, trees: int) -> _Rows:
    """Only the nodes with two rows and both classes, numbered anew."""
    nodes = len(rows.tree)
    size = np.bincount(rows.node, minlength=nodes)
    count, positive = (np.bincount(rows.node, w, nodes) for w in (rows.count, rows.positive))
    keep = (size > 1) & (positive > 0) & (positive < count)
    entries, number = keep[rows.node], np.cumsum(keep) - 1
    return _Rows(
        number[rows.node[entries]], rows.row[entries], rows.count[entries], rows.positive[entries],
        rows.tree[keep], rows.number[keep],
    )  # fmt: skip


def _candidates(keys: Words, features: int, tried: int) -> Integers:
    """(nodes, tried) different features for each node's key: the first different ones of its random sequence."""
    chosen = np.empty((len(keys), tried), dtype=np.int64)
    pending, length = np.arange(len(keys)), tried + 8
    while len(pending):
        sequence = below(draw(keys[pending, None], np.arange(1, length + 1)) >> np.uint64(32), features)
        order = np.argsort(sequence, axis=1, kind="stable")
        in_order = np.take_along_axis(sequence, order, axis=1)
        repeated = np.zeros(sequence.shape, dtype=bool)
        np.put_along_axis(repeated, order[:, 1:], in_order[:, 1:] == in_order[:, :-1], axis=1)
        rank = np.cumsum(~repeated, axis=1)
        enough = rank[:, -1] >= tried
        first = ~repeated & (rank <= tried)
        chosen[pending[enough]] = sequence[enough][first[enough]].reshape(-1, tried)
        pending, length = pending[~enough], 2 * length
    return chosen


def _cuts(codes: Codes, rows: _Rows, keys: Words, bins: int, tried: int) -> _Cuts:
    """The best cut of every node, some nodes at a time."""
    nodes = len(rows.tree)
    features = _candidates(draw(keys[rows.tree], rows.number), len(codes), tried)
    by_node = np.argsort(rows.node, kind="stable")
    starts = np.searchsorted(rows.node[by_node], np.arange(nodes + 1))
    cost, choice = np.full(nodes, np.inf), np.zeros(nodes, dtype=np.int64)
    whole = np.empty(nodes)
    first = 0
    while first < nodes:
        cells = (starts[first + 1 :] - starts[first] + bins * np.arange(1, nodes - first + 1)) * tried
        last = first + max(1, int(np.searchsorted(cells, ENTRIES)))
        entry = by_node[starts[first] : starts[last]]
        node, here = rows.node[entry] - first, features[first:last]
        code = codes[here[node], rows.row[entry, None]]
        cell = ((node[:, None] * tried + np.arange(tried)) * bins + code).ravel()
        shape = (last - first, tried, bins)
        count, positive = (
            np.bincount(cell, np.repeat(w[entry], tried), int(np.prod(shape))).reshape(shape).cumsum(axis=2)
            for w in (rows.count, rows.positive)
        )
        all_count, all_positive = count[:, :1, -1:], positive[:, :1, -1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            both = _spread(count, positive) + _spread(all_count - count, all_positive - positive)
        both = np.where((count > 0) & (count < all_count), both, np.inf)[:, :, :-1].reshape(last - first, -1)
        choice[first:last] = both.argmin(axis=1)
        cost[first:last] = both[np.arange(last - first), choice[first:last]]
        whole[first:last] = _spread(all_count, all_positive).ravel()
        first = last
    feature = features[np.arange(nodes), choice // (bins - 1)]
    valid = np.isfinite(cost)
    return _Cuts(valid, feature, choice % (bins - 1), np.maximum(np.where(valid, whole - cost, 0.0), 0.0))


def _spread(count: Floats, positive: Floats) -> Floats:
    """Impurity times weight, halved: what a cut has to lower."""
    return (positive * (count - positive)) * (1.0 / count)


def _children(codes: Codes, rows: _Rows, cuts: _Cuts) -> _Rows:
    """The rows in the nodes of the next level: left child before right child, in the order of the parents."""
    number = np.cumsum(cuts.valid) - 1
    entries = cuts.valid[rows.node]
    parent, row = rows.node[entries], rows.row[entries]
    right = (codes[cuts.feature[parent], row] > cuts.cut[parent]).astype(np.int64)
    return _Rows(
        2 * number[parent] + right, row, rows.count[entries], rows.positive[entries],
        np.repeat(rows.tree[cuts.valid], 2),
        (2 * rows.number[cuts.valid, None] + np.arange(2)).ravel(),
    )  # fmt: skip
