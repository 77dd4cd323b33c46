"""The images of the phantom against what was measured on real ones.

Targets: CAMUS (GE Vivid E95), myocardium: grey 104, within-image sd 37.8 +- 8.5, speckle 1.56 x 1.97 mm (vertical x
horizontal); EPIQ and HP images: speckle 0.85 x 1.7 mm, grey 81 (assumption); Toshiba Xario: speckle 2.0 x 4.2 mm,
grey 64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import brentq

from harmbench_builtin.datasets.plax_phantom.acquisition import (
    DEPTH_STEPS_MM,
    HALF_ANGLE_DEG,
    PROFILES,
    RANGES,
    REACH_MM,
    VIRTUAL_HALF_ANGLE_DEG,
    VIRTUAL_REACH_MM,
    Profile,
    between,
    draw_exam,
)
from harmbench_builtin.datasets.plax_phantom.anatomy import CLASSES, draw_anatomy
from harmbench_builtin.datasets.plax_phantom.generate import virtual_scanner_images
from harmbench_builtin.datasets.plax_phantom.imaging import acquire
from harmbench_builtin.datasets.plax_phantom.streams import generator
from harmbench_builtin.datasets.plax_phantom.tissue import draw_scatterers, draw_tissue
from harmbench_builtin.datasets.plax_phantom.view import Structure, label_map

GE, PHILIPS, TOSHIBA = PROFILES
HEARTS = 12


def half_width(residual: np.ndarray, mask: np.ndarray, axis: int) -> float:
    """Lag in pixels at which the masked autocorrelation along an axis has fallen to a half.

    Between whole lags its logarithm is taken as linear in the squared lag, which is exact for a Gaussian.
    """
    residual, mask = np.moveaxis(residual, axis, 0), np.moveaxis(mask, axis, 0)
    before = 1.0
    for lag in range(1, len(residual) // 2):
        both = mask[lag:] & mask[:-lag]
        now = (residual[lag:] * residual[:-lag])[both].mean() / (residual[mask] ** 2).mean()
        if now < 0.5:
            now = max(now, 1e-3)
            share = np.log(before / 0.5) / np.log(before / now)
            return float(np.sqrt((lag - 1) ** 2 + share * (lag**2 - (lag - 1) ** 2)))
        before = now
    raise AssertionError("the autocorrelation never falls to a half")


def speckle_size(picture: np.ndarray, mask: np.ndarray, spacing_mm: float) -> tuple[float, float]:
    """Vertical and horizontal full width (mm) at half maximum of the autocorrelation inside the mask.

    The targets were measured after removing a Gaussian background of 8 pixels of 0.308 mm; the same 2.46 mm here.
    """
    pixels, inside, sigma = picture.astype(float), mask.astype(float), 8 * 0.308 / spacing_mm
    weight = np.maximum(ndimage.gaussian_filter(inside, sigma), 1e-9)
    residual = (pixels - ndimage.gaussian_filter(pixels * inside, sigma) / weight) * inside
    return 2 * half_width(residual, mask, 0) * spacing_mm, 2 * half_width(residual, mask, 1) * spacing_mm


@pytest.mark.parametrize("sd_mm", [0.3, 0.6, 1.2])
def test_the_measure_finds_the_width_of_known_speckle(sd_mm: float) -> None:
    # White noise under a Gaussian of sd s has the spectrum exp(-k^2 s^2). Taking away a Gaussian background of sd b
    # multiplies it by (1 - exp(-k^2 b^2 / 2))^2, which leaves three Gaussians; exp(-k^2 a) is exp(-d^2 / 4a) / a.
    background = 8 * 0.308
    terms = ((1, sd_mm**2), (-2, sd_mm**2 + background**2 / 2), (1, sd_mm**2 + background**2))

    def autocorrelation(lag: float) -> float:
        return sum(c / a * np.exp(-(lag**2) / (4 * a)) for c, a in terms) / sum(c / a for c, a in terms)

    expected = 2 * brentq(lambda lag: autocorrelation(lag) - 0.5, 0.01, 5.0)
    spacing = 0.3
    noise = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((600, 600)), sd_mm / spacing)
    mask = np.zeros(noise.shape, bool)
    mask[50:550, 100:500] = True
    assert speckle_size(noise, mask, spacing) == pytest.approx((expected, expected), rel=0.03)


@dataclass
class Measured:
    """Averages over the hearts."""

    grey: float
    grey_sd: float
    cavity: float
    pericardium: float
    vertical_mm: float
    horizontal_mm: float
    mask_pixels: tuple[int, int]


def measure(profiles: dict[str, Profile]) -> dict[str, Measured]:
    """The same hearts on each scanner; the gain is left at its mean, whose scatter would hide the level."""
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in profiles}
    for heart in range(HEARTS):
        label = CLASSES[heart % 2]
        anatomy = draw_anatomy(label, 1.0, generator(11, "cohort", heart=heart, stage="anatomy"))
        tissue = draw_tissue(label, 1.0, generator(11, "cohort", heart=heart, stage="tissue"))
        rng = generator(11, "cohort", heart=heart, stage="scatterers")
        scatterers = draw_scatterers(anatomy, tissue, REACH_MM, float(np.deg2rad(HALF_ANGLE_DEG)), rng)
        for name, profile in profiles.items():
            exam = replace(draw_exam(generator(11, "cohort", heart=heart, scanner=name, stage="exam")), gain_db=0.0)
            noise = generator(11, "cohort", heart=heart, scanner=name, stage="noise")
            picture, geo = acquire(scatterers, profile, exam, 224, noise)
            labels = label_map(anatomy, geo.x, geo.z)
            mask = geo.sector & ((labels == Structure.SEPTUM) | (labels == Structure.POSTERIOR_WALL))
            grey = picture[mask].astype(float)
            rows[name].append(
                (
                    grey.mean(),
                    grey.std(),
                    picture[geo.sector & (labels == Structure.LV)].mean(),
                    picture[geo.sector & (labels == Structure.PERICARDIUM)].mean(),
                    *speckle_size(picture, mask, geo.spacing_mm),
                    mask.sum(),
                )
            )
    result = {}
    for name, values in rows.items():
        table = np.array(values)
        pixels = (int(table[:, 6].min()), int(table[:, 6].max()))
        result[name] = Measured(*(float(x) for x in table[:, :6].mean(axis=0)), mask_pixels=pixels)
    return result


@pytest.fixture(scope="module")
def measured() -> dict[str, Measured]:
    return measure(PROFILES)


@pytest.mark.parametrize(("name", "target"), [(GE, (1.56, 1.97)), (PHILIPS, (0.85, 1.7)), (TOSHIBA, (2.0, 4.2))])
def test_speckle_has_the_size_of_the_real_images(
    measured: dict[str, Measured], name: str, target: tuple[float, float]
) -> None:
    found = measured[name]
    assert (found.vertical_mm, found.horizontal_mm) == pytest.approx(target, rel=0.15)


@pytest.mark.parametrize(("name", "target"), [(GE, 104.0), (PHILIPS, 81.0), (TOSHIBA, 64.0)])
def test_the_myocardium_has_the_grey_level_of_the_real_images(
    measured: dict[str, Measured], name: str, target: float
) -> None:
    assert measured[name].grey == pytest.approx(target, abs=10)


def test_the_spread_inside_an_image_lies_in_the_range_of_camus(measured: dict[str, Measured]) -> None:
    assert 37.8 - 8.5 < measured[GE].grey_sd < 37.8 + 8.5


def test_the_cavity_is_darker_and_the_pericardium_brighter_than_the_myocardium(measured: dict[str, Measured]) -> None:
    for found in measured.values():
        assert found.cavity < 0.3 * found.grey
        assert found.pericardium > found.grey + 10


def test_the_mask_has_about_2500_to_7000_pixels(measured: dict[str, Measured]) -> None:
    for found in measured.values():
        assert found.mask_pixels[0] > 2500
        assert found.mask_pixels[1] < 8000  # the thickest walls in the shallowest window


class TestManufacturerEffect:
    def test_0_gives_every_scanner_the_mean_profile(self) -> None:
        assert between(0.0, GE) == between(0.0, PHILIPS) == between(0.0, TOSHIBA)
        mean = between(0.0, GE)
        assert mean.dynamic_range_db == (PROFILES[GE].dynamic_range_db + PROFILES[PHILIPS].dynamic_range_db) / 2

    def test_1_gives_the_table(self) -> None:
        for name, profile in PROFILES.items():
            found = between(1.0, name)
            for field in RANGES:
                assert getattr(found, field) == pytest.approx(getattr(profile, field), abs=1e-12)

    def test_0_leaves_no_difference_in_grey_level_and_speckle(self) -> None:
        found = measure({name: between(0.0, name) for name in (GE, PHILIPS)})
        # Two exams of one heart differ by drop-out (4 dB over a 25 mm scale) and TGC: measured spread of the mean grey
        # level 12, hence 12 * sqrt(2 / 12) = 5 for a difference of means; three of these are allowed.
        assert found[GE].grey == pytest.approx(found[PHILIPS].grey, abs=15)
        assert found[GE].vertical_mm == pytest.approx(found[PHILIPS].vertical_mm, rel=0.06)
        assert found[GE].horizontal_mm == pytest.approx(found[PHILIPS].horizontal_mm, rel=0.06)


def test_the_sector_of_every_scanner_is_filled_with_scatterers() -> None:
    for profile in PROFILES.values():
        assert profile.depth_mm + max(DEPTH_STEPS_MM) < REACH_MM
        assert profile.half_angle_deg <= HALF_ANGLE_DEG
    assert RANGES["depth_mm"][1] + max(DEPTH_STEPS_MM) < VIRTUAL_REACH_MM
    assert RANGES["half_angle_deg"][1] <= VIRTUAL_HALF_ANGLE_DEG


class TestVirtualScanners:
    def test_images_do_not_depend_on_how_many_are_made(self) -> None:
        stages: list[tuple[str, int, int]] = []
        many, sectors = virtual_scanner_images(9, 3, progress=lambda *a: stages.append(a), size=96)
        few, _ = virtual_scanner_images(2, 3, size=96)
        assert many.shape == sectors.shape == (9, 96, 96)
        assert many.dtype == np.uint8
        assert sectors.dtype == np.bool_
        np.testing.assert_array_equal(many[:2], few)
        assert stages == [("generate", 0, 9), ("generate", 8, 9), ("generate", 9, 9)]

    def test_images_are_black_outside_their_sectors_and_differ_in_scanner(self) -> None:
        images, sectors = virtual_scanner_images(6, 0, size=96)
        assert not images[~sectors].any()
        assert all(image[sector].std() > 10 for image, sector in zip(images, sectors, strict=True))
        assert len({int(s.sum()) for s in sectors}) == 6

    def test_another_seed_gives_other_images(self) -> None:
        assert (virtual_scanner_images(1, 0, size=96)[0] != virtual_scanner_images(1, 1, size=96)[0]).any()
