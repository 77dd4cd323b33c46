"""`harmbench kernels list` and `show`, and what a run does with kernels of other sizes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from harmbench.cli import run_command
from harmbench.components import Context
from harmbench.data import Image
from harmbench.seen import Seen, as_ids
from harmbench_builtin.extractors.fast2d.extractor import Fast2d
from harmbench_builtin.harmonizers.ssl_kernel.harmonizer import RandomKernel, SslKernel
from harmbench_builtin.pretrain.export import export_kernels

RNG = np.random.default_rng(0)


def kernels(path: Path, height: int = 7, width: int = 7, count: int = 5) -> Path:
    provenance = {"data": {"name": "somewhere", "images": 9}, "source": {"network": "ResNet"}}
    seen = Seen(as_ids([b"patient1"]), as_ids([b"image--1", b"image--2"]))
    return export_kernels(
        path, RNG.normal(size=(count, 1, height, width)), RNG.normal(size=count), mean=0.2, std=0.4,
        provenance=provenance, licence="L-1", synthetic=False, seen=seen,
    )  # fmt: skip


def test_list_shows_what_ships_and_the_files_it_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = kernels(tmp_path / "mine.safetensors")
    assert run_command(["kernels", "list", str(path), "--json"]) == 0
    shipped, _, mine = json.loads(capsys.readouterr().out)["kernels"]
    assert (shipped["name"], shipped["kernels"], shipped["synthetic"]) == ("fcmae-atto-phantom", 40, True)
    assert shipped["licence"] == "Apache-2.0" and shipped["stem_relative_change"] > 0 and 0 < shipped["diversity"] < 1
    assert (mine["kernels"], mine["height"], mine["width"], mine["source"]) == (5, 7, 7, "ResNet")
    assert (mine["trained_on"], mine["licence"], mine["listed_images"]) == ("somewhere", "L-1", 2)
    assert mine["stem_cosine"] is None
    assert run_command(["kernels", "list", str(path)]) == 0
    text = capsys.readouterr().out
    assert "SYNTHETIC" in text and "7 x 7" in text and "1 patients, 2 images" in text


def test_list_names_a_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nothing")
    assert run_command(["kernels", "list", str(path)]) == 3
    assert "x.safetensors" in capsys.readouterr().err


def test_show_prints_the_card_the_figures_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "k.png"
    assert run_command(["kernels", "show", "fcmae-atto-phantom", "--picture", str(picture)]) == 0
    text = capsys.readouterr().out
    assert "# fcmae-atto-phantom" in text and "k39" in text and "cycles/px" in text
    assert picture.read_bytes()[:4] == (tmp_path / "k-frequency.png").read_bytes()[:4] == b"\x89PNG"


def test_show_of_a_file_without_a_card_prints_its_facts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = kernels(tmp_path / "mine.safetensors")
    assert run_command(["kernels", "show", str(path)]) == 0
    assert "L-1" in capsys.readouterr().out
    assert run_command(["kernels", "show", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["each"]) == 5 and said["provenance"]["data"]["images"] == 9


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fcmae-atto-fantom"], 1, "Did you mean 'fcmae-atto-phantom'"),
        (["no.safetensors"], 3, "there is no such kernel file"),
        (["fcmae-atto-phantom", "--picture", "x.jpg"], 1, "ends with .png"),
    ],
)
def test_show_says_what_is_wrong(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["kernels", "show", *arguments]) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("size", [(7, 7), (16, 16), (14, 14), (3, 3), (5, 8)])
def test_kernels_of_any_size_give_the_same_features_fused_and_as_maps(tmp_path: Path, size: tuple[int, int]) -> None:
    path = str(kernels(tmp_path / "k.safetensors", *size, count=3))
    pixels = RNG.integers(0, 256, (48, 40)).astype(np.float32)
    mask = np.zeros((48, 40), bool)
    mask[10:30, 8:33] = True
    image = Image("s", pixels, mask, (0.5, 0.5))
    for harmonizer in (SslKernel(path), RandomKernel(path)):
        filtered, bank = harmonizer.transform(image), harmonizer.linear(image)
        assert filtered.maps.shape == (3, 48, 40) and bank is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where the compiled engine is missing, another one serves and says so
            extractor = Fast2d()
        fused = extractor.extract_linear(
            "s", bank.pixels, bank.kernels, bank.bias, bank.names, mask, (0.5, 0.5), Context()
        )
        plain = extractor.extract([filtered], Context())
        assert fused.names == plain.names and fused.values.shape == (1, 9 + 3 * 93)
        assert np.allclose(fused.values, plain.values, rtol=1e-9, atol=1e-12)
