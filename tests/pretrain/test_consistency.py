"""The consistency term: figures of responses, one minus the intraclass correlation, and the guard against collapse."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from harmbench.errors import UsageError
from harmbench_builtin.pretrain import consistency, views
from harmbench_builtin.pretrain.batches import Batches
from harmbench_builtin.pretrain.data import from_phantom
from harmbench_builtin.pretrain.distributed import World
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.model import MaskedAutoencoder, architecture
from harmbench_builtin.pretrain.monitor import stem_facts
from harmbench_builtin.pretrain.optimizer import make_optimizer, set_rate
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.terms import terms_of
from harmbench_builtin.pretrain.train import pretrain

SMALL = Settings(
    steps=12, batch=12, image_size=64, lr=2e-3, decoder_width=32, ema=0.0, threads=1, log_every=10,
    checkpoint_every=1000, reconstruct_every=0, stem_lr=5.0,
)  # fmt: skip


@cache
def pairs(seed: int = 0) -> PretrainingImages:
    return from_phantom(12, seed, size=64, pairs=True)


def drawn(seed: int = 0, kernels: int = 3, images: int = 4, size: int = 14) -> tuple[torch.Tensor, ...]:
    """Images, a sector with a hole, and kernels, in float64."""
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randn((images, 1, size, size), generator=random, dtype=torch.float64) + 0.3
    sector = torch.ones_like(pixels)
    sector[1, :, :5] = 0.0
    sector[2, :, 7, 3] = 0.0
    return pixels, sector, torch.randn((kernels, 1, 4, 4), generator=random, dtype=torch.float64)


def test_the_figures_are_those_of_the_responses_at_every_pixel() -> None:
    pixels, sector, weight = drawn()
    found = consistency.texture(pixels, sector, weight)
    response = F.conv2d(pixels, weight)
    floor = 1e-4 * weight.square().sum((1, 2, 3))
    means, variances = [], []
    for i in range(len(pixels)):
        full = F.unfold(sector[i : i + 1], 4)[0].min(0).values.reshape(response.shape[2:]) == 1
        for k in range(len(weight)):
            r = response[i, k]
            inside = r[full]
            variance = inside.var(correction=0) + floor[k]
            means.append(inside.mean())
            variances.append(variance)
            c = r - inside.mean()
            down = (c[1:] * c[:-1])[full[1:] & full[:-1]].mean() / variance
            across = (c[:, 1:] * c[:, :-1])[full[:, 1:] & full[:, :-1]].mean() / variance
            tail = c[::4, ::4][full[::4, ::4]].abs().mean() / variance.sqrt()
            expected = torch.stack([0.5 * variance.log(), tail, down, across])
            assert torch.allclose(found[i, k, [0, 2, 3, 4]], expected, atol=1e-12)
    shape = (len(pixels), len(weight))
    spread = torch.stack(variances).reshape(shape).mean(0).sqrt()
    assert torch.allclose(found[:, :, 1], torch.stack(means).reshape(shape) / spread, atol=1e-12)


def test_what_lies_outside_the_sector_counts_nothing() -> None:
    pixels, sector, weight = drawn()
    other = torch.where(sector == 0, 1e3, pixels)
    assert torch.allclose(consistency.texture(pixels, sector, weight), consistency.texture(other, sector, weight))


def test_a_longer_kernel_does_not_agree_better() -> None:
    pixels, sector, weight = drawn(images=6)
    a, b = pixels, pixels + 0.5 * drawn(9, images=6)[0]
    first = consistency.disagreement(*(consistency.texture(v, sector, weight) for v in (a, b)))
    second = consistency.disagreement(*(consistency.texture(v, sector, 1e-3 * weight) for v in (a, b)))
    assert torch.allclose(first, second, atol=1e-9)


def test_disagreement_by_hand() -> None:
    a = torch.tensor([[0.0, 0.0, 1.0], [2.0, 2.0, 1.0]])
    b = torch.tensor([[0.0, 2.0, 1.0], [2.0, 0.0, 1.0]])
    # Equal views: 0. Views the other way round: within 2^2 / 2, total 1. Nothing differs: worth nothing.
    assert torch.allclose(consistency.disagreement(a, b), torch.tensor([0.0, 2.0, 1.0]), atol=1e-5)


def test_disagreement_of_views_that_have_nothing_in_common_is_one() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn((2, 20000, 3), generator=random)
    assert torch.allclose(consistency.disagreement(a, b), torch.ones(3), atol=0.03)


def test_crowding_by_hand() -> None:
    one = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert consistency.crowding(one.repeat(40, 1, 1, 1)).item() == pytest.approx(15.0 - 15.0 / 40.0)
    assert consistency.crowding(torch.eye(16).reshape(16, 1, 4, 4)).item() == 0.0
    random = torch.randn((40, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    assert consistency.crowding(random).item() < 0.1
    assert consistency.crowding(-3.0 * random).item() == pytest.approx(consistency.crowding(random).item(), abs=1e-5)


def test_gradients_are_right() -> None:
    pixels, sector, weight = drawn()
    other = pixels + 0.3 * drawn(5)[0]

    def loss(kernels: torch.Tensor) -> torch.Tensor:
        both = (consistency.texture(view, sector, kernels) for view in (pixels, other))
        return consistency.disagreement(*both).mean() + consistency.crowding(kernels)

    assert torch.autograd.gradcheck(loss, (weight.requires_grad_(),))


def learnt(guard: float) -> tuple[float, float, float, float]:
    """Disagreement before and after some steps of the term alone, and diversity then."""
    images = pairs()
    weight = torch.randn((12, 1, 4, 4), generator=torch.Generator().manual_seed(1)).requires_grad_()
    start = weight.detach().clone()
    optimizer = torch.optim.Adam([weight], lr=0.1)
    middle = (slice(None), None, slice(16, 48), slice(16, 48))
    first, second = (torch.from_numpy(p).float()[middle] / 50.0 for p in (images.pixels, images.pixels_b))
    sector = torch.from_numpy(images.sector).float()[middle]
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        a, b = (consistency.texture(view, sector, weight) for view in (first, second))
        loss = consistency.disagreement(a, b).mean()
        (loss + guard * consistency.crowding(weight)).backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1], *(stem_facts(w, start)["kernel_diversity"] for w in (start, weight.detach()))


def test_the_term_alone_lets_kernels_become_alike_and_the_guard_does_not() -> None:
    before, after, start, end = learnt(0.0)
    assert after < 0.8 * before
    assert end < start - 0.2
    before, after, start, end = learnt(10.0)
    assert after < before
    assert end > start - 0.05


def paired_distance(kernels: Path) -> float:
    """Disagreement of a trained stem over whole images."""
    from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels

    images = pairs()
    weight = torch.from_numpy(np.asarray(load_kernels(kernels).weight)).float()[:, None]
    sector = torch.from_numpy(images.sector).float()[:, None]
    mean, std = images.statistics()
    both = (
        consistency.texture((torch.from_numpy(p).float()[:, None] / 255.0 - mean) / std, sector, weight)
        for p in (images.pixels, images.pixels_b)
    )
    return consistency.disagreement(*both).mean().item()


def test_the_term_brings_the_two_views_of_a_stem_closer_and_the_kernels_stay_diverse(tmp_path: Path) -> None:
    plain = pretrain(pairs(), tmp_path / "plain", SMALL)
    tied = pretrain(pairs(), tmp_path / "tied", replace(SMALL, consistency=5.0, diversity=5.0))
    assert paired_distance(tied) < paired_distance(plain) - 0.02
    last = json.loads((tmp_path / "tied" / "log.jsonl").read_text().splitlines()[-1])
    assert {"consistency_loss", "diversity_loss", "consistency_log_spread", "reconstruction_loss"} <= set(last)
    assert last["kernel_diversity"] > 0.7


def test_the_term_is_the_same_however_often_it_is_resumed(tmp_path: Path) -> None:
    settings = replace(SMALL, steps=2, batch=4, consistency=1.0, views="scanner", augment="scanner")
    both = [(views.draws(0, step, 4), views.draws(0, step, 4)) for step in range(3)]
    assert all(torch.equal(a.places, b.places) and torch.equal(a.scanners, b.scanners) for a, b in both)
    assert not torch.equal(both[0][0].places, both[1][0].places)
    for out in ("one", "two"):
        pretrain(pairs(), tmp_path / out, settings)
    one, two = ((tmp_path / out / "kernels.safetensors").read_bytes()[-2560:] for out in ("one", "two"))
    assert one == two


def test_without_the_term_there_are_no_views_and_nothing_else_changes() -> None:
    images, device = pairs(), torch.device("cpu")
    mean, std = images.statistics()

    def batch(settings: Settings):
        return Batches(images, mean, std, settings, device, World()).take(3)

    plain, tied = batch(SMALL), batch(replace(SMALL, consistency=1.0))
    assert plain.views is None and tied.views is not None
    assert torch.equal(plain.images, tied.images) and torch.equal(plain.visible, tied.visible)
    assert [term.name for term in terms_of(SMALL, mean, std)] == ["reconstruction"]
    assert [t.name for t in terms_of(replace(SMALL, consistency=1.0), mean, std)][1:] == ["consistency", "diversity"]
    halves = list(tied.parts(2))
    assert torch.equal(torch.cat([half.views.second for half in halves]), tied.views.second)


def test_images_that_do_not_come_in_pairs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    alone = from_phantom(2, 0, size=64)
    with pytest.raises(UsageError, match=r"do not come in pairs.*views=scanner"):
        pretrain(alone, tmp_path / "out", replace(SMALL, consistency=1.0))
    assert not (tmp_path / "out").exists()


def test_the_stem_has_a_learning_rate_of_its_own() -> None:
    network = MaskedAutoencoder(architecture("atto"), 1, 32, 0.02)
    optimizer = make_optimizer(network, replace(SMALL, stem_lr=7.0, weight_decay=0.0), fused=False)
    set_rate(optimizer, 1e-3)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    # The first step of AdamW is the learning rate, whatever the gradient's size; every parameter takes one.
    for name, parameter in network.named_parameters():
        rate = 7e-3 if parameter is network.stem.weight else 1e-3
        assert torch.allclose(before[name] - parameter, torch.tensor(rate), rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stem_lr": -1.0}, "stem_lr"),
        ({"target": "colour"}, "one of pixels, laplacian, whitened"),
        ({"consistency": -0.1}, "consistency"),
        ({"views": "three"}, "one of pairs, scanner"),
        ({"diversity": -1.0}, "diversity"),
        ({"augment": "much"}, "one of none, scanner"),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SMALL, **change)
