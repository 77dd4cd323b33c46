"""Our ComBat against neuroCombat 0.2.12, which equals R's ComBat to 5e-14."""

from __future__ import annotations

import contextlib
import io
import itertools

import numpy as np
import pytest

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench_builtin.harmonizers.combat.harmonizer import Combat, LeakyCombat
from harmonizers.feature_tables import scanner_data

neurocombat = pytest.importorskip("neuroCombat", reason="neuroCombat is the reference; install harmbench[reference]")
pandas = pytest.importorskip("pandas")

COVARIATES = ("none", "sex,view", "age", "age,sex,view")


def classical(table: FeatureTable, covariates: list[str], **options: object) -> np.ndarray:
    """neuroCombat on the table: (n, p)."""
    frame = pandas.DataFrame({"batch": table.manufacturer, **{name: table.covariates[name] for name in covariates}})
    continuous = [name for name in covariates if table.covariates[name].dtype.kind == "f"]
    categorical = [name for name in covariates if name not in continuous]
    # In the reference branch it divides by a location that is zero by construction; that estimate is discarded.
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(divide="ignore", invalid="ignore"):
        return neurocombat.neuroCombat(table.values.T.copy(), frame, "batch", categorical, continuous, **options)[
            "data"
        ].T


@pytest.mark.parametrize("covariates", COVARIATES)
@pytest.mark.parametrize("reference", ["", "Philips"])
@pytest.mark.parametrize(
    ("parametric", "eb", "mean_only"), list(itertools.product([True, False], [True, False], [True, False]))
)
def test_transform_of_the_fit_rows_equals_neurocombat(
    monkeypatch: pytest.MonkeyPatch, parametric: bool, eb: bool, mean_only: bool, reference: str, covariates: str
) -> None:
    table = scanner_data()
    # neuroCombat uses a name that NumPy removed, in this branch only.
    monkeypatch.setattr(np, "int", int, raising=False)
    names = [] if covariates == "none" else covariates.split(",")
    options = {"parametric": parametric, "eb": eb, "mean_only": mean_only}
    expected = classical(table, names, **options, ref_batch=reference or None)

    method = Combat(**options, reference=reference, covariates=covariates).fit(table, Context())

    np.testing.assert_allclose(method.transform(table).values, expected, rtol=0, atol=1e-10)


def test_means_only_with_a_single_row_manufacturer_equals_neurocombat() -> None:
    table = scanner_data()
    table = table.rows(np.r_[0:6, 6, np.flatnonzero(table.manufacturer != "Siemens")[6:]])
    assert np.sum(table.manufacturer == "Siemens") == 1
    result = Combat(mean_only=True).fit(table, Context()).transform(table)
    np.testing.assert_allclose(result.values, classical(table, [], mean_only=True), rtol=0, atol=1e-10)


def test_two_features_are_enough_for_a_prior_and_equal_neurocombat() -> None:
    table = scanner_data(p=2)
    result = Combat().fit(table, Context()).transform(table)
    np.testing.assert_allclose(result.values, classical(table, []), rtol=0, atol=1e-10)


def test_leaky_combat_equals_neurocombat_with_the_label_as_covariate() -> None:
    table = scanner_data()
    assert table.label is not None
    with_label = FeatureTable(
        table.values,
        table.features,
        table.samples,
        table.manufacturer,
        table.patient,
        covariates={"label": table.label.astype(str)},
    )
    result = LeakyCombat().fit(table, Context()).transform(table.with_label(None))
    np.testing.assert_allclose(result.values, classical(with_label, ["label"]), rtol=0, atol=1e-10)
