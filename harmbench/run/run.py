"""A whole run: load the data, extract, execute the cells, keep what comes."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harmbench import __version__
from harmbench.components import DatasetContext
from harmbench.data import ImageSet
from harmbench.design import check_design
from harmbench.errors import DataError, NotApplicable, UsageError
from harmbench.methods import Component
from harmbench.plugins import Registry, missing_requirements
from harmbench.progress import ProgressFunction, no_progress
from harmbench.run import documents
from harmbench.run.cache import Cache
from harmbench.run.columns import split_digest
from harmbench.run.execute import FoldTables, Job, Outcome, failure
from harmbench.run.facts import cell_facts, data_facts, metric_facts, origins
from harmbench.run.ids import Pseudonyms, in_order_of_pseudonyms
from harmbench.run.images import Extracted, extract, feature_table
from harmbench.run.keys import digest
from harmbench.run.place import At
from harmbench.run.plan import Plan
from harmbench.run.pretraining import PretrainingCheck
from harmbench.run.provenance import environment
from harmbench.run.schedule import run_jobs
from harmbench.run.store import RunFolder, data_files
from harmbench.run.tied import sha256
from harmbench.run.upgrade import SCHEMA
from harmbench.splits import Fold, make_folds


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what.

    Parameters
    ----------
    data : str or None
        `--data`.
    out : Path or None
        The run folder; chosen from the plan and the data when None.
    n_jobs : int
        Worker processes.
    timeout : float
        Seconds per cell; 0 for none.
    only : {"missing", "failed"}
        Which cells to run besides those never run: "missing" leaves failed ones alone, "failed" tries them again.
    allow_confounded : bool
        Go on although the label is perfectly confounded with the manufacturer; every score is then flagged.
    arguments : sequence of str
        The command line, for the record.
    """

    data: str | None = None
    out: Path | None = None
    n_jobs: int = 1
    timeout: float = 0.0
    only: str = "failed"
    allow_confounded: bool = False
    arguments: Sequence[str] = ()
    progress: ProgressFunction = no_progress


@dataclass
class Summary:
    """What a run left."""

    folder: Path
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    ran: int = 0
    kept: int = 0
    interrupted: bool = False
    shown: dict[str, str] = field(default_factory=dict)
    """What went wrong by key, with the ids that its record does not hold; for the terminal."""

    @property
    def failed(self) -> list[dict[str, Any]]:
        return [r for r in self.records.values() if r["status"] not in ("ok", "not_applicable", "skipped")]

    @property
    def exit_code(self) -> int:
        """0 all cells ok, 2 some failed, 3 nothing ran, 130 interrupted."""
        if self.interrupted:
            return 130
        if not any(r["status"] == "ok" for r in self.records.values()):
            return 3
        return 2 if self.failed else 0


class Loaded(NamedTuple):
    """A data set, ready to be run.

    Parameters
    ----------
    images : ImageSet
        In the order of their hashed ids.
    revision : str
        The first digits of the digest of their contents; published.
    notes : list of str
        What a reader of the results must know.
    hidden : Pseudonyms
        Their ids, hashed with the digits of the digest that are not published: runs on the same data share them.
    """

    images: ImageSet
    revision: str
    notes: list[str]
    hidden: Pseudonyms


def load_images(plan: Plan, options: Options) -> Loaded:
    """Load a plan's data set, and check its design."""
    component = plan.dataset
    store = Cache()
    context = DatasetContext(
        seed=plan.seed,
        n_jobs=options.n_jobs,
        data=options.data,
        cache=str(store.root / "datasets"),
        progress=options.progress,
    )
    images: ImageSet = component.build().load(context)
    design = check_design(
        images.samples,
        images.classes,
        allow_confounded=options.allow_confounded,
        file=images.file or None,
        rows=images.rows or None,
        dataset=component.spec.name if "exclude" in component.spec.params else "",
    )
    facts: list[Any] = [list(images.classes)]
    for i, sample in enumerate(images.samples):
        content = images.reader.digest(sample)
        # Contents count, not where they lie.
        facts.append([content, {**dataclasses.asdict(sample), "image": "", "mask": ""}])
        options.progress("read", i + 1, len(images))
    content = digest(facts, 64)
    hidden = Pseudonyms.of_images(images, content[16:])
    notes = [hidden.text(note, words=False) for note in images.notes]
    return Loaded(in_order_of_pseudonyms(images, hidden), content[:16], notes + design, hidden)


