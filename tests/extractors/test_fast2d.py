"""The extractor `fast2d`: what it gives, whatever engine it has, and what it refuses."""

from __future__ import annotations

import contextlib
import pickle
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from extractors.fast2d_engines import needs_engine
from golden.cases import ring, signed
from harmbench.components import Context
from harmbench.data import FilteredImage
from harmbench.errors import DataError, PluginError, UsageError
from harmbench.specs import load_target
from harmbench_builtin.extractors.fast2d import engine, extractor
from harmbench_builtin.extractors.fast2d.extractor import Fast2d
from harmbench_builtin.extractors.fast2d.names import SHAPE_NAMES, TEXTURE_NAMES
from harmbench_builtin.extractors.fast2d.settings import Settings
from harmbench_builtin.extractors.specs import EXTRACTORS
from harmbench_builtin.harmonizers.filter_bank.filter import filter_bank

pyradiomics = pytest.importorskip("harmbench_builtin.extractors.pyradiomics", reason="PyRadiomics is not installed")
SIZE = 40


@pytest.fixture(params=["compiled", "pyradiomics", "numpy"], autouse=True)
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """What is installed: every test here holds with each engine."""
    built, reason = engine.available()
    if request.param == "compiled" and not built:
        pytest.skip(f"the compiled engine is not built: {reason}")
    if request.param != "compiled":
        monkeypatch.setattr(engine, "available", lambda: (False, "hidden by a test"))
    if request.param == "numpy":
        monkeypatch.setattr(extractor, "find_spec", lambda name: None)
    extractor._warn_once.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield request.param


def filtered(*maps: np.ndarray, mask: np.ndarray | None = None, spacing: tuple[float, float] | None = None):
    stacked = np.stack(maps or (signed(0, 1, SIZE)[0],)).astype(np.float64)
    names = tuple(f"k{i}" for i in range(len(stacked)))
    return FilteredImage("s1", stacked, names, ring(SIZE) if mask is None else mask, spacing)


def row(image: FilteredImage, **params: object) -> dict[str, float]:
    features = Fast2d(**params).extract([image], Context())  # type: ignore[arg-type]
    return dict(zip(features.names, features.values[0].tolist(), strict=True))


@pytest.mark.parametrize(
    "params",
    [{}, {"bin_width": 9.0, "distance": 2}, {"bin_count": 300, "symmetrical_glcm": False}, {"shape": False}],
)
def test_names_order_and_values_are_those_of_the_reference(params: dict) -> None:
    image = filtered(*signed(1, 3, SIZE), spacing=(0.4, 0.7))
    ours, theirs = (kind(**params).extract([image], Context()) for kind in (Fast2d, pyradiomics.PyRadiomics))
    assert (ours.samples, ours.names) == (theirs.samples, theirs.names)
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-6, atol=1e-12)


def test_names_are_those_that_pyradiomics_gives() -> None:
    assert (TEXTURE_NAMES, SHAPE_NAMES) == (pyradiomics.TEXTURE_NAMES, pyradiomics.SHAPE_NAMES)


def test_the_engine_is_recorded_and_its_absence_said_once(installed: str) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = [Fast2d(), Fast2d()]
    assert made[0].engine.split()[0] == installed
    texts = [str(w.message) for w in said if "fast2d" in str(w.message)]
    if installed == "compiled":
        assert texts == []
    else:
        assert len(texts) == 1
        assert "hidden by a test" in texts[0]
        assert installed in texts[0]


def test_shape_comes_once_before_the_maps() -> None:
    features = Fast2d().extract([filtered(*signed(2, 2, SIZE))], Context())
    assert len(set(features.names)) == len(features.names) == 9 + 2 * 93
    assert all(name.startswith("shape2D_") for name in features.names[:9])
    assert features.names[9].startswith("k0_firstorder")
    assert features.names[-1].startswith("k1_ngtdm")


def test_rows_depend_neither_on_their_company_nor_on_threads() -> None:
    masks = [ring(SIZE), ring(SIZE, (0.3, 0.4), (0.1, 0.2)), ring(SIZE)]
    images = [filtered(*signed(seed, 2, SIZE), mask=mask) for seed, mask in zip((3, 4, 5), masks, strict=True)]
    together = Fast2d().extract(images, Context()).values
    threaded = Fast2d().extract(images, Context(n_jobs=3)).values
    alone = [Fast2d().extract([image], Context()).values[0] for image in images]
    assert np.array_equal(together, np.stack(alone))
    assert np.array_equal(together, threaded)


