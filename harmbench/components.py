"""What plugins implement, and what each of them may know of the run it works in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from harmbench.data import Features, FeatureTable, FilteredImage, Image, ImageSet
from harmbench.progress import ProgressFunction, no_progress
from harmbench.results import CellResult, Evaluation
from harmbench.seeding import Axis, rng, seed


@dataclass(frozen=True)
class Context:
    """What a component may know of the run it works in.

    Parameters
    ----------
    seed : int
        The run's base seed, already mixed with the axes of this call (repeat, fold).
    n_jobs : int
        How many threads the component may use itself.
    """

    seed: int = 0
    n_jobs: int = 1

    def rng(self, **axes: Axis) -> np.random.Generator:
        """A generator of the component's own, named by `axes`."""
        return rng(self.seed, **axes)

    def derive(self, **axes: Axis) -> Context:
        return replace(self, seed=seed(self.seed, **axes))


@dataclass(frozen=True)
class EvaluationContext(Context):
    """What an evaluator gets besides.

    Parameters
    ----------
    resamples : float32 (n, B)
        Patient bootstrap: how often each row of `CellResult.scored` counts in each replicate. The same for every
        method of a run, so differences between methods are paired.
    permutations : int
        Draws of a permutation null.
    earlier : mapping
        The tables (see `Evaluation.tables`) of the evaluators that ran before this one on the same cell.
    """

    resamples: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    permutations: int = 999
    earlier: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class FeatureHarmonizer(Protocol):
    """Works on feature tables; `fit` learns from training rows, `transform` applies to any rows.

    A method may also have `report()`, which gives columns (equally long sequences by name) that tell what the last
    `fit` found: what it chose, say. They are kept in the run folder as `report-<method>.parquet`, a column `fold` in
    front.
    """

    def fit(self, table: FeatureTable, context: Context) -> FeatureHarmonizer: ...

    def transform(self, table: FeatureTable) -> FeatureTable: ...


@dataclass(frozen=True)
class Overlap:
    """What of an image set a component was trained on before the run (see `ImageHarmonizer`).

    Parameters
    ----------
    source : str
        What it was trained on, in words; "" when nobody wrote it down.
    patients : tuple of str
        Patients of the set that it has seen, by their name or by an image of theirs.
    images : tuple of str
        Samples of the set whose very image it has seen.
    listed : bool
        False: what it was trained on is not listed, so that nothing can be said.
    """

    source: str = ""
    patients: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    listed: bool = True


class ImageHarmonizer(Protocol):
    """Works on images; one image in, K maps out.

    A class (of either stage) that comes with weights may also have ``trained_on(images: ImageSet) -> Overlap | None``:
    which patients and images of the set shaped those weights, or None when none could. The runner asks it about the
    images of all patients that any test fold holds (labels removed), writes the answer into the record, and ranks no
    method whose test patients were trained on. `harmbench.seen` has the ids that make the question answerable.
    """

    def fit(self, images: ImageSet, context: Context) -> ImageHarmonizer: ...

    def transform(self, image: Image) -> FilteredImage: ...


class Extractor(Protocol):
    """Turns maps into features. `extract` must not depend on which images come together."""

    def extract(self, images: Sequence[FilteredImage], context: Context) -> Features: ...


class Evaluator(Protocol):
    """Scores one method.

    It should also have ``recompute(stored: StoredCell, context: EvaluationContext) -> Evaluation``: the same
    metrics and tables, from what the run folder keeps (see `StoredCell`); what else it needs it gives as a table of
    its own when it evaluates. The context is the one of `evaluate` (same seed, same resamples), so that both agree
    to the last digit. `harmbench leaderboard build` rebuilds every figure this way and refuses those that differ
    from the stored ones; figures of an evaluator without `recompute` are taken as they were recorded, and marked.
    """

    def evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation: ...


@dataclass(frozen=True)
class DatasetContext(Context):
    """What a data set gets.

    Parameters
    ----------
    data : str or None
        What the user gave as `--data`.
    cache : str
        A folder for generated files, the data set's own.
    progress : callable
        progress(stage, done, total)
    """

    data: str | None = None
    cache: str = ""
    progress: ProgressFunction = no_progress


class Dataset(Protocol):
    """Finds or makes images. Constructed with the spec's parameters as keywords."""

    def load(self, context: DatasetContext) -> ImageSet: ...
