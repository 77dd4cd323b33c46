"""One cell, from raw feature tables to metric values. Whatever goes wrong in it becomes its status."""

from __future__ import annotations

import contextlib
import io
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable, concatenate, union
from harmbench.errors import HarmbenchError, NotApplicable, PluginError
from harmbench.methods import Component
from harmbench.plugins import load_files
from harmbench.results import CellResult, FoldResult, MetricValue
from harmbench.run.audit import audit
from harmbench.run.evaluation import evaluate
from harmbench.run.feature_stage import harmonize
from harmbench.run.ids import Pseudonyms
from harmbench.run.place import At, place_of
from harmbench.run.plan import Cell
from harmbench.seeding import seed as seed_of
from harmbench.splits import Fold

Status = Literal["ok", "failed", "timeout", "out_of_memory", "not_applicable", "skipped", "not_installed"]


class CellTimeout(Exception):
    """The cell ran past its limit."""


@dataclass(frozen=True)
class FoldTables:
    """Raw features of one fold.

    Parameters
    ----------
    fold : Fold
    scored : FeatureTable
        All scored rows; one object for all folds unless the image stage fits (it then differs from fold to fold).
    extra : FeatureTable or None
        Rows that only serve paired agreement.
    refused : str
        Why the image stage could not be fitted without the manufacturer that is held out; "" where it could. The tables
        then have no rows.
    """

    fold: Fold
    scored: FeatureTable
    extra: FeatureTable | None
    refused: str = ""

    @property
    def train(self) -> FeatureTable:
        return self.scored.rows(self.fold.train)

    @property
    def test(self) -> FeatureTable:
        return self.scored.rows(self.fold.test)

    @property
    def paired(self) -> FeatureTable | None:
        """The extra images of the patients held out."""
        if self.extra is None:
            return None
        rows = self.extra.rows(np.isin(self.extra.patient, self.scored.patient[self.fold.test]))
        return rows if len(rows) else None


