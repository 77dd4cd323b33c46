"""What evaluators get, made of simulated tables: the folds of a method whose effect is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harmbench.components import EvaluationContext
from harmbench.data import FeatureTable, concatenate
from harmbench.results import CellResult, Evaluation, FoldResult, Protocol_, StoredCell
from harmbench.seeding import rng
from harmbench.stats.bootstrap import patient_resamples
from harmbench.testing.measures import folds_of
from harmbench.testing.subjects import Subject
from harmbench.testing.tables import simulate

REPLICATES, PERMUTATIONS = 50, 49
Change = Callable[[FeatureTable, FeatureTable], FeatureTable]
"""change(train, rows): the rows after harmonization."""


def identity(train: FeatureTable, rows: FeatureTable) -> FeatureTable:
    return rows


def _noise(rows: FeatureTable) -> Any:
    return np.array([rng(3, sample=s).standard_normal(rows.values.shape[1]) for s in rows.samples.tolist()])


def noise(train: FeatureTable, rows: FeatureTable) -> FeatureTable:
    """Numbers that have to do with nothing."""
    return rows.with_values(_noise(rows))


def label(train: FeatureTable, rows: FeatureTable) -> FeatureTable:
    """The label and a little noise."""
    assert rows.label is not None
    return rows.with_values(rows.label[:, None] + 0.1 * _noise(rows))


def manufacturer(train: FeatureTable, rows: FeatureTable) -> FeatureTable:
    """The manufacturer and a little noise."""
    code = np.searchsorted(np.array(train.manufacturers), rows.manufacturer)
    return rows.with_values(3.0 * code[:, None] + 0.1 * _noise(rows))


def cell_of(table: FeatureTable, change: Change = identity, folds: int = 3, order: Any = None) -> CellResult:
    """The cell of a method on a table: cross-validation, and each manufacturer left out once.

    Parameters
    ----------
    table : FeatureTable
    change : callable
    folds : int
    order : positions, optional
        The rows in another order, held out by the same folds.
    """
    tested = [("cross-validation", f"cv-{k}", test) for k, (_, test) in enumerate(folds_of(table, folds))]
    tested += [
        ("leave-one-manufacturer-out", f"lomo-{m}", np.flatnonzero(table.manufacturer == m))
        for m in table.manufacturers
    ]
    rows = np.arange(len(table)) if order is None else np.asarray(order)
    results: list[FoldResult] = []
    for protocol, name, test in tested:
        held = np.isin(rows, test)
        train, out = table.rows(rows[~held]), table.rows(rows[held])
        results.append(_fold(name, protocol, train, out, change))  # type: ignore[arg-type]  # one of the two words
    raw = table.rows(rows)
    done = concatenate([r.test for r in results if r.protocol == "cross-validation"])
    place = {sample: i for i, sample in enumerate(done.samples.tolist())}
    return CellResult(
        method="simulated",
        classes=("HHD", "HCM"),
        raw=raw,
        scored=done.rows(np.array([place[s] for s in raw.samples.tolist()])),
        folds=tuple(results),
        seconds={"extract": 1.5, "fit": 0.25, "transform": 0.125},
        peak_memory_mb=512.0,
    )


def _fold(name: str, protocol: Protocol_, train: FeatureTable, test: FeatureTable, change: Change) -> FoldResult:
    paired = _other_scanner(test)
    return FoldResult(
        name,
        protocol,
        change(train, train),
        change(train, test),
        change(train, paired) if protocol == "cross-validation" else None,
        {"fit": 0.1, "transform": 0.05},
    )


def _other_scanner(rows: FeatureTable) -> FeatureTable:
    """Every paired row once more, as another manufacturer would have given it: a little noise apart."""
    assert rows.pair is not None
    some = rows.rows(rows.pair != "")
    makers = sorted({"GE", "Philips", "Siemens"})
    other = np.array([makers[(makers.index(m) + 1) % 3] for m in some.manufacturer.tolist()], dtype=str)
    return replace(
        some,
        samples=np.array([f"{s}-again" for s in some.samples.tolist()], dtype=str),
        manufacturer=other,
        values=some.values + 0.2 * _noise(some),
    )


def simulated_table(shift: float = 0.8, signal: float = 1.0) -> FeatureTable:
    """75 patients, two features of each of six classes; every third patient was imaged on a second scanner too."""
    sizes = {"GE": 30, "Philips": 24, "Siemens": 21}
    table = simulate("evaluators", sizes, 12, shift=shift, signal=signal)
    pairs = np.array([f"pair-{p}" if i % 3 == 0 else "" for i, p in enumerate(table.patient.tolist())])
    return replace(table, pair=pairs)


def plain_cell() -> CellResult:
    """Nothing is done to a table with a manufacturer effect and a signal."""
    return cell_of(simulated_table())


def context_of(cell: CellResult, earlier: Mapping[str, Mapping[str, Any]] | None = None) -> EvaluationContext:
    """The context in which every evaluator sees a cell."""
    scored = cell.scored
    assert scored.label is not None
    resamples = patient_resamples(scored.patient, scored.manufacturer, scored.label, REPLICATES, 5)
    return EvaluationContext(seed=7, resamples=resamples, permutations=PERMUTATIONS, earlier=earlier or {})


def evaluate(subject: Subject, cell: CellResult) -> Evaluation:
    """What the evaluator makes of a cell."""
    done: Evaluation = subject.build().evaluate(cell, context_of(cell))
    return done


def stored(cell: CellResult, tables: Mapping[str, Mapping[str, Any]]) -> StoredCell:
    """What a run folder would keep of a cell."""
    nothing = np.arange(0)
    folds = tuple(replace(f, train=f.test.rows(nothing), seconds={}) for f in cell.of("cross-validation"))
    kept = replace(cell, folds=folds, seconds={}, peak_memory_mb=float("nan"))
    columns = {name: {k: np.asarray(v) for k, v in table.items()} for name, table in tables.items()}
    return StoredCell(kept, columns)
