"""Each kind of component put to work once, on little; the same in every process."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np

from harmbench.components import Context, DatasetContext
from harmbench.data import ImageSet
from harmbench.testing.harness import fit_features, fit_images, transform_features
from harmbench.testing.subjects import Subject
from harmbench.testing.tables import split, tiny_table

LOOKED_AT = 3
"""Images of a data set that are read."""


def exercise(subject: Subject) -> tuple[list[str], list[float]]:
    """Names and figures that the component gives."""
    if subject.kind == "harmonizer":
        return _features(subject) if subject.spec.stage == "feature" else _maps(subject)
    return {"extractor": _extracted, "evaluator": _evaluated, "dataset": _loaded}[subject.kind](subject)


def _flat(values: Any) -> list[float]:
    return [float(v) for v in np.asarray(values, dtype=np.float64).ravel()]


def _features(subject: Subject) -> tuple[list[str], list[float]]:
    train, test = split(tiny_table())
    done = transform_features(subject, fit_features(subject, train, test), test)
    return list(done.features), _flat(done.values)


def _maps(subject: Subject) -> tuple[list[str], list[float]]:
    from harmbench.testing.images import tiny_images

    images = tiny_images()
    done = fit_images(subject, images).transform(images.read(0))
    return list(done.names), _flat(done.maps)


def _extracted(subject: Subject) -> tuple[list[str], list[float]]:
    from harmbench.testing.images import two_maps

    done = subject.build().extract(two_maps(2), Context())
    return list(done.names), _flat(done.values)


def _evaluated(subject: Subject) -> tuple[list[str], list[float]]:
    from harmbench.testing.cells import evaluate, plain_cell

    done = sorted(evaluate(subject, plain_cell()).metrics, key=lambda m: (m.metric, m.scope, m.scope_value))
    return [f"{m.metric} {m.scope} {m.scope_value}" for m in done], [float(m.value) for m in done]


def _loaded(subject: Subject) -> tuple[list[str], list[float]]:
    with tempfile.TemporaryDirectory() as cache:
        jobs = os.cpu_count() or 1
        return facts(subject.build().load(DatasetContext(data=subject.data, cache=cache, n_jobs=jobs)))


def facts(images: ImageSet) -> tuple[list[str], list[float]]:
    """What must be the same of a data set wherever it is loaded."""
    some = images.samples[:LOOKED_AT]
    texts = [sample.id for sample in images.samples] + [images.reader.digest(sample) for sample in some]
    return texts, _flat([images.reader.read(sample).pixels.mean() for sample in some])
