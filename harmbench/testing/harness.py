"""Components run as the runner runs them: each sees what its spec says, and nothing else."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TextIO

from harmbench.components import Context
from harmbench.data import FeatureTable, ImageSet, concatenate
from harmbench.run.feature_stage import harmonize, seen
from harmbench.testing.measures import Harmonize
from harmbench.testing.subjects import Subject

CONTEXT = Context(seed=1)


def rows_to_fit(subject: Subject, train: FeatureTable, test: FeatureTable) -> FeatureTable:
    """The rows that `fit` gets: a transductive method gets all."""
    return train if subject.spec.inductive else concatenate([train, test])


def fit_features(subject: Subject, train: FeatureTable, test: FeatureTable) -> Any:
    """A new object, fitted."""
    harmonizer = subject.build()
    table = seen(rows_to_fit(subject, train, test), subject.spec.uses_label != "no")
    return harmonizer.fit(table, CONTEXT) or harmonizer


def transform_features(subject: Subject, fitted: Any, table: FeatureTable) -> FeatureTable:
    """What the fitted object makes of a table, as the runner would hand it over."""
    done: FeatureTable = fitted.transform(seen(table, subject.spec.uses_label == "oracle"))
    return done


def in_folds(subject: Subject, context: Context = CONTEXT) -> Harmonize:
    """The runner's feature stage for one fold."""

    def both(train: FeatureTable, test: FeatureTable) -> tuple[FeatureTable, FeatureTable]:
        done = harmonize([subject.component], train, test, None, context)
        return done.train, done.test

    return both


def fit_images(subject: Subject, images: ImageSet) -> Any:
    """A new image stage, fitted if it fits."""
    harmonizer = subject.build()
    if not subject.spec.fits:
        return harmonizer
    return harmonizer.fit(images if subject.spec.uses_label == "fit" else without_labels(images), CONTEXT) or harmonizer


def without_labels(images: ImageSet) -> ImageSet:
    return replace(images, samples=tuple(replace(sample, label="") for sample in images.samples))


@contextlib.contextmanager
def stdout_goes_to(descriptor: int, python: TextIO) -> Iterator[None]:
    """Send standard output elsewhere: what compiled code writes to a descriptor, what Python writes to a stream."""
    sys.stdout.flush()
    try:
        saved = os.dup(1)
    except OSError:  # there is no standard output
        saved = -1
    if saved >= 0:
        os.dup2(descriptor, 1)
    try:
        with contextlib.redirect_stdout(python):
            yield
    finally:
        if saved >= 0:
            os.dup2(saved, 1)
            os.close(saved)


@contextlib.contextmanager
def stdout_caught() -> Iterator[list[str]]:
    """Catch what is written on standard output, by Python or by compiled code; appends the text to the list."""
    found: list[str] = []
    python = io.StringIO()
    with tempfile.TemporaryFile() as file:
        try:
            with stdout_goes_to(file.fileno(), python):
                yield found
        finally:
            file.seek(0)
            text = python.getvalue() + file.read().decode(errors="replace")
            if text:
                found.append(text)