def run(plan: Plan, registry: Registry, options: Options) -> Summary:
    """Run all cells of a plan that its run folder does not hold yet.

    Raises
    ------
    HarmbenchError
        The data or the plan are unusable as a whole. What goes wrong inside one cell becomes that cell's status.
    """
    for part in (plan.dataset, plan.extractor, *plan.evaluators):
        if needed := missing_requirements(part.spec):
            raise UsageError(
                f"'{part.spec.name}' needs {', '.join(needed)}, which is not installed; `harmbench doctor` lists what "
                "is missing."
            )
        part.build()  # a parameter out of its range is an error now, not after an hour
    images, revision, notes, hidden = load_images(plan, options)
    # Folds are dealt in the order of the hashed ids: by that of the real ones, the folds of several repeats would tell
    # who is who.
    scored = [hidden.sample(s) for s in images.samples if s.split != "paired"]
    folds = {
        repeat: make_folds(
            scored,
            folds=plan.benchmark.splits.folds,
            repeat=repeat,
            seed=plan.seed,
            leave_one_manufacturer_out=plan.benchmark.splits.leave_one_manufacturer_out,
        )
        for repeat in range(plan.benchmark.splits.repeats)
    }
    identity = plan.identity()
    data = data_files(images, folds, hidden)
    folder_name = f"{plan.benchmark.name}-{digest([identity, revision], 8)}"
    folder = RunFolder(options.out or Path("runs") / folder_name)
    record_of_plan = {
        "schema": SCHEMA,
        "harmbench": __version__,
        "rebuildable": True,
        **identity,
        "title": plan.benchmark.title,
        "id_key": hidden.key,
        "ranking": plan.benchmark.ranking.model_dump(),
        "data": data_facts(images, revision, notes, plan),
        "split_digest": split_digest(images, folds, hidden),
        "metrics": [metric_facts(e.spec.name, m) for e in plan.evaluators for m in e.spec.metrics],
        "files": {name: sha256(content) for name, content in data.items()},
    }
    # Through its model, so that what is compared on a second run is what was written on the first.
    written = documents.Plan.model_validate_json(json.dumps(record_of_plan)).model_dump(mode="json", by_alias=True)
    facts = environment(registry, options.arguments)
    facts.setdefault("facts", {})["components"] = origins(plan, registry)
    folder.open(written, facts)
    summary = Summary(folder.path)
    try:
        folder.write_data(data)
        _run_cells(plan, registry, options, images, folds, folder, summary, hidden)
    except KeyboardInterrupt:
        summary.interrupted = True
    finally:
        folder.close()
    wanted = {cell.key for cell in plan.cells}
    summary.records = {k: r for k, r in folder.records().items() if k in wanted}
    for _ in registry.manager.call("on_run_finished", summary={"folder": str(folder.path), "records": summary.records}):
        pass
    return summary


