"""The engine against hand derivations, and where the classical algorithm breaks."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harmbench.errors import DataError, NotApplicable, UnseenManufacturer
from harmbench_builtin.harmonizers.combat.design import Covariates, encode, learn_codes
from harmbench_builtin.harmonizers.combat.engine import Options, apply, fit
from harmonizers.feature_tables import scanner_data

MODES = {
    "parametric": Options(),
    "non-parametric": Options(parametric=False),
    "no empirical Bayes": Options(eb=False),
    "means only": Options(mean_only=True),
    "non-parametric means": Options(parametric=False, mean_only=True),
    "reference": Options(reference="GE"),
}
every_mode = pytest.mark.parametrize("options", MODES.values(), ids=MODES.keys())


def groups(seed: int = 0, sizes: tuple[int, ...] = (12, 7, 9), p: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    batch = np.repeat(["GE", "Philips", "Siemens"][: len(sizes)], sizes)
    shift = rng.normal(size=(len(sizes), p)).repeat(sizes, axis=0)
    scale = rng.uniform(0.5, 2, (len(sizes), p)).repeat(sizes, axis=0)
    order = rng.permutation(len(batch))
    return (10 + shift + scale * rng.normal(size=shift.shape))[order], batch[order]


def assert_same(result: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the last bits, which a matrix product gives differently when a column is added."""
    np.testing.assert_allclose(result, expected, rtol=1e-13, atol=0)


def test_without_shrinkage_every_manufacturer_gets_the_overall_mean_and_the_pooled_variance() -> None:
    values, batch = groups()
    pooled = sum(((values[batch == b] - values[batch == b].mean(axis=0)) ** 2).sum(axis=0) for b in set(batch)) / len(
        values
    )
    result = apply(fit(values, batch, options=Options(eb=False)), values, batch)
    for b in set(batch):
        np.testing.assert_allclose(result[batch == b].mean(axis=0), values.mean(axis=0), rtol=1e-13)
        np.testing.assert_allclose(result[batch == b].var(axis=0, ddof=1), pooled, rtol=1e-12)


def test_without_shrinkage_the_reference_is_untouched_and_the_others_get_its_mean_and_variance() -> None:
    values, batch = groups()
    result = apply(fit(values, batch, options=Options(eb=False, reference="Philips")), values, batch)
    reference = values[batch == "Philips"]
    np.testing.assert_array_equal(result[batch == "Philips"], reference)
    for b in ("GE", "Siemens"):
        np.testing.assert_allclose(result[batch == b].mean(axis=0), reference.mean(axis=0), rtol=1e-13)
        # The classical estimate divides by n for the reference and by n - 1 for the others.
        np.testing.assert_allclose(result[batch == b].var(axis=0, ddof=1), reference.var(axis=0), rtol=1e-12)


def test_two_rows_per_manufacturer_by_hand() -> None:
    # GE 0, 2 and Philips 10, 14: means 1 and 12, overall 6.5; squares 2 + 8, pooled variance 10 / 4.
    # GE's own variance is 2, so 0 -> 6.5 - sqrt(2.5 / 2); Philips's is 8, so 10 -> 6.5 - 2 sqrt(2.5 / 8).
    values, batch = np.array([[0.0], [2.0], [10.0], [14.0]]), np.array(["GE", "GE", "Philips", "Philips"])
    result = apply(fit(values, batch, options=Options(eb=False)), values, batch)
    half = np.sqrt(1.25)
    np.testing.assert_allclose(result[:, 0], [6.5 - half, 6.5 + half, 6.5 - half, 6.5 + half], rtol=1e-15)


def test_effects_equal_least_squares_on_manufacturer_and_covariates() -> None:
    table = scanner_data()
    coded = encode(learn_codes(table.covariates, table.samples), table.covariates, table.samples)
    state = fit(table.values, table.manufacturer, coded)
    indicator = (table.manufacturer[:, None] == np.array(state.batches)).astype(float)
    design = np.hstack([indicator, coded.columns])
    beta, *_ = np.linalg.lstsq(design, table.values, rcond=None)
    np.testing.assert_allclose(state.coefficients, beta[3:], atol=1e-12)
    np.testing.assert_allclose(state.grand_mean, indicator.mean(axis=0) @ beta[:3], atol=1e-12)
    np.testing.assert_allclose(state.pooled_variance, ((table.values - design @ beta) ** 2).mean(axis=0), rtol=1e-12)


