"""The network against programs that know nothing of it: a site-by-site sparse one, and timm."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harmbench.errors import UsageError
from harmbench_builtin.pretrain.model import (
    ARCHITECTURES,
    Architecture,
    Block,
    Encoder,
    GlobalResponseNorm,
    MaskedAutoencoder,
)
from harmbench_builtin.pretrain.response_norm import ResponseNorm
from timm_or_skip import timm_or_skip

SMALL = Architecture((1, 2, 1, 1), (4, 6, 8, 10), conv_mlp=True)
Site = tuple[int, int]


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Random numbers everywhere: zero biases or GRN weights would hide a missing mask."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return network.double()


def some_visible(batch: int, rows: int, columns: int, hidden: int, seed: int = 0) -> Tensor:
    noise = torch.rand(batch, rows * columns, generator=torch.Generator().manual_seed(seed))
    return (noise.argsort(1).argsort(1) >= hidden).view(batch, 1, rows, columns)


def sparse_reference(network: Encoder, image: Tensor, visible: Tensor) -> dict[Site, Tensor]:
    """The encoder over one image, storing visible sites only: a dictionary from coordinates to channels."""

    def norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
        centred = x - x.mean()
        return layer.weight * centred / torch.sqrt((centred**2).mean() + 1e-6) + layer.bias

    def linear(layer: Any, x: Tensor) -> Tensor:
        return layer.weight.reshape(layer.weight.shape[0], -1) @ x + layer.bias

    def strided(layer: nn.Conv2d, sites: dict[Site, Tensor], step: int) -> dict[Site, Tensor]:
        out = {}
        for r, c in {(r // step, c // step) for r, c in sites}:
            window = [[sites[r * step + i, c * step + j] for j in range(step)] for i in range(step)]
            patch = torch.stack([torch.stack(row, -1) for row in window], -2)  # channels, rows, columns
            out[r, c] = torch.einsum("ocij,cij->o", layer.weight, patch) + layer.bias
        return out

    def block(layer: Block, sites: dict[Site, Tensor]) -> dict[Site, Tensor]:
        hidden = {}
        for r, c in sites:
            total = layer.conv_dw.bias
            for i in range(-3, 4):
                for j in range(-3, 4):
                    if (r + i, c + j) in sites:
                        total = total + layer.conv_dw.weight[:, 0, i + 3, j + 3] * sites[r + i, c + j]
            hidden[r, c] = linear(layer.mlp.fc1, norm(layer.norm, total))
        hidden = {at: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))) for at, x in hidden.items()}
        size = torch.sqrt(sum(x**2 for x in hidden.values()))  # type: ignore[arg-type]
        ratio = size / (size.mean() + 1e-6)
        grn = layer.mlp.grn
        return {
            at: sites[at] + linear(layer.mlp.fc2, x + grn.weight * (x * ratio) + grn.bias) for at, x in hidden.items()
        }

    rows, columns = image.shape[1:]
    sites = {(r, c): image[:, r, c] for r in range(rows) for c in range(columns) if visible[0, r // 32, c // 32]}
    sites = {at: norm(network.stem[1], x) for at, x in strided(network.stem[0], sites, 4).items()}
    for stage in network.stages:
        if not isinstance(stage.downsample, nn.Identity):
            sites = {at: norm(stage.downsample[0], x) for at, x in sites.items()}
            sites = strided(stage.downsample[1], sites, 2)
        for layer in stage.blocks:
            sites = block(layer, sites)
    return sites


@pytest.mark.parametrize("channels", [1, 3])
def test_the_masked_encoder_equals_a_sparse_one_site_by_site_with_its_gradients(channels: int) -> None:
    network = randomised(Encoder(SMALL, channels))
    images = torch.randn(2, channels, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    visible = some_visible(2, 2, 3, hidden=3)
    dense = network(images, visible)
    expected = torch.zeros_like(dense)
    for b in range(2):
        for (r, c), value in sparse_reference(network, images[b], visible[b]).items():
            expected[b, :, r, c] = value
    assert (dense - expected).norm() / expected.norm() < 1e-12

    weights = torch.randn(dense.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    parameters = list(network.parameters())
    ours = torch.autograd.grad((dense * weights).sum(), parameters)
    theirs = torch.autograd.grad((expected * weights).sum(), parameters)
    for (name, _), a, b in zip(network.named_parameters(), ours, theirs, strict=True):
        assert (a - b).norm() <= 1e-12 * b.norm() + 1e-14, name


def test_hidden_pixels_do_not_change_visible_outputs_by_a_single_bit() -> None:
    network = randomised(Encoder(SMALL)).float()
    images = torch.randn(2, 1, 64, 96, generator=torch.Generator().manual_seed(1))
    visible = some_visible(2, 2, 3, hidden=3)
    pixels = visible.repeat_interleave(32, 2).repeat_interleave(32, 3)
    other = torch.where(pixels, images, 100 * torch.randn(images.shape, generator=torch.Generator().manual_seed(9)))
    assert not torch.equal(images, other)
    assert torch.equal(network(images, visible), network(other, visible))


def test_the_same_pixels_do_change_the_output_when_everything_is_visible() -> None:
    network = randomised(Encoder(SMALL)).float()
    images = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    other = images.clone()
    other[..., :32, :32] += 1
    assert not torch.equal(network(images)[..., 1, 1], network(other)[..., 1, 1])


def test_an_all_visible_mask_equals_no_mask() -> None:
    network = randomised(Encoder(SMALL))
    images = torch.randn(2, 1, 64, 64, dtype=torch.float64)
    assert torch.equal(network(images, torch.ones(2, 1, 2, 2, dtype=torch.bool)), network(images))


@pytest.mark.parametrize(("size", "channels"), [("atto", 1), ("tiny", 1), ("atto", 3)])
def test_names_shapes_and_forward_equal_timm(size: str, channels: int) -> None:
    theirs = timm_or_skip().create_model(f"convnextv2_{size}", in_chans=channels).double().eval()
    ours = randomised(Encoder(ARCHITECTURES[size], channels))
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("head.")}
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in ours.state_dict().items()}
    for parameter in ours.parameters():
        parameter.data.mul_(0.1)
    theirs.load_state_dict(ours.state_dict(), strict=False)
    images = torch.randn(1, channels, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected, got = theirs.forward_features(images), ours(images, torch.ones(1, 1, 2, 2, dtype=torch.bool))
    assert (got - expected).norm() / expected.norm() < 1e-12


@pytest.mark.parametrize("size", ["atto", "femto", "pico", "nano", "tiny", "small", "base", "large", "huge"])
def test_every_size_has_timms_depths_and_widths(size: str) -> None:
    timm = timm_or_skip()
    with torch.device("meta"):
        theirs = timm.create_model(f"convnextv2_{size}", in_chans=1)
        ours = Encoder(ARCHITECTURES[size])
    shapes = {k: tuple(v.shape) for k, v in theirs.state_dict().items() if not k.startswith("head.")}
    assert shapes == {k: tuple(v.shape) for k, v in ours.state_dict().items()}


def test_grn_gives_the_value_worked_out_by_hand() -> None:
    grn = GlobalResponseNorm(2).double()
    grn.weight.data, grn.bias.data = torch.tensor([2.0, 3.0]).double(), torch.tensor([0.5, -0.5]).double()
    x = torch.tensor([[[[3.0, 1.0], [4.0, 0.0]]]], dtype=torch.float64)  # one row of two sites, two channels
    # Norms 5 and 1, mean 3: ratios 5/3 and 1/3. x + bias + weight * x * ratio:
    expected = torch.tensor([[[[3 + 0.5 + 2 * 3 * 5 / 3, 1 - 0.5 + 3 * 1 / 3], [4 + 0.5 + 2 * 4 * 5 / 3, -0.5]]]])
    assert torch.allclose(grn(x, None), expected.double(), rtol=1e-6)


@pytest.mark.parametrize("masked", [True, False])
def test_the_gradient_of_grn_is_that_of_finite_differences(masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(s, dtype=torch.float64, generator=generator).requires_grad_(True)
        for s in ((2, 3, 2, 4), (4,), (4,))
    )
    visible = (torch.rand(2, 3, 2, 1, generator=generator) < 0.5).double() if masked else None
    assert torch.autograd.gradcheck(lambda *given: ResponseNorm.apply(given[0], visible, *given[1:]), (x, weight, bias))


def test_the_norm_of_grn_in_half_precision_is_taken_in_float32() -> None:
    grn = GlobalResponseNorm(2)
    nn.init.ones_(grn.weight)
    # 4096 values of 1000: their squares overflow half precision, and 4096 ones cannot be summed in bfloat16.
    x = torch.stack([torch.full((1, 64, 64), 1000.0), torch.full((1, 64, 64), 500.0)], dim=-1)
    full = grn(x, None)
    for kind in (torch.bfloat16, torch.float16):
        assert torch.allclose(grn(x.to(kind), None).float(), full, rtol=0.01)


def test_grn_norm_ignores_other_samples() -> None:
    grn = randomised(GlobalResponseNorm(3))
    x = torch.randn(2, 4, 4, 3, dtype=torch.float64)
    assert torch.equal(grn(x, None)[:1], grn(x[:1], None))


def test_an_all_zero_channel_gives_no_nan_gradient() -> None:
    grn = GlobalResponseNorm(3)
    nn.init.ones_(grn.weight)
    x = torch.randn(1, 4, 4, 3)
    x[..., 1] = 0
    x.requires_grad_(True)
    grn(x, None).square().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_a_sample_without_any_visible_cell_gives_finite_gradients() -> None:
    network = MaskedAutoencoder(SMALL, decoder_width=8)
    network(torch.randn(1, 1, 32, 32), torch.zeros(1, 1, 1, 1, dtype=torch.bool)).square().sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in network.parameters())


def test_weights_start_at_sd_002_and_biases_and_grn_at_zero() -> None:
    network = MaskedAutoencoder(ARCHITECTURES["atto"], generator=torch.Generator().manual_seed(0))
    assert network.stem.weight.std().item() == pytest.approx(0.02, rel=0.1)
    for name, parameter in network.named_parameters():
        if name.endswith("bias") or "grn" in name:
            assert not parameter.any(), name
        elif parameter.ndim >= 2 and name != "mask_token":
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1), name


def test_initial_weights_with_sd_1_are_cut_at_2_and_so_have_sd_088() -> None:
    network = MaskedAutoencoder(ARCHITECTURES["atto"], init_sd=1.0, generator=torch.Generator().manual_seed(0))
    # A normal distribution cut at 2 standard deviations has sd 0.8796.
    assert network.stem.weight.std().item() == pytest.approx(0.8796, rel=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_prediction_has_one_channel_per_pixel_of_a_cell(channels: int) -> None:
    network = MaskedAutoencoder(SMALL, channels, decoder_width=8)
    images, visible = torch.zeros(2, channels, 64, 96), torch.ones(2, 1, 2, 3, dtype=torch.bool)
    assert network(images, visible).shape == (2, channels * 1024, 2, 3)


def test_the_stems_responses_are_given_on_request_with_the_same_prediction() -> None:
    network = randomised(MaskedAutoencoder(SMALL, decoder_width=8))
    images = torch.randn(2, 1, 64, 64, dtype=torch.float64)
    visible = some_visible(2, 2, 2, hidden=2)
    predicted, stem = network(images, visible, with_stem=True)
    assert torch.equal(predicted, network(images, visible))
    expected = nn.functional.conv2d(images, network.stem.weight, network.stem.bias, stride=4)
    assert torch.allclose(stem, expected, rtol=1e-12, atol=1e-12)


def test_an_unknown_size_is_refused_with_a_suggestion() -> None:
    from harmbench_builtin.pretrain.model import architecture

    with pytest.raises(UsageError, match="Did you mean 'atto'"):
        architecture("attto")
