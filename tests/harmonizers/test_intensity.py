"""Intensity methods against independent programs, and against what their formulas promise."""

from __future__ import annotations

import inspect
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_sets import fan, image_set, one

from golden.image_cases import grey
from harmbench.components import Context
from harmbench.errors import DataError, NotApplicable, UsageError
from harmbench.specs import load_target
from harmbench_builtin.harmonizers.intensity.clahe import Clahe
from harmbench_builtin.harmonizers.intensity.gain import GainNormalization, depths
from harmbench_builtin.harmonizers.intensity.histogram import HistogramMatching
from harmbench_builtin.harmonizers.intensity.nyul import Nyul
from harmbench_builtin.harmonizers.intensity.specs import INTENSITY
from harmbench_builtin.harmonizers.intensity.stretch import ImageZscore, PercentileClip
from harmbench_builtin.harmonizers.speckle.specs import SPECKLE
from harmbench_builtin.sector import whole_sector

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "image_methods.npz")
CONTEXT = Context(seed=0)


def changed(method: Any, pixels: np.ndarray, **more: Any) -> np.ndarray:
    return method.transform(one(pixels, **more)).maps[0]


# --- histogram matching


def test_histogram_matching_to_one_image_is_that_of_scikit_image() -> None:
    method = HistogramMatching().fit(image_set([grey(seed=2, level=40)]), CONTEXT)
    assert np.allclose(changed(method, grey(seed=1)), GOLDEN["matched"], rtol=0, atol=1e-9)


def test_every_manufacturer_weighs_the_same_whatever_its_number_of_images() -> None:
    dark, bright = np.full((40, 40), 50.0), np.full((40, 40), 200.0)
    dark[::2], bright[::2] = 60.0, 210.0
    method = HistogramMatching().fit(image_set([dark, dark, dark, bright], "AAAB"), CONTEXT)
    levels, shares = method.target or ((), ())
    assert list(levels) == [50, 60, 200, 210]
    assert np.allclose(shares, 0.25)


def test_a_chosen_manufacturer_is_the_reference_alone() -> None:
    dark, bright = grey(level=20), grey(level=120)
    both = image_set([dark, bright], "AB")
    alone = HistogramMatching().fit(image_set([bright], "B"), CONTEXT)
    chosen = HistogramMatching("B").fit(both, CONTEXT)
    assert np.array_equal(changed(chosen, dark), changed(alone, dark))
    with pytest.raises(NotApplicable, match=r"reference is 'C'.*images of A, B"):
        HistogramMatching("C").fit(both, CONTEXT)


def test_equal_grey_levels_stay_equal_and_in_order() -> None:
    method = HistogramMatching().fit(image_set([grey(level=20), grey(level=120)], "AB"), CONTEXT)
    pixels = grey(seed=4)
    found = changed(method, pixels)
    pairs = sorted(set(zip(pixels.ravel().tolist(), found.ravel().tolist(), strict=True)))
    assert len(pairs) == len(np.unique(pixels))  # one new level for each old one
    assert all(a[1] <= b[1] for a, b in pairwise(pairs))


def test_matching_brings_two_scanners_to_one_histogram() -> None:
    rng = np.random.default_rng(0)
    echo = rng.random((12, 64, 64))
    first = [np.rint(40 + 100 * e) for e in echo[:6]]
    second = [np.rint(20 + 220 * e**2) for e in echo[6:]]
    method = HistogramMatching().fit(image_set(first + second, "A" * 6 + "B" * 6), CONTEXT)
    means = [np.mean([changed(method, picture).mean() for picture in group]) for group in (first, second)]
    before = [np.mean(group) for group in (first, second)]
    assert abs(before[0] - before[1]) < 10 and abs(np.std(first) - np.std(second)) > 30
    spreads = [np.std([changed(method, picture) for picture in group]) for group in (first, second)]
    assert abs(means[0] - means[1]) < 1 and abs(spreads[0] - spreads[1]) < 1


def test_continuous_grey_levels_are_reduced_and_still_match() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(1000, 200, (90, 90))
    method = HistogramMatching().fit(image_set([reference]), CONTEXT)
    assert method.target is not None and len(method.target[0]) <= 4096
    found = changed(method, rng.exponential(1.0, (90, 90)) * 300)
    inner = np.percentile(found, [10, 50, 90])
    assert np.allclose(inner, np.percentile(reference, [10, 50, 90]), atol=2)


# --- Nyul


def test_nyul_is_that_of_intensity_normalization() -> None:
    training = image_set([grey(seed=i, level=30 + 15 * i) for i in range(4)])
    method = Nyul().fit(training, CONTEXT)
    assert method.standard is not None
    # Its percentiles are float32.
    assert np.allclose(method.standard, GOLDEN["nyul_standard"], rtol=0, atol=1e-5)
    assert np.allclose(changed(method, grey(seed=9, level=100)), GOLDEN["nyul"], rtol=0, atol=1e-4)


