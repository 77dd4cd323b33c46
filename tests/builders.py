"""Feature tables and cell results made from arrays, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from harmbench.components import EvaluationContext
from harmbench.data import FEATURE_CLASSES, FeatureTable, concatenate
from harmbench.results import CellResult, FoldResult, Protocol_
from harmbench.stats.bootstrap import patient_resamples

Harmonize = Callable[[FeatureTable, FeatureTable], FeatureTable]
"""harmonize(train, rows): `rows` after harmonization by what was learnt from `train` (labels are present)."""


def feature_names(p: int, maps: Sequence[str] = ("original",)) -> tuple[str, ...]:
    """p names spread evenly over the maps and, within a map, over the feature classes."""
    per_map = -(-p // len(maps))
    names = [
        f"{name}_{FEATURE_CLASSES[i % len(FEATURE_CLASSES)]}_Feature{i:03d}" for name in maps for i in range(per_map)
    ]
    return tuple(names[:p])


def table(
    n: int = 120,
    p: int = 12,
    seed: int = 0,
    *,
    shift: float = 0.0,
    signal: float = 0.0,
    ratio: float = 1.0,
    manufacturers: Sequence[str] = ("GE", "Philips"),
    prevalence: Sequence[float] | float = 0.5,
    maps: Sequence[str] = ("original",),
    images_per_patient: int = 1,
    patient_sd: float = 0.0,
) -> FeatureTable:
    """Normal features with a known manufacturer effect and a known signal.

    Parameters
    ----------
    n, p : int
        Rows and features.
    shift : float
        Manufacturer i adds i * shift (in standard deviations) to every feature.
    signal : float
        Label 1 adds this to the first third of the features.
    ratio : float
        Rows of the first manufacturer over rows of each other one.
    prevalence : float or one per manufacturer
        Share of label 1, met exactly up to rounding.
    images_per_patient : int
        Consecutive rows that share a patient, a manufacturer and a label.
    patient_sd : float
        Standard deviation of what the rows of one patient have in common.
    """
    rng = np.random.default_rng(seed)
    patients = n // images_per_patient
    parts = np.array([ratio] + [1.0] * (len(manufacturers) - 1))
    bounds = np.rint(np.cumsum(parts) / parts.sum() * patients).astype(int)
    code = np.searchsorted(bounds, np.arange(patients), side="right")
    shares = np.broadcast_to(np.asarray(prevalence, dtype=float), len(manufacturers))
    label = np.zeros(patients, dtype=int)
    for i, share in enumerate(shares):
        rows = np.flatnonzero(code == i)
        label[rows[: round(share * len(rows))]] = 1
    order = rng.permutation(patients)
    code, label = (np.repeat(column[order], images_per_patient) for column in (code, label))
    patient = np.repeat(np.arange(patients), images_per_patient)
    values = rng.standard_normal((len(code), p)) + shift * code[:, None]
    values += patient_sd * rng.standard_normal((patients, p))[patient]
    values[:, : max(1, p // 3)] += signal * label[:, None]
    return FeatureTable(
        values=values,
        features=feature_names(p, maps),
        samples=np.array([f"s{i:05d}" for i in range(len(code))]),
        manufacturer=np.array(manufacturers, dtype=str)[code],
        patient=np.array([f"p{i:05d}" for i in patient]),
        label=label,
        pair=np.array([""] * len(code)),
    )


def identity(train: FeatureTable, rows: FeatureTable) -> FeatureTable:
    """Nothing is done."""
    return rows


def collapse(train: FeatureTable, rows: FeatureTable) -> FeatureTable:
    """Every feature is 0."""
    return rows.with_values(np.zeros(rows.values.shape))


def shuffle(train: FeatureTable, rows: FeatureTable) -> FeatureTable:
    """Every row is a random training row."""
    rng = np.random.default_rng(len(rows) * 7919 + len(train))
    return rows.with_values(train.values[rng.integers(len(train), size=len(rows))])


def oracle_label(train: FeatureTable, rows: FeatureTable) -> FeatureTable:
    """Every feature is the label plus a little noise."""
    assert rows.label is not None
    noise = np.random.default_rng(len(rows)).standard_normal(rows.values.shape)
    return rows.with_values(rows.label[:, None] + 0.1 * noise)


def oracle_site(train: FeatureTable, rows: FeatureTable) -> FeatureTable:
    """Every feature is the manufacturer plus a little noise."""
    code = np.unique(np.concatenate([train.manufacturer, rows.manufacturer]), return_inverse=True)[1][len(train) :]
    noise = np.random.default_rng(len(rows)).standard_normal(rows.values.shape)
    return rows.with_values(code[:, None] + 0.1 * noise)


def patient_folds(table: FeatureTable, folds: int, seed: int = 0) -> list[np.ndarray]:
    """Test rows of each fold: whole patients, dealt out in turn within manufacturer x label."""
    rng = np.random.default_rng(seed)
    patients, first, of_row = np.unique(table.patient, return_index=True, return_inverse=True)
    label = table.label if table.label is not None else np.zeros(len(table), dtype=int)
    fold = np.empty(len(patients), dtype=int)
    strata = np.array([f"{table.manufacturer[i]}|{label[i]}" for i in first])
    for stratum in np.unique(strata):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        fold[members] = np.arange(len(members)) % folds
    return [np.flatnonzero(fold[of_row] == k) for k in range(folds)]


def cross_validated(
    table: FeatureTable,
    harmonize: Harmonize = identity,
    folds: int = 5,
    *,
    method: str = "method",
    lomo: bool = True,
    paired: FeatureTable | None = None,
    seed: int = 0,
) -> CellResult:
    """The cell result of a method: patient-grouped folds, then (`lomo`) one fold per manufacturer left out.

    `paired` holds images that only serve paired agreement; they go with the fold that tests their patient.
    """
    results: list[FoldResult] = []
    values: np.ndarray | None = None

    def fold(name: str, protocol: Protocol_, test: np.ndarray) -> FoldResult:
        train_rows = table.rows(np.setdiff1d(np.arange(len(table)), test))
        test_rows = table.rows(test)
        extra = None if paired is None else paired.rows(np.isin(paired.patient, test_rows.patient))
        done = harmonize(train_rows, test_rows)
        return FoldResult(
            name=name,
            protocol=protocol,
            train=harmonize(train_rows, train_rows),
            test=done,
            paired=None if extra is None or len(extra) == 0 else harmonize(train_rows, extra),
            seconds={"fit": 0.0, "transform": 0.0},
        )

    tested = patient_folds(table, folds, seed)
    for k, test in enumerate(tested):
        results.append(fold(f"cv-{k}", "cross-validation", test))
    held_out = concatenate([r.test for r in results])
    values = np.empty_like(held_out.values)
    values[np.concatenate(tested)] = held_out.values
    if lomo:
        for name in table.manufacturers:
            test = np.flatnonzero(table.manufacturer == name)
            results.append(fold(f"lomo-{name}", "leave-one-manufacturer-out", test))
    return CellResult(
        method=method,
        classes=("HHD", "HCM"),
        raw=table,
        scored=table.with_values(values),
        folds=tuple(results),
        seconds={"extract": 1.5, "fit": 0.25, "transform": 0.125},
        peak_memory_mb=512.0,
    )


def context(table: FeatureTable, replicates: int = 200, permutations: int = 199, seed: int = 0) -> EvaluationContext:
    """An evaluation context whose resamples belong to this (scored) table."""
    assert table.label is not None
    return EvaluationContext(
        seed=seed,
        resamples=patient_resamples(table.patient, table.manufacturer, table.label, replicates, seed),
        permutations=permutations,
    )
