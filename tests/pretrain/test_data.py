"""Images from every source become one square stack, and what cannot be used is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from harmbench.data import Image, ImageSet, Sample
from harmbench.errors import DataError
from harmbench_builtin.pretrain import data
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.sector import find_sector


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels).save(path)


def grey(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(20, 200, (rows, columns)).astype(np.uint8)


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    pixels = grey(64, 64)
    assert np.array_equal(data.to_square(pixels, 64), pixels)


def test_a_wide_image_keeps_its_proportion_and_is_padded_above_and_below() -> None:
    square = data.to_square(np.full((50, 100), 80, np.uint8), 64)
    assert square.shape == (64, 64)
    # 50 x 100 becomes 32 x 64: rows 16 to 47.
    assert np.array_equal(np.flatnonzero(square.any(axis=1)), np.arange(16, 48))
    assert (square[16:48] == 80).all()


def test_sixteen_bit_values_are_spread_over_0_to_255() -> None:
    pixels = np.linspace(1000, 5000, 64 * 64).reshape(64, 64)
    square = data.to_square(pixels, 64)
    assert (square.min(), square.max()) == (0, 255)
    assert square.ravel()[2048] == round(255 * 2048 / 4095)


@pytest.mark.parametrize(
    ("pixels", "problem"),
    [
        (np.zeros((31, 200), np.uint8), "31 x 200 pixels"),
        (np.zeros((64, 64, 3), np.uint8), "must be grey"),
        (np.full((64, 64), np.nan), "NaN"),
    ],
)
def test_an_image_that_cannot_be_used_says_why(pixels: np.ndarray, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        data.to_square(pixels, 64)


def test_the_sector_is_where_something_is_seen_within_4_pixels() -> None:
    pixels = np.full((64, 64), 3, np.uint8)  # compression noise
    pixels[30, 40] = 90
    expected = np.zeros((64, 64), bool)
    expected[26:35, 36:45] = True
    assert np.array_equal(find_sector(pixels), expected)


def test_a_folder_gives_its_images_in_order_and_names_what_it_left_out(tmp_path: Path) -> None:
    save(tmp_path / "b.png", grey(64, 64, 1))
    save(tmp_path / "sub" / "a.jpg", grey(90, 70, 2))
    save(tmp_path / "sub" / "colour.png", np.repeat(grey(64, 64, 3)[..., None], 3, 2))
    save(tmp_path / "sub" / "deep.png", grey(64, 64, 4).astype(np.uint16) * 200)
    save(tmp_path / "black.png", np.zeros((64, 64), np.uint8))
    save(tmp_path / "tiny.png", grey(20, 20))
    (tmp_path / "broken.png").write_bytes((tmp_path / "b.png").read_bytes()[:1000])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "notes.txt").write_text("not looked at")
    calls: list[tuple[str, int, int]] = []
    images = data.from_folder(tmp_path, size=64, progress=lambda *call: calls.append(call))
    assert images.ids == ("b.png", "sub/a.jpg", "sub/colour.png", "sub/deep.png")
    assert images.pixels.shape == (4, 64, 64) and images.pixels.dtype == np.uint8
    assert np.array_equal(images.pixels[0], grey(64, 64, 1))
    assert np.array_equal(images.pixels[2], grey(64, 64, 3))
    assert images.pixels[3].max() == 255
    assert [name for name, _ in images.skipped] == ["black.png", "broken.png", "text.jpg", "tiny.png"]
    assert "20 x 20" in dict(images.skipped)["tiny.png"]
    assert calls[-1] == ("read images", 8, 8)


def test_a_folder_without_a_usable_image_is_an_error_that_names_one(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(DataError, match=r"no usable image.*1 could not be used.*text\.jpg"):
        data.from_folder(tmp_path, size=64)
    with pytest.raises(DataError, match="no such folder"):
        data.from_folder(tmp_path / "nowhere", size=64)


class _Reader:
    def read(self, sample: Sample) -> Image:
        if sample.id == "s1":
            raise DataError("the file is gone.", file=sample.image)
        return Image(sample.id, grey(64, 80, int(sample.id[1])).astype(np.float32), np.ones((64, 80), bool))

    def digest(self, sample: Sample) -> str:
        return sample.id


def test_an_image_set_gives_its_readable_images() -> None:
    samples = tuple(
        Sample(id=f"s{i}", image=f"{i}.png", mask="", manufacturer="A", patient=f"p{i}", label="x") for i in range(3)
    )
    images = data.from_image_set(ImageSet("mine", samples, _Reader(), ("x", "y"), synthetic=True), size=80)
    assert images.ids == ("s0", "s2") and images.synthetic and images.name == "mine"
    assert np.array_equal(images.pixels[1, 8:72], grey(64, 80, 2))
    assert images.skipped == (("s1", "1.png: the file is gone."),)


def test_mean_and_sd_are_those_of_the_sector() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 40)).astype(np.uint8)
    sector = np.random.default_rng(1).random((3, 40, 40)) < 0.3
    images = PretrainingImages("x", pixels, sector, ("a", "b", "c"))
    inside = pixels[sector] / 255
    assert images.statistics() == pytest.approx((inside.mean(), inside.std()), rel=1e-12)


def test_images_that_show_nothing_are_refused() -> None:
    images = PretrainingImages("x", np.zeros((1, 40, 40), np.uint8), np.ones((1, 40, 40), bool), ("a",))
    with pytest.raises(DataError, match="show nothing"):
        images.statistics()


def test_the_digest_of_ids_ignores_order_and_that_of_pixels_sees_every_pixel() -> None:
    pixels = np.stack([grey(32, 32, 1), grey(32, 32, 2)])
    sector = np.ones_like(pixels, bool)
    images = PretrainingImages("x", pixels, sector, ("a", "b"))
    changed = pixels.copy()
    changed[1, 3, 4] ^= 1
    assert images.ids_digest() == PretrainingImages("x", pixels, sector, ("b", "a")).ids_digest()
    assert images.ids_digest() != PretrainingImages("x", pixels, sector, ("a", "c")).ids_digest()
    assert images.digest() != PretrainingImages("x", changed, sector, ("a", "b")).digest()


def test_phantom_images_come_from_virtual_scanners_and_depend_on_the_seed_only() -> None:
    images, again, other = (data.from_phantom(2, seed, size=96) for seed in (3, 3, 4))
    assert images.pixels.shape == (2, 96, 96) and images.synthetic and images.licence == "Apache-2.0"
    assert not images.pixels[~images.sector].any() and images.pixels[images.sector].any()
    assert images.digest() == again.digest() != other.digest()
    assert not set(images.ids) & set(other.ids)
