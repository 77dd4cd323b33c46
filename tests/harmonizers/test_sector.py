"""The sector is found without torch, as it was with it, and does not depend on how much a scanner shows."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import torch
from image_sets import fan

from harmbench_builtin.datasets.plax_phantom.generate import virtual_scanner_images
from harmbench_builtin.harmonizers.intensity.gain import apex
from harmbench_builtin.sector import find_sector, whole_sector


def test_the_sector_is_what_max_pooling_finds() -> None:
    rng = np.random.default_rng(0)
    pixels = np.where(rng.random((90, 70)) < 0.01, rng.integers(0, 40, (90, 70)), 3).astype(np.uint8)
    pooled = torch.nn.functional.max_pool2d(torch.from_numpy(pixels).float()[None, None], 9, stride=1, padding=4)
    assert np.array_equal(find_sector(pixels), pooled[0, 0].numpy() >= 8)


def test_the_whole_sector_holds_dark_blood_and_leaves_out_frame_and_text() -> None:
    inside, distance = fan()
    pixels = np.where(inside, 60.0, 0.0)
    pixels[(np.abs(distance - 80) < 25) & inside] = 0.0  # echo-free from side to side
    pixels[4:9, 4:30] = 200.0  # a line of text
    found = whole_sector(pixels)
    assert np.array_equal(found | inside, found)  # nothing is lost
    assert (found & ~inside).sum() < 0.03 * inside.sum()
    assert not found[4:9, 4:30].any()


def test_an_image_without_a_frame_is_its_own_sector_and_a_black_one_has_none() -> None:
    assert whole_sector(np.full((40, 50), 90.0)).all()
    assert not whole_sector(np.zeros((40, 50))).any()


def test_the_sector_does_not_depend_on_the_range_of_grey_levels() -> None:
    inside, _ = fan()
    eight = np.where(inside, np.random.default_rng(1).integers(0, 256, inside.shape), 0).astype(float)
    assert np.array_equal(whole_sector(eight), whole_sector(eight * 257))
    assert np.array_equal(whole_sector(eight), whole_sector(eight / 255))


def test_most_of_the_true_sector_of_simulated_scanners_is_found() -> None:
    # Half the scanners leave a third of their sector black. 24 images: smallest overlap .71, median .96.
    images, sectors = virtual_scanner_images(8, 1, size=160)
    overlap = [(whole_sector(i.astype(float)) & s).sum() / (whole_sector(i.astype(float)) | s).sum()
               for i, s in zip(images, sectors, strict=True)]  # fmt: skip
    assert np.median(overlap) > 0.9 and min(overlap) > 0.65
    seen = [(find_sector(i) & s).sum() / (find_sector(i) | s).sum() for i, s in zip(images, sectors, strict=True)]
    assert np.median(overlap) > np.median(seen)


def test_the_apex_is_where_the_sides_meet() -> None:
    inside, _ = fan(160)
    row, column = apex(inside) or (np.nan, np.nan)
    assert abs(row) < 1.5 and abs(column - 159) < 0.5
    # The same picture with rows twice as far apart as columns: the apex is a pixel, and does not move.
    assert apex(inside, (2.0, 1.0)) == (row, column)


def test_a_linear_probe_has_no_apex() -> None:
    straight = np.zeros((100, 120), bool)
    straight[5:95, 20:100] = True
    assert apex(straight) is None
    assert apex(np.ones((100, 120), bool)) is None


def test_image_methods_need_no_torch() -> None:
    program = (
        "import sys; from harmbench_builtin.harmonizers.intensity import histogram, nyul, stretch, clahe, gain; "
        "from harmbench_builtin.harmonizers.speckle import local, srad, non_local_means; print('torch' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == "False"