@every_mode
def test_inputs_are_left_alone(options: Options) -> None:
    for p in (3, 40):
        values, batch = groups(p=p)
        columns = np.random.default_rng(5).normal(size=(len(values), 1))
        copies = values.copy(), batch.copy(), columns.copy()
        for array in (values, batch, columns):
            array.setflags(write=False)
        covariates = Covariates(columns, ("age",))
        result = apply(fit(values, batch, covariates, options), values, batch, covariates)
        assert not np.shares_memory(result, values)
        for array, copy in zip((values, batch, columns), copies, strict=True):
            np.testing.assert_array_equal(array, copy)


@every_mode
def test_order_of_the_training_rows_does_not_matter(options: Options) -> None:
    values, batch = groups()
    state = fit(values, batch, options=options)
    order = np.random.default_rng(7).permutation(len(values))
    other = fit(values[order], batch[order], options=options)
    for name in ("grand_mean", "pooled_variance", "gamma_star", "delta_star"):
        np.testing.assert_allclose(getattr(other, name), getattr(state, name), rtol=1e-10, atol=1e-12)


@every_mode
def test_rows_are_adjusted_one_by_one_bit_for_bit(options: Options) -> None:
    values, batch = groups(p=300)
    covariates = Covariates(np.random.default_rng(8).normal(size=(len(values), 3)), ("a", "b", "c"))
    state = fit(values, batch, covariates, options)
    whole = apply(state, values, batch, covariates)
    for i in range(len(values)):
        alone = apply(
            state, values[i : i + 1], batch[i : i + 1], Covariates(covariates.columns[i : i + 1], ("a", "b", "c"))
        )
        np.testing.assert_array_equal(alone[0], whole[i])
    order = np.random.default_rng(9).permutation(len(values))
    shuffled = apply(state, values[order], batch[order], Covariates(covariates.columns[order], ("a", "b", "c")))
    np.testing.assert_array_equal(shuffled, whole[order])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shift=st.floats(-1e3, 1e3),
    factor=st.floats(0.01, 100),
    mode=st.sampled_from(sorted(MODES)),
)
def test_changing_units_of_a_feature_changes_the_result_by_the_same_units(
    seed: int, shift: float, factor: float, mode: str
) -> None:
    values, batch = groups(seed % 1000, p=5)
    units = np.array([factor, 1, 1, 1, 1])
    moved = values * units + shift
    result = apply(fit(values, batch, options=MODES[mode]), values, batch)
    of_moved = apply(fit(moved, batch, options=MODES[mode]), moved, batch)
    np.testing.assert_allclose(of_moved, result * units + shift, rtol=1e-8, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.floats(-100, 100))
def test_a_shift_of_one_manufacturer_is_removed_exactly_without_shrinkage(seed: int, shift: float) -> None:
    values, batch = groups(seed)
    moved = values + shift * (batch == "Philips")[:, None]
    result = apply(fit(values, batch, options=Options(eb=False)), values, batch)
    of_moved = apply(fit(moved, batch, options=Options(eb=False)), moved, batch)
    # Only the common mean moves, by the share of rows that were shifted.
    np.testing.assert_allclose(of_moved, result + shift * np.mean(batch == "Philips"), rtol=0, atol=1e-10)


def test_non_parametric_estimates_are_finite_with_1600_and_400_rows() -> None:
    values, batch = groups(sizes=(1600, 400), p=8)
    state = fit(values, batch, options=Options(parametric=False))
    assert np.isfinite(state.gamma_star).all() and (state.delta_star > 0).all()
    # With that many rows only features of nearly the same scale have weight; all lie among the others' estimates.
    own = fit(values, batch, options=Options(eb=False))
    assert (state.delta_star <= own.delta_star.max(axis=1, keepdims=True)).all()
    assert np.isfinite(apply(state, values, batch)).all()


@every_mode
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e12 / 3])
def test_a_constant_feature_is_returned_bit_for_bit_and_moves_no_other(options: Options, constant: float) -> None:
    values, batch = groups()
    covariates = Covariates(np.random.default_rng(1).normal(size=(len(values), 1)), ("age",))
    wider = np.insert(values, 4, constant, axis=1)
    expected = apply(fit(values, batch, covariates, options), values, batch, covariates)
    result = apply(fit(wider, batch, covariates, options), wider, batch, covariates)
    np.testing.assert_array_equal(result[:, 4], constant)
    assert_same(np.delete(result, 4, axis=1), expected)