def test_a_kept_plan_serves_only_its_own_mask_and_spacing() -> None:
    made = Fast2d()
    pixels = signed(6, 1, SIZE)[0]
    wanted = [(ring(SIZE), (1.0, 1.0)), (ring(SIZE), (2.0, 1.0)), (~ring(SIZE), (1.0, 1.0))] * 2
    for mask, spacing in wanted:
        image = filtered(pixels, mask=mask, spacing=spacing)
        assert np.array_equal(made.extract([image], Context()).values, Fast2d().extract([image], Context()).values)


def test_pixels_outside_the_mask_have_no_influence() -> None:
    pixels = signed(7, 1, SIZE)[0]
    spoiled = np.where(ring(SIZE), pixels, np.nan)
    spoiled[0, 0] = np.inf
    assert row(filtered(spoiled)) == row(filtered(pixels))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_pixels_inside_the_mask_are_refused(value: float) -> None:
    maps, mask = signed(8, 2, SIZE), ring(SIZE)
    maps[1][tuple(np.argwhere(mask)[5])] = value
    with pytest.raises(DataError, match=rf"sample 's1', map 'k1': 1 of {mask.sum()} pixels inside the mask are NaN"):
        row(filtered(*maps))


def test_a_refused_map_leaves_nothing_behind() -> None:
    made, image = Fast2d(), filtered(signed(13, 1, SIZE)[0])
    before = made.extract([image], Context()).values
    for spoil in (np.nan, np.inf, 1e300):
        for place in (0, 300, -1):
            pixels = signed(14, 1, SIZE)[0]
            pixels[tuple(np.argwhere(ring(SIZE))[place])] = spoil
            with contextlib.suppress(DataError):
                made.extract([filtered(pixels)], Context())
        assert np.array_equal(made.extract([image], Context()).values, before)


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(DataError, match="sample 's1': the mask is empty"):
        row(filtered(mask=np.zeros((SIZE, SIZE), dtype=bool)))


def test_a_bin_width_that_makes_endless_levels_is_refused() -> None:
    with pytest.raises(DataError, match=r"sample 's1', map 'k0'.*more than 65535 grey levels"):
        row(filtered(), bin_width=1e-6)


def test_values_too_close_for_their_size_are_refused() -> None:
    pixels = 1e17 + 16.0 * (np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 2)
    for params in ({}, {"bin_width": 1.0}):
        with pytest.raises(DataError, match=r"sample 's1', map 'k0'.*cannot be parted into grey levels"):
            row(filtered(pixels), **params)


@pytest.mark.parametrize(("rows", "columns"), [(1, 9), (9, 1)])
def test_a_line_one_pixel_wide_has_features(rows: int, columns: int) -> None:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[5 : 5 + rows, 6 : 6 + columns] = True
    pixels = np.zeros((SIZE, SIZE))
    pixels[mask] = [1, 1, 2, 2, 2, 3, 1, 1, 3]
    found = row(filtered(pixels, mask=mask, spacing=(0.5, 0.5)), bin_width=1.0)
    # One direction: runs 11 222 3 11 3, pairs 11 12 22 22 23 31 11 13.
    assert found["k0_glrlm_RunPercentage"] == pytest.approx(5 / 9)
    assert found["k0_glrlm_LongRunEmphasis"] == pytest.approx((4 + 9 + 1 + 4 + 1) / 5)
    assert found["k0_glcm_Contrast"] == pytest.approx((1 + 1 + 4 + 4) / 8)
    assert found["k0_gldm_LargeDependenceEmphasis"] == pytest.approx((4 + 4 + 4 + 9 + 4 + 1 + 4 + 4 + 1) / 9)
    assert found["shape2D_MinorAxisLength"] == 0
    assert found["shape2D_Elongation"] == 0
    assert found["shape2D_PixelSurface"] == pytest.approx(9 / 4)
    # Ends are points half a pixel out: a hexagon of length 9 and width 1 without the four corners.
    assert found["shape2D_MeshSurface"] == pytest.approx((9 - 4 / 8) / 4)


def test_one_pixel_has_no_pairs_and_is_refused_by_name() -> None:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[3, 4] = True
    with pytest.raises(DataError, match=r"sample 's1': features without a finite value: .*1 pixels in the mask"):
        row(filtered(mask=mask))


def test_a_distance_beyond_the_mask_is_refused_by_name() -> None:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[3:8, 3:10] = True
    assert len(row(filtered(mask=mask), distance=6)) == 102
    with pytest.raises(DataError, match=r"sample 's1'.*k0_glcm_Autocorrelation.*distance 7"):
        row(filtered(mask=mask), distance=7)


def test_more_levels_than_the_reference_takes() -> None:
    found = row(filtered(), bin_count=65_535)
    inside = signed(0, 1, SIZE)[0][ring(SIZE)]
    # Every value has a level of its own: bins are narrower than the 1/64 to which values are rounded.
    counts = np.unique(inside, return_counts=True)[1] / inside.size
    assert found["k0_firstorder_Uniformity"] == pytest.approx((counts**2).sum())
    assert found["k0_glcm_MCC"] == pytest.approx(1, abs=0.05)


