"""From images to raw feature tables: image stage and extraction, cached per sample, parallel over images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any, cast

import numpy as np

from harmbench.components import Context
from harmbench.data import Features, FeatureTable, FilterBank, FilteredImage, Floats, Image, ImageSet, Reader, Sample
from harmbench.errors import DataError, PluginError
from harmbench.methods import Component
from harmbench.plugins import load_files
from harmbench.progress import ProgressFunction
from harmbench.run.cache import Cache
from harmbench.run.keys import canonical, digest
from harmbench.specs import load_target

ORIGINAL = "original"


def original(image: Image) -> FilteredImage:
    """The image left alone, as one map."""
    pixels = image.pixels.astype(np.float64)[None]
    return FilteredImage(image.sample, pixels, (ORIGINAL,), image.mask, image.spacing)


@cache
def _built(target: str, params: str) -> Any:
    """A component, constructed once per process."""
    import json

    return load_target(target)(**json.loads(params))


@dataclass(frozen=True)
class _Task:
    """What a worker process needs to turn samples into rows."""

    reader: Reader
    image: Component | None
    fitted: Any
    extractor: Component
    files: tuple[str, ...]


def _extract_one(task: _Task, sample: Sample) -> tuple[tuple[str, ...], Floats, float]:
    load_files(task.files)
    extractor = _built(task.extractor.spec.target, canonical(task.extractor.params))
    image = task.reader.read(sample)
    start = time.process_time()
    harmonizer = task.fitted
    if harmonizer is None and task.image is not None:
        harmonizer = _built(task.image.spec.target, canonical(task.image.params))
    features = _features(image, harmonizer, extractor)
    values = np.asarray(features.values, dtype=np.float64)
    if features.samples != (sample.id,) or values.shape != (1, len(features.names)):
        raise PluginError(
            f"extractor '{task.extractor.spec.name}' returned {values.shape} values for one image '{sample.id}' and "
            f"{len(features.names)} names; it must return one row per image, named by its sample."
        )
    bad = np.flatnonzero(~np.isfinite(values[0]))
    if len(bad):
        raise DataError(
            f"sample '{sample.id}': {len(bad)} of {values.shape[1]} features are not finite, first "
            f"'{features.names[bad[0]]}' = {values[0, bad[0]]}.",
            file=sample.image,
            remedy="Look at the image and its mask (one grey level? one pixel?); leave the sample out if it is broken.",
        )
    return tuple(features.names), values[0], time.process_time() - start


def _features(image: Image, harmonizer: Any, extractor: Any) -> Features:
    """The features of one image. Maps of a plain filter bank are not made where the extractor can do without."""
    context = Context()  # extraction is deterministic: it gets no seed of the run
    if harmonizer is None:
        return cast(Features, extractor.extract([original(image)], context))
    if hasattr(harmonizer, "linear") and hasattr(extractor, "extract_linear"):
        bank: FilterBank | None = harmonizer.linear(image)
        if bank is not None:
            return cast(
                Features,
                extractor.extract_linear(
                    image.sample, bank.pixels, bank.kernels, bank.bias, bank.names, image.mask, image.spacing, context
                ),
            )
    return cast(Features, extractor.extract([harmonizer.transform(image)], context))


@dataclass(frozen=True)
class Extracted:
    """Raw features of some samples, in their order.

    Parameters
    ----------
    names : tuple of str, length p
    values : float64 (n, p)
    seconds : float
        CPU seconds that image stage and extraction took when they were computed.
    computed, cached : int
        How many samples were computed now, and how many came from the cache.
    """

    names: tuple[str, ...]
    values: Floats
    seconds: float
    computed: int
    cached: int


def extract(
    images: ImageSet,
    image: Component | None,
    extractor: Component,
    *,
    store: Cache,
    n_jobs: int,
    progress: ProgressFunction,
    stage: str,
    seed: int = 0,
    fit_on: Sequence[int] | None = None,
    files: tuple[str, ...] = (),
) -> Extracted:
    """Image stage and extraction of every sample; what the cache holds is not computed again.

    Parameters
    ----------
    images : ImageSet
    image : Component or None
        The image stage; None leaves images alone.
    extractor : Component
    store : Cache
    n_jobs : int
        Worker processes.
    progress : callable
    stage : str
        The name shown by progress.
    seed : int
    fit_on : positions, optional
        For an image stage that fits: the training images.
    files : tuple of str
        Loose plugin files that workers must load.
    """
    import joblib

    fitted, fit_key = None, None
    shared: dict[str, Any] = {"extractor": extractor.key(), "image": image.key() if image else ORIGINAL}
    if image is not None:
        harmonizer = image.build()
        if hasattr(harmonizer, "fingerprint"):
            shared["fingerprint"] = harmonizer.fingerprint()
        if image.spec.fits and fit_on is not None:
            training = images.subset(fit_on)
            label_free = ImageSet(
                training.name, tuple(_withhold(s, image) for s in training.samples), images.reader, images.classes
            )
            fitted = harmonizer.fit(label_free, Context(seed=seed)) or harmonizer
            fit_key = digest([seed, *([images.reader.digest(s), asdict(s)] for s in label_free.samples)])
    shared["fit"] = fit_key
    keys = [{**shared, "sample": images.reader.digest(sample)} for sample in images.samples]
    rows: list[Floats | None] = [None] * len(images)
    seconds = 0.0
    stored_names = store.get("names", shared)
    names = tuple(stored_names["names"].tolist()) if stored_names else None
    if names is not None:
        for i, key in enumerate(keys):
            entry = store.get("features", key)
            if entry is not None:
                rows[i] = entry["values"]
                seconds += float(entry["seconds"])
    missing = [i for i, row in enumerate(rows) if row is None]
    done = len(images) - len(missing)
    progress(stage, done, len(images))
    task = _Task(images.reader, image, fitted, extractor, files)
    calls = (joblib.delayed(_numbered)(i, task, images.samples[i]) for i in missing)
    workers = max(1, min(n_jobs, len(missing)))
    for i, got, values, took in joblib.Parallel(n_jobs=workers, return_as="generator_unordered")(calls):
        if names is None:
            names = got
            store.put("names", shared, names=np.array(names))
        if got != names:
            odd = next((a for a, b in zip(got, names, strict=False) if a != b), "their number")
            raise PluginError(
                f"extractor '{extractor.spec.name}' gave sample '{images.samples[i].id}' other features than the "
                f"samples before it (first difference: {odd})."
            )
        store.put("features", keys[i], values=values, seconds=np.array(took))
        rows[i], seconds, done = values, seconds + took, done + 1
        progress(stage, done, len(images))
    values = np.stack([row for row in rows if row is not None]) if images.samples else np.zeros((0, 0))
    return Extracted(names or (), values, seconds, len(missing), len(images) - len(missing))


def _numbered(i: int, task: _Task, sample: Sample) -> tuple[int, tuple[str, ...], Floats, float]:
    return (i, *_extract_one(task, sample))


def _withhold(sample: Sample, image: Component) -> Sample:
    """A training sample as its method may see it: without the label, unless its spec says that it uses it."""
    return sample if image.spec.uses_label == "fit" else replace(sample, label="")


def feature_table(images: ImageSet, extracted: Extracted) -> FeatureTable:
    """Raw features with what is known of each sample; labels coded 0 and 1 in the order of the set's classes."""
    samples = images.samples
    names = sorted({name for sample in samples for name in sample.covariates})
    covariates = {name: np.array([sample.covariates[name] for sample in samples]) for name in names}
    return FeatureTable(
        values=extracted.values,
        features=extracted.names,
        samples=np.array([s.id for s in samples]),
        manufacturer=np.array([s.manufacturer for s in samples]),
        patient=np.array([s.patient for s in samples]),
        label=np.array([images.classes.index(s.label) for s in samples]),
        covariates=covariates,
        pair=np.array([s.pair for s in samples]),
    )
