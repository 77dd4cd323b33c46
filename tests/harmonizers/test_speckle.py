"""Speckle reducers against independent programs, and against what their equations promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_sets import one

from golden.image_cases import grey
from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.speckle.local import Lee, Median, lee_additive, lee_multiplicative
from harmbench_builtin.harmonizers.speckle.noise import noise_sd, window_moments
from harmbench_builtin.harmonizers.speckle.non_local_means import NonLocalMeans, non_local_means
from harmbench_builtin.harmonizers.speckle.srad import Srad, diffused

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "image_methods.npz")
RNG = np.random.default_rng(0)


def test_median_is_that_of_the_window() -> None:
    pixels = grey()
    found = Median(3).transform(one(pixels)).maps[0]
    assert found[20, 30] == np.median(pixels[19:22, 29:32])
    assert found[0, 0] == np.median(np.pad(pixels, 1, mode="reflect")[:3, :3])


def test_moments_of_a_window_are_its_mean_and_variance() -> None:
    pixels = grey()
    mean, variance = window_moments(pixels, 5)
    window = pixels[18:23, 28:33]
    assert mean[20, 30] == pytest.approx(window.mean()) and variance[20, 30] == pytest.approx(window.var())


def test_the_noise_estimate_is_the_noise_where_there_is_little_else() -> None:
    pixels = 120 + 8 * RNG.standard_normal((200, 200))
    # Windows of 25 have a standard deviation of about 8 sqrt(24/25).
    assert noise_sd(pixels, one(pixels), 5) == pytest.approx(7.84, rel=0.03)


def test_lee_is_the_published_equation() -> None:
    pixels = grey()
    window = pixels[18:23, 28:33]
    m, v, x = window.mean(), window.var(), pixels[20, 30]
    q = max(v - 10**2, 0)
    assert lee_additive(pixels, 5, 10.0)[20, 30] == pytest.approx(m + q / (q + 100) * (x - m))
    q = max((v + m**2) / 1.01 - m**2, 0)
    expected = m + q / (m**2 * 0.01 + q) * (x - m)
    assert lee_multiplicative(pixels, 5, 0.1)[20, 30] == pytest.approx(expected)


def test_lee_is_the_mean_where_all_is_noise_and_the_image_where_none_is() -> None:
    pixels = grey()
    assert np.allclose(lee_additive(pixels, 5, 1e4), window_moments(pixels, 5)[0], atol=0.1)
    assert np.allclose(lee_additive(pixels, 5, 1e-4), pixels, atol=1e-3)
    assert np.allclose(lee_multiplicative(pixels, 5, 1e-5), pixels, atol=1e-2)


def test_non_local_means_is_that_of_scikit_image() -> None:
    # Beyond the border scikit-image looks nowhere, we look into the mirror; its exponential is an approximation.
    found = non_local_means(grey(seed=5), 5, 11, 10.0, 12.0)
    inner = slice(8, -8), slice(8, -8)
    assert np.abs(found - GOLDEN["nlm"])[inner].max() < 0.3
    assert np.abs(found - grey(seed=5))[inner].max() > 20


def test_non_local_means_is_its_definition() -> None:
    pixels, (h, noise) = grey(24, 24), (9.0, 4.0)
    padded = np.pad(pixels, 3, mode="reflect")  # patch 3, search 5
    gauss = np.exp(-0.5 * ((np.arange(3) - 1) / 0.5) ** 2)
    gauss /= gauss.sum()
    weights, values = [], []
    row, column = 7 + 3, 15 + 3
    own = padded[row - 1 : row + 2, column - 1 : column + 2]
    for i in range(row - 2, row + 3):
        for j in range(column - 2, column + 3):
            apart = gauss @ (padded[i - 1 : i + 2, j - 1 : j + 2] - own) ** 2 @ gauss
            weights.append(np.exp(-max(apart - 2 * noise**2, 0) / h**2))
            values.append(padded[i, j])
    assert non_local_means(pixels, 3, 5, h, noise)[7, 15] == pytest.approx(np.average(values, weights=weights))


# --- SRAD


def speckle(shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    """Fully developed speckle in intensity (coefficient of variation 1); the right half is 8 times brighter."""
    scene = np.where(np.arange(shape[1]) < shape[1] // 2, 10.0, 80.0)
    return np.random.default_rng(3).exponential(1.0, shape) * scene + 1e-3


@pytest.mark.parametrize("step", [0.05, 0.2, 1.0])
def test_diffusion_keeps_range_and_mean_for_every_allowed_step(step: float) -> None:
    before = speckle()
    after = diffused(before, 60, step, 1.0, 1 / 6)
    assert after.min() >= before.min() - 1e-12 and after.max() <= before.max() + 1e-9
    assert after.mean() == pytest.approx(before.mean(), rel=1e-12)


def test_a_flat_image_stays_as_it_is() -> None:
    assert np.array_equal(diffused(np.full((20, 30), 7.0), 50, 0.2, 1.0, 0.1), np.full((20, 30), 7.0))


def test_one_step_of_diffusion_is_the_published_update() -> None:
    image = speckle((5, 6))
    i, j, q0 = 2, 3, 0.8

    def c(i: int, j: int) -> float:
        north, south = image[max(i - 1, 0), j], image[min(i + 1, 4), j]
        west, east = image[i, max(j - 1, 0)], image[i, min(j + 1, 5)]
        own = image[i, j]
        gradient = sum((n - own) ** 2 for n in (north, south, west, east)) / own**2
        laplacian = (north + south + west + east - 4 * own) / own
        q2 = max(gradient / 2 - laplacian**2 / 16, 0) / (1 + laplacian / 4) ** 2
        return min(max(1 / (1 + (q2 - q0**2) / (q0**2 * (1 + q0**2))), 0), 1)

    own = image[i, j]
    change = (
        c(i + 1, j) * (image[i + 1, j] - own)
        + c(i, j) * (image[i - 1, j] - own)
        + c(i, j + 1) * (image[i, j + 1] - own)
        + c(i, j) * (image[i, j - 1] - own)
    )
    assert diffused(image, 1, 0.3, q0, 0.0)[i, j] == pytest.approx(own + 0.3 / 4 * change)


def test_srad_smooths_speckle_and_keeps_the_edge() -> None:
    before = speckle((120, 160))
    after = diffused(before, 100, 0.2, 1.0, 1 / 6)
    left = slice(10, -10), slice(10, 60)
    variation = [image[left].std() / image[left].mean() for image in (before, after)]
    assert variation[0] == pytest.approx(1.0, abs=0.05) and variation[1] < 0.4
    sides = after[10:-10, 66:74].mean(), after[10:-10, 86:94].mean()
    assert sides[1] / sides[0] > 5  # 8 in truth


def test_srad_works_on_the_decompressed_image() -> None:
    pixels = grey()
    method = Srad(iterations=5, dynamic_range=60)
    intensity = 10 ** (pixels * 60 / 2550)
    expected = 2550 / 60 * np.log10(diffused(intensity, 5, 0.2, 1.0, 1 / 6))
    assert np.allclose(method.transform(one(pixels)).maps[0], expected, atol=1e-9)
    with pytest.raises(DataError, match=r"grey levels from .* to 430; srad takes 0 to 255"):
        method.transform(one(pixels * 2))


def test_a_flat_image_needs_the_noise_to_be_given() -> None:
    half = np.full((40, 40), 90.0)
    half[0, 0] = 100.0
    with pytest.raises(DataError, match="its noise cannot be estimated"):
        Lee().transform(one(half))
    assert np.isfinite(Lee(noise=5.0).transform(one(half)).maps).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Median(4), r"median\.size must be an odd number"),
        (lambda: Lee(model="log"), "must be one of additive, multiplicative"),
        (lambda: Srad(step=1.5), r"srad\.step must be a number above 0 and at most 1"),
        (lambda: Srad(iterations=0), "at least 1"),
        (lambda: NonLocalMeans(search=1), "odd number of at least 3"),
    ],
)
def test_a_wrong_parameter_says_what_is_allowed(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
