"""Compiled JSD of many replicates against the NumPy engine and against the definition in exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from definition import by_definition
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import table
from harmbench.stats.bootstrap import patient_resamples
from harmbench.stats.permutation import permute_manufacturer
from harmbench_builtin.evaluators import divergence_blocks
from harmbench_builtin.evaluators.contrasts import contrasts
from harmbench_builtin.evaluators.divergence_blocks import COMPILED, Replicates, Stratum, blocks, per_stratum
from harmbench_builtin.evaluators.manufacturer_divergence import ManufacturerDivergence

needs_compiler = pytest.mark.skipif(COMPILED is None, reason="installed without a C compiler")


def mixtures_of(makers: int) -> np.ndarray:
    return np.array([c.mixture for c in contrasts([chr(65 + i) for i in range(makers)])])


def swept(values, strata, replicates, bins=10, n_jobs=1) -> np.ndarray:
    return np.concatenate([part for _, part in blocks(values, strata, replicates, bins, n_jobs)])


def plainly(monkeypatch: pytest.MonkeyPatch, call):
    with monkeypatch.context() as patch:
        patch.setattr(divergence_blocks, "COMPILED", None)
        return call()


@needs_compiler
@pytest.mark.parametrize(
    ("n", "makers", "ratio", "bins"), [(7, 2, 1.0, 10), (60, 2, 4.0, 10), (93, 5, 2.0, 7), (400, 3, 1.3, 10)]
)
@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "tied"])
def test_bootstrap_equals_the_numpy_engine(monkeypatch, n, makers, ratio, bins, ties):
    t = table(n, 9, seed=n, manufacturers=[chr(65 + i) for i in range(makers)], ratio=ratio, shift=0.3)
    values = np.round(t.values, 1) if ties else t.values.copy()
    values[:, 0] = 3.0  # constant
    values[::3, 1] = np.nan
    code = np.searchsorted(t.manufacturers, t.manufacturer).astype(np.int16)
    counts = patient_resamples(t.patient, t.manufacturer, t.label, 37, 0).astype(np.int32)
    mixtures = mixtures_of(makers)
    strata = [Stratum(np.flatnonzero(t.label == v), mixtures, np.full(len(mixtures), 0.5)) for v in (0, 1)]
    replicates = Replicates(code, counts, makers)
    found = swept(values, strata, replicates, bins)
    expected = plainly(monkeypatch, lambda: swept(values, strata, replicates, bins))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert (found[0] == 0).all()


@needs_compiler
@pytest.mark.parametrize("images", [1, 3])
def test_permuted_manufacturers_equal_the_numpy_engine(monkeypatch, images):
    t = table(120, 6, manufacturers=tuple("ABC"), ratio=3, images_per_patient=images)
    codes = permute_manufacturer(t.patient, t.manufacturer, t.label, 50, 0).T
    replicates = Replicates(np.ascontiguousarray(codes), None, 3)
    mixtures = mixtures_of(3)
    strata = [Stratum(np.arange(len(t)), mixtures, np.ones(len(mixtures)))]
    expected = plainly(monkeypatch, lambda: swept(t.values, strata, replicates))
    np.testing.assert_allclose(swept(t.values, strata, replicates), expected, rtol=0, atol=1e-12)


@needs_compiler
@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 6),
    st.integers(2, 12),
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=40),
)
def test_one_against_the_balanced_rest_equals_the_definition_on_anything(makers, bins, rows):
    values = np.array([[float(v)] for v, _, _ in rows])
    code = np.array([c % makers for _, c, _ in rows], dtype=np.int16)
    counts = np.array([[w] for _, _, w in rows], dtype=np.int32)
    size = [int(counts[code == m].sum()) for m in range(makers)]
    mixture = np.zeros((1, 2, makers))
    mixture[0, 0, 0], mixture[0, 1, 1:] = 1.0, 1.0 / (makers - 1)
    strata = [Stratum(np.arange(len(rows)), mixture, np.ones(1))]
    found = swept(values, strata, Replicates(code, counts, makers), bins)[0, 0, 0]
    if min(size) == 0:
        assert np.isnan(found)
        return
    rest = [
        Fraction(int(w), size[c] * (makers - 1)) if c else Fraction(0) for c, w in zip(code, counts[:, 0], strict=True)
    ]
    own = [int(w) if c == 0 else 0 for c, w in zip(code, counts[:, 0], strict=True)]
    expected, effective = by_definition(values[:, 0].tolist(), [own, rest], bins)
    assert found == pytest.approx(expected, abs=1e-12)
    assert per_stratum(values, strata[0], Replicates(code, counts, makers), bins)[1][0, 0, 0] == effective


@needs_compiler
def test_every_instruction_set_gives_the_same_bits(monkeypatch):
    t = table(150, 5, manufacturers=tuple("ABC"), shift=0.5)
    counts = patient_resamples(t.patient, t.manufacturer, t.label, 100, 0).astype(np.int32)
    code = np.searchsorted(t.manufacturers, t.manufacturer).astype(np.int16)
    mixtures = mixtures_of(3)
    strata = [Stratum(np.arange(len(t)), mixtures, np.ones(len(mixtures)))]
    best = swept(t.values, strata, Replicates(code, counts, 3))
    for number in range(COMPILED.sets()):
        monkeypatch.setattr(divergence_blocks, "BEST_SET", number)
        assert (swept(t.values, strata, Replicates(code, counts, 3)) == best).all(), number


def test_threads_and_the_size_of_blocks_change_no_bit(monkeypatch):
    t = table(60, 23, manufacturers=tuple("AB"))
    counts = patient_resamples(t.patient, t.manufacturer, t.label, 40, 0).astype(np.int32)
    code = np.searchsorted(t.manufacturers, t.manufacturer).astype(np.int16)
    strata = [Stratum(np.arange(len(t)), mixtures_of(2), np.ones(1))]
    whole = swept(t.values, strata, Replicates(code, counts, 2))
    monkeypatch.setattr(divergence_blocks, "BLOCK_BYTES", 8 * 40 * 4)
    for n_jobs in (1, 3):
        parts = list(blocks(t.values, strata, Replicates(code, counts, 2), 10, n_jobs))
        assert [(p.start, p.stop) for p, _ in parts] == [(i, min(i + 4, 23)) for i in range(0, 23, 4)]
        assert (np.concatenate([d for _, d in parts]) == whole).all()


@needs_compiler
def test_a_group_that_a_resample_left_empty_is_nan_and_the_others_are_not():
    code = np.repeat([0, 1], 6).astype(np.int16)
    counts = np.ones((12, 3), dtype=np.int32)
    counts[:6, 1] = 0
    strata = [Stratum(np.arange(12), mixtures_of(2), np.ones(1))]
    found = swept(np.arange(12.0)[:, None], strata, Replicates(code, counts, 2))[0, 0]
    assert np.isnan(found).tolist() == [False, True, False] and found[0] == found[2] == pytest.approx(1.0, abs=1e-12)


@needs_compiler
def test_row_counts_without_a_small_common_multiple_are_still_right(monkeypatch):
    """97, 89, 83, 79, 73 and 71 rows: a scale that all divide does not fit 64 bits beside a count."""
    sizes = [97, 89, 83, 79, 73, 71]
    code = np.repeat(np.arange(6), sizes).astype(np.int16)
    values = np.random.default_rng(0).standard_normal((len(code), 4))
    mixtures = mixtures_of(6)
    strata = [Stratum(np.arange(len(code)), mixtures, np.ones(len(mixtures)))]
    counts = np.random.default_rng(1).poisson(1.0, (len(code), 20)).astype(np.int32)
    replicates = Replicates(code, counts, 6)
    expected = plainly(monkeypatch, lambda: swept(values, strata, replicates))
    np.testing.assert_allclose(swept(values, strata, replicates), expected, rtol=0, atol=1e-12)


@needs_compiler
def test_what_cannot_be_read_is_refused():
    assert COMPILED is not None
    order = np.zeros((1, COMPILED.CHUNK), np.int32)
    code, own, others = np.array([0, 1], np.int16), np.array([0], np.int32), np.array([[0, 1]], np.uint8)
    out, share = np.zeros((1, 1, 1)), np.ones(1)
    sizes = (1, COMPILED.CHUNK, 2, 1, 1, 2, 10, 1, 0)

    def call(**other):
        given = {"order": order, "inside": None, "codes": code, "counts": None, "own": own, "others": others,
                 "share": share, "out": out, "effective": None, "sizes": sizes, **other}  # fmt: skip
        return COMPILED.add(*given.values(), 1e-11, -1)

    assert call() == 1
    for wrong, message in (
        ({"order": order + 3}, "order must hold rows"),
        ({"codes": code + 1}, "codes must be manufacturers"),
        ({"codes": code[:1]}, "codes must be int16"),
        ({"own": own + 1}, "without own"),
        ({"out": np.zeros(2)}, "out must be"),
        ({"counts": np.full((2, 1), -1, np.int32)}, "negative"),
        ({"sizes": (1, 4, 2, 1, 1, 2, 1, 1, 0)}, "CHUNK|bins"),
    ):
        with pytest.raises(ValueError, match=message):
            call(**wrong)


def test_the_engine_gives_the_same_figures_without_a_compiler(monkeypatch):
    t = table(70, 6, manufacturers=tuple("ABC"), shift=0.4, images_per_patient=2)
    counts = patient_resamples(t.patient, t.manufacturer, t.label, 30, 0)

    def figures():
        engine = ManufacturerDivergence(t, draws=29)
        estimate = engine.estimate("conditional")
        drawn = engine.replicates("conditional", counts, np.ones((1, 6), bool))
        return np.concatenate([a.ravel() for a in (estimate.raw, estimate.bias, estimate.p_value, drawn)])

    np.testing.assert_allclose(figures(), plainly(monkeypatch, figures), rtol=0, atol=1e-12)
