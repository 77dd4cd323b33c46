"""With Nyxus: the kit, and values worked out by hand. Without: the mapping, on a stand-in of its interface."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest

from harmbench import Context, DataError, FilteredImage, UsageError
from harmbench.testing import parametrize_with_checks
from harmbench_nyxus.columns import FIRST_ORDER, NAMES, TEXTURE, first_order
from harmbench_nyxus.extractor import FINE, NyxusExtractor

INSTALLED = importlib.util.find_spec("nyxus") is not None
needs_nyxus = pytest.mark.skipif(not INSTALLED, reason="nyxus is not installed")


@parametrize_with_checks(["nyxus"])
def test_nyxus_conforms(check):
    check()


def image(values, mask=None, name="original"):
    maps = np.asarray(values, dtype=np.float64)[None]
    return FilteredImage("s", maps, (name,), np.ones(maps.shape[1:], bool) if mask is None else mask)


def named(done):
    return dict(zip(done.names, done.values[0], strict=True))


@needs_nyxus
def test_first_order_features_are_those_of_the_map_in_its_own_units():
    pixels = np.random.default_rng(0).normal(-3.0, 0.01, size=(24, 24))
    found = named(NyxusExtractor().extract([image(pixels)], Context()))
    step = np.ptp(pixels) / FINE
    assert found["original_firstorder_Mean"] == pytest.approx(pixels.mean(), abs=step)
    assert found["original_firstorder_Minimum"] == pytest.approx(pixels.min(), abs=step)
    assert found["original_firstorder_StandardDeviation"] == pytest.approx(pixels.std(), rel=1e-3)
    assert found["original_firstorder_Kurtosis"] == pytest.approx(
        ((pixels - pixels.mean()) ** 4).mean() / pixels.var() ** 2, rel=1e-2
    )


@needs_nyxus
def test_glcm_neighbours_are_one_pixel_apart():
    """A checkerboard: neighbours in a row differ by one level of two, diagonal ones not at all."""
    board = np.indices((16, 16)).sum(axis=0) % 2
    found = named(NyxusExtractor(levels=2).extract([image(board)], Context()))
    assert found["original_glcm_CONTRAST"] == pytest.approx(0.5)  # 1 in two directions, 0 in the two others


@needs_nyxus
def test_each_map_is_measured_by_itself():
    one, two = (np.random.default_rng(seed).normal(size=(20, 20)) for seed in (1, 2))
    both = FilteredImage("s", np.stack([one, 1000 * two]), ("a", "b"), np.ones((20, 20), bool))
    together = NyxusExtractor().extract([both], Context()).values[0]
    alone = NyxusExtractor().extract([image(1000 * two, name="b")], Context()).values[0]
    np.testing.assert_allclose(together[len(NAMES) :], alone)


class StandIn:
    """Has what the extractor calls, with Nyxus 0.11's signatures, and gives numbers that tell where they came from."""

    calls: list = []  # noqa: RUF012  # cleared by the fixture

    def __init__(self, features, **settings):
        self.features, self.settings = features, settings
        StandIn.calls.append(self)

    def set_metaparam(self, text):
        self.metaparam = text

    def featurize(self, intensity_images, label_images):
        import pandas as pd

        self.image, self.labels = intensity_images, label_images
        inside = intensity_images[label_images > 0].astype(float)
        row = dict.fromkeys([*FIRST_ORDER, *TEXTURE], 0.5)
        row |= {"MEAN": inside.mean(), "MIN": inside.min(), "MAX": inside.max(), "RANGE": np.ptp(inside)}
        return pd.DataFrame([{"intensity_image": "Intensity0", "ROI_label": 1, **row}])


@pytest.fixture
def stand_in(monkeypatch):
    StandIn.calls.clear()
    monkeypatch.setitem(sys.modules, "nyxus", types.SimpleNamespace(Nyxus=StandIn))
    return StandIn


def test_nyxus_is_asked_for_ibsi_neighbours_one_apart_and_one_thread(stand_in):
    NyxusExtractor(levels=16).extract([image([[0.0, 1.0], [2.0, 3.0]])], Context())
    intensity, texture = stand_in.calls
    assert intensity.features == ["*ALL_INTENSITY*"]
    assert "*ALL_GLSZM*" in texture.features
    assert texture.settings == {"coarse_gray_depth": 16, "n_feature_calc_threads": 1, "ibsi": True}
    assert texture.metaparam == "glcm/offset=1"


def test_levels_are_whole_run_from_one_to_their_number_and_are_zero_outside(stand_in):
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:4] = True
    pixels = np.full((4, 5), 999.0)
    pixels[1:3, 1:4] = [[-1.0, -0.5, 0.0], [0.25, 0.5, 1.0]]
    NyxusExtractor(levels=4).extract([image(pixels, mask)], Context())
    texture = stand_in.calls[1]
    assert texture.image.tolist() == [[1, 2, 3], [3, 4, 4]]  # edges at -0.5, 0 and 0.5
    assert texture.labels.all() and texture.image.dtype == np.uint32


def test_locations_and_scales_come_back_in_the_units_of_the_map(stand_in):
    found = named(NyxusExtractor().extract([image([[10.0, 20.0], [30.0, 40.0]])], Context()))
    assert found["original_firstorder_Minimum"] == pytest.approx(10.0)
    assert found["original_firstorder_Maximum"] == pytest.approx(40.0)
    assert found["original_firstorder_Mean"] == pytest.approx(25.0, abs=0.01)
    assert found["original_firstorder_Range"] == pytest.approx(30.0)
    assert found["original_glcm_ASM"] == 0.5


def test_a_variance_is_in_squared_units():
    row = {**dict.fromkeys(FIRST_ORDER, 1.0), "VARIANCE_BIASED": 4.0, "STANDARD_DEVIATION_BIASED": 2.0}
    found = dict(zip([name for name, _ in FIRST_ORDER.values()], first_order(row, 5.0, 0.5), strict=True))
    assert (found["Variance"], found["StandardDeviation"], found["Mean"]) == (1.0, 1.0, 5.0)


def test_one_grey_level_is_refused_with_sample_and_map(stand_in):
    with pytest.raises(DataError, match=r"sample 's', map 'original'.*one grey level"):
        NyxusExtractor().extract([image(np.ones((3, 3)))], Context())


@pytest.mark.parametrize("levels", [1, 257, 2.5, True])
def test_a_wrong_number_of_levels_is_refused(levels):
    with pytest.raises(UsageError, match="levels"):
        NyxusExtractor(levels=levels)