def _run_cells(
    plan: Plan,
    registry: Registry,
    options: Options,
    images: ImageSet,
    folds: Mapping[int, Sequence[Fold]],
    folder: RunFolder,
    summary: Summary,
    hidden: Pseudonyms,
) -> None:
    done = folder.records()
    settled = {"ok", "not_applicable"} | (
        {"failed", "timeout", "out_of_memory"} if options.only == "missing" else set()
    )
    open_cells = [c for c in plan.cells if done.get(c.key, {}).get("status") not in settled]
    summary.kept = len(plan.cells) - len(open_cells)
    by_key = {c.key: c for c in plan.cells}
    pretraining = PretrainingCheck(images, folds, hidden)

    def keep(outcome: Outcome) -> None:
        cell = by_key[outcome.key]
        record = folder.append(outcome, cell_facts(cell.method, plan, cell.repeat, registry, pretraining))
        summary.ran += 1
        summary.shown[cell.key] = outcome.shown
        for _ in registry.manager.call("on_cell_finished", record=record):
            pass

    jobs: list[Job] = []
    tables = _Tables(plan, registry, options, images)
    for cell in open_cells:
        needed = [r for stage in cell.method.stages for r in missing_requirements(stage.spec)]
        if needed:
            text = f"needs {', '.join(needed)}, which is not installed"
            keep(Outcome(cell.key, cell.method.name, "not_installed", text))
            continue
        try:
            for stage in cell.method.stages:
                stage.build()  # a wrong file or parameter costs this method, and no extraction
            fold_tables, seconds = tables.of(cell.method.image, folds[cell.repeat])
        except Exception as error:
            if cell.method.image is None and isinstance(error, DataError):
                raise  # the images are at fault, not the method
            keep(failure(Outcome(cell.key, cell.method.name, "failed"), error, hidden))
            continue
        jobs.append(
            Job(
                cell=cell,
                evaluators=plan.evaluators,
                classes=images.classes,
                folds=fold_tables,
                scored_order=tuple(s.id for s in images.samples if s.split != "paired"),
                seed=plan.seed,
                replicates=plan.benchmark.uncertainty.replicates,
                permutations=plan.benchmark.uncertainty.permutations,
                extract_seconds=seconds,
                hidden=hidden,
                timeout=options.timeout,
                files=registry.files,
            )
        )
    jobs.sort(key=lambda job: -job.folds[0].scored.values.size)  # longest first, so that the last one is short
    if jobs:
        options.progress("methods", 0, len(jobs))
    for i, outcome in enumerate(run_jobs(jobs, min(options.n_jobs, max(len(jobs), 1)))):
        keep(outcome)
        options.progress("methods", i + 1, len(jobs))


class _Tables:
    """Raw feature tables per image stage; what several methods share is extracted once."""

    def __init__(self, plan: Plan, registry: Registry, options: Options, images: ImageSet) -> None:
        self.plan, self.registry, self.options, self.images = plan, registry, options, images
        self.store = Cache()
        self.found: dict[str, Extracted] = {}
        self.scored = np.array([s.split != "paired" for s in images.samples])

    def of(self, image: Component | None, folds: Sequence[Fold]) -> tuple[tuple[FoldTables, ...], float]:
        fits = image is not None and image.spec.fits
        seconds = 0.0
        result: list[FoldTables] = []
        seen: Extracted | None = None
        for fold in folds:
            try:
                with At(stage=image.spec.name if image else "", fold=fold.name if fits else ""):
                    extracted = self._extract(image, fold if fits else None)
            except NotApplicable as error:
                if not fold.held_out or not result:
                    raise
                nothing = result[0].scored.rows(slice(0, 0))
                result.append(FoldTables(fold, nothing, None, str(error)))
                continue
            if extracted is not seen:
                seen = extracted
                seconds += extracted.seconds
                table = feature_table(self.images, extracted)
                extra = table.rows(~self.scored) if (~self.scored).any() else None
                shared = (table.rows(self.scored), extra)
            result.append(FoldTables(fold, *shared))
        return tuple(result), seconds

    def _extract(self, image: Component | None, fold: Fold | None) -> Extracted:
        positions = np.flatnonzero(self.scored)
        name = f"{image or 'original'}" + (f" {fold.name}" if fold else "")
        key = digest([image.key() if image else None, fold.name if fold else None])
        key += digest(sorted(int(i) for i in fold.train)) if fold else ""
        if key not in self.found:
            self.found[key] = extract(
                self.images,
                image,
                self.plan.extractor,
                store=self.store,
                n_jobs=self.options.n_jobs,
                progress=self.options.progress,
                stage=f"extract {name}",
                seed=self.plan.seed,
                fit_on=None if fold is None else [int(positions[int(i)]) for i in fold.train],
                files=self.registry.files,
            )
        return self.found[key]


def default_jobs() -> int:
    """As many workers as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
