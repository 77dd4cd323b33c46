"""Second views, made or real, and targets rich in fine texture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from harmbench.data import Image, ImageSet, Sample
from harmbench.errors import DataError
from harmbench_builtin.datasets.plax_phantom.virtual import paired_virtual_scanner_images, virtual_scanner_images
from harmbench_builtin.pretrain import frequency, scanners, views
from harmbench_builtin.pretrain.pairs import from_paired_image_set

NEUTRAL = torch.tensor([[0.0, 0.0, 0.0, 0.5, (1 - 0.75) / 0.6, (1 - 0.8) / 0.45, 0.0]])
"""A scanner that changes nothing: no blur, no shift, stretch 1, gamma 1, no S-curve."""


def speckle(count: int = 2, size: int = 40, seed: int = 0) -> torch.Tensor:
    return 40.0 + 150.0 * torch.rand((count, 1, size, size), generator=torch.Generator().manual_seed(seed))


def changed(**by_name: float) -> torch.Tensor:
    names = ("down", "across", "sharp", "gain", "stretch", "gamma", "curve")
    return torch.tensor([[by_name.get(n, float(v)) for n, v in zip(names, NEUTRAL[0], strict=True)]])


def test_a_neutral_scanner_leaves_the_image_alone() -> None:
    image = speckle(1)
    assert torch.allclose(scanners.random_scanner(image, torch.ones_like(image), NEUTRAL), image, atol=1e-3)


def test_its_blur_is_gaussian_along_each_axis_by_itself() -> None:
    image = speckle(1)
    made = scanners.random_scanner(image, torch.ones_like(image), changed(down=2 / 3, across=0.4))
    sds = (scanners.BLUR_PIXELS * 2 / 3, scanners.BLUR_PIXELS * 0.4)
    expected = image[0, 0].double().numpy()
    for axis, sd in enumerate(sds):
        expected = ndimage.gaussian_filter1d(expected, sd, axis=axis, radius=4, mode="nearest")
    assert np.allclose(made[0, 0].numpy(), expected, atol=0.01)


def test_gain_moves_all_grey_levels_and_stretch_keeps_the_mean() -> None:
    image = 100.0 + 20.0 * (speckle(1) - 115.0) / 75.0
    inside = torch.ones_like(image)
    brighter = scanners.random_scanner(image, inside, changed(gain=1.0))
    assert torch.allclose(brighter - image, torch.full_like(image, 255 * scanners.GAIN), atol=0.01)
    wider = scanners.random_scanner(image, inside, changed(stretch=1.0))
    assert wider.mean().item() == pytest.approx(image.mean().item(), abs=0.01)
    assert (wider.std() / image.std()).item() == pytest.approx(scanners.STRETCH[1], rel=1e-3)


def test_every_image_has_its_own_scanner_and_nothing_is_shown_outside_the_sector() -> None:
    image = speckle(3)
    sector = torch.ones_like(image)
    sector[:, :, :10] = 0.0
    draws = torch.rand((3, scanners.DRAWS), generator=torch.Generator().manual_seed(1))
    together = scanners.random_scanner(image, sector, draws)
    alone = torch.cat(
        [scanners.random_scanner(image[i : i + 1], sector[i : i + 1], draws[i : i + 1]) for i in range(3)]
    )
    assert torch.allclose(together, alone, atol=1e-3)
    assert not together[:, :, :10].any()
    assert together.min() >= 0.0 and together.max() <= 255.0
    assert (together - image).abs().mean() > 5.0


def test_windows_show_the_same_place_of_both_views_where_most_of_the_sector_is() -> None:
    pixels = torch.arange(2 * 32 * 32).reshape(2, 32, 32).remainder(256).to(torch.uint8)
    sector = torch.zeros((2, 32, 32), dtype=torch.bool)
    sector[:, 4:28, 4:28] = True
    random = views.draws(0, 0, 2)
    found = views.windows(pixels, 255 - pixels, sector, 16, random)
    assert found.first.shape == (2, 1, 16, 16)
    assert torch.equal(found.first + found.second, torch.full_like(found.first, 255.0))
    corners = (random.places * 17).long()
    shares = [[sector[i, r : r + 16, c : c + 16].sum().item() for r, c in corners[i].tolist()] for i in range(2)]
    assert [part.sum().item() for part in found.sector] == [max(own) for own in shares]


def test_windows_of_images_that_are_smaller_are_the_whole_image() -> None:
    pixels = torch.randint(0, 255, (1, 20, 30), dtype=torch.uint8)
    found = views.windows(pixels, pixels, torch.ones((1, 20, 30), dtype=torch.bool), 64, views.draws(0, 0, 1))
    assert found.first.shape == (1, 1, 20, 20)


def test_both_views_are_made_where_there_is_no_second_one() -> None:
    pixels = speckle(2)[:, 0].to(torch.uint8)
    found = views.windows(pixels, None, torch.ones((2, 40, 40), dtype=torch.bool), 40, views.draws(0, 1, 2))
    assert not torch.allclose(found.first, found.second, atol=1.0)
    first, second = (part[0, 0].flatten() for part in (found.first, found.second))
    assert torch.corrcoef(torch.stack([first, second]))[0, 1] > 0.5


def test_grey_levels_are_a_target_as_they_are() -> None:
    image = speckle()
    assert frequency.filtered(image, "pixels") is image


def test_the_laplacian_of_a_plane_is_zero_and_of_a_point_is_that_by_hand() -> None:
    plane = (torch.arange(12.0)[:, None] + 2.0 * torch.arange(12.0)).expand(1, 1, 12, 12)
    assert torch.allclose(frequency.filtered(plane, "laplacian")[..., 1:-1, 1:-1], torch.zeros(10, 10), atol=1e-5)
    point = torch.zeros(1, 1, 5, 5)
    point[..., 2, 2] = 4.0
    expected = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 4.0, -1.0], [0.0, -1.0, 0.0]])
    assert torch.equal(frequency.filtered(point, "laplacian")[0, 0, 1:4, 1:4], expected)


def test_whitening_flattens_a_falling_spectrum_and_keeps_the_variance() -> None:
    size = 128
    random = torch.Generator().manual_seed(0)
    radius = torch.sqrt(torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size) ** 2)
    pink = torch.fft.irfft2(torch.fft.rfft2(torch.randn((4, 1, size, size), generator=random)) / radius.clamp(min=0.01))
    white = frequency.filtered(pink, "whitened")
    assert torch.allclose(white.std((1, 2, 3)), pink.std((1, 2, 3)), rtol=1e-4)
    low, high = (radius > 0.04) & (radius < 0.08), (radius > 0.16) & (radius < 0.2)
    for image, ratio in ((pink, 3.0), (white, 1.0)):
        amplitude = torch.fft.rfft2(image).abs().mean((0, 1))
        assert (amplitude[low].mean() / amplitude[high].mean()).item() == pytest.approx(ratio, rel=0.1)


class Reader:
    def __init__(self, shown: dict[str, np.ndarray]) -> None:
        self.shown = shown

    def read(self, sample: Sample) -> Image:
        return Image(sample.id, self.shown[sample.image].astype(np.float32), np.ones((64, 64), bool))

    def digest(self, sample: Sample) -> str:
        return sample.image


def image_set(shift: int = 0, keys: tuple[str, ...] = ("p", "p", "q", "q", "")) -> ImageSet:
    """Images with a dark frame, some of them in pairs; the second of a pair is moved down by `shift`."""
    rng = np.random.default_rng(0)
    shown = {}
    for i in range(len(keys)):
        pixels = np.zeros((64, 64))
        top = 8 + (shift if i % 2 else 0)
        pixels[top : top + 40, 12:52] = rng.integers(30, 200, (40, 40))
        shown[str(i)] = pixels
    samples = tuple(
        Sample(id=f"s{i}", image=str(i), mask="", manufacturer="AB"[i % 2], patient=f"p{i // 2}", label="x", pair=key)
        for i, key in enumerate(keys)
    )
    return ImageSet("mine", samples, Reader(shown), ("x", "y"))


def test_pairs_of_a_manifest_become_first_and_second_views() -> None:
    found = from_paired_image_set(image_set(), size=64)
    assert found.ids == ("s0", "s2") and found.second().pixels.shape == (2, 64, 64)
    assert ("s4", "the image is of no pair.") in found.skipped
    assert not np.array_equal(found.pixels, found.second().pixels)
    # Whoever asks what was trained on hears of all four images, and of two patients.
    assert len(found.seen().images) == 4 and len(found.seen().patients) == 2


def test_pairs_that_are_not_aligned_are_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"'s0' and 's1' of pair 'p' are not aligned.*views=scanner"):
        from_paired_image_set(image_set(shift=12), size=64)


def test_images_without_pairs_are_refused() -> None:
    with pytest.raises(DataError, match="do not come in pairs"):
        from_paired_image_set(image_set(keys=("", "", "")), size=64)


def test_two_virtual_scanners_show_one_heart_in_one_window() -> None:
    both, sector = paired_virtual_scanner_images(3, 5, size=96)
    first, own = virtual_scanner_images(3, 5, size=96)
    assert np.array_equal(both[:, 0], first) and np.array_equal(sector, own)
    assert not both[~np.broadcast_to(sector[:, None], both.shape)].any()
    same, other = [], []
    for i in range(3):
        inside = sector[0] & sector[1] & sector[2]
        smooth = [ndimage.gaussian_filter(both[i, v].astype(float), 2)[inside] for v in (0, 1)]
        stranger = ndimage.gaussian_filter(both[(i + 1) % 3, 1].astype(float), 2)[inside]
        same.append(np.corrcoef(*smooth)[0, 1])
        other.append(np.corrcoef(smooth[0], stranger)[0, 1])
        assert not np.array_equal(both[i, 0], both[i, 1])
    assert min(same) > 0.6 and np.mean(same) > np.mean(other) + 0.2
