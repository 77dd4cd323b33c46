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
    """Works on feature tables; `fit` learns from training rows, `transform` applies to any rows."""

    def fit(self, table: FeatureTable, context: Context) -> FeatureHarmonizer: ...

    def transform(self, table: FeatureTable) -> FeatureTable: ...


class ImageHarmonizer(Protocol):
    """Works on images; one image in, K maps out."""

    def fit(self, images: ImageSet, context: Context) -> ImageHarmonizer: ...

    def transform(self, image: Image) -> FilteredImage: ...


class Extractor(Protocol):
    """Turns maps into features. `extract` must not depend on which images come together."""

    def extract(self, images: Sequence[FilteredImage], context: Context) -> Features: ...


class Evaluator(Protocol):
    """Scores one method."""

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
