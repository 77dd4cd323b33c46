"""Small feature tables for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from harmbench.data import FeatureTable


def make_table(
    values: Any,
    manufacturer: Any,
    *,
    label: Any = None,
    covariates: dict[str, Any] | None = None,
    samples: Any = None,
    features: tuple[str, ...] | None = None,
) -> FeatureTable:
    """A table with samples s0, s1, ... of patients p0, p1, ... and features f0, f1, ..."""
    array = np.asarray(values, dtype=np.float64)
    n, p = array.shape
    return FeatureTable(
        values=array,
        features=features or tuple(f"f{j}" for j in range(p)),
        samples=np.asarray(samples if samples is not None else [f"s{i}" for i in range(n)], dtype=str),
        manufacturer=np.asarray(manufacturer, dtype=str),
        patient=np.array([f"p{i}" for i in range(n)]),
        label=None if label is None else np.asarray(label, dtype=int),
        covariates={name: np.asarray(column) for name, column in (covariates or {}).items()},
    )


def scanner_data(n: int = 90, p: int = 40, seed: int = 0) -> FeatureTable:
    """Three manufacturers that differ in location and scale; age, sex and view have effects.

    Ages are float32 numbers, because neuroCombat rounds covariates to float32.
    """
    rng = np.random.default_rng(seed)
    names = np.array(["GE", "Philips", "Siemens"])
    manufacturer = names[rng.choice(3, n, p=[0.6, 0.2, 0.2])]
    manufacturer[:9] = np.repeat(names, 3)
    age = rng.normal(60, 9, n).astype(np.float32).astype(np.float64)
    sex = np.where(rng.random(n) < 0.4, "f", "m")
    view = rng.choice(["a2c", "a4c", "plax"], n)
    values = rng.normal(5, 2, p) + rng.gamma(2, 1, p) * rng.normal(size=(n, p))
    values *= np.where(manufacturer == "GE", 1.5, 1.0)[:, None]
    values += (manufacturer == "Philips")[:, None] * rng.normal(size=p)
    values += 0.05 * age[:, None] * rng.normal(size=p) + (sex == "f")[:, None] * rng.normal(size=p)
    label = (rng.random(n) < 0.5).astype(int)
    return make_table(values, manufacturer, label=label, covariates={"age": age, "sex": sex, "view": view})
