"""`select-maps` on tables whose truth is known: which maps tell manufacturers apart, and which hold the label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import builders
from harmbench.components import Context
from harmbench.data import FeatureTable, union
from harmbench.errors import DataError, NotApplicable, UsageError
from harmbench.methods import parse_method
from harmbench.plugins import build_registry
from harmbench.run.audit import audit
from harmbench.run.execute import _features_of
from harmbench.run.feature_stage import harmonize
from harmbench_builtin.evaluators.manufacturer_divergence import ManufacturerDivergence
from harmbench_builtin.harmonizers.map_selection import scores
from harmbench_builtin.harmonizers.map_selection.harmonizer import SelectMaps

PER_MAP = 12
MAPS = ("shift", "noise", "good", "both", "fair")
TRUTH = {  # shift of the second manufacturer and of the positive class, in standard deviations
    "shift": (1.5, 0.0),
    "noise": (0.0, 0.0),
    "good": (0.0, 1.0),
    "both": (1.5, 1.0),
    "fair": (0.8, 1.0),
}


def known(n: int = 160, seed: int = 0, images_per_patient: int = 1) -> FeatureTable:
    """Five maps of 12 features; the label shifts a quarter of a map's features, the manufacturer all of them."""
    base = builders.table(n, PER_MAP * len(MAPS), seed, ratio=3.0, maps=MAPS, images_per_patient=images_per_patient)
    values = base.values.copy()
    second = base.manufacturer == base.manufacturers[1]
    for k, name in enumerate(MAPS):
        columns = np.arange(k * PER_MAP, (k + 1) * PER_MAP)
        shift, signal = TRUTH[name]
        values[:, columns] += shift * second[:, None]
        values[:, columns[:3]] += signal * base.label[:, None]
    return base.with_values(values)


@pytest.mark.parametrize("seed", range(5))
def test_the_map_with_signal_and_without_shift_is_chosen_first_then_the_one_that_shifts_least(seed: int) -> None:
    # The maps are independent, so that maps of equal truth differ by up to some standard errors.
    choice = SelectMaps(maps=2, tolerance=3.0).fit(known(400, seed), Context()).choice
    assert choice.chosen == ("good", "fair")


def test_without_the_gate_divergence_alone_decides() -> None:
    choice = SelectMaps(maps=2, tolerance=1e9).fit(known(400), Context()).choice
    assert set(choice.chosen) == {"noise", "good"}


def test_at_tolerance_0_only_the_map_of_best_signal_passes() -> None:
    choice = SelectMaps(maps=5, tolerance=0.0).fit(known(), Context()).choice
    assert len(choice.chosen) == 1
    assert choice.signal[choice.maps.index(choice.chosen[0])] == choice.signal.max()


def test_transform_keeps_the_chosen_columns_shape_and_values_of_any_manufacturer() -> None:
    table = known(400)
    shape = replace(
        table, values=np.hstack([table.values, np.ones((len(table), 1))]), features=(*table.features, "shape2D_Area")
    )
    method = SelectMaps(maps=1, tolerance=3.0).fit(shape, Context())
    rows = replace(shape, manufacturer=np.full(len(shape), "Unheard-of"), label=None)
    out = method.transform(rows)
    wanted = [name.startswith("good_") or name == "shape2D_Area" for name in shape.features]
    assert out.features == tuple(np.array(shape.features)[wanted])
    assert np.array_equal(out.values, shape.values[:, wanted])


@pytest.mark.parametrize("makers", [("GE", "Philips"), ("GE", "Philips", "Siemens")])
@pytest.mark.parametrize("tied", [False, True])
def test_the_divergence_is_that_of_the_definition_minus_its_formula(makers: tuple[str, ...], tied: bool) -> None:
    table = builders.table(240, 20, 0, ratio=3.0, shift=0.5, manufacturers=makers)
    if tied:
        table = table.with_values(np.round(table.values))
    if len(makers) > 2:  # one manufacturer has one class only: it is left out there
        table = table.rows((table.manufacturer != "Siemens") | (table.label == 0))
    engine = ManufacturerDivergence(table, small_group=0)
    expected = engine.estimate("conditional", p_values=False).corrected[engine.headline].mean(axis=0)
    assert np.allclose(scores.divergence(table, 10), expected, atol=1e-12)


