"""The filter bank against PyTorch and against values worked out by hand; kernel files, names and reductions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from harmbench.components import Context
from harmbench.data import Image, ImageSet
from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.filter_bank.filter import filter_bank
from harmbench_builtin.harmonizers.specs import HARMONIZERS
from harmbench_builtin.harmonizers.ssl_kernel import registry
from harmbench_builtin.harmonizers.ssl_kernel.harmonizer import RandomKernel, SslKernel
from harmbench_builtin.harmonizers.ssl_kernel.kernels import FORMAT, load_kernels
from harmbench_builtin.pretrain.export import export_kernels

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(5, 1, 4, 4)).astype(np.float32)
BIAS = RNG.normal(size=5).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return export_kernels(
        tmp_path / "mine.safetensors", WEIGHT, BIAS, mean=0.25, std=0.5, provenance={"data": "x"}, licence="L",
        synthetic=True,
    )  # fmt: skip


def image(rows: int = 30, columns: int = 40, seed: int = 1) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns)).astype(np.float32)
    mask = np.zeros((rows, columns), bool)
    mask[5:20, 5:20] = True
    return Image("s1", pixels, mask, (0.5, 0.6))


# --- the filter


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 4), (7, 7), (3, 4), (8, 5)])
def test_the_filter_bank_equals_conv2d_with_reflect_padding_in_float64(size: tuple[int, int]) -> None:
    h, w = size
    kernels, bias, pixels = RNG.normal(size=(6, h, w)), RNG.normal(size=6), RNG.normal(size=(33, 27)) * 100
    padded = torch.nn.functional.pad(
        torch.from_numpy(pixels)[None, None], ((w - 1) // 2, w // 2, (h - 1) // 2, h // 2), mode="reflect"
    )
    expected = torch.nn.functional.conv2d(padded, torch.from_numpy(kernels)[:, None], torch.from_numpy(bias))[0].numpy()
    maps = filter_bank(pixels, kernels, bias)
    assert maps.shape == (6, 33, 27) and maps.dtype == np.float64
    assert np.abs(maps - expected).max() <= 1e-12 * np.abs(expected).max()


def test_the_kernel_is_not_flipped() -> None:
    kernel = np.zeros((1, 3, 3))
    kernel[0, 1, 2] = 1.0  # takes the pixel to the right
    pixels = np.arange(20.0).reshape(4, 5)
    assert np.array_equal(filter_bank(pixels, kernel)[0, :, :4], pixels[:, 1:])


def test_an_even_kernel_answers_half_a_pixel_towards_the_origin() -> None:
    pixels = np.zeros((17, 17))
    pixels[8, 8] = 1.0
    response = filter_bank(pixels, np.ones((1, 4, 4)))[0]
    rows, columns = np.nonzero(response)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 9, 6, 9)
    assert (rows.mean(), columns.mean()) == (7.5, 7.5)


def test_an_odd_kernel_answers_where_the_impulse_is() -> None:
    pixels = np.zeros((17, 17))
    pixels[8, 8] = 1.0
    rows, columns = np.nonzero(filter_bank(pixels, np.ones((1, 5, 5)))[0])
    assert (rows.mean(), columns.mean()) == (8.0, 8.0)


def test_the_border_is_mirrored_without_repeating_the_edge() -> None:
    pixels = np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]).repeat(5, 0)
    sums = filter_bank(pixels, np.ones((1, 1, 4)))[0, 0]
    # One pixel before and two after: 2|1 2 4 8 16|8 4.
    assert sums.tolist() == [2 + 1 + 2 + 4, 1 + 2 + 4 + 8, 2 + 4 + 8 + 16, 4 + 8 + 16 + 8, 8 + 16 + 8 + 4]


@pytest.mark.parametrize("shape", [(224, 224), (101, 77), (67, 333), (51, 45)])
def test_equal_neighbourhoods_give_equal_values_bit_for_bit(shape: tuple[int, int]) -> None:
    # Otherwise a flat region would fall apart into grey-level bins by rounding alone.
    rows, columns = shape
    tile = RNG.normal(size=(8, 8))
    pixels = np.tile(tile, (rows // 8 + 1, columns // 8 + 1))[:rows, :columns]
    maps = filter_bank(pixels, RNG.normal(size=(40, 4, 4)))
    inner = maps[:, 8 : rows // 8 * 8 - 8, 8 : columns // 8 * 8 - 8]
    repeated = np.tile(inner[:, :8, :8], (1, inner.shape[1] // 8, inner.shape[2] // 8))
    assert np.array_equal(inner, repeated)
    flat = filter_bank(np.full(shape, 0.1), RNG.normal(size=(40, 4, 4)))
    assert np.array_equal(flat.max(axis=(1, 2)), flat.min(axis=(1, 2)))


def test_an_image_smaller_than_the_kernel_is_refused() -> None:
    with pytest.raises(DataError, match="3 x 9 pixels, fewer than the filter's 4 x 4"):
        filter_bank(np.zeros((3, 9)), np.ones((1, 4, 4)))


# --- the harmonizer


def test_maps_are_those_of_the_network_before_its_stride(file: Path) -> None:
    picture = image(32, 40)
    filtered = SslKernel(str(file)).fit(ImageSet("x", (), None, ("a", "b")), Context()).transform(picture)  # type: ignore[arg-type]
    conv = torch.nn.Conv2d(1, 5, 4, stride=4).double()
    conv.weight.data, conv.bias.data = torch.from_numpy(WEIGHT).double(), torch.from_numpy(BIAS).double()  # type: ignore[union-attr]
    prepared = (torch.from_numpy(picture.pixels.astype(np.float64)) / 255 - 0.25) / 0.5
    with torch.no_grad():
        strided = conv(prepared[None, None])[0].numpy()
    # Windows start at 0, 4, 8, ...; with one pixel of padding before, their maps' pixels are 1, 5, 9, ...
    assert np.abs(filtered.maps[:, 1::4, 1::4] - strided).max() < 1e-12 * np.abs(strided).max() + 1e-13
    assert filtered.names == ("k00", "k01", "k02", "k03", "k04")
    assert filtered.sample == "s1" and filtered.spacing == (0.5, 0.6) and filtered.maps.dtype == np.float64


def test_what_lies_outside_the_mask_reaches_the_maps_inside(file: Path) -> None:
    picture = image()
    changed = picture.pixels.copy()
    changed[4, 10] += 100  # one row above the mask
    maps = SslKernel(str(file)).transform(picture).maps
    others = SslKernel(str(file)).transform(Image("s1", changed, picture.mask)).maps
    assert (maps[:, picture.mask] != others[:, picture.mask]).any()


def test_reductions_are_what_they_are_called(file: Path) -> None:
    maps = SslKernel(str(file)).transform(image()).maps
    l2, mean = (SslKernel(str(file), reduce=reduce).transform(image()) for reduce in ("l2", "mean"))
    assert l2.names == ("l2",) and np.allclose(l2.maps[0], np.linalg.norm(maps, axis=0), rtol=1e-14)
    assert mean.names == ("mean",) and np.allclose(mean.maps[0], maps.mean(0), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("select", "numbers"),
    [("3,0", [3, 0]), (" 1 , 2", [1, 2]), (4, [4]), ([0, 2], [0, 2]), ("1-3", [1, 2, 3]), ("4,0-1", [4, 0, 1])],
)
def test_selected_maps_keep_their_kernels_names(file: Path, select: Any, numbers: list[int]) -> None:
    every, some = SslKernel(str(file)).transform(image()), SslKernel(str(file), "select", select).transform(image())
    assert some.names == tuple(f"k0{n}" for n in numbers)
    assert np.allclose(some.maps, every.maps[numbers], rtol=1e-13)


@pytest.mark.parametrize(
    ("reduce", "select", "message"),
    [
        ("max", "", "reduce is 'max'; it must be one of concat, l2, mean, select"),
        ("select", "", "needs ssl-kernel.select"),
        ("concat", "1", "only used with ssl-kernel.reduce=select"),
        ("select", "1,5", "from 0 to 4.*'5' is not"),
        ("select", "1,x", "'x' is not"),
        ("select", "-1", "'-1' is not"),
        ("select", "2,2", "twice"),
        ("select", "0-2,1", "twice"),
        ("select", "0-5", "'0-5' is not"),
        ("select", "3-1", "'3-1' is not"),
        ("select", "1-", "'1-' is not"),
    ],
)
def test_a_wrong_reduction_says_what_is_allowed(file: Path, reduce: str, select: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SslKernel(str(file), reduce, select)


def test_a_too_small_image_is_named(file: Path) -> None:
    with pytest.raises(DataError, match="sample 's1': the image has 3 x 40 pixels"):
        SslKernel(str(file)).transform(Image("s1", np.zeros((3, 40), np.float32), np.ones((3, 40), bool)))


def test_the_fingerprint_follows_the_kernels_not_the_path(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(file.read_bytes())
    other = export_kernels(
        tmp_path / "o.safetensors", WEIGHT * 2, BIAS, mean=0.25, std=0.5, provenance={}, licence="", synthetic=False
    )
    one, same, different = (SslKernel(str(path)).fingerprint() for path in (file, copy, other))
    assert one == same != different
    assert SslKernel(str(file), "select", "1").fingerprint() != one


# --- the control


def test_random_kernels_have_the_norms_and_biases_of_the_learnt_ones(file: Path) -> None:
    learnt, drawn = load_kernels(file), RandomKernel(str(file)).kernels
    assert np.allclose(
        np.linalg.norm(drawn.weight, axis=(1, 2)), np.linalg.norm(learnt.weight, axis=(1, 2)), rtol=1e-12
    )
    assert np.array_equal(drawn.bias, learnt.bias) and (drawn.mean, drawn.std) == (learnt.mean, learnt.std)
    unit = [k.weight.reshape(5, -1) / np.linalg.norm(k.weight, axis=(1, 2))[:, None] for k in (learnt, drawn)]
    assert np.abs((unit[0] * unit[1]).sum(1)).max() < 0.9


def test_random_kernels_depend_on_their_seed_only(file: Path) -> None:
    one, same, other = (RandomKernel(str(file), seed=seed).kernels.weight for seed in (3, 3, 4))
    assert np.array_equal(one, same) and not np.allclose(one, other)


def test_random_kernels_are_spread_over_all_directions() -> None:
    # 40 directions drawn uniformly in 16 dimensions: each coordinate's mean square is 1/16, its standard error .0105.
    weight = RandomKernel().kernels.weight.reshape(-1, 16)
    unit = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    assert np.abs((unit**2).mean(0) - 1 / 16).max() < 0.045


def test_errors_of_the_control_carry_its_own_name(file: Path) -> None:
    with pytest.raises(UsageError, match=r"random-kernel\.reduce"):
        RandomKernel(str(file), reduce="max")


# --- files and names


def test_an_exported_file_reads_back_as_it_was(file: Path) -> None:
    kernels = load_kernels(file)
    assert np.array_equal(kernels.weight, WEIGHT[:, 0].astype(np.float64))
    assert np.array_equal(kernels.bias, BIAS.astype(np.float64))
    assert (kernels.mean, kernels.std, kernels.licence, kernels.synthetic) == (0.25, 0.5, "L", True)
    assert kernels.provenance == {"data": "x"}


METADATA = {"format": FORMAT, "format_version": "1", "preprocessing": json.dumps({"mean": 0.1, "std": 0.2})}


@pytest.mark.parametrize(
    ("weight", "bias", "metadata", "problem"),
    [
        (WEIGHT, BIAS, {}, "not a kernel file"),
        (WEIGHT, BIAS, {**METADATA, "format_version": "2"}, "format version '2'"),
        (None, BIAS, METADATA, r"lacks stem\.weight"),
        (WEIGHT, None, METADATA, r"lacks stem\.bias"),
        (WEIGHT[:, 0], BIAS, METADATA, r"shape \(5, 4, 4\)"),
        (WEIGHT.repeat(3, 1), BIAS, METADATA, r"shape \(5, 3, 4, 4\)"),
        (WEIGHT, BIAS[:4], METADATA, "one bias per kernel"),
        (WEIGHT * np.float32(np.nan), BIAS, METADATA, "NaN"),
        (WEIGHT, BIAS, {**METADATA, "preprocessing": "{}"}, "preprocessing"),
        (WEIGHT, BIAS, {**METADATA, "preprocessing": '{"mean": 0, "std": 0}'}, "std must be above 0"),
    ],
)
def test_a_wrong_kernel_file_is_named_with_what_is_wrong(
    tmp_path: Path, weight: Any, bias: Any, metadata: dict[str, str], problem: str
) -> None:
    path = tmp_path / "wrong.safetensors"
    tensors = {"stem.weight": weight, "stem.bias": bias}
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items() if v is not None}, path, metadata)
    with pytest.raises(DataError, match=rf"wrong\.safetensors: .*{problem}"):
        SslKernel(str(path))


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 100])
def test_a_file_that_is_not_safetensors_is_named_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"wrong\.safetensors: this is not a safetensors file.*harmbench pretrain"):
        SslKernel(str(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.safetensors: there is no such kernel file"):
        SslKernel(str(tmp_path / "no.safetensors"))


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="Did you mean 'fcmae-atto-phantom'"):
        SslKernel("fcmae-atto-fantom")


# --- what ships


def test_the_shipped_kernels_are_small_trained_and_documented() -> None:
    assert "fcmae-atto-phantom" in registry.names()
    for name in registry.names():
        path = registry.resolve(name)
        kernels = load_kernels(path)
        result = kernels.provenance["result"]
        assert path.stat().st_size < 100_000
        assert result["loss"] < result["trivial_loss"] and result["stem_relative_change"] > 0
        card, log = path.with_suffix(".md").read_text(), path.with_suffix(".jsonl").read_text().splitlines()
        assert json.loads(log[-1])["step"] == result["steps"]
        assert f"{result['stem_cosine']:.4f}" in card and f"{result['loss']:.4f}" in card
        assert kernels.provenance["data"]["samples_sha256"] in card
        assert kernels.synthetic == ("Synthetic" in card)
        settings = kernels.provenance["settings"]
        views = 2 if settings.get("consistency") and settings["views"] == "pairs" else 1
        assert len(kernels.seen.images) == views * kernels.provenance["data"]["images"]


def test_the_default_method_gives_40_finite_maps() -> None:
    filtered = SslKernel().transform(image())
    assert filtered.maps.shape == (40, 30, 40) and np.isfinite(filtered.maps).all()


@pytest.mark.parametrize(("name", "component"), [("ssl-kernel", SslKernel), ("random-kernel", RandomKernel)])
def test_the_class_takes_exactly_the_parameters_of_its_spec(name: str, component: type) -> None:
    import inspect

    spec = next(s for s in HARMONIZERS if s.name == name)
    assert {k: p.default for k, p in inspect.signature(component).parameters.items()} == dict(spec.params)


def test_filtering_needs_no_torch() -> None:
    program = (
        "import sys; from harmbench_builtin.harmonizers.ssl_kernel.harmonizer import SslKernel; SslKernel(); "
        "print('torch' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == "False"
