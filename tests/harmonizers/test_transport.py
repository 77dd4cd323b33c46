"""CORAL and optimal transport against skada, POT and dense formulas; Harmony against harmonypy and a stand-in."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power, sqrtm

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable, UnseenManufacturer, UsageError
from harmbench_builtin.harmonizers.transport import coordinates as space
from harmbench_builtin.harmonizers.transport.gaussian import Coral, LinearOt, barycentre, transport
from harmonizers.feature_tables import make_table, scanner_data

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
cases = importlib.import_module("transport_cases")
LINEAR = pytest.mark.parametrize("make", [Coral, LinearOt])


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "transport.npz")


def stacked(parts, names=cases.NAMES) -> FeatureTable:
    return make_table(np.concatenate(parts), np.repeat(names[: len(parts)], [len(part) for part in parts]))


def of(table: FeatureTable, name: str) -> np.ndarray:
    return table.values[table.manufacturer == name]


def dense_covariances(parts, shrinkage: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Scale, and shrunk covariances of the standardized features as p x p matrices."""
    scale = cases.within_scale(parts)
    identity = np.eye(parts[0].shape[1])
    return scale, [(1 - shrinkage) * np.cov((part / scale).T) + shrinkage * identity for part in parts]


# coral and linear-ot


def test_coral_without_shrinkage_is_skadas(golden):
    parts = cases.rows(80, 6, 2, seed=1)
    table = stacked(parts)
    out = Coral(reference="Philips", shrinkage=1e-9).fit(table, Context()).transform(table)
    np.testing.assert_allclose(of(out, "GE"), golden["coral"], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(of(out, "Philips"), parts[1])


def test_linear_ot_is_pots(golden):
    table = stacked(cases.rows(80, 6, 2, seed=1))
    fitted = LinearOt(reference="Philips", shrinkage=cases.SHRINKAGE).fit(table, Context())
    np.testing.assert_allclose(of(fitted.transform(table), "GE"), golden["linear"], rtol=1e-10, atol=1e-10)


def test_the_barycentre_is_pots(golden):
    covariances = np.stack([np.cov(part.T) for part in cases.rows(80, 6, 3, seed=2)])
    np.testing.assert_allclose(barycentre(covariances), golden["barycentre"], rtol=1e-6)


@pytest.mark.parametrize("p", [4, 50])
@pytest.mark.parametrize("groups", [2, 3])
def test_coral_is_the_dense_formula_with_more_rows_and_with_fewer_rows_than_features(p, groups):
    parts = cases.rows(12, p, groups, seed=6)
    table = stacked(parts)
    scale, covariances = dense_covariances(parts, 0.5)
    colour = sqrtm(np.mean(covariances, axis=0)).real
    target = np.mean([part.mean(axis=0) for part in parts], axis=0)
    out = Coral().fit(table, Context()).transform(table)
    for name, part, own in zip(cases.NAMES, parts, covariances, strict=False):
        z = (part - part.mean(axis=0)) / scale
        expected = target + scale * (z @ fractional_matrix_power(own, -0.5).real @ colour)
        np.testing.assert_allclose(of(out, name), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("p", [4, 50])
def test_linear_ot_is_the_dense_formula_with_more_rows_and_with_fewer_rows_than_features(p):
    parts = cases.rows(12, p, 2, seed=7)
    table = stacked(parts)
    scale, (first, second) = dense_covariances(parts, 0.5)
    root, inverse = sqrtm(first).real, fractional_matrix_power(first, -0.5).real
    operator = inverse @ sqrtm(root @ second @ root).real @ inverse
    new = cases.rows(5, p, 1, seed=8)[0]
    fitted = LinearOt(reference="Philips").fit(table, Context())
    expected = parts[1].mean(axis=0) + scale * ((new - parts[0].mean(axis=0)) / scale @ operator)
    out = fitted.transform(make_table(new, ["GE"] * 5, features=table.features))
    np.testing.assert_allclose(out.values, expected, rtol=1e-7, atol=1e-7)


def test_halfway_between_two_is_the_barycentre_that_iteration_finds():
    _, covariances = dense_covariances(cases.rows(60, 5, 2, seed=9), 0.2)
    both = np.stack(covariances)
    common = barycentre(both)
    operators = LinearOt().operators(both, None)
    for own, operator in zip(both, operators, strict=True):
        np.testing.assert_allclose(operator @ own @ operator, common, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(operator, transport(own, common), rtol=1e-6, atol=1e-8)


@LINEAR
@pytest.mark.parametrize("groups", [2, 3])
def test_shrunk_covariances_and_means_are_the_same_for_all_afterwards(make, groups):
    parts = cases.rows(60, 5, groups, seed=10)
    table = stacked(parts)
    method = make(shrinkage=0.1).fit(table, Context())
    state = method.fitted
    after = [o.T @ c @ o for o, c in zip(state.operators, state.space.covariances, strict=True)]
    for one in after[1:]:
        np.testing.assert_allclose(one, after[0], rtol=1e-6, atol=1e-7)
    out = method.transform(table)
    for name in table.manufacturers:
        np.testing.assert_allclose(of(out, name).mean(axis=0), state.target, rtol=1e-9, atol=1e-9)


@LINEAR
def test_with_full_shrinkage_only_means_move(make):
    parts = cases.rows(20, 5, 2, seed=11)
    table = stacked(parts)
    out = make(shrinkage=1).fit(table, Context()).transform(table)
    common = (parts[0].mean(axis=0) + parts[1].mean(axis=0)) / 2
    np.testing.assert_allclose(of(out, "GE"), parts[0] - parts[0].mean(axis=0) + common, atol=1e-9)


@LINEAR
@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_units_of_features_change_nothing(make, unit):
    table = stacked(cases.rows(20, 5, 2, seed=11))
    units = np.where(np.arange(5) % 2, unit, 1.0)
    one = make().fit(table, Context()).transform(table).values
    changed = table.with_values(table.values * units)
    np.testing.assert_allclose(make().fit(changed, Context()).transform(changed).values / units, one, rtol=1e-8)


@LINEAR
@pytest.mark.parametrize("p", [5, 60])
def test_a_pure_shift_is_gone_and_nothing_else_happens(make, p):
    values = cases.rows(20, p, 1, seed=12)[0]
    table = stacked([values, values + np.linspace(-3, 3, p)])
    out = make().fit(table, Context()).transform(table)
    np.testing.assert_allclose(of(out, "GE"), of(out, "Philips"), atol=1e-9)
    np.testing.assert_allclose(of(out, "GE"), values + np.linspace(-3, 3, p) / 2, atol=1e-9)


@LINEAR
def test_features_constant_everywhere_are_only_shifted_and_touch_no_other(make):
    table = scanner_data()
    wider = make_table(np.column_stack([table.values, np.full(len(table), 0.1)]), table.manufacturer)
    out = make().fit(wider, Context()).transform(wider).values
    np.testing.assert_allclose(out[:, -1], 0.1, rtol=1e-12)
    np.testing.assert_allclose(out[:, :-1], make().fit(table, Context()).transform(table).values, rtol=1e-8, atol=1e-8)


def test_a_barycentre_that_does_not_converge_is_an_error_with_a_remedy(monkeypatch):
    from harmbench_builtin.harmonizers.transport import gaussian

    monkeypatch.setattr(gaussian, "_ITERATIONS", 1)
    with pytest.raises(DataError, match=r"did not converge.*Raise linear-ot\.shrinkage"):
        LinearOt().fit(scanner_data(), Context())


def test_powers_of_a_matrix():
    matrix = np.cov(cases.rows(30, 4, 1, seed=13)[0].T)
    np.testing.assert_allclose(space.power(matrix, -0.5), fractional_matrix_power(matrix, -0.5).real, rtol=1e-9)


@pytest.mark.parametrize("value", [0, 1.5, True, "x", float("nan")])
def test_a_wrong_shrinkage_is_named(value):
    with pytest.raises(UsageError, match=r"coral\.shrinkage must be a number"):
        Coral(shrinkage=value)


# entropic-ot


@pytest.fixture(scope="module")
def entropic():
    pytest.importorskip("ot", reason="POT is an optional extra: pip install 'harmbench[transport]'")
    return importlib.import_module("harmbench_builtin.harmonizers.transport.entropic")


@pytest.mark.parametrize("extension", ["map", "nearest"])
def test_entropic_ot_is_pots_for_training_rows_and_for_new_ones(entropic, golden, extension):
    table = stacked(cases.rows(40, 6, 2, seed=3))
    method = entropic.EntropicOt("Philips", cases.REGULARIZATION, False, extension).fit(table, Context())
    assert method.fitted["GE"].there.regularization == pytest.approx(float(golden["entropic_regularization"]))
    own = of(method.transform(table), "GE")
    np.testing.assert_allclose(own, golden[f"entropic_{extension}"], rtol=1e-6, atol=1e-6)
    new = make_table(cases.rows(10, 6, 2, seed=4)[0], ["GE"] * 10)
    np.testing.assert_allclose(method.transform(new).values, golden[f"entropic_{extension}_new"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("debias", [True, False])
def test_for_training_rows_both_extensions_are_the_same(entropic, debias):
    table = stacked(cases.rows(40, 6, 2, seed=3))
    one, two = (
        entropic.EntropicOt(regularization=0.5, debias=debias, extension=e)
        .fit(table, Context())
        .transform(table)
        .values
        for e in ("map", "nearest")
    )
    np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def test_the_map_of_a_new_row_is_the_conditional_mean_of_the_plan_by_hand(entropic):
    # One feature, two rows each: by symmetry the potentials are equal, and w_k is a softmax of -(x - y_k)^2 / e.
    table = make_table([[-1.0], [1.0], [9.0], [11.0]], ["A", "A", "B", "B"])
    method = entropic.EntropicOt("B", regularization=2.0, debias=False).fit(table, Context())
    e = method.fitted["A"].there.regularization * 2  # both have variance 2, so distances are divided by 2
    new = make_table([[0.0], [0.5]], ["A", "A"])
    potential = method.fitted["A"].there.potential
    raw = np.exp(potential - (np.array([[0.0], [0.5]]) - np.array([9.0, 11.0])) ** 2 / e)
    expected = raw / raw.sum(axis=1, keepdims=True) @ np.array([9.0, 11.0])
    np.testing.assert_allclose(method.transform(new).values[:, 0], expected, rtol=1e-12)
    assert expected[0] == pytest.approx(10)


def test_entropic_ot_brings_every_manufacturer_to_the_same_mean(entropic):
    table = scanner_data()
    out = entropic.EntropicOt(regularization=0.5).fit(table, Context()).transform(table)
    common = np.mean([of(table, name).mean(axis=0) for name in table.manufacturers], axis=0)
    for name in table.manufacturers:
        np.testing.assert_allclose(of(out, name).mean(axis=0), common, rtol=1e-5, atol=1e-5)


def test_debiased_rows_of_equal_samples_stay_where_they_are(entropic):
    values = cases.rows(30, 8, 1, seed=14)[0]
    table = stacked([values, values])
    stays = entropic.EntropicOt().fit(table, Context()).transform(table)
    np.testing.assert_allclose(stays.values, table.values, atol=1e-6)
    shrinks = entropic.EntropicOt(debias=False).fit(table, Context()).transform(table)
    assert (shrinks.values.std(axis=0) < 0.9 * table.values.std(axis=0)).all()


def test_with_a_large_regularization_debiasing_leaves_a_shift_of_means(entropic):
    parts = cases.rows(30, 8, 2, seed=15)
    table = stacked(parts)
    out = entropic.EntropicOt("Philips", regularization=1000.0).fit(table, Context()).transform(table)
    expected = parts[0] - parts[0].mean(axis=0) + parts[1].mean(axis=0)
    np.testing.assert_allclose(of(out, "GE"), expected, atol=0.02 * parts[0].std())


def test_debiased_new_rows_are_the_row_and_the_difference_of_two_maps(entropic):
    parts = cases.rows(40, 6, 2, seed=3)
    table = stacked(parts)
    new = make_table(cases.rows(10, 6, 2, seed=4)[0], ["GE"] * 10)
    e = 0.5
    debiased = entropic.EntropicOt("Philips", e).fit(table, Context())
    there = entropic.EntropicOt("Philips", e, debias=False).fit(table, Context()).transform(new).values
    back = debiased.fitted["GE"].back.mapped(new.values)
    np.testing.assert_allclose(debiased.transform(new).values, new.values + there - back, rtol=1e-12)


def test_a_large_offset_costs_no_digits(entropic):
    table = scanner_data()
    far = table.with_values(table.values + 1e9)
    near, other = (entropic.EntropicOt(regularization=0.5).fit(t, Context()).transform(t).values for t in (table, far))
    np.testing.assert_allclose(other - 1e9, near, atol=1e-4)


def test_a_plan_that_does_not_converge_is_an_error_with_a_remedy(entropic, monkeypatch):
    monkeypatch.setattr(entropic, "_ITERATIONS", 2)
    with pytest.raises(DataError, match=r"the plan of manufacturer 'GE' misses.*Raise entropic-ot\.regularization"):
        entropic.EntropicOt(regularization=0.001).fit(scanner_data(), Context())


def test_rows_that_are_all_alike_stay_finite(entropic):
    table = make_table(np.ones((4, 2)), ["A", "A", "B", "B"])
    np.testing.assert_allclose(entropic.EntropicOt().fit(table, Context()).transform(table).values, 1)


# what those that serve any row keep to


@pytest.fixture(params=["coral", "linear-ot", "entropic-ot", "entropic-ot nearest"])
def make(request):
    if request.param == "coral":
        return Coral
    if request.param == "linear-ot":
        return LinearOt
    method = request.getfixturevalue("entropic").EntropicOt
    return partial(method, regularization=0.5, extension="nearest" if "nearest" in request.param else "map")


def test_one_row_at_a_time_equals_all_at_once_and_the_input_is_left_alone(make):
    train, test = scanner_data(seed=1), scanner_data(30, seed=2)
    test.values.flags.writeable = train.values.flags.writeable = False
    fitted = make().fit(train, Context())
    whole = fitted.transform(test)
    alone = np.concatenate([fitted.transform(test.rows([i])).values for i in range(len(test))])
    np.testing.assert_allclose(whole.values, alone, rtol=1e-10, atol=1e-10)
    assert whole.features == test.features and whole.samples.tolist() == test.samples.tolist()


def test_the_order_of_training_rows_changes_nothing(make):
    train, test = scanner_data(seed=1), scanner_data(30, seed=2)
    mixed = train.rows(np.random.default_rng(0).permutation(len(train)))
    one, two = (make().fit(t, Context()).transform(test).values for t in (train, mixed))
    np.testing.assert_allclose(one, two, rtol=1e-6, atol=1e-6)


def test_an_unseen_manufacturer_is_an_error_or_left_as_it_is(make):
    strange = make_table(scanner_data().values[:2], ["GE", "Canon"])
    fitted = make().fit(scanner_data(), Context())
    assert not fitted.handles_unseen_manufacturer
    with pytest.raises(UnseenManufacturer, match="cannot transform manufacturer 'Canon'"):
        fitted.transform(strange)
    pooled = make(unseen="pooled").fit(scanner_data(), Context())
    assert pooled.handles_unseen_manufacturer
    out = pooled.transform(strange).values
    np.testing.assert_array_equal(out[1], strange.values[1])
    assert not np.array_equal(out[0], strange.values[0])


def test_the_reference_keeps_its_values(make):
    table = scanner_data()
    out = make(reference="Philips").fit(table, Context()).transform(table)
    np.testing.assert_array_equal(of(out, "Philips"), of(table, "Philips"))
    assert not np.allclose(of(out, "GE"), of(table, "GE"))


def test_too_few_rows_or_manufacturers_and_missing_values_are_named(make):
    with pytest.raises(DataError, match="at least 2 training rows of each manufacturer, but 'B' has 1"):
        make().fit(make_table([[1, 2], [3, 4], [5, 6]], ["A", "A", "B"]), Context())
    with pytest.raises(NotApplicable, match="at least two manufacturers"):
        make().fit(make_table([[1, 2], [3, 4]], ["A", "A"]), Context())
    with pytest.raises(NotApplicable, match="reference manufacturer 'C' is not among the training rows"):
        make(reference="C").fit(scanner_data(), Context())
    values = scanner_data().values.copy()
    values[3, 5] = np.inf
    with pytest.raises(DataError, match="sample 's3' has inf in feature 'f5'"):
        make().fit(make_table(values, scanner_data().manufacturer), Context())


# harmony

MODULE = "harmbench_builtin.harmonizers.transport.harmony"


@pytest.fixture
def stand_in(monkeypatch) -> Iterator[ModuleType]:
    """The module with a harmonypy that takes every manufacturer's mean off the components, and keeps its arguments."""
    calls: list[dict] = []

    def run_harmony(data_mat, meta_data, vars_use, **options):
        groups = meta_data[vars_use]
        out = data_mat.copy()
        for name in set(groups.tolist()):
            out[groups == name] -= data_mat[groups == name].mean(axis=0)
        calls.append({"data_mat": data_mat, **options})
        return SimpleNamespace(Z_corr=out)

    fake = ModuleType("harmonypy")
    fake.run_harmony = run_harmony  # type: ignore[attr-defined]  # a module made up for the test
    monkeypatch.setitem(sys.modules, "harmonypy", fake)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    module = importlib.import_module(MODULE)
    module.calls = calls  # type: ignore[attr-defined]  # so that tests can look at them
    yield module
    sys.modules.pop(MODULE, None)


def test_the_correction_of_components_is_carried_back_to_the_features(stand_in):
    # With all components the whole manufacturer effect is in them: each manufacturer's mean becomes the overall one.
    table = scanner_data(90, 8)
    out = stand_in.Harmony(components=8).fit(table, Context()).transform(table)
    for name in table.manufacturers:
        np.testing.assert_allclose(of(out, name).mean(axis=0), table.values.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(
            of(out, name) - of(out, name).mean(axis=0), of(table, name) - of(table, name).mean(axis=0), atol=1e-9
        )


def test_what_the_components_do_not_hold_stays(stand_in):
    table = scanner_data(90, 8)
    out = stand_in.Harmony(components=2).fit(table, Context()).transform(table)
    z = (table.values - table.values.mean(axis=0)) / table.values.std(axis=0, ddof=1)
    loadings = np.linalg.svd(z, full_matrices=False)[2]
    moved = (out.values - table.values) / table.values.std(axis=0, ddof=1)
    np.testing.assert_allclose(moved @ loadings[2:].T, 0, atol=1e-9)
    assert np.abs(moved @ loadings[:2].T).max() > 0.1


def test_harmonypy_gets_components_clusters_threads_and_a_seed_of_its_own(stand_in):
    table = scanner_data(90, 8)
    stand_in.Harmony().fit(table, Context(seed=3, n_jobs=2))
    stand_in.Harmony(components=3, clusters=7, theta=1.5, sigma=0.3).fit(table, Context(seed=4))
    first, second = stand_in.calls
    assert first["data_mat"].shape == (90, 8) and first["nclust"] == 3 and first["ncores"] == 2
    assert second["data_mat"].shape == (90, 3) and second["nclust"] == 7
    assert (second["theta"], second["sigma"], second["verbose"]) == (1.5, 0.3, False)
    assert first["random_state"] != second["random_state"] and 0 <= first["random_state"] < 2**31
    products = first["data_mat"].T @ first["data_mat"]  # of components: none with another
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-9)


def test_harmony_knows_only_the_rows_of_its_fit(stand_in):
    table = scanner_data(90, 8)
    fitted = stand_in.Harmony().fit(table, Context())
    some = np.array([5, 2, 80])
    np.testing.assert_array_equal(fitted.transform(table.rows(some)).values, fitted.transform(table).values[some])
    stranger = make_table(table.values[:2], table.manufacturer[:2], samples=["s0", "x"], features=table.features)
    with pytest.raises(NotApplicable, match=r"no map for rows outside its fit, such as sample 'x' \(1 of 2 rows\)"):
        fitted.transform(stranger)


def test_harmony_at_the_edges(stand_in):
    table = scanner_data(12, 30)
    assert np.isfinite(stand_in.Harmony().fit(table, Context()).transform(table).values).all()
    single = make_table(np.random.default_rng(0).normal(size=(9, 4)), ["A"] * 8 + ["B"])
    assert np.isfinite(stand_in.Harmony().fit(single, Context()).transform(single).values).all()
    with pytest.raises(NotApplicable, match="no feature varies"):
        stand_in.Harmony().fit(make_table(np.ones((4, 2)), ["A", "A", "B", "B"]), Context())
    with pytest.raises(NotApplicable, match="at least two manufacturers"):
        stand_in.Harmony().fit(make_table(np.eye(3), ["A"] * 3), Context())


def test_harmony_is_harmonypys(golden, monkeypatch):
    harmonypy = pytest.importorskip("harmonypy", reason="an optional extra: pip install 'harmbench[harmony]'")
    module = importlib.import_module(MODULE)

    def run_harmony(*arguments, **options):
        return harmonypy.run_harmony(*arguments, **{**options, "random_state": 11})

    monkeypatch.setattr(module, "run_harmony", run_harmony)
    table = stacked(cases.rows(30, 6, 2, seed=5))
    out = module.Harmony(components=3).fit(table, Context()).transform(table)
    np.testing.assert_allclose(out.values, golden["harmony"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("harmony", "harmonypy", "harmony"), ("entropic-ot", "ot", "transport")]
)
def test_without_its_package_a_method_is_not_installed_and_says_how_to_get_it(name, module, extra, monkeypatch):
    from harmbench.plugins import build_registry, missing_requirements

    spec = build_registry().harmonizers.get(name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None if wanted == module else object())
    assert missing_requirements(spec) == [f"{module} (pip install 'harmbench[{extra}]')"]
