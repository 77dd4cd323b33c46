"""Every figure of a run folder once more, from what the folder keeps. No method is run, nothing is fitted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harmbench.data import FeatureTable
from harmbench.errors import DataError, UsageError
from harmbench.methods import Component, component
from harmbench.plugins import Registry
from harmbench.results import Evaluation, MetricValue, StoredCell
from harmbench.run.evaluation import Tables, check_declared, context_of, resamples_of
from harmbench.run.keys import component_key
from harmbench.run.store import AGAIN, RunFolder
from harmbench.run.stored import RunData
from harmbench.run.tied import changed_files, wrong_facts

TOLERANCE = 1e-9
SHOWN = 5
TRUST = "--trust-stored takes the figures as they are."


@dataclass(frozen=True)
class Rebuilt:
    """A cell's figures.

    Parameters
    ----------
    metrics : tuple of MetricValue
        Rebuilt ones, and as they were recorded those that cannot be.
    recorded : mapping of metric to reason
        Which are as they were recorded.
    """

    metrics: tuple[MetricValue, ...]
    recorded: Mapping[str, str]


@dataclass
class Rebuilder:
    """Rebuilds the figures of one run folder.

    Parameters
    ----------
    folder : RunFolder
    registry : Registry
        Where evaluators come from.
    n_jobs : int
        Threads that an evaluator may use.

    Raises
    ------
    UsageError
        An evaluator is not installed, or in another version.
    """

    folder: RunFolder
    registry: Registry
    n_jobs: int = 1
    _resamples: dict[tuple[bytes, ...], npt.NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.data = RunData(self.folder)
        self.plan = self.data.plan
        # A bundle of patients: it holds no key, and no notes.
        self._of_patients = not self.plan["data"]["synthetic"] and not self.plan["id_key"]
        if wrong := changed_files(self.folder.path, self.plan["files"]):
            raise DataError(f"not what plan.json says: {'; '.join(wrong)}.", file=self.folder.path, remedy=AGAIN)
        self.changed: list[str] = []
        self.evaluators: list[Component] = []
        if self.plan["rebuildable"]:
            self.evaluators = [self._evaluator(facts) for facts in self.plan["evaluators"]]

    def _evaluator(self, facts: Mapping[str, Any]) -> Component:
        name, version = facts["name"], facts["version"]
        known = self.registry.evaluators.entries
        if name not in known:
            raise UsageError(f"{self.folder.path}: the evaluator '{name}' is not installed. Install it, or {TRUST}")
        spec = self.registry.evaluators.get(name)
        if spec.version != version:
            raise UsageError(
                f"{self.folder.path}: scored by '{name}' {version}, and {spec.version} is installed. Install what it "
                f"was made with (environment.json), or run again; {TRUST}"
            )
        found = component(spec, facts["params"])
        if component_key(spec, found.params)["code"] != facts["code"]:
            self.changed.append(name)
        return found

    def cell(self, record: Mapping[str, Any]) -> Rebuilt:
        """The figures of a finished cell.

        Raises
        ------
        DataError
            A figure differs from the stored one by more than 1e-9: names the cell, the metric and both values.
        """
        place = self.folder.cell(record["key"])
        if wrong := changed_files(place, record["files"]):
            raise DataError(
                f"not what the record of '{record['method']}' says: {'; '.join(wrong)}.", file=place, remedy=AGAIN
            )
        if wrong := wrong_facts(record, self.plan):
            problem = f"the record of cell {record['key']} ('{record['method']}'): {'; '.join(wrong)}."
            raise DataError(problem, file=self.folder.path / "records.jsonl", remedy=AGAIN)
        kept = self.folder.metrics(record["key"])
        if not self.plan["rebuildable"]:
            why = "the run is of schema 1, which did not keep what it could be rebuilt from"
            return Rebuilt(kept, {m.metric: why for m in kept})
        try:
            return self._rebuilt(record, kept)
        except (KeyError, ValueError, TypeError, IndexError, ArithmeticError) as error:
            # Somebody's file may hold anything: text for numbers, a column too few, rows that are not there.
            problem = f"cannot be rebuilt from ({type(error).__name__}: {error})."
            raise DataError(problem, file=place, remedy=AGAIN) from error

    def _rebuilt(self, record: Mapping[str, Any], kept: Sequence[MetricValue]) -> Rebuilt:
        stored = self.data.cell(record)
        resamples = self._resamples_of(stored.result.scored)
        earlier: Tables = dict(stored.tables)
        found: list[MetricValue] = []
        recorded: dict[str, str] = {}
        wrong: list[str] = []
        for evaluator in self.evaluators:
            spec, built = evaluator.spec, evaluator.build()
            declared = {m.name for m in spec.metrics}
            own = [m for m in kept if m.metric in declared]
            if not hasattr(built, "recompute"):
                found += own
                recorded |= {m.metric: "measured or made once, nothing to rebuild it from" for m in own}
                continue
            uncertainty = self.plan["uncertainty"]
            context = context_of(
                spec, self.plan["seed"], record["repeat"], resamples, uncertainty["permutations"], earlier, self.n_jobs
            )
            done = self._recompute(built, spec.name, stored, context, record)
            check_declared(spec, done)
            wrong += differences(own, done.metrics, notes="where stored" if self._of_patients else "all")
            wrong += [line for n, t in done.tables.items() for line in table_differences(n, stored.tables.get(n), t)]
            earlier |= done.tables
            found += done.metrics
        if wrong:
            raise self._contradiction(record, wrong)
        return Rebuilt(tuple(found), recorded)

    def _recompute(
        self, built: Any, name: str, stored: StoredCell, context: Any, record: Mapping[str, Any]
    ) -> Evaluation:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the log of the run has them
                done: Evaluation = built.recompute(stored, context)
        except KeyError as error:
            problem = f"'{name}' finds no {error} among the cell's tables or their columns."
            raise DataError(problem, file=self.folder.cell(record["key"]), remedy="Run again.") from None
        return done

    def _resamples_of(self, scored: FeatureTable) -> npt.NDArray[np.float32]:
        key = tuple(
            np.ascontiguousarray(c).tobytes() for c in (scored.patient, scored.manufacturer, np.asarray(scored.label))
        )
        if key not in self._resamples:
            replicates = self.plan["uncertainty"]["replicates"]
            self._resamples = {key: resamples_of(scored, replicates, self.plan["seed"])}  # one at a time: it is large
        return self._resamples[key]

    def _contradiction(self, record: Mapping[str, Any], wrong: Sequence[str]) -> DataError:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        why = "The folder was changed after the run"
        if self.changed:
            why += f", or the code of {', '.join(self.changed)} has changed since"
        return DataError(
            f"cell of '{record['method']}', repeat {record['repeat']}: stored figures are not what the stored data "
            f"give: {'; '.join(wrong[:SHOWN])}{more}.",
            file=self.folder.cell(record["key"]),
            remedy=f"{why}: run again. {TRUST}",
        )


NOTE = " (note)"


def differences(
    stored: Sequence[MetricValue],
    rebuilt: Sequence[MetricValue],
    words: tuple[str, str] = ("stored", "rebuilt"),
    notes: Literal["all", "where stored", "where both"] = "all",
) -> list[str]:
    """Where figures differ by more than 1e-9 (relative above 1): metric, place and both values, in words.

    `notes` says which are compared: bundles of patients hold none, so that theirs are blank in what is stored.
    """
    left, right = ({(m.metric, m.scope, m.scope_value): m for m in values} for values in (stored, rebuilt))
    found = []
    for key in dict.fromkeys([*left, *right]):
        name = " ".join(part for part in key if part and part != "overall")
        if key not in left or key not in right:
            found.append(f"{name} is {f'{words[0]} only' if key in left else f'not {words[0]}'}")
            continue
        a, b = left[key], right[key]
        for what, x, y in _parts(a, b):
            if what == NOTE and ((notes != "all" and not a.note) or (notes == "where both" and not b.note)):
                continue
            if not _same(x, y):
                found.append(f"{name}{what}: {words[0]} {_first(x, y, 0)}, {words[1]} {_first(x, y, 1)}")
    return found


def _parts(a: MetricValue, b: MetricValue) -> Iterator[tuple[str, Any, Any]]:
    none = np.array([])
    yield "", np.array([a.value]), np.array([b.value])
    yield NOTE, np.array([a.note]), np.array([b.note])
    yield " (n)", np.array([float(a.n)]), np.array([float(b.n)])
    p, q = (np.array([np.nan if m.p_value is None else m.p_value]) for m in (a, b))
    yield " (p)", p, q
    r, s = (none if m.replicates is None else np.asarray(m.replicates, dtype=np.float64) for m in (a, b))
    yield " (bootstrap replicates)", r, s


def _same(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> bool:
    if x.shape != y.shape:
        return False
    if x.dtype.kind == "U":
        return bool((x == y).all())
    return bool(np.allclose(x, y, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _first(x: npt.NDArray[Any], y: npt.NDArray[Any], which: int) -> str:
    """The first value that differs, of x or y."""
    if x.shape != y.shape:
        return f"{len((x, y)[which])} values"
    if x.dtype.kind == "U":
        return repr(str((x, y)[which][0]))
    apart = ~np.isclose(x, y, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return repr(float((x, y)[which][apart][0]))


def table_differences(name: str, stored: Mapping[str, Any] | None, rebuilt: Mapping[str, Any]) -> list[str]:
    """Where an evaluator's table differs from the stored one, in words.

    Columns of text may be missing, and a table of nothing else with them: bundles of patients leave them out.
    """
    if stored is rebuilt:
        return []
    rebuilt = {name: c for name, c in rebuilt.items() if name in (stored or {}) or np.asarray(c).dtype.kind in "fiub"}
    if stored is None and not rebuilt:
        return []
    if stored is None:
        return [f"the table '{name}' is not stored"]
    if list(stored) != list(rebuilt):
        return [f"the table '{name}' has other columns"]
    found = []
    for column, values in rebuilt.items():
        x, y = np.asarray(stored[column]), np.asarray(values)
        if len(x) != len(y):
            return [f"the table '{name}' has {len(x)} rows, rebuilt {len(y)}"]
        if not len(y):
            continue
        if y.dtype.kind in "fiub" and x.dtype.kind in "fiub":
            if not _same(x.astype(np.float64), y.astype(np.float64)):
                one, other = (_first(x.astype(np.float64), y.astype(np.float64), i) for i in (0, 1))
                found.append(f"table '{name}', column '{column}': stored {one}, rebuilt {other}")
        elif not np.array_equal(x.astype(str), y.astype(str)):
            found.append(f"table '{name}', column '{column}' differs")
    return found
