"""`covbat` against the algorithm of Chen et al., written with neuroCombat and scikit-learn's PCA; correlations."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from sklearn.decomposition import PCA

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.errors import NotApplicable
from harmbench_builtin.harmonizers.combat.covbat import CovBat
from harmbench_builtin.harmonizers.combat.harmonizer import Combat
from harmonizers.feature_tables import make_table, scanner_data

neurocombat = pytest.importorskip("neuroCombat", reason="neuroCombat is the reference; install harmbench[reference]")
pandas = pytest.importorskip("pandas")


def classical(values: np.ndarray, batch: np.ndarray, covariates: dict[str, np.ndarray], **options: object) -> dict:
    frame = pandas.DataFrame({"batch": batch, **covariates})
    with contextlib.redirect_stdout(io.StringIO()):
        return neurocombat.neuroCombat(
            values.T.copy(), frame, "batch", continuous_cols=list(covariates), categorical_cols=[], **options
        )


@pytest.mark.parametrize("explained", [0.5, 0.95])
@pytest.mark.parametrize("with_age", [False, True])
def test_it_equals_two_neurocombats_around_a_principal_component_analysis(explained: float, with_age: bool) -> None:
    table = scanner_data(n=100, p=20)
    covariates = {"age": table.covariates["age"]} if with_age else {}
    first = classical(table.values, table.manufacturer, covariates)
    expected = first["estimates"]["stand.mean"].T + first["estimates"]["mod.mean"].T
    residual = first["data"].T - expected
    scale = residual.std(axis=0, ddof=1)
    analysis = PCA().fit(residual / scale)
    count = int(np.flatnonzero(np.cumsum(analysis.explained_variance_ratio_) > explained)[0]) + 1
    scores = analysis.transform(residual / scale)
    scores[:, :count] = classical(scores[:, :count], table.manufacturer, {}, eb=False)["data"].T
    by_hand = analysis.inverse_transform(scores) * scale + expected

    method = CovBat(explained=explained, covariates="age" if with_age else "none").fit(table, Context())

    assert method.components.directions.shape[1] == count
    np.testing.assert_allclose(method.transform(table).values, by_hand, rtol=0, atol=1e-8)


def opposite_correlations(n: int, seed: int) -> FeatureTable:
    """Standard normal features, correlated positively at one manufacturer and negatively at the other."""
    rng = np.random.default_rng(seed)
    ge = np.arange(n) < n // 2
    shared = rng.normal(size=(n, 1))
    signs = np.where(np.arange(8) % 2 == 0, 1.0, -1.0)
    values = 0.8 * shared * np.where(ge[:, None], 1.0, signs) + 0.6 * rng.normal(size=(n, 8))
    return make_table(values, np.where(ge, "GE", "Philips"))


def gap(table: FeatureTable) -> float:
    """Root mean square difference of the two manufacturers' correlations."""
    ge, philips = (np.corrcoef(table.values[table.manufacturer == m].T) for m in ("GE", "Philips"))
    return float(np.sqrt(np.mean((ge - philips) ** 2)))


def test_correlations_of_unseen_rows_agree_better_than_after_combat() -> None:
    train, test = opposite_correlations(400, 0), opposite_correlations(400, 1)
    combat = gap(Combat().fit(train, Context()).transform(test))
    covbat = gap(CovBat().fit(train, Context()).transform(test))
    assert combat > 0.5 and covbat < 0.6 * combat


def test_more_features_than_rows_have_no_component_of_rounding_errors() -> None:
    table = scanner_data(n=40, p=90)
    method = CovBat(explained=1.0).fit(table, Context())
    # 40 rows centred by manufacturer-wise adjustment span at most 39 dimensions.
    assert method.components.directions.shape[1] <= 39
    assert np.abs(method.transform(table).values).max() < 10 * np.abs(table.values).max()


def test_one_feature_has_no_correlation_to_harmonize() -> None:
    with pytest.raises(NotApplicable, match="at least two features"):
        CovBat().fit(scanner_data(p=1), Context())


def test_the_reference_manufacturer_stays_as_it_is() -> None:
    table = scanner_data(n=100, p=20)
    result = CovBat(reference="GE").fit(table, Context()).transform(table)
    ge = table.manufacturer == "GE"
    np.testing.assert_allclose(result.values[ge], table.values[ge], atol=1e-9)
