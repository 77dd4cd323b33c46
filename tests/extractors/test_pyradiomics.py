"""The reference extractor equals PyRadiomics' own entry point, and says clearly what it cannot do."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from radiomics.featureextractor import RadiomicsFeatureExtractor

from harmbench.components import Context
from harmbench.data import FilteredImage
from harmbench.errors import DataError, PluginError, UsageError
from harmbench_builtin.extractors.pyradiomics import SHAPE_NAMES, TEXTURE_NAMES, PyRadiomics

CLASSES = ("shape2D", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")


def ring(size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    r = np.hypot((y - size / 2) / (size * 0.35), (x - size / 2) / (size * 0.25))
    return (r < 1) & (r > 0.6)


def texture(seed: int = 0, size: int = 64) -> np.ndarray:
    """Signed, correlated values, as a filter gives them."""
    noise = np.random.default_rng(seed).normal(size=(size + 3, size + 3))
    return 40 * sum(noise[i : i + size, j : j + size] for i in range(4) for j in range(4))


def filtered(*maps: np.ndarray, mask: np.ndarray, spacing: tuple[float, float] | None = None) -> FilteredImage:
    names = tuple(f"k{i}" for i in range(len(maps)))
    return FilteredImage("s1", np.stack(maps).astype(np.float64), names, mask, spacing)


def ours(image: FilteredImage, **params: object) -> dict[str, float]:
    features = PyRadiomics(**params).extract([image], Context())  # type: ignore[arg-type]
    return dict(zip(features.names, features.values[0].tolist(), strict=True))


def theirs(pixels: np.ndarray, mask: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0), **settings: object) -> dict:
    """`RadiomicsFeatureExtractor.execute` on one slice, by PyRadiomics' own names."""
    extractor = RadiomicsFeatureExtractor(force2D=True, force2Ddimension=0, additionalInfo=False, **settings)
    extractor.disableAllFeatures()
    for name in CLASSES:
        extractor.enableFeatureClassByName(name)
    image = sitk.GetImageFromArray(pixels[None].astype(np.float64))
    label = sitk.GetImageFromArray(mask[None].astype(np.uint8))
    for volume in (image, label):
        volume.SetSpacing((spacing[1], spacing[0], 1.0))
    return {name: float(value) for name, value in extractor.execute(image, label).items()}


def assert_equal(found: dict[str, float], expected: dict[str, float], map_name: str = "k0") -> None:
    assert len(expected) == 102
    for name, value in expected.items():
        own = name.replace("original_", "" if "shape2D" in name else f"{map_name}_", 1)
        assert found[own] == pytest.approx(value, rel=1e-12, abs=0), name


def test_feature_counts_are_those_of_the_classes() -> None:
    counts = {c: sum(c == other for other, _ in TEXTURE_NAMES) for c, _ in TEXTURE_NAMES}
    assert counts == {"firstorder": 18, "glcm": 24, "glrlm": 16, "glszm": 16, "gldm": 14, "ngtdm": 5}
    assert len(SHAPE_NAMES) == 9


@pytest.mark.parametrize(
    ("params", "settings"),
    [
        ({}, {"binCount": 32}),
        ({"bin_count": 8}, {"binCount": 8}),
        ({"bin_width": 7.5}, {"binWidth": 7.5}),
        ({"distance": 2}, {"binCount": 32, "distances": [2]}),
        ({"symmetrical_glcm": False}, {"binCount": 32, "symmetricalGLCM": False}),
    ],
)
def test_equals_execute_on_signed_maps(params: dict, settings: dict) -> None:
    pixels, mask = texture(), ring()
    assert pixels[mask].min() < 0 < pixels[mask].max()
    assert_equal(ours(filtered(pixels, mask=mask), **params), theirs(pixels, mask, **settings))


def test_equals_execute_with_unequal_spacing() -> None:
    pixels, mask = texture(1), ring()
    found = ours(filtered(pixels, mask=mask, spacing=(0.2, 0.5)))
    assert_equal(found, theirs(pixels, mask, (0.2, 0.5), binCount=32))
    assert found["k0_firstorder_TotalEnergy"] == pytest.approx(0.2 * 0.5 * found["k0_firstorder_Energy"], rel=1e-12)