def test_landmarks_on_one_grey_level_are_sent_to_the_mean_of_their_places() -> None:
    # Deciles 10 to 90 of the training image are evenly spread, so decile d has the place 255 (d - 0) / 100 roughly.
    ramp = np.repeat(np.arange(20.0, 120.0), 40).reshape(100, 40)
    method = Nyul(0, 100, 10).fit(image_set([ramp]), CONTEXT)
    tied = np.repeat([20.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 119.0], 400).reshape(100, 40)
    assert method.standard is not None
    marks = np.percentile(tied, method.percentiles)
    expected = method.standard[marks == 60.0].mean()
    assert (marks == 60.0).sum() > 5
    assert np.allclose(changed(method, tied)[tied == 60.0], expected)


def test_nyul_undoes_any_straight_change_of_grey() -> None:
    method = Nyul().fit(image_set([grey(seed=i) for i in range(3)]), CONTEXT)
    assert np.allclose(changed(method, grey(seed=7) * 0.5 + 30), changed(method, grey(seed=7)), atol=1e-9)


def test_nyul_says_which_image_has_no_scale() -> None:
    nearly = np.full((64, 64), 90.0)
    nearly[0, 0] = 95.0
    with pytest.raises(DataError, match=r"'s0': percentiles 1 and 99 of the sector are both 90"):
        Nyul().fit(image_set([nearly]), CONTEXT)


# --- scales of their own


def test_zscore_and_clip_look_at_the_sector_only() -> None:
    inside, _ = fan(80)
    rng = np.random.default_rng(0)
    pixels = np.where(inside, rng.integers(30, 200, inside.shape), 0).astype(float)
    sector = whole_sector(pixels)
    standard = changed(ImageZscore(), pixels)
    assert standard[sector].mean() == pytest.approx(0, abs=1e-12) and standard[sector].std() == pytest.approx(1)
    clipped = changed(PercentileClip(5, 95), pixels)
    low, high = np.percentile(pixels[sector], [5, 95])
    assert clipped.min() == 0 and clipped.max() == 1
    middle = (pixels > low) & (pixels < high)
    assert np.allclose(clipped[middle], (pixels[middle] - low) / (high - low))


@pytest.mark.parametrize("method", [ImageZscore(), PercentileClip(), GainNormalization()])
def test_gain_and_dynamic_range_of_the_display_make_no_difference(method: Any) -> None:
    assert np.allclose(changed(method, grey() * 0.5 + 40), changed(method, grey()), atol=1e-9)


# --- CLAHE


@pytest.mark.parametrize(("tiles", "clip"), [(2, 0.02), (4, 0.01), (4, 0.05)])
def test_clahe_is_that_of_scikit_image_up_to_its_integers(tiles: int, clip: float) -> None:
    # scikit-image works on 252 bins of 14-bit integers and puts tile centres half a pixel further on.
    found = changed(Clahe(tiles, clip), grey(256, 256, seed=3))[::8, ::8]
    found = (found - found.min()) / np.ptp(found)
    expected = GOLDEN[f"clahe_{tiles}_{clip}"]
    expected = (expected - expected.min()) / np.ptp(expected)
    assert np.abs(found - expected).mean() < 0.008
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9995


def test_one_tile_without_a_limit_is_histogram_equalisation() -> None:
    pixels = grey(seed=3)
    found = changed(Clahe(tiles=1, clip=1.0, bins=4096), pixels)
    rank = (pixels.ravel()[:, None] >= np.unique(pixels)) @ np.unique(pixels, return_counts=True)[1] / pixels.size
    assert np.allclose(found.ravel(), 255 * rank, atol=1e-9)


def test_the_lowest_limit_leaves_grey_as_it_is() -> None:
    pixels = np.tile(np.arange(20.0, 148.0), (64, 1))
    found = changed(Clahe(4, 1e-6, bins=128), pixels)
    assert np.allclose(found, (pixels - 20 + 1) / 128 * 255)


def test_black_frame_does_not_push_the_tissue_beside_it() -> None:
    inside, _ = fan(128)
    texture = np.random.default_rng(0).integers(60, 120, inside.shape).astype(float)
    framed = changed(Clahe(), np.where(inside, texture, 0.0))
    edge = inside & ~np.roll(inside, 4, axis=1)
    middle = inside & (np.abs(np.arange(inside.shape[1]) - 127) < 20)
    assert abs(framed[edge].mean() - framed[middle].mean()) < 25


# --- gain


