"""Checks of data sets: what `load` returns."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from harmbench.components import DatasetContext
from harmbench.consistency import Where, contradictions
from harmbench.data import Image, ImageSet, Sample
from harmbench.design import confounded, design_problems
from harmbench.errors import DataError
from harmbench.run.keys import canonical
from harmbench.testing.declarations import check_other_process
from harmbench.testing.exercise import facts
from harmbench.testing.harness import stdout_caught
from harmbench.testing.model import CheckFailed, Inapplicable, require
from harmbench.testing.subjects import Subject

READ = 6
"""Images that are read: of the first and last samples, and between."""


@dataclass(frozen=True)
class _Loaded:
    images: ImageSet
    printed: str
    folder: tempfile.TemporaryDirectory[str]


_LAST: dict[str, _Loaded] = {}
"""The data set that was loaded last: it may have to be generated, and all checks ask for it."""


def _again(subject: Subject, cache: str) -> ImageSet:
    jobs = os.cpu_count() or 1
    images: ImageSet = subject.build().load(DatasetContext(data=subject.data, cache=cache, n_jobs=jobs))
    return images


def _loaded(subject: Subject) -> _Loaded:
    if subject.spec.needs_data and not subject.data:
        raise Inapplicable(f"it needs files: give --data ({subject.spec.needs_data})")
    key = canonical([subject.spec.target, dict(subject.params), subject.data])
    if key not in _LAST:
        folder = tempfile.TemporaryDirectory(prefix="harmbench-check-")
        with stdout_caught() as printed:
            try:
                images = _again(subject, folder.name)
            except DataError as error:
                raise CheckFailed(f"it does not load: {error}") from None
            require(isinstance(images, ImageSet), f"load returned a {type(images).__name__}, not an ImageSet")
            if len(images):
                images.read(0)
        _LAST.clear()
        _LAST[key] = _Loaded(images, "".join(printed).strip(), folder)
    return _LAST[key]


def _some(images: ImageSet) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, len(images) - 1, READ)})


def check_samples(subject: Subject) -> None:
    """Every later step trusts the list of samples.

    Fails when ids repeat, when a manufacturer, patient or label is empty, when a label is not one of the two classes,
    when samples have different covariates or a covariate is missing, when `split` is not "", "train", "test" or
    "paired", or when samples contradict each other (one patient with two labels, an image that is there twice).
    """
    images = _loaded(subject).images
    require(len(images), "there is no sample")
    twice = [name for name, n in Counter(s.id for s in images.samples).items() if n > 1]
    require(not twice, f"sample id '{twice[0] if twice else ''}' is there more than once")
    require(len(set(images.classes)) == 2, f"classes are {images.classes}; two different ones are needed")
    columns = set(images.samples[0].covariates)
    for s in images.samples:
        _complete(s, images.classes, columns)
    problems = list(contradictions(images.samples, Where(images.file, images.rows)))
    require(not problems, f"samples contradict each other: {problems[0] if problems else ''}")


def _complete(s: Sample, classes: tuple[str, str], columns: set[str]) -> None:
    for column in ("manufacturer", "patient", "label"):
        require(getattr(s, column), f"sample '{s.id}' has no {column}")
    require(s.label in classes, f"sample '{s.id}' has label '{s.label}', which is none of {classes}")
    require(s.split in ("", "train", "test", "paired"), f"sample '{s.id}' has split '{s.split}'")
    require(set(s.covariates) == columns, f"sample '{s.id}' has other covariates than the first one")
    require("label" not in s.covariates, "the label is among the covariates: methods would be told it")
    require(
        s.spacing is None or (len(s.spacing) == 2 and min(s.spacing) > 0),
        f"sample '{s.id}' has spacing {s.spacing}; two positive numbers in mm, or None",
    )


def check_design(subject: Subject) -> None:
    """A data set with one manufacturer, or whose manufacturer determines the label, answers nothing.

    Fails when `harmbench data validate` would refuse its design: fewer than two manufacturers or classes, too few
    patients, a confounded label.
    """
    images = _loaded(subject).images
    problems = list(design_problems(images.samples, images.classes, file=images.file, rows=images.rows))
    require(not problems, f"{problems[0] if problems else ''}")
    scored = [s for s in images.samples if s.split != "paired"]
    require(not confounded(scored), "the manufacturer determines the label: no method can be judged on it")


def check_images(subject: Subject) -> None:
    """Extractors take pixels and masks as they come.

    Six images are read. Fails when one is not an `Image` of its sample with finite float32 pixels (H, W), a bool mask
    of the same size that is not empty, and the spacing that the sample declares.
    """
    images = _loaded(subject).images
    for i in _some(images):
        sample, image = images.samples[i], images.read(i)
        require(isinstance(image, Image), f"the reader returned a {type(image).__name__}, not an Image")
        require(image.sample == sample.id, f"sample '{sample.id}' is read as '{image.sample}'")
        require(
            image.pixels.dtype == np.float32 and image.pixels.ndim == 2,
            f"sample '{sample.id}': pixels are {image.pixels.dtype} {image.pixels.shape}, not float32 (H, W)",
        )
        require(np.isfinite(image.pixels).all(), f"sample '{sample.id}': pixels are not finite")
        require(
            image.mask.dtype == bool and image.mask.shape == image.pixels.shape,
            f"sample '{sample.id}': the mask is {image.mask.dtype} {image.mask.shape}",
        )
        require(image.mask.any(), f"sample '{sample.id}': the mask is empty")
        require(image.spacing == sample.spacing, f"sample '{sample.id}': image and sample differ in spacing")


def check_repeatable(subject: Subject) -> None:
    """A data set that changes between two runs makes their results incomparable.

    Fails when loading twice, or in a fresh process, gives other samples, another order, other digests or other pixels.
    Sort what a folder lists; draw random numbers from a seed that is a parameter.
    """
    loaded = _loaded(subject)
    one, two = loaded.images, _again(subject, loaded.folder.name)
    require(one.samples == two.samples, "loaded twice, it has other samples, or in another order")
    for i in _some(one):
        a, b = one.read(i), two.read(i)
        require(np.array_equal(a.pixels, b.pixels), f"sample '{a.sample}' has other pixels the second time")
        require(np.array_equal(a.mask, b.mask), f"sample '{a.sample}' has another mask the second time")
        same = one.reader.digest(one.samples[i]) == two.reader.digest(two.samples[i])
        require(same, f"sample '{a.sample}' has another digest the second time")
    check_other_process(subject, facts(one))


def check_digests(subject: Subject) -> None:
    """The cache knows an image by its digest alone.

    Fails when two samples with different pixels or masks have one digest (one would get the other's features), or when
    a digest is empty.
    """
    images = _loaded(subject).images
    known: dict[str, tuple[int, bytes]] = {}
    for i in _some(images):
        digest = images.reader.digest(images.samples[i])
        image = images.read(i)
        content = image.pixels.tobytes() + image.mask.tobytes()
        require(digest, f"sample '{image.sample}' has an empty digest")
        other = known.setdefault(digest, (i, content))
        require(other[1] == content, f"samples {other[0]} and {i} differ and have one digest")


def check_reader_travels(subject: Subject) -> None:
    """Images are read in worker processes.

    Fails when the reader cannot be pickled, or reads other pixels afterwards. Keep paths and plain values in it; open
    files in `read`.
    """
    images = _loaded(subject).images
    try:
        reader = pickle.loads(pickle.dumps(images.reader))
    except Exception as error:
        raise CheckFailed(f"the reader cannot be pickled: {type(error).__name__}: {error}") from None
    sample = images.samples[0]
    same = np.array_equal(reader.read(sample).pixels, images.reader.read(sample).pixels)
    require(same, "saved and loaded, the reader gives other pixels")


def check_declared(subject: Subject) -> None:
    """Simulated data must never pass for real ones, and what is written down must not tell where a user's files lie.

    Fails when `synthetic` differs between the spec and the image set, when the licence is empty, or when a sample id,
    patient or note holds an absolute path.
    """
    images = _loaded(subject).images
    require(
        images.synthetic == subject.spec.synthetic,
        f"the spec says synthetic={subject.spec.synthetic}, the image set {images.synthetic}",
    )
    require(subject.spec.licence or subject.spec.needs_data, "the spec names no licence")
    texts = [t for s in images.samples for t in (s.id, s.patient)] + [w for n in images.notes for w in n.split()]
    bad = next((t for t in texts if PurePath(t).is_absolute()), "")
    require(not bad, f"'{bad}' is an absolute path; ids and notes are written into results")


def check_quiet(subject: Subject) -> None:
    """Standard output belongs to the command: `--json` prints one document there.

    Fails when loading or reading prints. Use `context.progress`, `warnings.warn` or `logging`.
    """
    text = _loaded(subject).printed
    require(not text, f"it writes on standard output: {text[:60]!r}")