@every_mode
def test_many_constants_in_many_rows_are_returned_bit_for_bit(options: Options) -> None:
    # The plain sum of 20 000 equal numbers misses their multiple by more than any tolerance for rounding.
    constants = np.random.default_rng(6).lognormal(0, 5, 20)
    values, batch = groups(sizes=(20000, 7, 1001), p=2)
    wider = np.hstack([values, np.tile(constants, (len(values), 1))])
    result = apply(fit(wider, batch, options=options), wider, batch)
    np.testing.assert_array_equal(result[:, 2:], wider[:, 2:])


@every_mode
def test_rounding_noise_on_a_constant_counts_as_constant(options: Options) -> None:
    values, batch = groups()
    noisy = 1.0 + np.random.default_rng(2).integers(-3, 4, len(values)) * 2.0**-52
    wider = np.insert(values, 0, noisy, axis=1)
    result = apply(fit(wider, batch, options=options), wider, batch)
    np.testing.assert_allclose(result[:, 0], 1.0, rtol=0, atol=1e-14)
    assert_same(result[:, 1:], apply(fit(values, batch, options=options), values, batch))


@every_mode
def test_a_feature_that_only_names_the_manufacturer_becomes_one_value(options: Options) -> None:
    values, batch = groups()
    level = np.select([batch == "GE", batch == "Philips"], [1.0, 5.0], 9.0)
    wider = np.insert(values, 0, level, axis=1)
    result = apply(fit(wider, batch, options=options), wider, batch)
    target = 1.0 if options.reference else level.mean()
    np.testing.assert_allclose(result[:, 0], target, rtol=1e-14)
    assert_same(result[:, 1:], apply(fit(values, batch, options=options), values, batch))


@pytest.mark.parametrize("mode", ["parametric", "non-parametric", "no empirical Bayes", "reference"])
def test_a_feature_constant_in_one_manufacturer_is_adjusted_in_location_only_and_moves_no_other(mode: str) -> None:
    values, batch = groups()
    feature = np.where(batch == "Philips", 0.0, values[:, 0])
    wider = np.insert(values, 3, feature, axis=1)
    state = fit(wider, batch, options=MODES[mode])
    result = apply(state, wider, batch)
    assert state.location_only.tolist() == [j == 3 for j in range(11)]
    target = feature[batch == "GE"].mean() if mode == "reference" else feature.mean()
    for b in ("GE", "Philips", "Siemens"):
        expected = feature[batch == b] - feature[batch == b].mean() + target
        np.testing.assert_allclose(result[batch == b, 3], expected, rtol=0, atol=1e-13)
    expected = apply(fit(values, batch, options=MODES[mode]), values, batch)
    assert_same(np.delete(result, 3, axis=1), expected)


@pytest.mark.parametrize("p", [1, 2])
def test_one_varying_feature_has_nothing_to_borrow_from(p: int) -> None:
    values, batch = groups(p=1)
    wider = np.hstack([values, np.ones((len(values), p - 1))])
    result = apply(fit(wider, batch), wider, batch)
    plain = apply(fit(values, batch, options=Options(eb=False)), values, batch)
    assert_same(result[:, :1], plain)


def test_no_feature_and_no_row_to_transform_are_fine() -> None:
    values, batch = groups()
    assert apply(fit(values[:, :0], batch), values[:, :0], batch).shape == (len(values), 0)
    assert apply(fit(values, batch), values[:0], batch[:0]).shape == (0, 10)


def test_covariate_effects_are_kept() -> None:
    values, batch = groups(sizes=(200, 150, 100))
    age = np.random.default_rng(3).normal(size=(len(values), 1)) + (batch == "GE")[:, None]
    covariates = Covariates(age, ("age",))
    values = values + 2.0 * age
    result = apply(fit(values, batch, covariates, Options(eb=False)), values, batch, covariates)
    again = fit(result, batch, covariates, Options(eb=False))
    before = fit(values, batch, covariates, Options(eb=False))
    np.testing.assert_allclose(again.coefficients, before.coefficients, rtol=0.05)
    np.testing.assert_allclose(again.gamma_star, 0, atol=0.05)


