"""Fixed filter banks against independent programs, and values worked out by hand."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage

from golden.image_cases import grey
from harmbench.components import Context
from harmbench.data import FilteredImage, Image
from harmbench.errors import DataError, UsageError
from harmbench.specs import load_target
from harmbench_builtin.extractors.fast2d.extractor import Fast2d
from harmbench_builtin.harmonizers.filter_bank import filter as filters
from harmbench_builtin.harmonizers.filter_bank.bank import BankHarmonizer, stacked
from harmbench_builtin.harmonizers.filter_bank.dct import Dct
from harmbench_builtin.harmonizers.filter_bank.filter import filter_bank
from harmbench_builtin.harmonizers.filter_bank.gabor import Gabor, gabor_kernel
from harmbench_builtin.harmonizers.filter_bank.laplacian import LaplacianOfGaussian, laplacian_kernel
from harmbench_builtin.harmonizers.filter_bank.laws import Laws
from harmbench_builtin.harmonizers.filter_bank.specs import BANKS
from harmbench_builtin.harmonizers.filter_bank.wavelet import WAVELETS, Wavelet, daubechies

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "image_methods.npz")


def image(pixels: np.ndarray, spacing: tuple[float, float] | None = (0.5, 0.5)) -> Image:
    mask = np.zeros(pixels.shape, bool)
    mask[10:-10, 12:-12] = True
    return Image("s1", pixels.astype(np.float32), mask, spacing)


def maps(method: BankHarmonizer, pixels: np.ndarray) -> dict[str, np.ndarray]:
    filtered = method.transform(image(pixels))
    return dict(zip(filtered.names, filtered.maps, strict=True))


# --- kernels


@pytest.mark.parametrize("frequency", [0.1, 0.4])
@pytest.mark.parametrize("degrees", [0, 45, 110])
def test_gabor_kernels_are_those_of_scikit_image(frequency: float, degrees: int) -> None:
    expected = GOLDEN[f"gabor_{frequency}_{degrees}"]
    kernel = gabor_kernel(frequency, np.radians(degrees))
    side = max(*kernel.shape, *expected.shape)
    both = [np.pad(k, [((side - n) // 2, (side - n) // 2) for n in k.shape]) for k in (kernel, expected)]
    assert np.allclose(both[0], both[1], rtol=0, atol=1e-15)


def test_a_gabor_filter_answers_to_its_own_wave_most() -> None:
    wave = 100 + 50 * np.cos(2 * np.pi * 0.2 * np.arange(80))[None, :].repeat(80, 0)
    strength = {name: np.abs(m[20:-20, 20:-20]).max() for name, m in maps(Gabor(part="magnitude"), wave).items()}
    assert max(strength, key=lambda name: strength[name]) == "gabor-f0.2-a0"


def test_the_magnitude_is_that_of_even_and_odd_part() -> None:
    both = maps(Gabor("0.2", 2), grey())
    magnitude = maps(Gabor("0.2", 2, part="magnitude"), grey())
    for name, values in magnitude.items():
        assert np.allclose(values, np.hypot(both[f"{name}-even"], both[f"{name}-odd"]), rtol=1e-12)


def test_selected_gabor_maps_are_those_of_the_whole_bank() -> None:
    every = maps(Gabor("0.1,0.3", 2, part="magnitude"), grey())
    some = maps(Gabor("0.1,0.3", 2, part="magnitude", reduce="select", select="3,0"), grey())
    assert list(some) == ["gabor-f0.3-a90", "gabor-f0.1-a0"]
    assert all(np.allclose(values, every[name], rtol=1e-12) for name, values in some.items())


def test_laplacian_of_gaussian_is_scipys_times_sigma_squared() -> None:
    found = maps(LaplacianOfGaussian("2,3"), grey())
    for sigma in (2, 3):
        expected = sigma**2 * scipy.ndimage.gaussian_laplace(grey(), sigma, mode="mirror", truncate=5)
        scale = np.abs(expected).max()
        assert np.abs(found[f"log-s{sigma}px"] - expected).max() < 0.004 * scale


def test_laplacian_of_gaussian_of_a_parabola_is_what_calculus_says() -> None:
    # s^2 (d2/dx2 + d2/dy2) of x^2 is 2 s^2 everywhere, smoothed or not.
    parabola = np.broadcast_to((np.arange(81) - 40.0)[None, :] ** 2, (81, 81))
    found = maps(LaplacianOfGaussian("2,3"), parabola)
    assert found["log-s2px"][40, 40] == pytest.approx(8, rel=5e-3)
    assert found["log-s3px"][40, 40] == pytest.approx(18, rel=5e-3)


def test_laplacian_of_gaussian_of_flat_tissue_is_exactly_zero() -> None:
    assert not LaplacianOfGaussian().transform(image(np.full((64, 64), 113.0))).maps.any()


def test_sigmas_in_mm_follow_the_spacing_of_each_side() -> None:
    method = LaplacianOfGaussian("1", unit="mm")
    bank = method.bank(image(grey(), (0.5, 0.25)))
    assert np.array_equal(bank.kernels[0], laplacian_kernel(2.0, 4.0))
    assert bank.names == ("log-s1mm",)
    with pytest.raises(DataError, match=r"'s1' has no pixel spacing"):
        method.transform(image(grey(), None))


def test_laws_masks_are_the_published_products() -> None:
    kernels = dict(zip(Laws().choice.names, Laws().kernels, strict=True))
    assert len(kernels) == 25 and len(Laws(3).kernels) == 9
    assert kernels["L5E5"][0].tolist() == [-1, -2, 0, 2, 1] and kernels["L5E5"][:, 4].tolist() == [1, 4, 6, 4, 1]
    assert kernels["R5R5"][2, 2] == 36 and kernels["L5L5"].sum() == 256
    # All but L have the sum 0: they see no brightness.
    assert all((kernel.sum() == 0) == (name != "L5L5") for name, kernel in kernels.items())


@pytest.mark.parametrize("name", WAVELETS)
def test_wavelet_filters_are_those_of_pywavelets(name: str) -> None:
    assert np.allclose(daubechies(WAVELETS.index(name) + 1), GOLDEN[f"low_{name}"], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("name", "levels"), [("haar", 1), ("haar", 2), ("db3", 1), ("db3", 2)])
def test_sub_bands_are_those_of_the_stationary_transform_away_from_the_border(name: str, levels: int) -> None:
    found = maps(Wavelet(name, levels), grey(64, 64, seed=7))
    assert len(found) == 3 * levels + 1
    for band, values in found.items():
        expected = GOLDEN[f"swt_{name}_{levels}_{band[2:]}_{band[:2]}"]
        # The two place a sub-band some pixels apart; nothing else may differ.
        apart = [
            np.abs(values[24 + i : 40 + i, 24 + j : 40 + j] - expected).max()
            for i in range(-16, 17)
            for j in range(-16, 17)
        ]
        assert min(apart) < 1e-6, band


def test_dct_maps_are_the_coefficients_of_every_square() -> None:
    pixels = grey()
    found = maps(Dct(), pixels)
    # A kernel of 4 reaches from one pixel before to two behind.
    coefficients = scipy.fft.dctn(pixels[19:23, 29:33], norm="ortho")
    values = [found[f"r{u}c{v}"][20, 30] for u in range(4) for v in range(4)]
    assert np.allclose(values, coefficients.ravel(), atol=1e-6)


def test_smaller_kernels_in_a_bank_answer_as_they_would_alone() -> None:
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=size) for size in ((2, 2), (5, 5), (4, 3))]
    together = filter_bank(grey(), stacked(kernels))
    for kernel, alone in zip(kernels, together, strict=True):
        inner = slice(5, -5), slice(5, -5)
        assert np.allclose(filter_bank(grey(), kernel[None])[0][inner], alone[inner], rtol=1e-12, atol=1e-12)


# --- as harmonizers


@pytest.mark.parametrize("spec", BANKS, ids=lambda spec: spec.name)
def test_the_fused_way_gives_the_same_features_bit_for_bit(spec: Any) -> None:
    # With taps like 0.7071 twice, last bits would move pixels across the edges between grey-level bins.
    method = load_target(spec.target)(**spec.params)
    extractor, picture = Fast2d(bin_count=32, shape=False), image(grey(96, 80, seed=2))
    bank = method.linear(picture)
    fused = extractor.extract_linear(
        "s1", bank.pixels, bank.kernels, bank.bias, bank.names, picture.mask, picture.spacing, Context()
    )
    plain = extractor.extract([method.transform(picture)], Context())
    assert fused.names == plain.names
    assert np.array_equal(fused.values, plain.values)


@pytest.mark.parametrize("size", [7, 16])
def test_the_fused_way_serves_the_kernels_of_larger_stems(size: int) -> None:
    kernels = np.random.default_rng(size).normal(size=(6, size, size))
    picture, extractor = image(grey(96, 80)), Fast2d(bin_count=32, shape=False)
    names = tuple("abcdef")
    pixels = picture.pixels.astype(float)
    fused = extractor.extract_linear("s1", pixels, kernels, np.zeros(6), names, picture.mask, None, Context())
    plain = extractor.extract([FilteredImage("s1", filter_bank(pixels, kernels), names, picture.mask, None)], Context())
    assert np.allclose(fused.values, plain.values, rtol=1e-9, atol=1e-12)


def test_filtering_in_strips_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels, pixels = np.random.default_rng(0).normal(size=(3, 16, 16)), grey(100, 90)
    whole = filter_bank(pixels, kernels)
    monkeypatch.setattr(filters, "_BYTES", 1 << 21)
    assert np.array_equal(filter_bank(pixels, kernels), whole)


@pytest.mark.parametrize(
    ("make", "linear"),
    [
        (lambda: Dct(reduce="l2"), False),
        (lambda: Dct(reduce="mean"), False),
        (lambda: Dct(reduce="select", select="0-3"), True),
        (lambda: Gabor(part="magnitude"), False),
        (lambda: Gabor(part="odd"), True),
    ],
)
def test_only_plain_filters_take_the_fused_way(make: Any, linear: bool) -> None:
    assert (make().linear(image(grey())) is not None) == linear


@pytest.mark.parametrize("spec", BANKS, ids=lambda spec: spec.name)
def test_a_bank_survives_pickling_and_takes_exactly_the_parameters_of_its_spec(spec: Any) -> None:
    import inspect

    target = load_target(spec.target)
    assert {k: p.default for k, p in inspect.signature(target).parameters.items()} == dict(spec.params)
    method = target()
    copy = pickle.loads(pickle.dumps(method))
    assert np.array_equal(copy.transform(image(grey())).maps, method.transform(image(grey())).maps)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gabor("0.1,0.6"), r"gabor\.frequencies must be numbers above 0 and at most 0\.5.*'0\.6' is not"),
        (lambda: Gabor("0.1,0.1"), "twice"),
        (lambda: Gabor(orientations=0), "whole number from 1 to 64"),
        (lambda: Gabor(part="real"), "must be one of both, even, odd, magnitude"),
        (lambda: LaplacianOfGaussian("x"), "'x' is not"),
        (lambda: LaplacianOfGaussian(unit="cm"), "must be one of px, mm"),
        (lambda: Laws(4), "must be 3 or 5"),
        (lambda: Wavelet("sym4"), "must be one of haar, db2"),
        (lambda: Wavelet(levels=5), "from 1 to 4"),
        (lambda: Dct(1), "from 2 to 16"),
        (lambda: Dct(reduce="select", select="16"), r"dct\.select.*'16' is not"),
    ],
)
def test_a_wrong_parameter_says_what_is_allowed(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