def test_shape_uses_row_spacing_for_rows() -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[5:25, 10:20] = True  # 20 rows x 10 columns
    found = ours(filtered(texture(size=40), mask=mask, spacing=(0.5, 3.0)))
    # The mesh of marching squares cuts the four corners: triangles with legs of half a pixel, 1/8 pixel each.
    assert found["shape2D_PixelSurface"] == pytest.approx(20 * 10 * 0.5 * 3.0)
    assert found["shape2D_MeshSurface"] == pytest.approx((20 * 10 - 4 / 8) * 0.5 * 3.0)
    # Columns at 3 mm are the long axis: variance of 10 columns 3 mm apart is 9 * (100 - 1) / 12.
    assert found["shape2D_MajorAxisLength"] == pytest.approx(4 * np.sqrt(9 * 99 / 12))
    assert found["shape2D_MinorAxisLength"] == pytest.approx(4 * np.sqrt(0.25 * 399 / 12))


@pytest.mark.parametrize("where", ["border", "scattered", "three pixels", "few levels", "constant"])
def test_equals_execute_on_difficult_regions(where: str) -> None:
    pixels, mask = texture(2, 24), np.zeros((24, 24), dtype=bool)
    mask[4:18, 3:20] = True
    if where == "border":
        mask[:, :9] = True
    elif where == "scattered":
        mask = np.random.default_rng(3).random((24, 24)) < 0.3
    elif where == "three pixels":
        mask[:] = False
        mask[7, 7] = mask[8, 7] = mask[8, 8] = True
    elif where == "few levels":
        pixels = np.round(pixels / 150)
    else:
        pixels = np.full_like(pixels, 3.0)
    assert_equal(ours(filtered(pixels, mask=mask)), theirs(pixels, mask, binCount=32))


def test_known_first_order_values() -> None:
    pixels = np.zeros((4, 4))
    pixels[1:3, 1:3] = [[1, 2], [3, 6]]
    mask = pixels > 0
    found = ours(filtered(pixels, mask=mask, spacing=(2.0, 3.0)))
    assert found["k0_firstorder_Mean"] == 3
    assert found["k0_firstorder_Energy"] == 1 + 4 + 9 + 36
    assert found["k0_firstorder_TotalEnergy"] == 50 * 6
    assert found["k0_firstorder_Variance"] == (4 + 1 + 0 + 9) / 4
    assert found["k0_firstorder_Entropy"] == pytest.approx(2)  # four pixels on four levels


def test_each_map_is_worked_on_alone_and_shape_comes_once() -> None:
    first, second, mask = texture(4), texture(5), ring()
    features = PyRadiomics().extract([filtered(first, second, mask=mask)], Context())
    assert len(features.names) == len(set(features.names)) == 9 + 2 * 93
    assert sum(name.startswith("shape2D_") for name in features.names) == 9
    together = dict(zip(features.names, features.values[0].tolist(), strict=True))
    assert_equal(together, theirs(second, mask, binCount=32), "k1")


def test_rows_do_not_depend_on_which_images_come_together() -> None:
    images = [filtered(texture(seed), mask=ring()) for seed in (6, 7, 8)]
    together = PyRadiomics().extract(images, Context()).values
    alone = [PyRadiomics().extract([image], Context()).values[0] for image in images]
    assert np.array_equal(together, np.stack(alone))


def test_without_shape_only_map_features_are_given() -> None:
    features = PyRadiomics(shape=False).extract([filtered(texture(), mask=ring())], Context())
    assert features.names == tuple(f"k0_{c}_{name}" for c, name in TEXTURE_NAMES)
    assert features.values.shape == (1, 93)


def test_pixels_outside_the_mask_have_no_influence() -> None:
    pixels, mask = texture(), ring()
    spoiled = np.where(mask, pixels, np.nan)
    spoiled[0, 0] = np.inf
    assert ours(filtered(spoiled, mask=mask)) == ours(filtered(pixels, mask=mask))


def test_levels_are_those_of_float64_even_for_eight_bit_values() -> None:
    # With uint8 and a bin width, NumPy 2 wraps around silently; the maps arrive as float64 and stay so.
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64))
    assert_equal(ours(filtered(pixels, mask=ring()), bin_width=25), theirs(pixels, ring(), binWidth=25))


