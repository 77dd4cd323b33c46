"""JSD between manufacturers of one table: what is compared, what is subtracted, what a permutation says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from definition import by_definition

from builders import table
from harmbench.data import FeatureTable
from harmbench.errors import DataError
from harmbench_builtin.evaluators.contrasts import among_present, contrasts
from harmbench_builtin.evaluators.divergence import divergences, jsd
from harmbench_builtin.evaluators.manufacturer_divergence import ManufacturerDivergence


def overall(engine: ManufacturerDivergence, form: str) -> tuple[float, float]:
    """Mean over features and manufacturers, raw and corrected."""
    estimate = engine.estimate(form, p_values=False)  # type: ignore[arg-type]
    return float(estimate.raw[engine.headline].mean()), float(estimate.corrected[engine.headline].mean())


def test_two_manufacturers_make_one_contrast_and_three_make_six():
    assert [c.name for c in contrasts(("GE", "Philips"))] == ["GE|Philips"]
    three = contrasts(("A", "B", "C"))
    assert [c.name for c in three] == ["A", "B", "C", "A|B", "A|C", "B|C"]
    assert three[1].mixture == ((0.0, 1.0, 0.0), (0.5, 0.0, 0.5))


def test_marginal_raw_equals_the_engine_and_conditional_is_the_mean_over_labels():
    t = table(80, 6, shift=0.5, signal=1, prevalence=(0.3, 0.6))
    engine = ManufacturerDivergence(t)
    code = np.searchsorted(t.manufacturers, t.manufacturer)
    one_hot = (np.arange(2)[:, None] == code)[:, :, None].astype(int)
    np.testing.assert_allclose(engine.estimate("marginal", p_values=False).raw[0], jsd(t.values, one_hot)[:, 0])
    by_label = [jsd(t.values[t.label == v], one_hot[:, t.label == v])[:, 0] for v in (0, 1)]
    np.testing.assert_allclose(engine.estimate("conditional", p_values=False).raw[0], np.mean(by_label, axis=0))


def test_the_formula_is_used_when_patients_are_single_and_groups_are_large():
    t = table(400, 4, ratio=3)
    engine = ManufacturerDivergence(t)
    assert not engine.permutation_bias
    expected = 9 / (8 * math.log(2)) * (1 / 300 + 1 / 100)
    np.testing.assert_allclose(engine.estimate("marginal", p_values=False).bias, expected)
    per_label = 9 / (8 * math.log(2)) * (1 / 150 + 1 / 50)
    np.testing.assert_allclose(engine.estimate("conditional", p_values=False).bias, per_label)


@pytest.mark.parametrize(
    "design", [{"n": 400, "ratio": 5.0}, {"n": 800, "images_per_patient": 2}], ids=["small group", "repeated patients"]
)
def test_the_permutation_mean_is_used_otherwise_for_both_forms_and_whatever_the_values(design: dict[str, float]):
    t = table(p=3, **design)  # type: ignore[arg-type]
    for values in (t.values, np.zeros_like(t.values), np.exp(5 * t.values)):
        assert ManufacturerDivergence(t.with_values(values)).permutation_bias


@pytest.mark.parametrize("n", [50, 100, 200, 400, 800])
@pytest.mark.parametrize("ratio", [1.0, 4.0])
def test_identical_distributions_average_to_zero_at_any_size_and_ratio(n: int, ratio: float):
    t = table(n, 150, seed=n, ratio=ratio, prevalence=(0.3, 0.7))
    engine = ManufacturerDivergence(t, draws=199)
    for form in ("marginal", "conditional"):
        raw, corrected = overall(engine, form)
        # The spread of one feature is about .8 of its bias; the mean of 150 is 12 times tighter.
        assert abs(corrected) < max(0.002, 0.25 * raw / math.sqrt(150) * 4), (form, raw, corrected)


def test_identical_distributions_of_three_manufacturers_average_to_zero():
    t = table(600, 100, ratio=2, manufacturers=("A", "B", "C"))
    engine = ManufacturerDivergence(t)
    assert not engine.permutation_bias
    for form in ("marginal", "conditional"):
        assert abs(overall(engine, form)[1]) < 0.003


def test_repeated_patients_read_zero_where_the_formula_would_not():
    t = table(400, 150, images_per_patient=2, patient_sd=20.0)
    engine = ManufacturerDivergence(t)
    raw, corrected = overall(engine, "marginal")
    formula = 9 / (8 * math.log(2)) * (1 / 200 + 1 / 200)
    assert raw - formula > 0.01  # two near copies are one row: the formula, .016, is half of what there is
    assert abs(corrected) < 0.002


def test_a_shift_reads_the_same_whichever_correction_applies():
    def read(n: int, ratio: float) -> float:
        return overall(ManufacturerDivergence(table(n, 200, seed=n, shift=0.5, ratio=ratio)), "marginal")[1]

    # 60/60 is corrected by permutation, the others by the formula; the population value is .0445 (see test_divergence).
    for n, ratio in ((120, 1.0), (400, 1.0), (800, 3.0)):
        assert read(n, ratio) == pytest.approx(0.0445, abs=0.006)


@pytest.mark.parametrize("images", [1, 2])
def test_marginal_jsd_prefers_the_method_that_erased_biology_and_the_conditional_one_does_not(images: int):
    """Prevalence .3/.7 (PROTOCOL section 4), with the formula (one image) and the permutation mean (two images)."""
    signal = 1.0
    oracle = table(800 * images, 60, prevalence=(0.3, 0.7), images_per_patient=images)
    oracle = oracle.with_values(oracle.values + signal * oracle.label[:, None])
    # Centring each manufacturer moves the small-prevalence one up: what ComBat without covariate does to the mean.
    values = oracle.values.copy()
    for maker in oracle.manufacturers:
        rows = oracle.manufacturer == maker
        values[rows] -= values[rows].mean(axis=0)
    centred = oracle.with_values(values)
    read = {
        (name, form): overall(ManufacturerDivergence(t), form)[1]
        for name, t in (("oracle", oracle), ("centred", centred))
        for form in ("marginal", "conditional")
    }
    assert read["oracle", "marginal"] > 0.01 and abs(read["centred", "marginal"]) < 0.006
    assert abs(read["oracle", "conditional"]) < 0.002 and read["centred", "conditional"] > 0.01


def test_p_values_are_uniform_without_an_effect_and_small_with_one():
    t = table(120, 200, shift=0.0, signal=1.0, prevalence=(0.3, 0.7))
    null = ManufacturerDivergence(t, draws=199).estimate("conditional")
    assert null.p_value is not None and null.mean_p_value is not None
    assert abs((null.p_value <= 0.1).mean() - 0.1) < 0.06 and null.mean_p_value[-1] > 0.02
    shifted = ManufacturerDivergence(table(120, 20, shift=1.0), draws=199).estimate("conditional")
    assert shifted.mean_p_value is not None
    assert shifted.mean_p_value[-1] == pytest.approx(1 / 200)


def test_means_are_tested_over_the_chosen_features_only():
    t = table(120, 20)
    values = t.values.copy()
    values[:, 10:] += 3.0 * (t.manufacturer == "GE")[:, None]
    engine = ManufacturerDivergence(t.with_values(values), draws=99)
    first = engine.estimate("conditional", np.arange(20) < 10).mean_p_value
    last = engine.estimate("conditional", np.arange(20) >= 10).mean_p_value
    assert first is not None and last is not None and first[-1] > 0.05 and last[-1] == pytest.approx(0.01)


def test_the_bootstrap_sees_one_more_copy_of_the_bias():
    t = table(400, 150, ratio=3)
    engine = ManufacturerDivergence(t)
    rng = np.random.default_rng(0)
    counts = np.zeros((400, 100), dtype=np.float32)
    for maker in t.manufacturers:
        rows = np.flatnonzero(t.manufacturer == maker)
        counts[rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=100).T
    drawn = engine.replicates("marginal", counts, np.ones((1, 150), dtype=bool))
    raw = engine.estimate("marginal", p_values=False)
    assert drawn.shape == (1, 1, 100)
    # .0220 of each by the formula; a resample of repeated rows exceeds it a little.
    assert drawn.mean() - raw.raw.mean() == pytest.approx(raw.bias.mean(), abs=0.006)


def test_replicates_of_ones_are_the_estimate_over_each_set_of_features():
    t = table(90, 8, manufacturers=("A", "B", "C"), shift=0.4)
    engine = ManufacturerDivergence(t)
    masks = np.array([np.arange(8) < 4, np.arange(8) == 7, np.zeros(8, dtype=bool)])
    drawn = engine.replicates("conditional", np.ones((90, 2), np.float32), masks)
    raw = engine.estimate("conditional", p_values=False).raw[:3]
    np.testing.assert_allclose(drawn[:, 0, 0], raw[:, :4].mean(axis=1))
    np.testing.assert_allclose(drawn[:, 1, 1], raw[:, 7])
    assert np.isnan(drawn[:, 2]).all()


def test_a_label_that_one_manufacturer_lacks_is_left_out_and_named():
    t = table(120, 5, shift=1.0, prevalence=(0.5, 0.0))
    engine = ManufacturerDivergence(t)
    assert engine.left_out == [
        "label 1 left out for Philips (no such rows)",
        "label 1 left out for GE (no other manufacturer has such rows)",
    ]
    only = t.rows(t.label == 0)
    alone = ManufacturerDivergence(replace(only, label=np.zeros(len(only), dtype=int)))
    np.testing.assert_allclose(
        engine.estimate("conditional", p_values=False).raw, alone.estimate("marginal", p_values=False).raw
    )


def two_of_one_class(n: int, p: int, seed: int = 0, **effect: float) -> FeatureTable:
    """A has label 1 only, B label 0 only, C and D both."""
    return table(n, p, seed, manufacturers=("A", "B", "C", "D"), prevalence=(1.0, 0.0, 0.5, 0.25), **effect)  # type: ignore[arg-type]


def in_fractions(t: FeatureTable, j: int, label: int, one: str, others: Sequence[str]) -> float:
    """Divergence of feature j inside a label: one manufacturer against the balanced mixture of these others."""
    rows = t.label == label
    maker = t.manufacturer[rows].tolist()
    size = {name: maker.count(name) for name in others}
    own = [int(name == one) for name in maker]
    rest = [Fraction(1, size[name] * len(others)) if name in size else Fraction(0) for name in maker]
    return by_definition(t.values[rows, j].tolist(), [own, rest], 10)[0]


def test_a_manufacturer_of_one_class_costs_the_others_no_label():
    """In each label a manufacturer stands against the balanced mixture of the others that have it."""
    t = two_of_one_class(90, 4, shift=0.4)
    t = t.with_values(np.round(t.values, 1))  # ties
    estimate = ManufacturerDivergence(t).estimate("conditional", p_values=False)
    against = {
        "A": {1: "CD"},
        "B": {0: "CD"},
        "C": {0: "BD", 1: "AD"},
        "D": {0: "BC", 1: "AC"},
        "A|C": {1: "C"},
        "A|D": {1: "D"},
        "B|C": {0: "C"},
        "B|D": {0: "D"},
        "C|D": {0: "D", 1: "D"},
    }
    for i, contrast in enumerate(contrasts("ABCD")):
        for j in range(4):
            expected = [
                in_fractions(t, j, v, contrast.name[0], rest) for v, rest in against.get(contrast.name, {}).items()
            ]
            found = estimate.raw[i, j]
            assert found == pytest.approx(np.mean(expected), abs=1e-12) if expected else np.isnan(found), contrast.name
    assert [c.name for c, raw in zip(contrasts("ABCD"), estimate.raw, strict=True) if np.isnan(raw).any()] == ["A|B"]


def test_what_is_left_out_for_whom_is_said():
    assert ManufacturerDivergence(two_of_one_class(90, 1)).left_out == [
        "label 0 left out for A (no such rows; the others are compared there without it)",
        "label 1 left out for B (no such rows; the others are compared there without it)",
    ]


def test_a_mixture_without_an_absent_manufacturer_keeps_the_proportions_of_the_others():
    mixtures = np.array(
        [[[1, 0, 0, 0], [0, 0.5, 0.3, 0.2]], [[0, 1, 0, 0], [1, 0, 0, 0]], [[0, 0, 1, 0], [0, 0, 0, 1]]]
    )
    found, possible = among_present(mixtures, np.array([True, False, True, True]))
    np.testing.assert_allclose(found[0], [[1, 0, 0, 0], [0, 0, 0.6, 0.4]])
    assert possible.tolist() == [True, False, True] and (found[1:] == mixtures[1:]).all()
    same, possible = among_present(mixtures, np.ones(4, dtype=bool))
    assert same is mixtures and possible.all()


def test_the_formula_uses_the_mixtures_of_each_label():
    t = two_of_one_class(880, 3)
    engine = ManufacturerDivergence(t)
    assert not engine.permutation_bias
    # 220 rows each: label 0 has B 220, C 110, D 165; label 1 has A 220, C 110, D 55.
    bias = engine.estimate("conditional", p_values=False).bias
    label_0 = 1 / 110 + (1 / 220 + 1 / 165) / 4
    label_1 = 1 / 110 + (1 / 220 + 1 / 55) / 4
    np.testing.assert_allclose(bias[2], 9 / (8 * math.log(2)) * (label_0 + label_1) / 2)  # C
    np.testing.assert_allclose(bias[0], 9 / (8 * math.log(2)) * (1 / 220 + (1 / 110 + 1 / 55) / 4))  # A


@pytest.mark.parametrize("n", [160, 880])
def test_manufacturers_of_one_class_average_to_zero_without_an_effect(n: int):
    """880 rows are corrected by the formula, 160 by permutation: both know the same mixtures."""
    engine = ManufacturerDivergence(two_of_one_class(n, 100, seed=n, signal=1.0), draws=99)
    assert engine.permutation_bias == (n == 160)
    estimate = engine.estimate("conditional")
    corrected = estimate.corrected[engine.headline].mean(axis=1)
    # Four standard deviations over seeds; D has 10 rows with label 1 at n = 160, and reads 0.1 uncorrected.
    assert np.abs(corrected).max() < (0.025 if n == 160 else 0.004)
    assert estimate.raw[engine.headline].mean(axis=1).min() > (0.05 if n == 160 else 0.008)
    assert estimate.mean_p_value is not None and estimate.mean_p_value[-1] > 0.02


def test_where_every_manufacturer_has_every_label_each_value_is_the_mean_of_the_engine_over_labels():
    """The unchanged case, built from `divergences` with one set of mixtures for all labels."""
    t = table(150, 6, shift=0.4, manufacturers=("A", "B", "C"), prevalence=(0.3, 0.5, 0.7))
    engine = ManufacturerDivergence(t)
    one_hot = (np.arange(3)[:, None] == engine.code)[:, :, None].astype(int)
    by_label = []
    for v in (0, 1):
        rows = t.label == v
        by_label.append([d[:, 0] for d, _ in divergences(t.values[rows], one_hot[:, rows], engine.mixtures)])
    expected = 0.5 * np.array(by_label[0]) + 0.5 * np.array(by_label[1])
    np.testing.assert_allclose(engine.estimate("conditional", p_values=False).raw, expected.T, rtol=0, atol=1e-13)
    assert engine.left_out == []


def test_a_table_without_labels_or_with_one_manufacturer_is_refused():
    t = table(40, 2)
    with pytest.raises(DataError, match="needs labels"):
        ManufacturerDivergence(t.with_label(None))
    only: FeatureTable = t.rows(t.manufacturer == "GE")
    with pytest.raises(DataError, match="only GE"):
        ManufacturerDivergence(only)