def test_a_linear_filter_gives_the_features_of_its_maps() -> None:
    pixels, random = signed(9, 1, SIZE)[0], np.random.default_rng(0)
    kernels, bias = random.normal(size=(3, 4, 5)), random.normal(size=3)
    image = FilteredImage("s1", filter_bank(pixels, kernels, bias), ("a", "b", "c"), ring(SIZE), (0.5, 0.6))
    apart = Fast2d().extract([image], Context())
    fused = Fast2d().extract_linear("s1", pixels, kernels, bias, ("a", "b", "c"), image.mask, image.spacing, Context())
    assert (fused.samples, fused.names) == (apart.samples, apart.names)
    np.testing.assert_allclose(fused.values, apart.values, rtol=1e-9, atol=1e-12)


def test_a_linear_filter_names_sample_and_map_of_what_it_refuses() -> None:
    pixels, kernels, bias = signed(10, 1, SIZE)[0], np.ones((2, 3, 3)), np.zeros(2)

    def linear(pixels: np.ndarray, kernels: np.ndarray = kernels) -> None:
        Fast2d().extract_linear("s7", pixels, kernels, bias, ("a", "b"), ring(SIZE), None, Context())

    spoiled = pixels.copy()
    spoiled[tuple(np.argwhere(ring(SIZE))[0])] = np.nan
    with pytest.raises(DataError, match=r"sample 's7', map 'a'.*NaN"):
        linear(spoiled)
    spoiled = pixels.copy()
    spoiled[0, 0] = np.nan  # beyond the reach of every kernel at the mask
    linear(spoiled)
    with pytest.raises(DataError, match=r"sample 's7': the image has 40 x 40 pixels, fewer than the filter's 41 x 3"):
        linear(pixels, np.ones((2, 41, 3)))


def test_images_with_different_maps_are_a_plugin_error() -> None:
    with pytest.raises(PluginError, match="k0, k1"):
        Fast2d().extract([filtered(), filtered(*signed(11, 2, SIZE))], Context())


def test_no_images_give_an_empty_table() -> None:
    assert Fast2d().extract([], Context()).values.shape == (0, 0)


@pytest.mark.parametrize(
    "params",
    [
        {"bin_count": 1},
        {"bin_count": 65_536},
        {"bin_count": 32.0},
        {"bin_count": True},
        {"bin_width": -1.0},
        {"bin_width": float("nan")},
        {"bin_width": "5"},
        {"shape": 1},
        {"distance": 0},
        {"distance": 256},
        {"symmetrical_glcm": "yes"},
    ],
)
def test_bad_parameters_are_named(params: dict) -> None:
    (name,) = params
    with pytest.raises(UsageError, match=name):
        Fast2d(**params)


def test_survives_pickling_after_use() -> None:
    image, made = filtered(), Fast2d(bin_count=16, shape=False)
    before = made.extract([image], Context())
    copy = pickle.loads(pickle.dumps(made))
    after = copy.extract([image], Context())
    assert after.names == before.names
    assert np.array_equal(after.values, before.values)


def test_the_spec_declares_the_parameters_and_their_defaults() -> None:
    (spec,) = [spec for spec in EXTRACTORS if spec.name == "fast2d"]
    made = load_target(spec.target)(**spec.params)
    assert made.settings == Fast2d().settings
    assert made.shape is True
    assert spec.params == next(s for s in EXTRACTORS if s.name == "pyradiomics").params


@needs_engine
def test_plans_are_dropped_when_many_masks_have_come(installed: str) -> None:
    if installed != "compiled":
        pytest.skip("only the compiled engine keeps plans")
    made, pixels = Fast2d(), signed(12, 1, SIZE)[0]
    for shift in range(40):
        made.extract([filtered(pixels, mask=np.roll(ring(SIZE), shift, axis=1))], Context())
    assert len(made._plans) == 32


def test_a_mask_whose_true_is_stored_as_255_is_the_same_mask() -> None:
    """As a 1-bit PNG gives it: found on real images, where it made 255 pixels of each and broke out of its memory."""
    if not engine.available()[0]:
        pytest.skip(f"the compiled engine is not there: {engine.available()[1]}")
    mask = np.zeros((20, 20), bool)
    mask[4:15, 3:17] = True
    odd = (mask.view(np.uint8) * 255).view(bool)
    assert np.unique(odd.view(np.uint8)).tolist() == [0, 255]
    maps = np.random.default_rng(0).normal(size=(1, 20, 20))
    values = [engine.extract(maps, engine.Plan(m, (1.0, 1.0)), Settings()) for m in (mask, odd)]
    assert np.array_equal(*values)