def test_the_signal_is_near_the_optimal_auc_for_a_known_shift_and_one_half_for_none() -> None:
    table = known(1200, seed=3)
    columns = [np.arange(k * PER_MAP, (k + 1) * PER_MAP) for k in range(len(MAPS))]
    found, error = scores.signal(table, columns, scores.inner_folds(table, 5, 1, seed=0))
    # Three independent features, each shifted by 1 sd: d' = sqrt(3), AUC = Phi(d' / sqrt 2).
    best = stats.norm.cdf(np.sqrt(3.0 / 2.0))
    for name, (_, signal) in TRUTH.items():
        assert abs(found[MAPS.index(name)] - (best if signal else 0.5)) < 3 * error


def test_the_standard_error_is_that_of_the_rank_sum_test() -> None:
    table = known(40)
    only = table.rows(table.manufacturer == "GE")
    ones = int(only.label.sum())
    zeros = len(only) - ones
    _, error = scores.signal(only, [np.arange(3)], scores.inner_folds(only, 3, 1, seed=0))
    # Variance of U under the null (Mann and Whitney 1947): n1 n0 (n1 + n0 + 1) / 12, and AUC = U / (n1 n0).
    assert error == pytest.approx(np.sqrt((ones + zeros + 1) / (12.0 * ones * zeros)))


def test_the_manufacturer_cannot_stand_in_for_the_label() -> None:
    table = builders.table(300, 10, 1, shift=3.0, prevalence=(0.2, 0.8))
    found, error = scores.signal(table, [np.arange(10)], scores.inner_folds(table, 5, 3, seed=0))
    assert abs(found[0] - 0.5) < 2 * error


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_the_direction_is_that_of_shrunk_discriminant_analysis_when_there_is_one_manufacturer() -> None:
    table = builders.table(200, 8, 2, signal=1.0)
    mixing = np.eye(8) + np.random.default_rng(0).normal(size=(8, 8))
    values, label = table.values @ mixing, table.label
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(values, label).coef_[0]
    ours = scores.discriminant(values, np.full(len(values), "GE"), label)
    # Theirs shrinks the covariance of each class by itself, ours what both have in common.
    assert _unit(ours) @ _unit(peer) > 0.99
    assert ((values - values.mean(axis=0)) @ ours).std() == pytest.approx(1.0)


def test_the_shrunk_covariance_is_that_of_scikit_learn() -> None:
    for n, p in ((30, 8), (15, 40)):
        values = np.random.default_rng(n).normal(size=(n, p)) @ np.random.default_rng(p).normal(size=(p, p))
        values -= values.mean(axis=0)
        assert np.allclose(scores.shrunk_covariance(values), ledoit_wolf(values, assume_centered=True)[0], rtol=1e-10)


def test_inner_folds_never_part_the_images_of_a_patient() -> None:
    table = known(160, images_per_patient=2)
    for number in scores.inner_folds(table, 5, 2, seed=0):
        assert all(len(set(number[table.patient == patient])) == 1 for patient in set(table.patient.tolist()))


def test_the_choice_does_not_depend_on_the_order_of_rows() -> None:
    table = known()
    order = np.random.default_rng(0).permutation(len(table))
    one, other = (SelectMaps().fit(t, Context(seed=5)).choice for t in (table, table.rows(order)))
    assert one.chosen == other.chosen
    assert np.allclose(one.signal, other.signal) and np.allclose(one.divergence, other.divergence)


def test_with_one_manufacturer_the_signal_decides() -> None:
    table = known()
    choice = SelectMaps(maps=3, tolerance=1e9).fit(table.rows(table.manufacturer == "GE"), Context()).choice
    assert np.array_equal(choice.divergence, np.zeros(len(MAPS)))
    assert set(choice.chosen) == {"good", "both", "fair"}


