"""`autocombat`: clusters are the acquisitions that made the data, and serve scanners nobody has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable
from harmbench_builtin.harmonizers.combat.clusters import AutoCombat
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmonizers.feature_tables import make_table


def acquisitions(n: int = 240, seed: int = 0) -> tuple[FeatureTable, np.ndarray]:
    """Three ways to acquire, mixed over four scanners; frequency and gain tell them, and features are shifted."""
    rng = np.random.default_rng(seed)
    way = rng.integers(0, 3, n)
    frequency = np.array([2.0, 3.5, 5.0])[way] + 0.1 * rng.normal(size=n)
    gain = np.array([40.0, 60.0, 50.0])[way] + rng.normal(size=n)
    shift = 1.5 * np.random.default_rng(99).normal(size=(3, 12))
    values = rng.normal(size=(n, 12)) + shift[way]
    features = tuple(f"original_{'firstorder' if j < 4 else 'glcm'}_F{j}" for j in range(12))
    covariates = {"frequency": frequency, "gain": gain, "mode": np.where(way == 2, "harmonic", "fundamental")}
    scanner = rng.choice(["A", "B", "C", "D"], n)
    return make_table(values, scanner, covariates=covariates, features=features), way


def same_partition(found: np.ndarray, true: np.ndarray) -> bool:
    pairs = set(zip(found.tolist(), true.tolist(), strict=True))
    return len(pairs) == len(set(found.tolist())) == len(set(true.tolist()))


def test_the_clusters_of_acquisition_settings_are_the_acquisitions() -> None:
    (train, way), (test, unseen_way) = acquisitions(), acquisitions(seed=1)
    method = AutoCombat(by="frequency,gain,mode").fit(train, Context())
    assert same_partition(method.clusters.assign(train), way)
    assert same_partition(method.clusters.assign(test), unseen_way)


def test_it_is_combat_with_the_clusters_for_manufacturers() -> None:
    table, way = acquisitions()
    result = AutoCombat(by="frequency,gain").fit(table, Context()).transform(table).values
    as_manufacturers = replace(table, manufacturer=way.astype(str))
    np.testing.assert_allclose(result, Combat().fit(as_manufacturers, Context()).transform(as_manufacturers).values)


def test_a_scanner_that_nobody_has_seen_is_served() -> None:
    (train, _), (test, way) = acquisitions(), acquisitions(seed=1)
    method = AutoCombat(by="frequency,gain").fit(train, Context())
    strangers = replace(test, manufacturer=np.full(len(test), "unheard of"))
    result = method.transform(strangers).values
    means = np.stack([result[way == i].mean(axis=0) for i in range(3)])
    raw = np.stack([test.values[way == i].mean(axis=0) for i in range(3)])
    assert np.ptp(means, axis=0).mean() < 0.25 * np.ptp(raw, axis=0).mean()


def test_by_default_first_order_features_make_the_clusters() -> None:
    table, _ = acquisitions()
    method = AutoCombat().fit(table, Context())
    assert method.clusters.columns.tolist() == [0, 1, 2, 3]
    none = table.columns([i for i, name in enumerate(table.features) if "glcm" in name])
    with pytest.raises(NotApplicable, match="first-order features, and these data have none"):
        AutoCombat().fit(none, Context())


def test_a_covariate_to_cluster_by_must_be_there_at_transform() -> None:
    table, _ = acquisitions()
    method = AutoCombat(by="frequency,gain").fit(table, Context())
    with pytest.raises(DataError, match="covariate 'frequency' was used in the fit"):
        method.transform(replace(table, covariates={}))


def test_the_smallest_cluster_has_enough_rows_or_there_are_none() -> None:
    table, _ = acquisitions()
    for least in (10, 30):
        clusters = AutoCombat(by="features", min_rows=least).fit(table, Context()).clusters.assign(table)
        assert np.unique(clusters, return_counts=True)[1].min() >= least
    with pytest.raises(NotApplicable, match="no two clusters of at least 200 rows"):
        AutoCombat(by="features", min_rows=200).fit(table, Context())


def test_a_setting_that_never_varied_tells_no_new_row_apart() -> None:
    table, _ = acquisitions()
    depth = np.full(len(table), 16.0)
    with_depth = replace(table, covariates={**table.covariates, "depth": depth})
    method = AutoCombat(by="frequency,depth").fit(with_depth, Context())
    deeper = replace(with_depth, covariates={**with_depth.covariates, "depth": depth + 4})
    np.testing.assert_array_equal(method.transform(deeper).values, method.transform(with_depth).values)
    with pytest.raises(NotApplicable, match="the same value in all training rows"):
        AutoCombat(by="depth").fit(with_depth, Context())