@pytest.mark.parametrize("depth", ["range", "row"])
def test_a_gain_in_db_that_is_a_line_over_depth_is_removed_exactly(depth: str) -> None:
    inside, _ = fan()
    rng = np.random.default_rng(0)
    # Envelope A with speckle; the display is 60 log10(A) + 80, never black nor white here.
    envelope = np.where(inside, 1 + rng.random(inside.shape), 1e-9)
    gain = 10 ** (0.2 + 0.002 * depths(inside, None, depth))

    def display(echo: np.ndarray) -> np.ndarray:
        return np.where(inside, 60 * np.log10(np.maximum(echo, 1e-3)) + 80, 0.0)

    method = GainNormalization(depth)
    plain, louder = (method.transform(one64(display(echo), inside)).maps[0] for echo in (envelope, envelope * gain))
    assert np.abs(display(envelope * gain) - display(envelope))[inside].max() > 25
    # The picture is stored as float32: 1e-5 of a standard deviation.
    assert np.allclose(plain[inside], louder[inside], rtol=0, atol=1e-4)


def one64(pixels: np.ndarray, inside: np.ndarray) -> Any:
    from harmbench.data import Image

    return Image("s0", pixels.astype(np.float32), inside, None)


def test_every_depth_has_the_same_mean_and_spread_afterwards() -> None:
    inside, distance = fan()
    rng = np.random.default_rng(0)
    pixels = np.where(inside, 150 - 0.6 * distance + (10 + 0.15 * distance) * rng.standard_normal(inside.shape), 0)
    pixels = np.clip(np.rint(pixels), 0, 255)
    found = changed(GainNormalization(width=0.03), pixels, spacing=None)
    for near in range(20, 140, 20):
        ring = inside & (distance >= near) & (distance < near + 20)
        assert abs(found[ring].mean()) < 0.1 and abs(found[ring].std() - 1) < 0.1
    only_mean = changed(GainNormalization(width=0.03, scale=False), pixels, spacing=None)
    near, far = (only_mean[inside & (np.abs(distance - at) < 10)].std() for at in (30, 130))
    assert far > 1.5 * near


def test_depth_is_in_mm_where_the_spacing_is_known() -> None:
    inside, distance = fan()
    assert np.allclose(depths(inside, (0.4, 0.4), "range"), 0.4 * depths(inside, None, "range"))
    assert np.abs(depths(inside, None, "range") - distance)[inside].max() < 1.5
    assert depths(inside, (0.4, 0.9), "row")[7, 0] == pytest.approx(2.8)


# --- all of them


@pytest.mark.parametrize("spec", [*INTENSITY, *SPECKLE], ids=lambda spec: spec.name)
def test_a_method_takes_the_parameters_of_its_spec_is_pickled_and_leaves_its_input_alone(spec: Any) -> None:
    target = load_target(spec.target)
    assert {k: p.default for k, p in inspect.signature(target).parameters.items()} == dict(spec.params)
    training = image_set([grey(seed=i) for i in range(4)], "AABB")
    method = target().fit(training, CONTEXT)
    picture = one(grey(seed=8))
    before = picture.pixels.copy()
    found = method.transform(picture)
    assert np.array_equal(picture.pixels, before)
    assert found.maps.shape == (1, 64, 64) and found.maps.dtype == np.float64 and np.isfinite(found.maps).all()
    assert np.array_equal(pickle.loads(pickle.dumps(method)).transform(picture).maps, found.maps)


@pytest.mark.parametrize("spec", [s for s in INTENSITY if s.fits], ids=lambda spec: spec.name)
def test_a_method_that_fits_says_so_when_it_was_not(spec: Any) -> None:
    with pytest.raises(UsageError, match=f"{spec.name} has not been fitted"):
        load_target(spec.target)().transform(one(grey()))
    with pytest.raises(DataError, match="training images, but there are none"):
        load_target(spec.target)().fit(image_set([]), CONTEXT)


@pytest.mark.parametrize("spec", [*INTENSITY, *SPECKLE], ids=lambda spec: spec.name)
def test_an_image_that_cannot_be_used_is_named(spec: Any) -> None:
    method = load_target(spec.target)().fit(image_set([grey(), grey(seed=1)], "AB"), CONTEXT)
    broken = grey()
    broken[3, 5] = np.nan
    with pytest.raises(DataError, match=r"sample 's0': the pixel in row 3, column 5 is nan"):
        method.transform(one(broken))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PercentileClip(60, 40), "must be below"),
        (lambda: PercentileClip(-1, 40), r"percentile-clip\.low must be a number of at least 0"),
        (lambda: Nyul(20, 99, 10), "must lie outside the landmarks 10 to 90"),
        (lambda: Clahe(0), r"clahe\.tiles must be a whole number from 1 to 64"),
        (lambda: Clahe(clip=0.0), "must be a number above 0"),
        (lambda: GainNormalization("depth"), "must be one of range, row"),
        (lambda: GainNormalization(width=0.0), "above 0"),
    ],
)
def test_a_wrong_parameter_says_what_is_allowed(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
