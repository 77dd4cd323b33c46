"""A cell as its run folder keeps it: features, splits and tables, put together again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.data import FeatureTable
from harmbench.errors import DataError
from harmbench.results import CellResult, FoldResult, StoredCell
from harmbench.run.columns import COVARIATE, table_digest
from harmbench.run.parquet import read_parquet
from harmbench.run.store import AGAIN, FIGURES, RunFolder

Columns = dict[str, np.ndarray]
PREDICTIONS = "predictions"
"""The table of out-of-fold predictions, whichever evaluator gave it."""
_FACTS = ("fold", "sample", "patient", "manufacturer", "label")
KEPT = 2
"""Raw tables in memory at once: they may be large, and cells that share one mostly follow each other."""


@dataclass(frozen=True)
class RunData:
    """What the cells of a run folder share, read once.

    Parameters
    ----------
    folder : RunFolder
    """

    folder: RunFolder

    @cached_property
    def plan(self) -> dict[str, Any]:
        return self.folder.plan

    @cached_property
    def samples(self) -> Columns:
        return self._shared("samples.parquet", ("sample", "patient", "manufacturer", "label", "pair", "split"))

    @cached_property
    def splits(self) -> Columns:
        return self._shared("splits.parquet", ("repeat", "fold", "protocol", "sample", "patient"))

    def _shared(self, name: str, wanted: tuple[str, ...]) -> Columns:
        path = self.folder.path / name
        columns = read_parquet(path)
        for column in wanted:
            if column not in columns:
                raise DataError("there is no such column.", file=path, column=column, remedy=AGAIN)
        return columns

    @cached_property
    def _row(self) -> dict[str, int]:
        return {s: i for i, s in enumerate(self.samples["sample"].tolist())}

    @cached_property
    def _raw(self) -> dict[str, FeatureTable]:
        return {}

    def table(self, columns: Mapping[str, np.ndarray], path: Path) -> FeatureTable:
        """Stored columns as a feature table; what is known of a sample comes from `samples.parquet`.

        Raises
        ------
        DataError
            A sample that is not in `samples.parquet`, or known otherwise there.
        """
        for name in ("sample", "patient", "manufacturer", "label"):
            if name not in columns:
                raise DataError("there is no such column.", file=path, column=name, remedy=AGAIN)
        try:
            rows = np.array([self._row[s] for s in columns["sample"].tolist()], dtype=int)
        except KeyError as error:
            raise DataError(f"sample {error} is not in samples.parquet.", file=path, remedy=AGAIN) from None
        for name in ("patient", "manufacturer", "label"):
            if not np.array_equal(columns[name], self.samples[name][rows]):
                raise DataError("not what samples.parquet says.", file=path, column=name, remedy=AGAIN)
        features = tuple(name for name in columns if name not in _FACTS)
        return FeatureTable(
            values=np.column_stack([columns[name] for name in features]),
            features=features,
            samples=columns["sample"],
            manufacturer=columns["manufacturer"],
            patient=columns["patient"],
            label=columns["label"],
            covariates={n[len(COVARIATE) :]: c[rows] for n, c in self.samples.items() if n.startswith(COVARIATE)},
            pair=self.samples["pair"][rows],
        )

    def raw(self, digest: str) -> FeatureTable:
        """Features before the feature stages.

        Raises
        ------
        DataError
            They are not there, or not those of this digest.
        """
        if digest not in self._raw:
            path = self.folder.path / "raw" / f"{digest}.parquet"
            table = self.table(read_parquet(path), path)
            if table_digest(table) != digest:
                raise DataError("does not hold what its name says (another digest).", file=path, remedy=AGAIN)
            while len(self._raw) >= KEPT:
                self._raw.pop(next(iter(self._raw)))
            self._raw[digest] = table
        return self._raw[digest]

    def cell(self, record: Mapping[str, Any]) -> StoredCell:
        """A finished cell.

        Raises
        ------
        DataError
            A file is missing, or the files contradict each other.
        """
        path = self.folder.cell(record["key"])
        scored = self.table(read_parquet(path / "features.parquet"), path / "features.parquet")
        for name, found in (("n", len(scored)), ("features", len(scored.features))):
            if record[name] != found:
                problem = f"has {found} {'rows' if name == 'n' else name}, and its record says {record[name]}."
                raise DataError(problem, file=path / "features.parquet", remedy=AGAIN)
        result = CellResult(
            method=record["method"],
            classes=tuple(self.plan["data"]["classes"]),
            raw=self.raw(record["raw"]),
            scored=scored,
            folds=self._folds(scored, record["repeat"], path),
            not_applicable=record["not_applicable"],
        )
        tables = {f.stem: read_parquet(f) for f in sorted(path.glob("*.parquet")) if f.stem not in FIGURES}
        if PREDICTIONS in tables:
            self._predicted(tables[PREDICTIONS], record["repeat"], path / f"{PREDICTIONS}.parquet")
        return StoredCell(result, tables)

    def _predicted(self, columns: Columns, repeat: int, path: Path) -> None:
        """Refuse predictions for somebody else, or from a fold that did not hold the sample out."""
        for sample in columns["sample"].tolist():
            if sample not in self._row:
                raise DataError(
                    f"sample '{sample}' is not in samples.parquet.", file=path, column="sample", remedy=AGAIN
                )
        rows = np.array([self._row[s] for s in columns["sample"].tolist()], dtype=int)
        for name in ("patient", "manufacturer", "label"):
            if not np.array_equal(columns[name], self.samples[name][rows]):
                raise DataError("not what samples.parquet says.", file=path, column=name, remedy=AGAIN)
        splits = self.splits
        own = splits["repeat"] == repeat
        held = set(zip(*(splits[n][own].tolist() for n in ("fold", "protocol", "sample")), strict=True))
        said = list(zip(*(columns[n].tolist() for n in ("fold", "protocol", "sample")), strict=True))
        if strange := [one for one in said if one not in held]:
            fold, protocol, sample = strange[0]
            problem = f"sample '{sample}' is not held out in fold '{fold}' ({protocol}) of splits.parquet."
            raise DataError(problem, file=path, column="fold", remedy=AGAIN)
        if len(set(said)) < len(said):
            raise DataError("a sample is predicted twice in one fold.", file=path, column="sample", remedy=AGAIN)

    def _folds(self, scored: FeatureTable, repeat: int, path: Path) -> tuple[FoldResult, ...]:
        splits = self.splits
        own = (splits["repeat"] == repeat) & (splits["protocol"] == "cross-validation")
        position = {s: i for i, s in enumerate(scored.samples.tolist())}
        if sorted(position) != sorted(splits["sample"][own].tolist()):
            problem = "its rows are not those that splits.parquet holds out, each once."
            raise DataError(problem, file=path / "features.parquet", remedy=AGAIN)
        paired: Columns | None = None
        if (path / "paired.parquet").exists():
            paired = read_parquet(path / "paired.parquet")
        folds = []
        for name in dict.fromkeys(splits["fold"][own].tolist()):
            held = splits["sample"][own & (splits["fold"] == name)].tolist()
            test = scored.rows(np.array([position[s] for s in held]))
            # Where folds use other features, the rows of a fold that dropped one are NaN throughout.
            test = test.columns(~np.isnan(test.values).all(axis=0))
            folds.append(
                FoldResult(
                    name=name,
                    protocol="cross-validation",
                    train=test.rows(slice(0, 0)),
                    test=test,
                    paired=self._paired(paired, name, test.features, path / "paired.parquet"),
                )
            )
        return tuple(folds)

    def _paired(self, columns: Columns | None, fold: str, features: tuple[str, ...], path: Path) -> FeatureTable | None:
        if columns is None or not (columns["fold"] == fold).any():
            return None
        own = columns["fold"] == fold
        table = self.table({name: column[own] for name, column in columns.items()}, path)
        place = {name: j for j, name in enumerate(table.features)}
        if not place.keys() >= set(features):
            raise DataError("lacks features that features.parquet has.", file=path, remedy=AGAIN)
        return table.columns([place[name] for name in features])
