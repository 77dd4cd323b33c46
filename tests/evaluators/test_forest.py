"""The forest behind Boruta: compiled against NumPy to the bit, and both against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestClassifier

from harmbench_builtin.evaluators import forest, forest_plain
from harmbench_builtin.evaluators.forest import binned, importance

compiled_only = pytest.mark.skipif(forest.COMPILED is None, reason="the compiled forest was not built")


def data(n: int, p: int, seed: int, share: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.permutation(np.arange(n) < max(1, round(share * n)))
    values = rng.standard_normal((n, p))
    values[:, : max(1, p // 10)] += positive[:, None]
    return values, positive


def test_bins_by_hand():
    values = np.array([[3.0], [1.0], [1.0], [2.0]])  # rows with a smaller value: 3, 0, 0, 2
    assert binned(values, 4).tolist() == [[3, 0, 0, 2]]
    assert binned(values, 2).tolist() == [[1, 0, 0, 1]]
    assert binned(values, 8).tolist() == [[6, 0, 0, 4]]


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.integers(-6, 6)),
    st.integers(2, 256),
)
@settings(max_examples=60, deadline=None)
def test_bins_are_ranks_in_equal_parts(values: np.ndarray, bins: int):
    expected = (rankdata(values, method="min", axis=0).astype(int) - 1) * bins // len(values)
    np.testing.assert_array_equal(binned(values, bins), expected.T)


@compiled_only
@pytest.mark.parametrize(
    ("n", "p", "bins", "trees", "depth", "share"),
    [
        (120, 40, 32, 30, 5, 0.4),
        (300, 150, 32, 10, 5, 0.2),
        (90, 30, 256, 15, 12, 0.5),
        (40, 1, 2, 20, 3, 0.5),
        (2, 3, 5, 20, 4, 0.5),
        (25, 2, 3, 20, 30, 0.1),
        (60, 5, 16, 20, 1, 0.9),
    ],
)
def test_compiled_and_numpy_agree_to_the_bit(n: int, p: int, bins: int, trees: int, depth: int, share: float):
    for seed in (0, 1, 2**63 + 11, 2**64 - 1):
        values, positive = data(n, p, seed % 1000, share)
        codes = binned(values, bins)
        fast, plain = (importance(codes, positive, bins, trees, depth, seed, plain=plain) for plain in (False, True))
        np.testing.assert_array_equal(fast, plain)


@compiled_only
@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(2, 30)), elements=st.integers(0, 4)),
    st.integers(0, 2**64 - 1),
    st.integers(1, 6),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_compiled_and_numpy_agree_on_anything(codes: np.ndarray, seed: int, depth: int, more: st.DataObject):
    n = codes.shape[1]
    positive = np.arange(n) < more.draw(st.integers(1, n - 1))
    positive = positive[more.draw(st.permutations(range(n)))]
    fast, plain = (importance(codes, positive, 5, 5, depth, seed, plain=plain) for plain in (False, True))
    np.testing.assert_array_equal(fast, plain)


def test_numpy_gives_the_same_whatever_the_size_of_its_blocks(monkeypatch: pytest.MonkeyPatch):
    values, positive = data(80, 30, 0)
    codes = binned(values, 16)
    whole = importance(codes, positive, 16, 10, 4, 1, plain=True)
    monkeypatch.setattr(forest_plain, "ENTRIES", 500)
    np.testing.assert_array_equal(importance(codes, positive, 16, 10, 4, 1, plain=True), whole)


@pytest.mark.parametrize("plain", [True, pytest.param(False, marks=compiled_only)])
def test_importances_are_those_of_scikit_learn_up_to_chance(plain: bool):
    """Per tree, so that the difference of the means can be held against its standard error.

    With as many rows of either class, the bootstrap of all versions of scikit-learn is ours.
    """
    trees, bins = 600, 16
    values, positive = data(120, 12, 3, share=0.5)
    codes = binned(values, bins)
    model = RandomForestClassifier(trees, max_depth=4, random_state=0, n_jobs=1).fit(codes.T, positive)
    theirs = np.array([tree.feature_importances_ for tree in model.estimators_])
    ours = np.array([importance(codes, positive, bins, 1, 4, seed, plain=plain) for seed in range(trees)])
    error = np.sqrt((theirs.var(axis=0) + ours.var(axis=0)) / trees)
    z = (ours.mean(axis=0) - theirs.mean(axis=0)) / error
    assert np.abs(z).max() < 3.5, z
    # Not only the means: the spread over trees too.
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.2)


def test_classes_weigh_the_same_however_rare_one_is():
    """Half of the draws of a tree are positive, though only 5 rows of 100 are."""
    bits = forest_plain.draw(forest_plain.draw(np.arange(200, dtype=np.uint64), 0)[:, None], np.arange(1, 101))
    assert abs((bits >> np.uint64(63)).astype(int).mean() - 0.5) < 0.015
    members = np.argsort(np.arange(100) < 5, kind="stable").astype(np.uint32)
    rows = forest_plain._bootstrap(members, 95, np.arange(200, dtype=np.uint64))
    assert abs(rows.positive.sum() / rows.count.sum() - 0.5) < 0.015
    drawn = np.bincount(rows.row, rows.count, 100)
    assert drawn[:5].min() > 1700 and drawn[5:].min() > 60 and drawn[5:].max() < 160  # expected: 2000 and 105


def test_one_cut_by_hand():
    """One feature that separates the classes takes everything; one that is constant takes nothing."""
    codes = np.array([[0, 0, 0, 1, 1, 1], [2, 2, 2, 2, 2, 2]], dtype=np.uint8)
    found = importance(codes, np.array([0, 0, 0, 1, 1, 1], bool), 3, 50, 3, 0)
    assert found.tolist() == [1.0, 0.0]


def test_the_gain_of_two_cuts_by_hand(monkeypatch: pytest.MonkeyPatch):
    """Four rows, each drawn once; feature 0 sends {a} left of {b, c, d}, feature 1 then separates the rest.

    Half the impurity times weight: root 2*2/4 = 1; after cut one of {a} (negative) 1*2/3 = 2/3: gain 1/3; after
    cut two 0: gain 2/3.
    """
    members = np.array([0, 1, 2, 3], dtype=np.uint32)  # a and b negative, c and d positive

    def each_once(members: np.ndarray, negatives: int, keys: np.ndarray) -> forest_plain._Rows:
        ones = np.ones(4, dtype=np.int64)
        return forest_plain._Rows(
            0 * ones, np.arange(4), ones, np.array([0, 0, 1, 1]), np.zeros(1, dtype=np.int64), np.ones(1, np.int64)
        )

    monkeypatch.setattr(forest_plain, "_bootstrap", each_once)
    codes = np.array([[0, 1, 1, 1], [1, 0, 1, 1]], dtype=np.uint8)
    # Both features offer the same gain at the root: whichever is drawn first takes the first cut, the other the second.
    found = forest_plain.importance(codes, members, 2, 2, 1, 2, 2, 0)
    assert sorted(found) == pytest.approx([1 / 3, 2 / 3])
    # Of depth 1, the first cut is all there is.
    assert sorted(forest_plain.importance(codes, members, 2, 2, 1, 1, 2, 0)) == [0.0, 1.0]


@pytest.mark.parametrize("features", [1, 2, 5, 40, 5000])
def test_features_of_a_node_are_different_and_evenly_drawn(features: int):
    tried = max(1, int(np.sqrt(features)))
    keys = forest_plain.draw(3, np.arange(4000))
    chosen = forest_plain._candidates(keys, features, tried)
    assert all(len(set(row)) == tried for row in chosen[:300].tolist())
    times = np.bincount(chosen.ravel(), minlength=features)
    expected = 4000 * tried / features
    assert ((times - expected) ** 2 / expected).sum() / features < 1.3  # chi-squared over its degrees of freedom


def test_impossible_requests_are_refused():
    values, positive = data(20, 4, 0)
    codes = binned(values, 8)
    with pytest.raises(ValueError, match="both classes"):
        importance(codes, np.zeros(20, bool), 8, 5, 3, 0)
    with pytest.raises(ValueError, match="depth"):
        importance(codes, positive, 8, 5, 31, 0)


@compiled_only
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"codes": np.zeros((4, 19), np.uint8)}, "codes must be"),
        ({"codes": np.full((4, 20), 8, np.uint8)}, "below bins"),
        ({"members": np.arange(1, 21, dtype=np.uint32)}, "members must be rows"),
        ({"negatives": 20}, "both classes"),
        ({"bins": 257}, "bins must"),
        ({"depth": 0}, "depth must"),
        ({"tried": 5}, "tried must"),
        ({"out": np.zeros(3)}, "out must"),
    ],
)
def test_the_compiled_program_checks_what_it_is_given(change: dict[str, object], why: str):
    given_ = {
        "codes": np.zeros((4, 20), np.uint8), "members": np.arange(20, dtype=np.uint32), "negatives": 8, "features": 4,
        "bins": 8, "trees": 2, "depth": 3, "tried": 2, "seed": 0, "out": np.zeros(4),
    } | change  # fmt: skip
    with pytest.raises(ValueError, match=why):
        forest.COMPILED.importance(*given_.values())
