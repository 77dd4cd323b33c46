"""Checks of extractors: filtered images in, one row of named numbers each out."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from harmbench.components import Context
from harmbench.data import SHAPE_PREFIX, Features, FilteredImage, map_of
from harmbench.testing.declarations import check_other_process, clear_refusal, quiet
from harmbench.testing.exercise import exercise
from harmbench.testing.images import two_maps
from harmbench.testing.measures import differs
from harmbench.testing.model import Inapplicable, require
from harmbench.testing.subjects import Subject

_NAME = re.compile(r"[A-Za-z0-9_.+-]+")


def _extract(subject: Subject, images: list[FilteredImage]) -> Features:
    done: Features = subject.build().extract(images, Context())
    return done


def check_rows(subject: Subject) -> None:
    """Row i is image i.

    Fails when `extract` returns other rows than images, in another order, values that are not float64 (n, p), or
    non-finite ones.
    """
    images = two_maps(4)
    done = _extract(subject, images)
    require(isinstance(done, Features), f"extract returned a {type(done).__name__}, not Features")
    require(tuple(done.samples) == tuple(i.sample for i in images), "the samples are others, or in another order")
    require(isinstance(done.values, np.ndarray), f"values are a {type(done.values).__name__}, not an array")
    require(
        done.values.shape == (4, len(done.names)),
        f"4 images and {len(done.names)} names, but values are {done.values.shape}",
    )
    require(done.values.dtype == np.float64, f"values are {done.values.dtype}, not float64")
    bad = np.argwhere(~np.isfinite(done.values))
    require(
        not len(bad), f"{len(bad)} values are not finite" + (f", first '{done.names[bad[0][1]]}'" if len(bad) else "")
    )


def check_names(subject: Subject) -> None:
    """A column means the same thing in every row, and its name says what.

    Fails when names repeat, differ between images or hold anything but letters, digits and `_.+-`; when a feature's
    name does not tell its map and class (`<map>_<class>_<Feature>`, classes firstorder, glcm, glrlm, glszm, gldm and
    ngtdm, or `shape2D_<Feature>` for what the mask alone determines): results per map could not be made; or when maps
    have different features.
    """
    images = two_maps(3)
    done = _extract(subject, images)
    require(len(set(done.names)) == len(done.names), "two features have one name")
    odd = next((name for name in done.names if not _NAME.fullmatch(name)), "")
    require(not odd, f"feature name {odd!r} holds characters other than letters, digits and _.+-")
    for image in images:
        require(tuple(_extract(subject, [image]).names) == tuple(done.names), f"image '{image.sample}' has other names")
    features: dict[str, list[str]] = {name: [] for name in images[0].names}
    for name in done.names:
        if name.startswith(SHAPE_PREFIX):
            continue
        of = map_of(name)
        require(of in features, f"feature '{name}' does not tell its map and class: '<map>_<class>_<Feature>'")
        features[of].append(name.removeprefix(f"{of}_"))
    first, *others = features.values()
    require(all(other == first for other in others), "maps have different features, or in another order")


def check_batch(subject: Subject) -> None:
    """Results are cached image by image, so an image must not depend on its neighbours.

    Fails when an image extracted alone, or in another order, has other features than among others. Scale and bin every
    image by itself.
    """
    images = two_maps(4)
    extractor = subject.build()
    together = extractor.extract(images, Context()).values
    for i in (2, 0, 3, 1):
        alone = extractor.extract([images[i]], Context()).values
        what = differs(together[i : i + 1], alone)
        require(not what, f"image {i} alone differs from the same image among others: {what}")
    back = extractor.extract(images[::-1], Context()).values[::-1]
    what = differs(together, back)
    require(not what, f"images in another order have other features: {what}")


def check_no_mutation(subject: Subject) -> None:
    """Maps are shared; whoever writes into them changes what comes after.

    Fails when `extract` writes into maps or masks.
    """
    images = two_maps(2)
    before = [(image.maps.copy(), image.mask.copy()) for image in images]
    _extract(subject, images)
    for image, (maps, mask) in zip(images, before, strict=True):
        require(np.array_equal(image.maps, maps), "extract writes into the maps that it is given")
        require(np.array_equal(image.mask, mask), "extract writes into the mask that it is given")


def check_repeatable(subject: Subject) -> None:
    """Extraction is cached, so it must be a function of the image.

    Fails when two calls or two objects differ, or when a fresh process gives other names or numbers.
    """
    images = two_maps(2)
    extractor = subject.build()
    one = extractor.extract(images, Context()).values
    what = differs(one, extractor.extract(images, Context()).values)
    require(not what, f"two calls differ: {what}")
    what = differs(one, _extract(subject, images).values)
    require(not what, f"two objects differ: {what}")
    check_other_process(subject, exercise(subject))


def check_outside_mask(subject: Subject) -> None:
    """A radiomic feature is about the region of interest.

    Fails when pixels outside the mask change a feature. Crop to the mask, and leave what lies outside out of bins and
    neighbourhoods (zeros that stand for "outside" are grey levels, too).
    """
    images = two_maps(2)
    other = [replace(i, maps=np.where(i.mask, i.maps, i.maps[:, ::-1] * 5.0 + 11.0)) for i in images]
    what = differs(_extract(subject, images).values, _extract(subject, other).values)
    require(not what, f"pixels outside the mask change features: {what}")


def _edges() -> dict[str, FilteredImage]:
    image = two_maps(1)[0]
    small = np.zeros_like(image.mask)
    small[30:34, 30:34] = True
    line = np.zeros_like(image.mask)
    line[30, 20:50] = True
    border = np.ones_like(image.mask)
    return {
        "one grey level in the mask": replace(image, maps=np.where(image.mask, 3.0, image.maps)),
        "a mask of 4 x 4 pixels": replace(image, mask=small),
        "a mask of one row": replace(image, mask=line),
        "a mask that covers the whole image": replace(image, mask=border),
        "an image of unknown spacing": replace(image, spacing=None),
    }


def check_edge_cases(subject: Subject) -> None:
    """Real folders hold flat, tiny and line-shaped masks.

    Fails when such an image gives non-finite features, other names than usual, or an error that says nothing to a user.
    Define the value (and document it), or raise `harmbench.DataError` with the sample and a remedy.
    """
    names = _extract(subject, two_maps(1)).names
    for case, image in _edges().items():
        try:
            with np.errstate(all="ignore"):
                done = _extract(subject, [image])
        except Exception as error:
            clear_refusal(error, case)
            continue
        require(tuple(done.names) == tuple(names), f"{case}: the features are others than usual")
        bad = np.flatnonzero(~np.isfinite(done.values[0]))
        require(
            not len(bad),
            f"{case}: {len(bad)} features are not finite" + (f", first '{names[bad[0]]}'" if len(bad) else ""),
        )


def check_quiet(subject: Subject) -> None:
    """Standard output belongs to the command: `--json` prints one document there.

    Fails when `extract` prints, by Python or by compiled code. Use `warnings.warn` or `logging`.
    """
    images = two_maps(2)
    with quiet():
        _extract(subject, images)


def check_linear(subject: Subject) -> None:
    """`extract_linear()` takes a filter bank in place of its maps, and must give the same features.

    Fails when names differ, or values by more than 1e-6. An extractor without it is not asked.
    """
    extractor: Any = subject.build()
    if not hasattr(extractor, "extract_linear"):
        raise Inapplicable("it has no extract_linear()")
    image = two_maps(1)[0]
    kernels = np.array([[[0.0, 0.25], [0.5, 0.25]], [[1.0, -1.0], [0.5, -0.5]]])
    bias = np.array([0.5, -1.0])
    pixels = image.maps[0]
    padded = np.pad(pixels, ((0, 1), (0, 1)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2, 2))
    maps = np.einsum("ijhw,khw->kij", windows, kernels) + bias[:, None, None]
    plain = extractor.extract([replace(image, maps=maps)], Context())
    fused = extractor.extract_linear(
        image.sample, pixels, kernels, bias, image.names, image.mask, image.spacing, Context()
    )
    require(tuple(plain.names) == tuple(fused.names), "extract_linear() gives other names")
    what = differs(plain.values.T, fused.values.T, 1e-6)
    require(not what, f"extract_linear() differs from extract(): {what}")