@dataclass(frozen=True)
class Job:
    """Everything a worker needs to execute a cell (`hidden`: what ids become before anybody scores or writes them)."""

    cell: Cell
    evaluators: tuple[Component, ...]
    classes: tuple[str, str]
    folds: tuple[FoldTables, ...]
    scored_order: tuple[str, ...]
    seed: int
    replicates: int
    permutations: int
    extract_seconds: float
    hidden: Pseudonyms
    timeout: float = 0.0
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a cell.

    Parameters
    ----------
    key, method : str
    status : str
    error : str
        "" when ok; else one line for people, without ids of samples or patients.
    shown : str
        The same with them, for the terminal; it is not written.
    exception, stage, fold : str
        The type of what was raised, by which stage or evaluator, in which fold; "" where that is not known.
    details : str
        Tail of the traceback.
    log : str
        What the method and evaluators printed and warned.
    metrics : tuple of MetricValue
    tables : mapping
    audit : mapping
    not_applicable : mapping
        Fold name, or "paired images", to reason.
    seconds : float
        Wall time of the cell.
    scored : FeatureTable or None
        Out-of-fold harmonized features. From here on ids are hashed.
    raw : FeatureTable or None
        The same rows before the feature stages.
    paired : mapping of fold name to FeatureTable
        Harmonized images that only serve paired agreement.
    """

    key: str
    method: str
    status: Status
    error: str = ""
    shown: str = ""
    exception: str = ""
    stage: str = ""
    fold: str = ""
    details: str = ""
    log: str = ""
    metrics: tuple[MetricValue, ...] = ()
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    audit: Mapping[str, bool] = field(default_factory=dict)
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    scored: FeatureTable | None = None
    raw: FeatureTable | None = None
    paired: Mapping[str, FeatureTable] = field(default_factory=dict)


def forget_peak_memory() -> None:
    """Start a new peak, where the system can (Linux); elsewhere the peak is that of the process so far."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Largest resident memory since `forget_peak_memory`, MiB."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise `CellTimeout` in the main thread after so many seconds (0: no limit)."""
    if seconds <= 0 or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(signum: int, frame: Any) -> None:
        raise CellTimeout(f"stopped after {seconds:g} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def execute(job: Job) -> Outcome:
    """Run one cell; never raises (Ctrl-C excepted)."""
    start = time.perf_counter()
    log = io.StringIO()
    outcome = Outcome(job.cell.key, job.cell.method.name, "ok")
    try:
        with (
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
            warnings.catch_warnings(),
            _limit(job.timeout),
        ):
            warnings.simplefilter("default")
            forget_peak_memory()
            load_files(job.files)
            outcome = _run(job, outcome)
    except Exception as error:
        outcome = failure(outcome, error, job.hidden)
    return replace(outcome, log=job.hidden.text(log.getvalue()), seconds=time.perf_counter() - start)


def failure(outcome: Outcome, error: Exception, hidden: Pseudonyms) -> Outcome:
    """What an exception makes of a cell: a status, a line for people, the end of the traceback; ids hashed."""
    status: Status = "failed"
    shown = str(error) if isinstance(error, HarmbenchError) else f"{type(error).__name__}: {error}"
    text = hidden.text(shown)
    if isinstance(error, CellTimeout):
        status, text = "timeout", f"{error}; raise --timeout or make the method faster"
    elif isinstance(error, MemoryError):
        status, text = "out_of_memory", "ran out of memory"
    elif isinstance(error, NotApplicable):
        status = "not_applicable"
    elif isinstance(error, ModuleNotFoundError):
        status, text = "not_installed", f"needs the module '{error.name}', which is not installed"
    lines = "".join(traceback.format_exception(error)).splitlines(keepends=True)
    stage, fold = place_of(error)
    return replace(
        outcome, status=status, error=text, shown=shown if status in ("failed", "not_applicable") else text,
        exception=type(error).__name__, stage=stage, fold=fold, details=hidden.text("".join(lines[-25:])),
    )  # fmt: skip


def _run(job: Job, outcome: Outcome) -> Outcome:
    method = job.cell.method
    # The method is not an axis here: what splits and resamples are must be the same for all of them.
    context = Context(seed=seed_of(job.seed, cell="method", repeat=job.cell.repeat))
    results: list[FoldResult] = []
    raw: list[FeatureTable] = []
    reasons: dict[str, str] = {}
    fit = transform = 0.0
    findings: dict[str, bool] = {}
    reports: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for tables in job.folds:
        fold = tables.fold
        in_fold = context.derive(fold=fold.name)
        if tables.refused:
            reasons[fold.name] = job.hidden.text(tables.refused)
            continue
        if fold.held_out:
            unable = next((s for s in method.stages if s.spec.inductive and not handles_unseen(s)), None)
            if unable is not None:
                reasons[fold.name] = unseen(unable.spec.name)
                continue
        try:
            with At(fold=fold.name):
                done = harmonize(method.features, tables.train, tables.test, tables.paired, in_fold)
        except NotApplicable as error:
            if not fold.held_out:
                raise
            reasons[fold.name] = job.hidden.text(str(error))
            continue
        fit, transform = fit + done.fit_seconds, transform + done.transform_seconds
        seconds = {"fit": done.fit_seconds, "transform": done.transform_seconds}
        for name, columns in done.reports.items():
            reports.setdefault(f"report-{name}", []).append((fold.name, columns))
        results.append(FoldResult(fold.name, fold.protocol, done.train, done.test, done.paired, seconds))
        if done.unpaired and not fold.held_out:
            reasons["paired images"] = job.hidden.text(done.unpaired)
        if not fold.held_out:
            raw.append(tables.test)
            if not findings:
                findings = audit(method.features, tables.train, tables.test, in_fold).as_dict()
    hidden = job.hidden
    scored = union([r.test for r in results if r.protocol == "cross-validation"], _features_of(raw, results))
    result = CellResult(
        method=method.name,
        classes=job.classes,
        raw=hidden.table(in_order(concatenate(raw), job.scored_order)),
        scored=hidden.table(in_order(scored, job.scored_order)),
        folds=tuple(_hide(fold, hidden) for fold in results),
        not_applicable=reasons,
        seconds={"extract": job.extract_seconds, "fit": fit, "transform": transform},
        peak_memory_mb=peak_memory_mb(),
    )
    metrics, kept = evaluate(job.evaluators, result, job.seed, job.cell.repeat, job.replicates, job.permutations)
    kept |= {name: _long(parts, hidden) for name, parts in reports.items()}
    return replace(
        outcome, metrics=metrics, tables=kept, audit=findings, not_applicable=reasons, scored=result.scored,
        raw=result.raw, paired=_paired(result),
    )  # fmt: skip


def _hide(fold: FoldResult, hidden: Pseudonyms) -> FoldResult:
    paired = None if fold.paired is None else hidden.table(fold.paired)
    return replace(fold, train=hidden.table(fold.train), test=hidden.table(fold.test), paired=paired)


def _paired(result: CellResult) -> Mapping[str, FeatureTable]:
    """What only serves paired agreement, by cross-validation fold."""
    return {fold.name: fold.paired for fold in result.of("cross-validation") if fold.paired is not None}


def _features_of(raw: Sequence[FeatureTable], results: Sequence[FoldResult]) -> tuple[str, ...]:
    """All feature names of a cell, those of the extractor first."""
    return tuple(dict.fromkeys(name for table in (*raw, *(r.test for r in results)) for name in table.features))


def _long(parts: Sequence[tuple[str, Mapping[str, Any]]], hidden: Pseudonyms) -> dict[str, Any]:
    """What a stage told of its fit in each fold, as one long table; it knew the ids: they are hashed wherever."""
    names = tuple(parts[0][1])
    table: dict[str, list[Any]] = {name: [] for name in names}
    folds: list[str] = []
    for fold, columns in parts:
        lengths = {len(column) for column in columns.values()}
        if tuple(columns) != names or len(lengths) != 1:
            raise PluginError(f"fold '{fold}': report() must give equally long columns, the same ones in every fold.")
        folds += [fold] * lengths.pop()
        for name, column in columns.items():
            table[name] += np.asarray(column).tolist()
    return {"fold": folds, **{name: column for name, column in hidden.foreign(table).items() if name != "fold"}}


def unseen(stage: str) -> str:
    """Why a stage has no map for a manufacturer that was left out."""
    return f"{stage} cannot transform a manufacturer that it has not been fitted on"


def handles_unseen(stage: Component) -> bool:
    """Whether the stage can transform a manufacturer that it was not fitted on: its parameters may decide."""
    return bool(getattr(stage.build(), "handles_unseen_manufacturer", stage.spec.handles_unseen_manufacturer))


def in_order(table: FeatureTable, samples: tuple[str, ...]) -> FeatureTable:
    """The table's rows in the order of the data set."""
    position = {sample: i for i, sample in enumerate(table.samples.tolist())}
    return table.rows(np.array([position[sample] for sample in samples if sample in position]))
