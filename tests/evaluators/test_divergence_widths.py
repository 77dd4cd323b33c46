"""Compiled JSD with 32-bit and with 64-bit numbers: the same bits, on every instruction set, and the twin's figures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmbench_builtin.evaluators import divergence_blocks
from harmbench_builtin.evaluators.divergence_blocks import COMPILED, Replicates, Stratum, blocks
from harmbench_builtin.evaluators.manufacturer_divergence import contrasts

pytestmark = pytest.mark.skipif(COMPILED is None, reason="installed without a C compiler")

FRIENDLY = [60, 50, 40, 30, 20]
UNFRIENDLY = [61, 47, 41, 31, 20]  # hardly a common factor: 32 bits are not enough
LIMIT = (1023, 1025)  # numbers up to 2^31 - 1025: as near to the limit as two manufacturers of that size come
BEYOND = (1023, 1027)


def one_against_rest(makers: int) -> np.ndarray:
    return np.array([c.mixture for c in contrasts([chr(65 + i) for i in range(makers)])])[:makers]


def design(sizes, features=4, ties=False, seed=0):
    rng = np.random.default_rng(seed)
    code = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int16)
    values = rng.standard_normal((len(code), features)) + 0.3 * code[:, None]
    if ties:
        values = np.round(values)
        values[rng.random(values.shape) < 0.1] = np.nan
    return code, values


def resampled(code, replicates: int, seed=0) -> np.ndarray:
    """Counts that leave every manufacturer as many rows as it has."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((len(code), replicates), np.int32)
    for m in np.unique(code):
        rows = np.flatnonzero(code == m)
        counts[rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), replicates).T
    return counts


def run(code, values, counts, mixtures, *, bins=10, wide=False, number=-1):
    """Divergences (p, C, B), and for how many groups of replicates and contrasts 32 bits were enough."""
    narrow = []

    def add(*given):
        narrow.append(COMPILED.add(*given))
        return narrow[-1]

    strata = [Stratum(np.arange(len(code)), mixtures, np.ones(len(mixtures)))]
    replicates = Replicates(code, counts, mixtures.shape[2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(divergence_blocks, "COMPILED", SimpleNamespace(CHUNK=COMPILED.CHUNK, add=add))
        patch.setattr(divergence_blocks, "WIDE", wide)
        patch.setattr(divergence_blocks, "BEST_SET", number)
        found = np.concatenate([part for _, part in blocks(values, strata, replicates, bins)])
    return found, narrow


def twin(code, values, counts, mixtures, *, bins=10):
    strata = [Stratum(np.arange(len(code)), mixtures, np.ones(len(mixtures)))]
    replicates = Replicates(code, counts, mixtures.shape[2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(divergence_blocks, "COMPILED", None)
        return np.concatenate([part for _, part in blocks(values, strata, replicates, bins)])


def on_every_set(code, values, counts, mixtures, *, bins=10):
    """The figures, and how often 32 bits were enough; every instruction set gives the same with either width."""
    expected, narrow = run(code, values, counts, mixtures, bins=bins)
    for number in range(COMPILED.sets()):
        for wide in (False, True):
            found, times = run(code, values, counts, mixtures, bins=bins, wide=wide, number=number)
            np.testing.assert_array_equal(found, expected, err_msg=f"set {number}, wide {wide}")
            assert times == ([n and 0 for n in narrow] if wide else narrow)
    return expected, sum(n or 0 for n in narrow)


@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "tied"])
@pytest.mark.parametrize(("sizes", "narrow"), [(FRIENDLY, 10), (UNFRIENDLY, 0)], ids=["32 bits", "64 bits"])
def test_both_widths_give_the_same_bits_on_every_instruction_set(sizes, narrow, ties):
    code, values = design(sizes, ties=ties)
    counts, mixtures = resampled(code, 45), one_against_rest(len(sizes))
    found, times = on_every_set(code, values, counts, mixtures)
    assert times == narrow  # two groups of replicates, five contrasts
    np.testing.assert_allclose(found, twin(code, values, counts, mixtures), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("sizes", "narrow"), [(LIMIT, 1), (BEYOND, 0)], ids=["just fits", "just does not"])
@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "tied"])
def test_numbers_at_the_limit_of_32_bits(sizes, narrow, ties):
    code, values = design(sizes, ties=ties)
    counts, mixture = resampled(code, 20), one_against_rest(2)[:1]
    found, times = on_every_set(code, values, counts, mixture)
    assert times == narrow
    np.testing.assert_allclose(found, twin(code, values, counts, mixture), rtol=0, atol=1e-12)


def test_the_width_is_chosen_for_each_group_of_replicates_and_changes_no_bit():
    """Row counts that differ between replicates: a replicate's figures do not depend on its neighbours."""
    code, values = design(FRIENDLY)
    counts = resampled(code, 100)
    counts[:, 70] = np.random.default_rng(1).integers(0, 3, len(code))
    mixtures = one_against_rest(5)
    found, narrow = run(code, values, counts, mixtures)
    assert 0 < sum(narrow) < 20
    alone = [run(code, values, np.ascontiguousarray(counts[:, i : i + 1]), mixtures)[0] for i in range(100)]
    np.testing.assert_array_equal(found, np.concatenate(alone, axis=2))


def test_groups_of_replicates_with_a_missing_manufacturer():
    code, values = design(FRIENDLY, ties=True)
    counts = resampled(code, 40)
    counts[np.ix_(code == 4, [3, 39])] = 0
    found, narrow = on_every_set(code, values, counts, one_against_rest(5))
    assert narrow == 10
    missing = np.isnan(found).all(axis=(0, 1))
    assert np.flatnonzero(missing).tolist() == [3, 39] and not np.isnan(found[:, :, ~missing]).any()


def test_counts_that_fixed_point_cannot_hold_are_left_to_numpy():
    code, values = design(UNFRIENDLY)
    counts = resampled(code, 3) * 1_000_003 + np.random.default_rng(0).integers(0, 99, (len(code), 3), dtype=np.int32)
    mixtures = one_against_rest(5)
    for number in range(COMPILED.sets()):
        found, narrow = run(code, values, counts, mixtures, number=number)
        assert narrow == [None]
        np.testing.assert_array_equal(found, twin(code, values, counts, mixtures))


@settings(max_examples=80, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 90), min_size=2, max_size=7),
    features=st.integers(1, 9),
    bins=st.integers(2, 15),
    replicates=st.integers(1, 70),
    kind=st.sampled_from(["kept", "poisson", "permuted", "sparse"]),
    ties=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_any_design_equals_the_twin(sizes, features, bins, replicates, kind, ties, seed):
    code, values = design(sizes, features, ties, seed)
    rng = np.random.default_rng(seed)
    mixtures = one_against_rest(len(sizes))
    counts = {
        "kept": lambda: resampled(code, replicates, seed),
        "poisson": lambda: rng.poisson(1.0, (len(code), replicates)).astype(np.int32),
        "sparse": lambda: rng.poisson(0.05, (len(code), replicates)).astype(np.int32),
        "permuted": lambda: None,
    }[kind]()
    if counts is None:
        code = np.ascontiguousarray(rng.permuted(np.repeat(code[:, None], replicates, axis=1), axis=0))
    found, _ = on_every_set(code, values, counts, mixtures, bins=bins)
    np.testing.assert_allclose(found, twin(code, values, counts, mixtures, bins=bins), rtol=0, atol=1e-12)
