"""Kernels and example images: which are drawn, and when none may be."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image as Picture

from harmbench.data import ImageSet, Sample
from harmbench.errors import UsageError
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.page.evidence import Evidence
from harmbench.leaderboard.page.pictures import add_pictures, grey_picture, kernel_picture, pick
from harmbench.leaderboard.page.reading import knows_samples


@pytest.fixture(scope="module")
def board(kept_run):
    return build([kept_run])


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA"))[..., :3]


def test_simulated_images_are_shown_before_and_after_each_image_stage(board, kept_run, registry):
    evidence = Evidence()
    add_pictures(evidence, board, registry, known=knows_samples([kept_run]))
    assert set(evidence.examples) == {"", "laplacian-of-gaussian"}
    assert [e.manufacturer for e in evidence.examples[""]] == ["GE-like", "Philips-like"]
    assert pixels(evidence.examples[""][0].picture).shape == (96, 96, 3)
    assert len(evidence.examples["laplacian-of-gaussian"]) == 4  # two maps at each manufacturer
    assert not evidence.absent


def test_images_that_are_not_the_run_s_are_not_shown(board, registry):
    evidence = Evidence()
    add_pictures(evidence, board, registry, known=lambda sample: False)
    assert not evidence.examples and "not the images" in evidence.absent["examples"]
    with pytest.raises(UsageError, match="not the images"):
        add_pictures(Evidence(), board, registry, examples=True, known=lambda sample: False)


def test_images_of_real_data_are_shown_only_when_asked_for(board, registry):
    real = board.model_copy(update={"synthetic": False})
    evidence = Evidence()
    add_pictures(evidence, real, registry)
    assert not evidence.examples and "--example-images" in evidence.absent["examples"]
    settings = {**board.settings, "dataset": {"name": "image-folder", "version": "1", "params": {}}}
    real = real.model_copy(update={"settings": settings})
    with pytest.raises(UsageError, match="--data"):
        add_pictures(Evidence(), real, registry, examples=True)


def test_no_picture_when_not_wanted(board, registry):
    evidence = Evidence()
    add_pictures(evidence, board, registry, examples=False)
    assert not evidence.examples


def test_one_object_on_all_scanners_is_preferred():
    def sample(name, maker, pair=""):
        return Sample(id=name, image="", mask="", manufacturer=maker, patient=name, label="a", pair=pair)

    samples = (sample("1", "A"), sample("2", "B"), sample("3", "A", "x"), sample("4", "A", "y"), sample("5", "B", "y"))
    images = ImageSet("set", samples, None, ("a", "b"))
    assert [s.id for s in pick(images)] == ["4", "5"]
    assert [s.id for s in pick(images.subset([0, 1, 2]))] == ["1", "2"]


def test_kernels_are_red_above_zero_white_at_it_and_blue_below():
    shown = kernel_picture(np.array([[[1.0, 0.0], [-1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]))
    assert (shown.count, shown.shape) == (2, (2, 2))
    drawn = pixels(shown.picture).astype(int)
    assert drawn.shape == (40, 84, 3)
    red, white, blue = drawn[5, 5], drawn[5, 35], drawn[35, 5]
    assert red[0] > 150 and red[2] < 80 and blue[2] > 120 and blue[0] < 80 and white.min() > 230
    assert drawn[20, 70].min() > 230  # a kernel of zeros is white, not an error


def test_grey_runs_from_one_limit_to_the_other_and_pictures_stay_small():
    drawn = pixels(grey_picture(np.tile(np.linspace(-1, 3, 500), (500, 1)), (0.0, 2.0)))
    assert drawn.shape[:2] == (224, 224)
    assert drawn[:, :50].max() <= 6 and drawn[:, -50:].min() >= 249
