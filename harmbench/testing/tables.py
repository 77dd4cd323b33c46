"""Simulated feature tables with a known answer, small enough for seconds.

All are normal features of three manufacturers (GE, Philips, Siemens), with the covariates `age` and `sex`. They are the
same on every call with the same arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harmbench.data import FEATURE_CLASSES, FeatureTable, Integers
from harmbench.seeding import rng

MANUFACTURERS = ("GE", "Philips", "Siemens")
EVEN = {"GE": 0.5, "Philips": 0.5, "Siemens": 0.5}
CONFOUNDED = {"GE": 0.2, "Philips": 0.5, "Siemens": 0.8}


def feature_names(p: int) -> tuple[str, ...]:
    """p names such as an extractor gives, all of one map."""
    return tuple(f"original_{FEATURE_CLASSES[i % len(FEATURE_CLASSES)]}_Feature{i:04d}" for i in range(p))


def simulate(
    name: str,
    sizes: Mapping[str, int],
    p: int,
    *,
    prevalence: Mapping[str, float] = EVEN,
    shift: float = 0.0,
    spread: float = 0.0,
    signal: float = 0.0,
    per_patient: int = 1,
    seed: int = 0,
) -> FeatureTable:
    """A table whose manufacturer effect and signal are known.

    Parameters
    ----------
    name : str
        Names the random numbers.
    sizes : mapping of manufacturer to rows
    p : int
        Features. Feature j lies around 10 + j mod 7 with a standard deviation of 1 + j mod 3.
    prevalence : mapping of manufacturer to share of label 1
        Met exactly, up to rounding.
    shift : float
        Standard deviation, in units of the feature's own, of the manufacturers' additive effects.
    spread : float
        Standard deviation of the logarithm of the manufacturers' scale effects.
    signal : float
        What label 1 adds to the first third of the features, in standard deviations.
    per_patient : int
        Rows of one patient, of the same manufacturer and label.
    """
    draw = rng(seed, table=name)
    maker = np.repeat(list(sizes), list(sizes.values()))
    label = np.concatenate([_labels(draw, n, prevalence[m], per_patient) for m, n in sizes.items()])
    patient = np.concatenate([[f"{m}-{i // per_patient}" for i in range(n)] for m, n in sizes.items()])
    n = len(maker)
    values = draw.standard_normal((n, p))
    values[:, : max(1, p // 3)] += signal * label[:, None]
    for m in sizes:
        rows = maker == m
        scale = np.exp(spread * draw.standard_normal(p))
        values[rows] = values[rows] * scale + shift * draw.standard_normal(p)
    values = 10 + np.arange(p) % 7 + (1 + np.arange(p) % 3) * values
    order = draw.permutation(n)
    return FeatureTable(
        values=np.ascontiguousarray(values[order]),
        features=feature_names(p),
        samples=np.array([f"s{i:04d}" for i in range(n)]),
        manufacturer=maker[order].astype(str),
        patient=patient[order].astype(str),
        label=label[order],
        covariates={
            "age": np.round(draw.normal(60, 10, n), 1),
            "sex": np.where(draw.random(n) < 0.5, "f", "m"),
        },
        pair=np.array([""] * n),
    )


def _labels(draw: np.random.Generator, n: int, share: float, per_patient: int) -> Integers:
    patients = -(-n // per_patient)
    return np.repeat(draw.permutation(np.arange(patients) < round(share * patients)), per_patient)[:n].astype(int)


def tiny_table(seed: int = 0) -> FeatureTable:
    """60 rows, 12 features, a manufacturer effect in location and scale, a signal; two rows per patient."""
    sizes = dict(zip(MANUFACTURERS, (28, 18, 14), strict=True))
    return simulate("tiny", sizes, 12, shift=1.0, spread=0.3, signal=1.0, per_patient=2, seed=seed)


def confounded_table(seed: int = 0) -> FeatureTable:
    """180 rows, 12 features: a manufacturer effect, no signal, and label 1 in 20, 50 and 80 % of the manufacturers."""
    return simulate("confounded", dict.fromkeys(MANUFACTURERS, 60), 12, prevalence=CONFOUNDED, shift=1.0, seed=seed)


def null_table(seed: int = 0) -> FeatureTable:
    """180 rows, 12 features: neither a manufacturer effect nor a signal."""
    return simulate("null", dict.fromkeys(MANUFACTURERS, 60), 12, seed=seed)


def split(table: FeatureTable) -> tuple[FeatureTable, FeatureTable]:
    """Two thirds of the patients to fit on and the others, every manufacturer in both."""
    test = np.zeros(len(table), dtype=bool)
    for maker in table.manufacturers:
        patients = sorted(set(table.patient[table.manufacturer == maker].tolist()))
        test |= np.isin(table.patient, patients[::3])
    return table.rows(~test), table.rows(test)
