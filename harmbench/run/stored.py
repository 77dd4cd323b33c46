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
from harmbench.run.store import FIGURES, RunFolder

Columns = dict[str, np.ndarray]
_FACTS = ("fold", "sample", "patient", "manufacturer", "label")
KEPT = 2
"""Raw tables in memory at once: they may be large, and cells that share one mostly follow each other."""
AGAIN = "The folder was changed or is not whole: copy it again, or run again."


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
        return read_parquet(self.folder.path / "samples.parquet")

    @cached_property
    def splits(self) -> Columns:
        return read_parquet(self.folder.path / "splits.parquet")

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
        return StoredCell(result, tables)

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
