"""What of a run goes into a bundle: all that rebuilds its figures, and no free text where the data are of patients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmbench.errors import DataError
from harmbench.leaderboard import anonymous, patients
from harmbench.leaderboard.vocabulary import REPORT, Vocabulary, accounted, numbers_that_are_ids
from harmbench.run.columns import COVARIATE
from harmbench.run.ids import HIDDEN_COLUMNS, key_of
from harmbench.run.keys import digest
from harmbench.run.parquet import column_names, read_parquet
from harmbench.run.store import FIGURES, RunFolder
from harmbench.run.stored import RunData


@dataclass
class Content:
    """Chooses, and keeps count of what is left out.

    Parameters
    ----------
    data : RunData
    vocabulary : Vocabulary
        Used where the data are of patients.
    """

    data: RunData
    vocabulary: Vocabulary
    _lines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, data: RunData) -> Content:
        """That of a run."""
        covariates = [name[len(COVARIATE) :] for name in data.samples if name.startswith(COVARIATE)]
        return cls(data, Vocabulary.of(data.plan, feature_names(data.folder), covariates))

    @property
    def synthetic(self) -> bool:
        """Whether no patient stands behind the data: then texts may stay."""
        return bool(self.data.plan["data"]["synthetic"])

    @property
    def covariates(self) -> list[str]:
        """Covariates that tables may name."""
        return sorted(self.vocabulary.covariates)

    def left_out(self) -> list[str]:
        """What was left out, in words, with how often."""
        return [f"{what} ({n})" if n > 1 else what for what, n in sorted(self._lines.items())]

    def _leave_out(self, what: str, n: int = 1) -> None:
        if n:
            self._lines[what] = self._lines.get(what, 0) + n

    def figures(self, table: str, columns: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """A table without which nothing can be rebuilt.

        Raises
        ------
        DataError
            It holds texts that are no names of the run.
        """
        if self.synthetic:
            return dict(columns)
        kept, left_out = self.vocabulary.told(table, columns)
        if left_out:
            raise DataError(
                "holds texts that are no names of manufacturers, classes, folds, features, maps or metrics, and may be "
                "of patients.",
                file=path,
                column=", ".join(left_out),
                remedy="A bundle of such data cannot hold them: leave out the evaluator or method that wrote them.",
            )
        return kept

    def tables(self, cell: Path, record: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The tables of a cell that go into the bundle, by name."""
        if record["status"] != "ok":
            return
        old = self.synthetic and record["tables"] is None
        for path in sorted(cell.glob("*.parquet")):
            table = path.stem
            if not old and table not in accounted(record):
                self._leave_out("a table that no record accounts for")
                continue
            columns: dict[str, Any] = dict(read_parquet(path))
            if self.synthetic or table in FIGURES:
                yield table, self.figures(table, columns, path)
                continue
            kept = self._discreet(table, columns)
            if kept:
                yield table, kept

    def _discreet(self, table: str, columns: Mapping[str, Any]) -> dict[str, Any]:
        kept, left_out = self.vocabulary.told(table, columns)
        if table.startswith(REPORT):
            known = [name for column in HIDDEN_COLUMNS for name in self.data.samples[column].tolist() if name]
            numbers = numbers_that_are_ids(kept, key_of(self.data.plan), known)
            self._leave_out(f"a column of `{table}` whose numbers are ids", len(numbers))
            kept = {name: column for name, column in kept.items() if name not in numbers}
        self._leave_out(f"a column of text in `{table}`", len(left_out))
        return kept

    def record(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """An anonymous record as the bundle has it."""
        if self.synthetic:
            return dict(record)
        told = patients.record_of(record, self.data.plan)
        self._leave_out("the text of an error", told["error"] != record["error"])
        changed = sum(
            a != b for a, b in zip(told["not_applicable"].values(), record["not_applicable"].values(), strict=True)
        )
        self._leave_out("the text of a reason why a method does not apply", changed)
        self._leave_out("what a method said of its pretraining", told["pretraining"] != record["pretraining"])
        return told

    def plan(self) -> dict[str, Any]:
        """The plan as the bundle has it."""
        plan = anonymous.plan_of(self.data.plan)
        if self.synthetic:
            return plan
        known = patients.known_notes(self.data)
        told = patients.plan_of(plan, known, patients.loose_plugins(self.data.folder.environment))
        self._leave_out("a note on the data", sum(note not in known for note in plan["data"]["notes"]))
        if plan["data"]["ids"] == "revision":  # it was the key
            told["data"]["revision"] = digest(["revision", plan["data"]["revision"]], 16)
            self._leave_out("the revision of the data, with which their ids were hashed: another one stands for it")
        return told

    def environment(self) -> list[dict[str, Any]]:
        """The entries of `environment.json` as the bundle has them."""
        entries = [anonymous.environment_of(entry) for entry in self.data.folder.environment]
        if self.synthetic:
            return entries
        told = [patients.environment_of(entry) for entry in entries]
        for entry, kept in zip(entries, told, strict=True):
            self._leave_out("facts of a plugin", len(entry.get("facts", {}).keys() - kept["facts"].keys()))
            self._leave_out("why a plugin could not be loaded", len(entry["plugin_failures"]))
        return told


def feature_names(folder: RunFolder) -> set[str]:
    """The features of a run, before and after every method."""
    paths = [*folder.path.glob("raw/*.parquet"), *folder.path.glob("cells/*/features.parquet")]
    return {name for path in paths for name in column_names(path)}
