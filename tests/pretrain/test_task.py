"""Masking, targets, loss and crops against values worked out by hand."""

from __future__ import annotations

import pytest
import torch

from harmbench_builtin.pretrain import masking, objective, sampling


def crop_draws(count: int, step: int = 0) -> torch.Tensor:
    return sampling.draws(0, step, count, 1)[0]


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("cells", "keep"), [(49, 19), (16, 6), (10, 4), (5, 2), (1, 0), (0, 0)])
def test_the_number_of_visible_cells_is_the_published_one(cells: int, keep: int) -> None:
    assert masking.kept(torch.tensor(cells), 0.6).item() == keep


def test_exactly_the_right_number_of_sector_cells_is_hidden_and_no_other() -> None:
    eligible = rand(20, 1, 7, 7, seed=1) < torch.linspace(0, 1, 20).view(20, 1, 1, 1)
    visible = masking.visible_cells(eligible, 0.6, rand(20, 1, 7, 7))
    assert visible[~eligible].all()
    n = eligible.flatten(1).sum(1)
    assert (visible & eligible).flatten(1).sum(1).tolist() == [int(k * 2) // 5 for k in n.tolist()]


def test_every_cell_is_hidden_about_equally_often() -> None:
    eligible = torch.ones(2000, 1, 4, 4, dtype=torch.bool)
    share = (~masking.visible_cells(eligible, 0.6, rand(2000, 1, 4, 4))).float().mean(0)
    # 10 of 16 are hidden; the standard error of a cell's share is .011.
    assert (share - 10 / 16).abs().max() < 0.05


def test_a_cell_counts_when_enough_of_it_lies_in_the_sector() -> None:
    sector = torch.zeros(1, 1, 32, 96)
    sector[..., :16, 32:64] = 1  # half of the second cell
    sector[..., 64:] = 1
    assert masking.eligible_cells(sector, 0.5).flatten().tolist() == [False, True, True]
    assert masking.eligible_cells(sector, 1.0).flatten().tolist() == [False, False, True]
    assert masking.eligible_cells(sector, 0.0).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_patchify_and_back_is_the_identity_for_images_that_are_not_square(channels: int) -> None:
    images = rand(2, channels, 64, 96)
    assert torch.equal(objective.unpatchify(objective.patchify(images)), images)


def test_patchify_puts_a_cells_pixels_into_its_own_site() -> None:
    image = torch.arange(6.0).view(1, 1, 2, 3).repeat_interleave(32, 2).repeat_interleave(32, 3)
    cells = objective.patchify(image)
    assert torch.equal(cells, torch.arange(6.0).view(1, 1, 2, 3).expand(1, 1024, 2, 3))


def test_a_target_has_mean_0_and_the_variance_that_the_floor_leaves() -> None:
    cell = torch.zeros(1, 1, 32, 32)
    cell[..., ::2] = 6.0  # mean 3, variance 9
    target = objective.targets(cell, floor=16.0)
    # (6 - 3) / sqrt(9 + 16) = 0.6
    assert torch.allclose(target.abs(), torch.tensor(0.6)) and target.mean().abs() < 1e-7


def test_compression_noise_of_a_quarter_grey_level_is_no_target() -> None:
    noise = 0.25 * torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert objective.targets(noise, floor=4.0).std() < 0.15 < 0.9 < objective.targets(noise, floor=1e-6).std()


def test_the_loss_is_the_mean_over_scored_cells_of_the_whole_batch() -> None:
    predicted, target = torch.zeros(2, 4, 1, 2), torch.zeros(2, 4, 1, 2)
    target[0, :, 0, 0], target[0, :, 0, 1], target[1, :, 0, 0] = 1.0, 2.0, 50.0
    predicted[0, :, 0, 1] = 5.0
    scored = torch.tensor([[[[True, True]]], [[[False, True]]]])
    loss, trivial = objective.masked_loss(predicted, target, scored)
    assert loss.item() == pytest.approx((1 + 9 + 0) / 3)
    assert trivial.item() == pytest.approx((1 + 4 + 0) / 3)


def test_a_batch_without_a_scored_cell_has_loss_0() -> None:
    zeros = torch.zeros(1, 4, 1, 1)
    assert objective.masked_loss(zeros, zeros + 3, torch.zeros(1, 1, 1, 1, dtype=torch.bool))[0].item() == 0


def test_an_epoch_shows_every_image_once() -> None:
    drawn = torch.cat([sampling.indices(7, step, 4, 10) for step in range(5)])  # 20 draws, two epochs
    assert sorted(drawn[:10].tolist()) == list(range(10)) == sorted(drawn[10:].tolist())
    assert drawn[:10].tolist() != drawn[10:].tolist()


def test_a_batch_larger_than_the_data_set_repeats_images_evenly() -> None:
    assert sorted(sampling.indices(0, 0, 6, 3).tolist()) == [0, 0, 1, 1, 2, 2]


def test_a_crop_keeps_a_ramp_straight_and_stretches_it_by_at_most_the_stated_aspect() -> None:
    pixels = (torch.arange(64).view(1, 1, 64).expand(8, 64, 64) * 2).to(torch.uint8)
    crops, _ = sampling.crop_and_flip(pixels, pixels > 0, 32, (1.0, 1.0), False, crop_draws(len(pixels)))
    steps = crops[:, 0, 16].diff(dim=1)[:, 4:-4]
    # Two grey levels a pixel, two pixels a pixel of the result: slope 4 for the full width, less for a narrower crop.
    assert torch.allclose(steps, steps[:, :1].expand_as(steps), atol=1e-3)
    assert (steps <= 4 + 1e-3).all() and (steps >= 4 * (3 / 4) ** 0.5 - 1e-3).all()


def test_half_of_the_crops_are_mirrored_and_none_without_flip() -> None:
    pixels = torch.arange(64).view(1, 1, 64).expand(400, 64, 64).to(torch.uint8)
    sector = torch.ones(400, 64, 64, dtype=torch.bool)
    for flip, low, high in ((True, 0.4, 0.6), (False, 0.0, 0.0)):
        crops, seen = sampling.crop_and_flip(pixels, sector, 32, (0.2, 1.0), flip, crop_draws(len(pixels)))
        falling = (crops[:, 0, 0, 0] > crops[:, 0, 0, -1]).float().mean()
        assert low <= falling <= high
        assert torch.allclose(seen, torch.ones_like(seen))


def test_crop_areas_stay_within_their_bounds() -> None:
    ramp = torch.arange(64).float()
    pixels = (ramp.view(1, 64, 1) * 2 + ramp.view(1, 1, 64)).expand(300, 64, 64).to(torch.uint8)
    crops, _ = sampling.crop_and_flip(pixels, pixels > 0, 32, (0.2, 0.5), False, crop_draws(len(pixels), 3))
    centre = crops[:, 0, 12:20, 12:20]
    height, width = centre.diff(dim=1).mean((1, 2)) / 2 * 32 / 64, centre.diff(dim=2).mean((1, 2)) * 32 / 64
    area = height * width
    assert area.min() > 0.19 and area.max() < 0.51 and area.max() - area.min() > 0.25


def test_sector_and_pixels_are_cropped_alike() -> None:
    pixels = torch.zeros(16, 64, 64, dtype=torch.uint8)
    pixels[:, 20:50, 10:40] = 200
    crops, sector = sampling.crop_and_flip(pixels, pixels > 0, 32, (0.2, 1.0), True, crop_draws(len(pixels), 1))
    assert torch.allclose(crops, sector * 200, atol=1e-3)


def test_a_step_has_random_numbers_of_its_own() -> None:
    first, again, second = (torch.cat([d.flatten() for d in sampling.draws(5, step, 3, 2)]) for step in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, second)
    assert first.unique().numel() == 3 * 5 + 3 * 4
