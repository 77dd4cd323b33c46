"""Checks of image harmonizers: one image in, K maps out."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np

from harmbench.data import FEATURE_CLASSES, FeatureTable, FilteredImage, Floats, Image, ImageSet
from harmbench.errors import NotApplicable
from harmbench.testing.declarations import check_other_process, clear_refusal, quiet
from harmbench.testing.exercise import exercise
from harmbench.testing.harness import CONTEXT, fit_images
from harmbench.testing.images import simulate_images, tiny_images
from harmbench.testing.measures import differs, within_manufacturer
from harmbench.testing.model import CheckFailed, Inapplicable, require
from harmbench.testing.subjects import Subject
from harmbench.testing.tables import MANUFACTURERS

LINEAR_TOLERANCE = 1e-9
NULL_SDS = 4.0


def check_shape(subject: Subject) -> None:
    """A map lies over its image: same sample, same mask, same size, and the same maps for every image.

    Fails when `transform` returns anything but a `FilteredImage` of the image's sample, mask and spacing with float64
    maps (K, H, W) that are finite; when map names repeat or hold a feature class between underscores (`_glcm_`), which
    would make features impossible to tell apart; or when another image gets other names.
    """
    images = tiny_images()
    stage = fit_images(subject, images)
    first: tuple[str, ...] | None = None
    for index in (0, 5, 11):
        image = images.read(index)
        done = stage.transform(image)
        require(isinstance(done, FilteredImage), f"transform returned a {type(done).__name__}, not a FilteredImage")
        require(done.sample == image.sample, f"image '{image.sample}' came back as '{done.sample}'")
        require(np.array_equal(done.mask, image.mask), "the mask changed")
        require(done.spacing == image.spacing, f"the spacing changed from {image.spacing} to {done.spacing}")
        require(done.maps.dtype == np.float64, f"maps are {done.maps.dtype}, not float64")
        require(len(done.maps) > 0, "there is no map")
        require(np.isfinite(done.maps).all(), "maps hold non-finite values")
        require(len(set(done.names)) == len(done.names), "two maps have one name")
        for name in done.names:
            clash = any(f"_{part}_" in f"{name}_" for part in FEATURE_CLASSES)
            require(name and not clash, f"map name '{name}' is empty or holds a feature class")
        first = first or done.names
        require(done.names == first, "maps of another image have other names")


def check_order(subject: Subject) -> None:
    """The maps of an image must not depend on which images came before it.

    Fails when an image transformed after others differs from the same image transformed first. Keep nothing between
    calls of `transform`.
    """
    images = tiny_images()
    stage = fit_images(subject, images)
    first = stage.transform(images.read(0)).maps.copy()
    for index in (7, 3):
        stage.transform(images.read(index))
    what = differs(first, stage.transform(images.read(0)).maps)
    require(not what, f"an image transformed after others differs: {what}")


def check_no_mutation(subject: Subject) -> None:
    """Images are shared between methods; whoever writes into one changes the others' data.

    Fails when `transform` writes into the pixels or the mask that it is given.
    """
    images = tiny_images()
    stage = fit_images(subject, images)
    image = images.read(2)
    pixels, mask = image.pixels.copy(), image.mask.copy()
    stage.transform(image)
    require(np.array_equal(pixels, image.pixels), "transform writes into the pixels that it is given")
    require(np.array_equal(mask, image.mask), "transform writes into the mask that it is given")


def check_repeatable(subject: Subject) -> None:
    """The same image, parameters and seed must give the same maps: today, elsewhere, after whatever ran before.

    Fails when two objects differ, when a second object fitted on other images changes the first, or when a fresh
    process gives other numbers. Draw random numbers from `context.rng(name="...")` and keep all state in `self`.
    """
    if not subject.spec.deterministic:
        raise Inapplicable("declared deterministic=False")
    images = tiny_images()
    image = images.read(0)
    first = fit_images(subject, images)
    one = first.transform(image).maps
    what = differs(one, fit_images(subject, images).transform(image).maps)
    require(not what, f"two objects of the same parameters and images differ: {what}")
    fit_images(subject, images.subset(range(6)))
    what = differs(one, first.transform(image).maps)
    require(not what, f"an object fitted on other images changed this one: {what}; keep state in self")
    check_other_process(subject, exercise(subject))


def check_test_images_unseen(subject: Subject) -> None:
    """What is held out must not shape the fit.

    Fails when a stage that declares `fits=False` gives other maps once `fit` was called (the runner never calls it
    then, and shares the maps between folds), or when a fitted stage changes while it transforms other images.
    """
    images = tiny_images()
    image = images.read(0)
    if not subject.spec.fits:
        plain = subject.build().transform(image).maps
        fitted = subject.build()
        fitted = fitted.fit(images, CONTEXT) or fitted
        what = differs(plain, fitted.transform(image).maps)
        require(not what, f"fits=False is declared, but fit changes the maps: {what}")
        return
    stage = fit_images(subject, images.subset(range(6)))
    before = stage.transform(image).maps.copy()
    for index in range(6, 12):
        other = images.read(index)
        stage.transform(replace(other, pixels=other.pixels * 3))
    what = differs(before, stage.transform(image).maps)
    require(not what, f"an image comes out otherwise after others were transformed: {what}")


def check_labels_unseen(subject: Subject) -> None:
    """The diagnosis must not shape the images.

    Fails when a stage that declares `uses_label="no"` gives other maps where the samples it is fitted on hold a label.
    """
    if not subject.spec.fits:
        raise Inapplicable("declared fits=False: it is never fitted")
    if subject.spec.uses_label != "no":
        raise Inapplicable(f"declared uses_label='{subject.spec.uses_label}'; transform gets no label in any case")
    images = tiny_images()
    image = images.read(0)
    told = subject.build()
    told = told.fit(images, CONTEXT) or told
    what = differs(fit_images(subject, images).transform(image).maps, told.transform(image).maps)
    require(not what, f"uses_label='no' is declared, but fit gives another result where there is a label: {what}")


def _statistics(stage: Any, images: ImageSet) -> Floats:
    """Moments and quantiles of every map inside the mask: enough for a leak to show."""
    rows = []
    for image in images:
        done = stage.transform(image)
        inside = done.maps[:, done.mask]
        quantiles = np.quantile(inside, (0.05, 0.25, 0.5, 0.75, 0.95), axis=1)
        rows.append(np.concatenate([inside.mean(axis=1), inside.std(axis=1), quantiles.ravel()]))
    return np.array(rows)


def check_null_leak(subject: Subject) -> None:
    """On images whose label means nothing nobody can tell the classes apart; a method that can has seen the answer.

    72 images, label 1 in 25, 50 and 75 % of the manufacturers, go through a whole cross-validation, the stage fitted
    in each fold. A ridge classifier on statistics of its maps has to reach an AUC inside manufacturers within 4
    standard deviations of 0.5. Fails when labels are remembered from one fold to the next. A stage that never fits
    is not asked.
    """
    if not subject.spec.fits:
        raise Inapplicable("declared fits=False: it learns from no image")
    images = simulate_images(
        dict.fromkeys(MANUFACTURERS, 24), dict(zip(MANUFACTURERS, (6, 12, 18), strict=True)), effect=False
    )
    samples = images.samples
    place = {s.id: i for i, s in enumerate(samples)}
    table = FeatureTable(
        values=np.zeros((len(samples), 1)),
        features=("none",),
        samples=np.array([s.id for s in samples]),
        manufacturer=np.array([s.manufacturer for s in samples]),
        patient=np.array([s.patient for s in samples]),
        label=np.array([images.classes.index(s.label) for s in samples]),
    )

    def both(train: FeatureTable, test: FeatureTable) -> tuple[FeatureTable, FeatureTable]:
        sets = [images.subset([place[s] for s in rows.samples.tolist()]) for rows in (train, test)]
        stage = fit_images(subject, sets[0])
        done = [_statistics(stage, one) for one in sets]
        names = tuple(f"f{j}" for j in range(done[0].shape[1]))
        return tuple(replace(t, values=v, features=names) for t, v in zip((train, test), done, strict=True))  # type: ignore[return-value]  # two of them

    found = within_manufacturer([table], both)
    tolerance = NULL_SDS * found.null_sd
    require(
        abs(found.value - 0.5) <= tolerance,
        f"on images without signal the AUC within manufacturers is {found.value:.2f}, and 0.50 +- {tolerance:.2f} is "
        "what chance explains",
    )


def check_unseen_manufacturer(subject: Subject) -> None:
    """An image stage is never told the manufacturer of the image that it transforms.

    Fails when a stage fitted without a manufacturer raises on its images, or does not declare
    `handles_unseen_manufacturer=True`: benchmarks would leave out its leave-one-manufacturer-out folds for nothing.
    """
    images = tiny_images()
    seen = [i for i, s in enumerate(images.samples) if s.manufacturer != "Siemens"]
    stage = fit_images(subject, images.subset(seen))
    try:
        done = stage.transform(images.read(11))
    except NotApplicable as error:
        require(
            not getattr(stage, "handles_unseen_manufacturer", subject.spec.handles_unseen_manufacturer),
            f"handles_unseen_manufacturer=True is declared, but an image of a new manufacturer raises: {error}",
        )
        return
    require(np.isfinite(done.maps).all(), "an image of a new manufacturer gives non-finite maps")
    require(
        getattr(stage, "handles_unseen_manufacturer", subject.spec.handles_unseen_manufacturer),
        "images of a new manufacturer come out well; declare handles_unseen_manufacturer=True",
    )


def check_edge_cases(subject: Subject) -> None:
    """Real folders hold black frames, tiny crops and masks at the border.

    Fails when such an image gives non-finite maps, or an error that says nothing to a user. Guard divisions by a spread
    of zero, or raise `harmbench.DataError` with a remedy.
    """
    images = tiny_images()
    stage = fit_images(subject, images)
    image = images.read(1)
    everything = np.ones_like(image.mask)
    one_grey = replace(image, pixels=np.full_like(image.pixels, 37.0))
    cases = {
        "an image of one grey level": one_grey,
        "a black image": replace(image, pixels=np.zeros_like(image.pixels)),
        "a mask that covers the whole image": replace(image, mask=everything),
        "an image of 5 x 6 pixels": Image(image.sample, image.pixels[20:25, 30:36].copy(), everything[:5, :6].copy()),
        "an image of unknown spacing": replace(image, spacing=None),
    }
    for case, given in cases.items():
        try:
            with np.errstate(all="ignore"):
                done = stage.transform(given)
        except Exception as error:
            clear_refusal(error, case)
            continue
        require(np.isfinite(done.maps).all(), f"{case}: maps hold non-finite values")


def check_quiet(subject: Subject) -> None:
    """Standard output belongs to the command: `--json` prints one document there.

    Fails when `fit` or `transform` prints, by Python or by compiled code. Use `warnings.warn` or `logging`.
    """
    images = tiny_images()
    with quiet():
        fit_images(subject, images).transform(images.read(0))


def check_state_travels(subject: Subject) -> None:
    """Images are transformed in worker processes.

    Fails when a fitted stage cannot be pickled, or gives other maps afterwards. Keep plain values, arrays and
    module-level functions in `self`.
    """
    images = tiny_images()
    stage = fit_images(subject, images)
    try:
        again = pickle.loads(pickle.dumps(stage))
    except Exception as error:
        raise CheckFailed(f"the fitted stage cannot be pickled: {type(error).__name__}: {error}") from None
    what = differs(stage.transform(images.read(0)).maps, again.transform(images.read(0)).maps, 0.0)
    require(not what, f"saved and loaded, it gives other maps: {what}")


def check_linear(subject: Subject) -> None:
    """`linear()` is a promise: correlating its pixels with its kernels gives the maps of `transform()`.

    An extractor may then work on the kernels and never see the maps. Fails when the two differ by more than 1e-9.
    Stride 1, border mirrored without its edge pixel, (k-1)//2 pixels before and k//2 after. A stage without `linear`,
    or one that returns None, is not asked.
    """
    images = tiny_images()
    stage = fit_images(subject, images)
    bank = stage.linear(images.read(0)) if hasattr(stage, "linear") else None
    if bank is None:
        raise Inapplicable("it has no linear(), or none with these parameters")
    done = stage.transform(images.read(0))
    require(bank.names == done.names, "linear() and transform() give maps of other names")
    h, w = bank.kernels.shape[1:]
    padded = np.pad(bank.pixels, (((h - 1) // 2, h // 2), ((w - 1) // 2, w // 2)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (h, w))
    maps = np.einsum("ijhw,khw->kij", windows, bank.kernels, optimize=True) + bank.bias[:, None, None]
    what = differs(done.maps.reshape(len(maps), -1).T, maps.reshape(len(maps), -1).T, LINEAR_TOLERANCE)
    require(not what, f"linear() and transform() differ: {what}")
