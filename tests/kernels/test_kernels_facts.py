"""What is said and drawn of kernels, against values that are known."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from harmbench_builtin.kernels import pictures
from harmbench_builtin.kernels.facts import diversity, frequency_responses, kernel_facts
from harmbench_builtin.pretrain.monitor import stem_facts

RNG = np.random.default_rng(0)


def wave(size: int, row: float, column: float) -> np.ndarray:
    """Waves of so many cycles per pixel along rows' and columns' direction, under a Gaussian window."""
    at = np.arange(size) - (size - 1) / 2
    window = np.exp(-((at[:, None] ** 2 + at[None] ** 2) / (2 * (size / 4) ** 2)))
    return np.cos(2 * np.pi * (row * at[:, None] + column * at[None])) * window


def test_the_response_of_a_box_is_the_dirichlet_kernel() -> None:
    response = frequency_responses(np.ones((1, 4, 4)))[0]
    assert response.shape == (64, 64)
    frequency = (np.arange(64) - 32) / 64
    with np.errstate(invalid="ignore"):
        one = np.abs(np.sin(4 * np.pi * frequency) / np.sin(np.pi * frequency))
    one[32] = 4
    assert np.allclose(response, one[:, None] * one[None], atol=1e-12)


@pytest.mark.parametrize(
    ("row", "column", "direction"), [(0, 0.25, 0), (0.25, 0, 90), (0.25, 0.25, 45), (0.25, -0.25, 135)]
)
def test_a_wave_has_its_frequency_and_direction(row: float, column: float, direction: float) -> None:
    (fact,) = kernel_facts(wave(16, row, column)[None])
    assert fact.frequency == pytest.approx(math.hypot(row, column), abs=0.02)
    assert fact.direction == pytest.approx(direction, abs=3)
    assert fact.flat_share < 0.05


def test_a_smoothing_kernel_is_strongest_at_frequency_0() -> None:
    (fact,) = kernel_facts(np.full((1, 3, 3), 0.5))
    assert (fact.frequency, fact.flat_share, fact.sum, fact.norm) == (0, 1, 4.5, 1.5) and math.isnan(fact.direction)


def test_a_chequerboard_is_strongest_at_the_highest_frequency() -> None:
    (fact,) = kernel_facts(np.indices((4, 4)).sum(0)[None] % 2 * 2.0 - 1)
    assert fact.frequency == pytest.approx(math.sqrt(0.5)) and fact.direction == pytest.approx(45)
    assert fact.flat_share == pytest.approx(0, abs=1e-12)


def test_large_kernels_get_a_finer_grid() -> None:
    assert frequency_responses(np.ones((2, 32, 32))).shape == (2, 128, 128)


def test_diversity_is_that_of_the_training_log() -> None:
    weight = RNG.normal(size=(12, 4, 4))
    logged = stem_facts(torch.from_numpy(weight)[:, None], torch.from_numpy(weight)[:, None])["kernel_diversity"]
    assert diversity(weight) == pytest.approx(logged, rel=1e-12)
    assert diversity(np.stack([weight[0], -3 * weight[0]])) == pytest.approx(0, abs=1e-12)
    assert diversity(weight[:1]) == 0


def test_the_tile_of_a_kernel_shows_its_signs() -> None:
    tile = pictures.kernel_tile(np.array([[1.0, -1.0], [0.0, 0.5]]))
    half = tile.shape[0] // 2
    red, blue, white, pale = (tile[r, c].astype(int) for r, c in ((0, 0), (0, half), (half, 0), (half, half)))
    assert red[0] > red[2] + 50 and blue[2] > blue[0] + 50
    assert np.ptp(white) == 0 and white.min() > 240
    assert red[1] < pale[1] < white[1]


def test_the_tile_of_a_response_is_brighter_where_the_gain_is_larger() -> None:
    response = np.array([[1.0, 0.1], [0.01, 0.0]])  # 0, -20, -40 dB, nothing
    tile = pictures.response_tile(response).astype(int).sum(-1)
    half = tile.shape[0] // 2
    assert tile[0, 0] > tile[0, half] > tile[half, 0] == tile[half, half]


@pytest.mark.parametrize("draw", [pictures.kernels_picture, pictures.responses_picture])
@pytest.mark.parametrize(("count", "size"), [(1, 4), (12, 7), (7, 16)])
def test_pictures_show_every_kernel(draw: Callable[[np.ndarray, str], bytes], count: int, size: int) -> None:
    weight = RNG.normal(size=(count, size, size))
    whole = draw(weight, "A title")
    with Picture.open(io.BytesIO(whole)) as picture:
        assert picture.format == "PNG" and min(picture.size) > 72
    seen = {whole}
    for i in range(count):
        changed = weight.copy()
        changed[i] = np.rot90(changed[i])
        seen.add(draw(changed, "A title"))
    assert len(seen) == count + 1


def test_of_very_many_kernels_the_first_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_MOST_TILES", 10)
    weight = RNG.normal(size=(12, 3, 3))
    first = pictures.kernels_picture(weight, "x")
    weight[10:] = 0
    assert pictures.kernels_picture(weight, "x") == first
    assert pictures.kernels_picture(weight[:10], "x") != first  # it says how many there are


def test_a_kernel_of_zeros_can_be_drawn_and_described() -> None:
    weight = np.zeros((2, 4, 4))
    assert pictures.kernels_picture(weight, "x") and pictures.responses_picture(weight, "x")
    assert kernel_facts(weight)[0].flat_share == 0 and diversity(weight) == 1