@pytest.mark.parametrize(
    ("table", "kind", "message"),
    [
        (known().with_label(None), DataError, "has no labels"),
        (known().rows(known().label == 1), DataError, "of one class"),
        (replace(known(), features=tuple(f"f{j}" for j in range(60))), NotApplicable, r"ssl-kernel\+select-maps"),
        (known().with_values(np.full((160, 60), np.nan)), DataError, "needs finite numbers"),
    ],
)
def test_what_cannot_be_chosen_from_is_named(table: FeatureTable, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        SelectMaps().fit(table, Context())


@pytest.mark.parametrize("name", ["maps", "inner_folds", "inner_repeats", "bins"])
def test_a_parameter_outside_its_range_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"select-maps\.{name} is 0; it must be at least"):
        SelectMaps(**{name: 0})


def test_transform_before_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="has not been fitted"):
        SelectMaps().transform(known())


def stages(text: str):
    return parse_method(text, build_registry()).features


def test_changing_test_rows_and_their_labels_changes_nothing() -> None:
    train, test = known(120, seed=1), known(40, seed=2)
    found = audit(stages("select-maps"), train, test, Context())
    assert not found.label_leak and not found.row_dependent
    other = test.with_values(test.values * 1e3 + 7.0).with_label(1 - test.label)
    first, second = (harmonize(stages("select-maps"), train, t, None, Context(seed=1)) for t in (test, other))
    assert first.train.features == second.train.features and _same(first, second)
    assert np.array_equal(first.train.values, second.train.values)


def _same(first, second) -> bool:
    one, other = first.reports["select-maps"], second.reports["select-maps"]
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_methods_behind_it_get_the_chosen_columns() -> None:
    train, test = known(120, seed=1), known(40, seed=2)
    done = harmonize(stages("select-maps[maps=1,tolerance=3]+combat"), train, test, None, Context())
    assert {name.partition("_")[0] for name in done.test.features} == {"good"}
    assert done.train.features == done.test.features


def noise(seed: int) -> FeatureTable:
    """20 maps of 10 features that differ between manufacturers and know nothing of the label, unequal in both."""
    rng = np.random.default_rng(seed)
    maps = tuple(f"k{k:02d}" for k in range(20))
    table = builders.table(150, 200, seed, ratio=2.0, prevalence=(0.3, 0.7), maps=maps)
    second = (table.manufacturer == "Philips")[:, None]
    return table.with_values(table.values + second * rng.normal(size=200))


def out_of_fold(seed: int) -> float:
    """AUC within manufacturers on pure noise, chosen and classified in each fold."""
    table = noise(seed)
    label = table.label
    number = scores.inner_folds(table, 5, 1, seed)[0]
    score = np.empty(len(table))
    for fold in range(5):
        train, test = table.rows(number != fold), table.rows(number == fold)
        method = SelectMaps(maps=2, inner_repeats=1).fit(train, Context(seed=seed))
        a, b = method.transform(train).values, method.transform(test).values
        direction = scores.discriminant(a, train.manufacturer, train.label)
        score[number == fold] = (b - a.mean(axis=0)) @ direction
    parts = [table.manufacturer == name for name in table.manufacturers]
    return float(np.mean([scores.auc(label[p], score[p]) for p in parts]))


def test_the_choice_finds_no_signal_in_noise() -> None:
    values = np.array([out_of_fold(seed) for seed in range(10)])
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - 0.5) <= half


def test_choosing_on_all_rows_would_have_found_signal_in_the_same_noise() -> None:
    """The check of the check: the same noise, with the best map chosen on the rows that are then scored."""
    inside = [
        SelectMaps(maps=1, tolerance=0.0, inner_repeats=1).fit(noise(seed), Context()).choice for seed in range(6)
    ]
    assert np.mean([choice.signal.max() for choice in inside]) > 0.55


def test_rows_of_folds_with_different_columns_come_together_with_gaps() -> None:
    one, two = known(4).columns([0, 2]), known(4).columns([2, 3])
    names = known(4).features
    both = union([one, two], _features_of([known(4)], []))
    assert both.features == (names[0], names[2], names[3])
    assert np.array_equal(np.isnan(both.values), np.array([[0, 0, 1]] * 4 + [[1, 0, 0]] * 4, dtype=bool))
