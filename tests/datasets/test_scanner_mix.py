"""Pretraining images of a chosen mix of scanners: same hearts, shares met exactly."""

from __future__ import annotations

import numpy as np
import pytest

from harmbench.cli import run_command
from harmbench.errors import UsageError
from harmbench_builtin.datasets.plax_phantom.virtual import (
    paired_virtual_scanner_images,
    scanner_mix,
    virtual_scanner_images,
)
from harmbench_builtin.pretrain.data import from_phantom


def test_a_mix_holds_every_scanner_as_often_as_it_weighs() -> None:
    assert scanner_mix("virtual") == ("virtual",)
    assert scanner_mix("GE-like:3, Philips-like") == ("GE-like",) * 3 + ("Philips-like",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GE", "no scanner 'GE'.*GE-like"),
        ("GE-like:0", "whole number from 1"),
        ("GE-like:x", "whole number"),
        ("", "''"),
    ],
)
def test_a_wrong_mix_says_what_there_is(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        scanner_mix(text)


def test_images_of_a_mix_follow_its_cycle_and_show_the_same_hearts() -> None:
    mixed, _ = virtual_scanner_images(4, 5, size=64, scanners="virtual,GE-like")
    virtual, _ = virtual_scanner_images(4, 5, size=64)
    ge, _ = virtual_scanner_images(4, 5, size=64, scanners="GE-like")
    assert np.array_equal(mixed[[0, 2]], virtual[[0, 2]]) and np.array_equal(mixed[[1, 3]], ge[[1, 3]])
    assert not np.array_equal(virtual[1], ge[1])
    few, _ = virtual_scanner_images(2, 5, size=64, scanners="virtual,GE-like")
    assert np.array_equal(few, mixed[:2])


def test_the_second_view_of_a_pair_is_of_the_next_scanner_of_the_mix() -> None:
    pairs, _ = paired_virtual_scanner_images(2, 5, size=64, scanners="GE-like,Philips-like")
    single, _ = virtual_scanner_images(2, 5, size=64, scanners="GE-like,Philips-like")
    assert np.array_equal(pairs[:, 0], single)
    assert not np.array_equal(pairs[0, 1], pairs[0, 0])


def test_the_origin_of_pretraining_images_names_the_mix() -> None:
    images = from_phantom(2, 1, size=64, scanners="GE-like")
    assert images.origin["scanners"] == "GE-like" and "GE-like" in images.ids[0]
    plain = from_phantom(2, 1, size=64)
    assert "scanners" not in plain.origin
    assert images.patient_ids == plain.patient_ids and images.content_ids != plain.content_ids


def test_the_command_refuses_a_mix_beside_data(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(["pretrain", "-o", str(tmp_path / "o"), "--data", str(tmp_path), "--scanners", "GE-like"])
    assert code == 1 and "--scanners is about generated phantom images" in capsys.readouterr().err


def test_the_command_trains_on_the_mix_that_it_was_given(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harmbench_builtin.pretrain import data

    asked: list[str] = []

    def from_phantom(*arguments, scanners: str, **more):
        asked.append(scanners)
        raise UsageError("far enough")

    monkeypatch.setattr(data, "from_phantom", from_phantom)
    run_command(["pretrain", "-o", str(tmp_path / "o"), "--scanners", "GE-like:2,virtual", "-q"])
    assert asked == ["GE-like:2,virtual"]