def test_the_result_has_no_non_finite_value_or_an_error_that_names_the_features() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[3, 3] = mask[4, 4] = True  # nothing lies between the 10th and the 90th percentile of two values
    with pytest.raises(DataError, match=r"sample 's1', map 'k0'.*firstorder_RobustMeanAbsoluteDeviation"):
        ours(filtered(texture(size=10), mask=mask))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_pixels_inside_the_mask_are_refused(value: float) -> None:
    pixels, mask = texture(), ring()
    pixels[tuple(np.argwhere(mask)[0])] = value
    with pytest.raises(DataError, match=rf"sample 's1', map 'k0': 1 of {mask.sum()} pixels inside the mask are NaN"):
        ours(filtered(pixels, mask=mask))


@pytest.mark.parametrize(("rows", "columns", "what"), [(1, 1, "high"), (1, 6, "high"), (6, 1, "wide")])
def test_a_line_or_a_point_is_refused_as_pyradiomics_does(rows: int, columns: int, what: str) -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[3 : 3 + rows, 4 : 4 + columns] = True
    with pytest.raises(ValueError, match="mask"):
        theirs(texture(size=20), mask, binCount=32)
    with pytest.raises(DataError, match=f"sample 's1': the mask is 1 pixel {what}"):
        ours(filtered(texture(size=20), mask=mask))


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(DataError, match="sample 's1': the mask is empty"):
        ours(filtered(texture(), mask=np.zeros((64, 64), dtype=bool)))


def test_a_distance_longer_than_the_mask_is_refused() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[3:8, 3:10] = True
    assert len(ours(filtered(texture(size=20), mask=mask), distance=6)) == 102
    with pytest.raises(DataError, match="7 apart"):
        ours(filtered(texture(size=20), mask=mask), distance=7)


def test_a_bin_width_that_makes_endless_levels_is_refused() -> None:
    with pytest.raises(DataError, match="more than 4096 grey levels"):
        ours(filtered(texture(), mask=ring()), bin_width=1e-6)


def test_values_too_close_for_their_size_are_refused() -> None:
    pixels = 1e17 + 16.0 * (np.arange(64 * 64).reshape(64, 64) % 2)
    with pytest.raises(DataError, match=r"map 'k0'.*cannot be parted into grey levels"):
        ours(filtered(pixels, mask=ring()))


def test_images_with_different_maps_are_a_plugin_error() -> None:
    images = [filtered(texture(), mask=ring()), filtered(texture(), texture(), mask=ring())]
    with pytest.raises(PluginError, match="k0, k1"):
        PyRadiomics().extract(images, Context())


def test_no_images_give_an_empty_table() -> None:
    assert PyRadiomics().extract([], Context()).values.shape == (0, 0)


@pytest.mark.parametrize(
    "params",
    [
        {"bin_count": 1},
        {"bin_count": 32.0},
        {"bin_count": True},
        {"bin_count": 5000},
        {"bin_width": -1.0},
        {"bin_width": float("nan")},
        {"bin_width": "5"},
        {"shape": 1},
        {"distance": 0},
        {"symmetrical_glcm": "yes"},
    ],
)
def test_bad_parameters_are_named(params: dict) -> None:
    (name,) = params
    with pytest.raises(UsageError, match=name):
        PyRadiomics(**params)


def test_the_log_level_of_pyradiomics_comes_back() -> None:
    logger = logging.getLogger("radiomics")
    before = logger.level
    ours(filtered(texture(), mask=ring()))
    assert logger.level == before


def test_nothing_is_printed() -> None:
    # A process of its own: PyRadiomics binds its handler to the stderr it finds at import, which is not pytest's.
    # It would warn that SumAverage is twice JointAverage.
    script = (
        "import numpy as np\n"
        "from harmbench import Context, FilteredImage\n"
        "from harmbench_builtin.extractors.pyradiomics import PyRadiomics\n"
        "mask = np.zeros((9, 9), bool); mask[2:7, 2:7] = True\n"
        "maps = np.arange(81.0).reshape(1, 9, 9)\n"
        "PyRadiomics().extract([FilteredImage('s', maps, ('k',), mask)], Context())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_survives_pickling() -> None:
    image = filtered(texture(), mask=ring())
    copy = pickle.loads(pickle.dumps(PyRadiomics(bin_count=16)))
    assert np.array_equal(
        copy.extract([image], Context()).values, PyRadiomics(bin_count=16).extract([image], Context()).values
    )