@pytest.mark.parametrize(
    ("columns", "names", "message"),
    [
        (lambda b, x: [b == "GE"], ("site",), "covariate 'site' is determined by the manufacturer"),
        (lambda b, x: [x, 3 * x + 1], ("age", "months"), "'months' is determined by 'age' and the manufacturer"),
        (lambda b, x: [x, x**2, 2 * x + (b == "GE")], ("a", "b", "c"), "'c' is determined by 'a' and the manufacturer"),
        (lambda b, x: [x, 0 * x], ("age", "height"), "covariate 'height' has the same value in all training rows"),
    ],
)
def test_covariates_that_cannot_be_told_apart_are_named(columns: object, names: tuple[str, ...], message: str) -> None:
    values, batch = groups()
    x = np.random.default_rng(4).normal(60, 9, len(values))
    matrix = np.column_stack([np.asarray(c, dtype=float) for c in columns(batch, x)])  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        fit(values, batch, Covariates(matrix, names))


def test_a_single_row_manufacturer_is_an_error_unless_only_means_are_adjusted() -> None:
    values, batch = groups(sizes=(8, 8, 1))
    for options in (Options(), Options(parametric=False), Options(eb=False), Options(reference="GE")):
        with pytest.raises(DataError, match=r"manufacturer 'Siemens' has a single training row.*mean_only"):
            fit(values, batch, options=options)
    result = apply(fit(values, batch, options=Options(mean_only=True)), values, batch)
    assert np.isfinite(result).all()


@pytest.mark.parametrize(("batch", "only"), [(["GE"] * 6, "GE"), ([], "nothing")])
def test_fewer_than_two_manufacturers_is_not_applicable(batch: list[str], only: str) -> None:
    with pytest.raises(NotApplicable, match=f"needs at least two manufacturers; the training rows hold only {only}"):
        fit(np.zeros((len(batch), 3)), np.array(batch, dtype=str))


def test_an_unknown_reference_gets_a_suggestion() -> None:
    values, batch = groups()
    with pytest.raises(NotApplicable, match=r"'Phillips'.*GE, Philips, Siemens.*Did you mean 'Philips'"):
        fit(values, batch, options=Options(reference="Phillips"))


def test_an_unseen_manufacturer_is_named_or_left_as_it_is() -> None:
    values, batch = groups()
    state = fit(values, batch)
    rows = np.array(["GE", "Canon"])
    with pytest.raises(UnseenManufacturer, match=r"'Canon'.*GE, Philips, Siemens"):
        apply(state, values[:2], rows)
    result = apply(state, values[:2], rows, unseen="pooled")
    np.testing.assert_array_equal(result[1], values[1])
    np.testing.assert_array_equal(result[:1], apply(state, values[:1], rows[:1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_values_that_cannot_be_used_are_an_error(bad: float) -> None:
    values, batch = groups()
    values[3, 2] = bad
    with pytest.raises(DataError, match="feature column 2"):
        fit(values, batch)


def test_shapes_that_do_not_fit_are_errors() -> None:
    values, batch = groups()
    with pytest.raises(DataError, match="samples x features"):
        fit(values.T, batch)
    with pytest.raises(DataError, match="samples x features"):
        fit(values[:, 0], batch)
    with pytest.raises(DataError, match="fitted on 10 features"):
        apply(fit(values, batch), values[:, :9], batch)
    with pytest.raises(DataError, match="covariates of shape"):
        fit(values, batch, Covariates(np.zeros((3, 1)), ("age",)))
    with pytest.raises(DataError, match=r"with covariates \['age'\] and got 10 features with covariates \[\]"):
        age = Covariates(np.random.default_rng(0).normal(size=(len(values), 1)), ("age",))
        apply(fit(values, batch, age), values, batch)
    with pytest.raises(DataError, match="4 training rows cannot determine 2 manufacturers and 2 covariate columns"):
        few = Covariates(np.random.default_rng(0).normal(size=(4, 2)), ("a", "b"))
        fit(values[:4], np.array(["A", "A", "B", "B"]), few)


def test_the_fitted_state_is_frozen() -> None:
    state = fit(*groups())
    with pytest.raises(dataclasses.FrozenInstanceError):
        state.reference = "GE"  # type: ignore[misc]


def test_peak_memory_is_at_most_three_times_the_input() -> None:
    values, batch = groups(sizes=(500, 300), p=2000)
    covariates = Covariates(np.random.default_rng(0).normal(size=(800, 2)), ("a", "b"))
    tracemalloc.start()
    apply(fit(values, batch, covariates), values, batch, covariates)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (values.nbytes + peak) / values.nbytes <= 3
