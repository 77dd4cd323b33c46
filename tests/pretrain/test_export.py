"""What a training leaves for others: the encoder as timm reads it, kernels with the list of what they saw, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from safetensors.numpy import load_file

from harmbench.errors import DataError
from harmbench.seen import Seen, as_ids, content_id, patient_id
from harmbench_builtin.harmonizers.ssl_kernel.kernels import IMAGES, load_kernels
from harmbench_builtin.kernels.importing import import_kernels
from harmbench_builtin.pretrain import model
from harmbench_builtin.pretrain.export import ENCODER, ENCODER_CONFIG, export_encoder, export_kernels, export_pictures
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.model import ARCHITECTURES, Encoder
from harmbench_builtin.pretrain.settings import Settings
from harmbench_builtin.pretrain.train import pretrain
from timm_or_skip import timm_or_skip


def encoder(size: str = "atto") -> Encoder:
    """An encoder whose every weight is random, none at its start."""
    made = Encoder(ARCHITECTURES[size])
    generator = torch.Generator().manual_seed(0)
    for parameter in made.parameters():
        parameter.data.normal_(0, 0.1, generator=generator)
    return made


def exported(folder: Path, made: Encoder, size: str = "atto") -> Path:
    return export_encoder(
        folder, made.state_dict(), size=size, channels=1, image_size=128, mean=0.25, std=0.5, provenance={"x": 1},
        licence="L",
    )  # fmt: skip


@pytest.mark.parametrize("size", ["atto", "tiny"])  # the two ways in which timm stores a block's linear layers
def test_timm_loads_the_encoder_strictly_and_computes_the_same(tmp_path: Path, size: str) -> None:
    timm = timm_or_skip()
    ours = encoder(size)
    path = exported(tmp_path, ours, size)
    # With checkpoint_path timm loads strictly: a missing or an unknown name is an error.
    theirs = timm.create_model(f"convnextv2_{size}", in_chans=1, num_classes=0, checkpoint_path=str(path))
    assert path.name == "encoder.safetensors"
    ours, theirs = ours.double().eval(), theirs.double().eval()
    images = torch.randn(2, 1, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = ours(images)
        assert (theirs.forward_features(images) - maps).norm() / maps.norm() < 1e-12
        pooled = torch.nn.functional.layer_norm(maps.mean((2, 3)), maps.shape[1:2], eps=1e-6)
        assert (theirs(images) - pooled).norm() / pooled.norm() < 1e-12


def test_timm_builds_the_network_from_the_configuration_alone(tmp_path: Path) -> None:
    timm = timm_or_skip()
    ours = encoder()
    exported(tmp_path, ours)
    (tmp_path / ENCODER).rename(tmp_path / "model.safetensors")  # the name that timm looks for in a folder
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert torch.equal(theirs.stem[0].weight, ours.stem[0].weight)  # type: ignore[arg-type]
    config = theirs.pretrained_cfg
    assert tuple(config["mean"]) == (0.25,) and tuple(config["input_size"]) == (1, 128, 128)


def test_the_exported_encoder_gives_the_exported_kernels(tmp_path: Path) -> None:
    ours = encoder()
    path = exported(tmp_path, ours)
    config = json.loads((tmp_path / ENCODER_CONFIG).read_text())
    assert config["architecture"] == "convnextv2_atto" and config["harmbench"] == {"x": 1}
    stem = ours.stem[0]
    weight, bias = (t.detach().numpy() for t in (stem.weight, stem.bias))  # type: ignore[union-attr]
    direct = export_kernels(
        tmp_path / "k.safetensors", weight, bias, mean=0.25, std=0.5, provenance={}, licence="L", synthetic=True
    )
    kernels, imported = load_kernels(direct), import_kernels(str(path)).grey
    grey = np.random.default_rng(0).integers(0, 256, (4, 4)).astype(float)
    expected = (kernels.weight * kernels.prepare(grey)).sum((1, 2)) + kernels.bias
    assert np.allclose((imported.weight * grey / 255).sum((1, 2)) + imported.bias, expected, rtol=1e-12)


def seen() -> Seen:
    return Seen(as_ids([patient_id("s", "1"), patient_id("s", "2")]), as_ids([content_id(np.eye(3))]))


def with_ids(path: Path, ids: Seen | None) -> Path:
    zeros = np.ones((2, 1, 4, 4)), np.zeros(2)
    return export_kernels(path, *zeros, mean=0, std=1, provenance={"a": [1]}, licence="L", synthetic=False, seen=ids)


def test_a_kernel_file_keeps_the_ids_it_was_given(tmp_path: Path) -> None:
    loaded = load_kernels(with_ids(tmp_path / "k.safetensors", seen()))
    assert np.array_equal(loaded.seen.patients, seen().patients) and np.array_equal(loaded.seen.images, seen().images)
    assert loaded.provenance == {"a": [1]} and loaded.licence == "L"
    without = load_kernels(with_ids(tmp_path / "w.safetensors", None))
    assert not without.seen and without.digest() == loaded.digest()  # the maps do not depend on the list


def test_ids_take_8_bytes_each(tmp_path: Path) -> None:
    many = Seen(images=as_ids(content_id(np.full((2, 2), i)) for i in range(1000)))
    sizes = [with_ids(tmp_path / f"{i}.safetensors", ids).stat().st_size for i, ids in enumerate((None, many))]
    assert 8000 <= sizes[1] - sizes[0] < 8200


def test_a_damaged_list_of_ids_is_named(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = with_ids(tmp_path / "k.safetensors", seen())
    with safe_open(path, framework="numpy") as content:
        metadata = content.metadata()
    save_file({**load_file(path), IMAGES: np.zeros((2, 5), np.uint8)}, path, metadata)
    with pytest.raises(DataError, match=r"k\.safetensors: the list of what the kernels were trained on is damaged"):
        load_kernels(path)


def test_pictures_are_written_under_their_names(tmp_path: Path) -> None:
    assert export_pictures(tmp_path, np.random.default_rng(0).normal(size=(5, 1, 4, 4)), "x")
    for name in ("kernels.png", "kernels-frequency.png"):
        with Picture.open(tmp_path / name) as picture:
            assert picture.format == "PNG"


def test_a_training_leaves_kernels_with_ids_the_encoder_pictures_and_a_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(model.ARCHITECTURES, "toy", model.Architecture((1, 1, 1, 1), (4, 8, 8, 16), conv_mlp=True))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32)).astype(np.uint8)
    images = PretrainingImages(
        "noise", pixels, np.ones_like(pixels, bool), ("a", "b", "c"), synthetic=True, licence="none",
        patient_ids=tuple(patient_id("noise", p) for p in "112"), content_ids=tuple(map(content_id, pixels)),
    )  # fmt: skip
    settings = Settings(size="toy", image_size=32, steps=1, batch=2, decoder_width=8, threads=1)
    kernels = load_kernels(pretrain(images, tmp_path, settings))
    assert (len(kernels.seen.patients), len(kernels.seen.images)) == (2, 3)
    state = load_file(tmp_path / ENCODER)
    assert np.array_equal(kernels.weight, state["stem.0.weight"][:, 0].astype(float))
    assert {"kernels.png", "kernels-frequency.png", ENCODER_CONFIG, "kernels.md"} <= {
        p.name for p in tmp_path.iterdir()
    }
    for other in tmp_path.glob("kernels-*.safetensors"):
        assert len(load_kernels(other).seen.images) == 3


def test_without_pillow_there_are_no_pictures_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harmbench_builtin.pretrain.export.find_spec", lambda name: None)
    assert not export_pictures(tmp_path, np.ones((1, 1, 4, 4)), "x") and not list(tmp_path.iterdir())
