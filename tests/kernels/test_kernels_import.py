"""Kernels of other networks: found by their names, folded to grey exactly, and refused with a reason."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harmbench.cli import run_command
from harmbench.errors import DataError, UsageError
from harmbench_builtin.harmonizers.filter_bank.filter import filter_bank
from harmbench_builtin.harmonizers.ssl_kernel.kernels import load_kernels
from harmbench_builtin.kernels.fold import kept_share, to_grey
from harmbench_builtin.kernels.importing import import_kernels
from harmbench_builtin.kernels.layers import CLIP, IMAGENET, find
from harmbench_builtin.kernels.weights import open_weights
from timm_or_skip import timm_or_skip

TORCH = torch.Generator().manual_seed(0)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=TORCH)


def convnext(key: str = "stem.0", channels: int = 3) -> dict[str, torch.Tensor]:
    """The names that matter of a ConvNeXt-V2 checkpoint."""
    return {
        f"{key}.weight": normal(8, channels, 4, 4),
        f"{key}.bias": normal(8),
        "stages.0.blocks.0.conv_dw.weight": normal(8, 1, 7, 7),
        "stages.0.blocks.0.mlp.grn.weight": normal(32),
        "stages.1.downsample.1.weight": normal(16, 8, 2, 2),
    }


def resnet(prefix: str = "") -> dict[str, torch.Tensor]:
    return {
        f"{prefix}conv1.weight": normal(6, 3, 7, 7),
        f"{prefix}bn1.weight": normal(6),
        f"{prefix}bn1.bias": normal(6),
        f"{prefix}bn1.running_mean": normal(6),
        f"{prefix}bn1.running_var": normal(6).abs() + 0.5,
        f"{prefix}layer1.0.conv1.weight": normal(6, 6, 1, 1),
        f"{prefix}layer1.0.conv2.weight": normal(6, 3, 3, 3),  # grouped: looks like a first layer, and is none
    }


def vit(key: str = "patch_embed.proj", size: int = 16) -> dict[str, torch.Tensor]:
    return {f"{key}.weight": normal(12, 3, size, size), f"{key}.bias": normal(12), "blocks.0.norm1.weight": normal(12)}


def lookup(content: Any, name: str) -> Any:
    """A tensor by its dotted name in dictionaries within dictionaries; None when there is none."""
    if name in content:
        return content[name]
    inner = next((key for key in content if name.startswith(f"{key}.") and isinstance(content[key], dict)), None)
    return None if inner is None else lookup(content[inner], name.removeprefix(f"{inner}."))


def saved(path: Path, content: Any) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in content.items()}, path)
    else:
        torch.save(content, path)
    return path


def response_of_the_network(
    weight: torch.Tensor, bias: torch.Tensor | None, grey: np.ndarray, mean: Any, std: Any
) -> np.ndarray:
    """What the network's first layer gives for a grey image shown in all channels, stride 1, float64."""
    channels = weight.shape[1]
    shown = torch.from_numpy(grey)[None, None].repeat(1, channels, 1, 1) / 255
    centre, scale = (torch.tensor(v, dtype=torch.float64).expand(channels).view(1, -1, 1, 1) for v in (mean, std))
    out = torch.nn.functional.conv2d((shown - centre) / scale, weight.double(), None if bias is None else bias.double())
    return out[0].numpy()


def response_of_the_kernels(file: Path, grey: np.ndarray) -> np.ndarray:
    """What ssl-kernel gives with the file, where the border is not mirrored."""
    kernels = load_kernels(file)
    _, h, w = kernels.weight.shape
    maps = filter_bank(kernels.prepare(grey), kernels.weight, kernels.bias)
    rows, columns = grey.shape
    return maps[:, (h - 1) // 2 : rows - h // 2, (w - 1) // 2 : columns - w // 2]


GREY = np.random.default_rng(1).integers(0, 256, (40, 33)).astype(np.float64)

CASES = {
    "timm ConvNeXt-V2": ("convnextv2_atto.fcmae.safetensors", convnext(), "stem.0", IMAGENET),
    "the official ConvNeXt-V2": (
        "convnextv2_atto_1k_224_fcmae.pt", {"model": convnext("downsample_layers.0.0")}, "model.downsample_layers.0.0",
        IMAGENET,
    ),
    "transformers ConvNeXt-V2": (
        "model.safetensors", convnext("convnextv2.embeddings.patch_embeddings"),
        "convnextv2.embeddings.patch_embeddings", IMAGENET,
    ),
    "torchvision ResNet": ("resnet50.pth", resnet(), "conv1", IMAGENET),
    "a wrapped ResNet": (
        "checkpoint.pth.tar", {"state_dict": resnet("module.net."), "epoch": 3}, "state_dict.module.net.conv1",
        IMAGENET,
    ),
    "MoCo": (
        "moco.pth.tar", {"state_dict": {**resnet("module.encoder_k."), **resnet("module.encoder_q.")}},
        "state_dict.module.encoder_q.conv1", IMAGENET,
    ),
    "MAE": ("mae_pretrain_vit_base.pth", {"model": vit()}, "model.patch_embed.proj", IMAGENET),
    "DINO": (
        "dino_checkpoint.pth",
        {"student": vit("module.backbone.patch_embed.proj"), "teacher": vit("module.backbone.patch_embed.proj")},
        "teacher.module.backbone.patch_embed.proj", IMAGENET,
    ),
    "DINOv2, 14 pixels": ("dinov2.safetensors", vit(size=14), "patch_embed.proj", IMAGENET),
    "timm augreg": ("vit_tiny_patch16_224.augreg.safetensors", vit(), "patch_embed.proj", (0.5, 0.5)),
    "transformers ViT": (
        "pytorch_model.bin", vit("vit.embeddings.patch_embeddings.projection"),
        "vit.embeddings.patch_embeddings.projection", IMAGENET,
    ),
    "CLIP": ("clip.safetensors", vit("visual.conv1", 8), "visual.conv1", CLIP),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_response_to_a_grey_image_is_that_of_the_network(tmp_path: Path, case: str) -> None:
    name, content, key, (mean, std) = CASES[case]
    source, out = saved(tmp_path / name, content), tmp_path / "kernels.safetensors"
    assert run_command(["kernels", "import", str(source), "--out", str(out), "--licence", "test"]) == 0
    weight, bias = (lookup(content, f"{key}.{part}") for part in ("weight", "bias"))
    expected = response_of_the_network(weight, bias, GREY, mean, std)
    got = response_of_the_kernels(out, GREY)
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("architecture", "first"),
    [
        ("convnextv2_atto", "stem.0"),
        ("resnet18", "conv1"),
        ("vit_tiny_patch16_224", "patch_embed.proj"),
    ],
)
def test_the_layer_of_a_real_network_is_found_and_answers_as_in_it(
    tmp_path: Path, architecture: str, first: str
) -> None:
    network = timm_or_skip().create_model(architecture, pretrained=False).double().eval()
    source = saved(tmp_path / f"{architecture}.safetensors", network.state_dict())
    out = tmp_path / "kernels.safetensors"
    assert run_command(["kernels", "import", str(source), "-o", str(out), "--licence", "none, random weights"]) == 0
    layer = network.get_submodule(first)
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in IMAGENET)
    shown = (torch.from_numpy(GREY)[None, None].repeat(1, 3, 1, 1) / 255 - mean) / std
    with torch.no_grad():
        expected = torch.nn.functional.conv2d(shown, layer.weight, layer.bias)[0].numpy()  # type: ignore[arg-type]
    assert np.abs(response_of_the_kernels(out, GREY) - expected).max() <= 1e-12 * np.abs(expected).max()


def test_folding_is_not_the_plain_sum_of_the_channels() -> None:
    weight, bias = normal(4, 3, 4, 4).double().numpy(), normal(4).double().numpy()
    grey = to_grey(weight, bias, *IMAGENET)
    assert np.abs(grey.weight - weight.sum(1)).max() > 0.5
    plain = to_grey(weight, bias, (0.0,), (1.0,))  # where nothing is normalised, it is
    assert np.allclose(plain.weight, weight.sum(1), rtol=0, atol=1e-15) and np.array_equal(plain.bias, bias)


def test_folding_by_hand() -> None:
    weight = np.array([[[[1.0]], [[2.0]], [[4.0]]]])
    grey = to_grey(weight, np.array([10.0]), (0.1, 0.2, 0.3), (0.5, 0.25, 0.5))
    # 1/.5 + 2/.25 + 4/.5 = 18; 10 - (2 * .1 + 8 * .2 + 8 * .3) = 5.8
    assert grey.weight.item() == pytest.approx(18) and grey.bias.item() == pytest.approx(5.8)


def test_one_colour_is_the_response_when_the_others_show_their_mean() -> None:
    weight, bias = normal(4, 3, 5, 5).double(), normal(4).double()
    mean, std = IMAGENET
    shown = torch.tensor(mean, dtype=torch.float64).view(1, 3, 1, 1).repeat(1, 1, *GREY.shape)
    shown[0, 1] = torch.from_numpy(GREY / 255)
    scale = torch.tensor(std, dtype=torch.float64).view(1, 3, 1, 1)
    centred = (shown - torch.tensor(mean, dtype=torch.float64).view(1, 3, 1, 1)) / scale
    expected = torch.nn.functional.conv2d(centred, weight, bias)[0].numpy()
    grey = to_grey(weight.numpy(), bias.numpy(), mean, std, "green")
    got = filter_bank(GREY / 255, grey.weight, grey.bias)[:, 2:-2, 2:-2]
    assert np.abs(got - expected).max() <= 1e-12 * np.abs(expected).max()


def test_a_kernel_that_looks_for_colour_only_is_counted() -> None:
    shape = normal(5, 5).double().numpy()
    mean, std = IMAGENET
    opponent = np.stack([shape * std[0], -shape * std[1], np.zeros((5, 5))])
    grey_one = np.stack([shape * s for s in std])
    weight = np.stack([opponent, grey_one])
    share = kept_share(weight, std, to_grey(weight, np.zeros(2), mean, std))
    assert share == pytest.approx([0.0, 1.0], abs=1e-12)


def test_a_batch_norm_is_folded_in_when_asked(tmp_path: Path) -> None:
    content = resnet()
    source, out = saved(tmp_path / "resnet.pth", content), tmp_path / "k.safetensors"
    arguments = ["kernels", "import", str(source), "-o", str(out), "--licence", "x"]
    assert run_command([*arguments, "--fold-batchnorm"]) == 0
    norm = torch.nn.BatchNorm2d(6).double().eval()
    norm.load_state_dict({n.removeprefix("bn1."): t for n, t in content.items() if "bn1" in n}, strict=False)
    with torch.no_grad():
        plain = response_of_the_network(content["conv1.weight"], None, GREY, *IMAGENET)
        expected = norm(torch.from_numpy(plain)[None])[0].numpy()
    assert np.abs(response_of_the_kernels(out, GREY) - expected).max() <= 1e-12 * np.abs(expected).max()
    assert load_kernels(out).provenance["source"]["batch_norm"] == "folded in"
    with pytest.raises(UsageError, match="no BatchNorm for 'patch_embed"):
        import_kernels(str(saved(tmp_path / "v.pth", vit())), licence="x", batch_norm=True)


def test_the_file_says_where_the_kernels_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path / "convnextv2_atto.fcmae.safetensors", convnext())
    out = tmp_path / "colour.safetensors"
    assert run_command(["kernels", "import", str(source), "--out", str(out)]) == 0
    said = capsys.readouterr().err
    kernels = load_kernels(out)
    facts = kernels.provenance["source"]
    assert facts["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest() and facts["sha256"] in said
    assert (facts["file"], facts["key"]) == (source.name, "stem.0.weight") and facts["network"] == "ConvNeXt-V2"
    assert facts["mean"] == list(IMAGENET[0]) and facts["shape"] == [8, 3, 4, 4]
    assert kernels.provenance["data"] == {"name": "ImageNet-1k"} and not kernels.synthetic
    assert kernels.licence == "CC-BY-NC-4.0" and "NOT FOR COMMERCIAL USE" in said
    card = out.with_suffix(".md").read_text()
    assert "NOT FOR COMMERCIAL USE" in card and facts["sha256"] in card and str(tmp_path) not in card
    assert "assumed" in said and "LayerNorm" in said


@pytest.mark.parametrize(
    ("beside", "content", "expected"),
    [
        ("config.json", {"pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}, [0.1, 0.2, 0.3]),
        ("preprocessor_config.json", {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}, [0.5, 0.5, 0.5]),
    ],
)
def test_a_configuration_beside_the_weights_says_the_normalisation(
    tmp_path: Path, beside: str, content: Any, expected: list[float]
) -> None:
    (tmp_path / beside).write_text(json.dumps(content))
    source = str(saved(tmp_path / "model.safetensors", vit()))
    assert import_kernels(source, licence="x").provenance["source"]["mean"] == expected
    given = import_kernels(source, licence="x", mean=(0.0,), std=(1.0,)).provenance["source"]
    assert given["mean"] == [0.0] and given["normalisation"] == "as given"


def test_the_licence_is_that_of_the_user_then_of_the_card_then_what_is_known(tmp_path: Path) -> None:
    source = str(saved(tmp_path / "model.safetensors", convnext()))
    assert import_kernels(source).licence == "CC-BY-NC-4.0"
    (tmp_path / "README.md").write_text("---\ntags: [x]\nlicense: cc-by-4.0\n---\n# A model\n")
    assert import_kernels(source).licence == "cc-by-4.0"
    assert import_kernels(source, licence="mine").licence == "mine"


def test_an_unknown_licence_has_to_be_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"licence of resnet\.pth is not known here.*--licence"):
        import_kernels(str(saved(tmp_path / "resnet.pth", resnet())))


def test_any_tensor_can_be_named_by_its_key(tmp_path: Path) -> None:
    source = str(saved(tmp_path / "own.safetensors", {"first.kernels": normal(3, 1, 5, 3)}))
    grey = import_kernels(source, key="first.kernels", mean=(0.25,), std=(0.5,), licence="x").grey
    assert grey.weight.shape == (3, 5, 3)
    with pytest.raises(UsageError, match=r"takes grey images.*--mean and --std"):
        import_kernels(source, key="first.kernels", licence="x")


def test_half_precision_is_read(tmp_path: Path) -> None:
    content = {name: tensor.bfloat16() for name, tensor in convnext().items()}
    grey = import_kernels(str(saved(tmp_path / "half.safetensors", content))).grey
    assert grey.weight.dtype == np.float64
    assert np.allclose(
        grey.weight, (content["stem.0.weight"].double() / torch.tensor(IMAGENET[1]).view(3, 1, 1)).sum(1)
    )


# --- what cannot be used


def candidates_of(content: dict[str, torch.Tensor], tmp_path: Path, key: str = "") -> str:
    with pytest.raises(UsageError) as caught:
        find(open_weights(saved(tmp_path / "x.safetensors", content)), key)
    return str(caught.value)


def test_a_layer_without_a_known_name_is_asked_for_with_the_candidates(tmp_path: Path) -> None:
    said = candidates_of({"enc.first.weight": normal(4, 3, 5, 5), "enc.second.weight": normal(4, 4, 5, 5)}, tmp_path)
    assert "--key" in said and "enc.first.weight (4, 3, 5, 5)" in said and "enc.second" not in said


def test_two_possible_layers_are_both_named(tmp_path: Path) -> None:
    said = candidates_of({**vit(), **{f"left.{k}": v for k, v in resnet().items()}}, tmp_path)
    assert "More than one" in said and "patch_embed.proj.weight" in said and "left.conv1.weight" in said


def test_a_wrong_key_gets_a_suggestion(tmp_path: Path) -> None:
    said = candidates_of(convnext(), tmp_path, "stem.0.wieght")
    assert "no tensor 'stem.0.wieght'" in said and "Did you mean 'stem.0.weight'" in said


@pytest.mark.parametrize(
    ("content", "key", "problem"),
    [
        ({"conv1.weight": normal(4, 2, 7, 7)}, "", "takes 2 channels"),
        ({"conv1.weight": normal(4, 3, 7)}, "", "has 3 axes"),
        ({"a": normal(4, 3, 5, 5, 5)}, "a", "has 5 axes"),
        ({"conv1.weight": torch.zeros(0, 3, 7, 7)}, "conv1.weight", "is empty"),
    ],
)
def test_a_tensor_that_is_no_bank_of_kernels_is_refused(
    tmp_path: Path, content: dict[str, torch.Tensor], key: str, problem: str
) -> None:
    with pytest.raises(DataError, match=problem):
        import_kernels(str(saved(tmp_path / "x.safetensors", content)), key=key, licence="x")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_kernels_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    content = convnext()
    content["stem.0.weight"][3, 0, 1, 1] = bad
    with pytest.raises(DataError, match=r"x\.safetensors: the kernels hold NaN or infinite"):
        import_kernels(str(saved(tmp_path / "x.safetensors", content)))


def test_kernels_that_vanish_on_grey_images_are_refused(tmp_path: Path) -> None:
    content = convnext()
    content["stem.0.weight"] *= 0
    with pytest.raises(DataError, match="all kernels are 0"):
        import_kernels(str(saved(tmp_path / "x.safetensors", content)))


class Harmful:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_execute_code_is_refused_and_not_executed(tmp_path: Path, zipped: bool) -> None:
    harm, path = tmp_path / "harm", tmp_path / "evil.pt"
    torch.save({"conv1.weight": normal(4, 3, 7, 7), "x": Harmful(harm)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match=r"evil\.pt: to read this file, code in it would have to be executed"):
        open_weights(path)
    assert not harm.exists()


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    import pickle

    harm, path = tmp_path / "harm", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Harmful(harm)))
    with pytest.raises(DataError, match="evil"):
        open_weights(path)
    assert not harm.exists()


@pytest.mark.parametrize("name", ["whole.safetensors", "whole.pt"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, name: str, share: float) -> None:
    whole = saved(tmp_path / name, convnext()).read_bytes()
    path = tmp_path / f"cut-{name}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=rf"cut-{name}: .*(whole safetensors|cut off)"):
        open_weights(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"%PDF-1.7 no weights in here", "neither a safetensors"),
        (b"PK\x03\x04 a zip of letters", "cut off"),
    ],
)
def test_a_file_of_another_sort_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.bin: .*{problem}"):
        open_weights(path)


@pytest.mark.parametrize(
    ("name", "content"), [("x.pt", {}), ("y.pt", {"epoch": 3, "ids": torch.arange(4)}), ("z.safetensors", {})]
)
def test_a_file_without_weights_is_named(tmp_path: Path, name: str, content: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="holds no floating-point tensors"):
        open_weights(saved(tmp_path / name, content))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file"):
        open_weights(tmp_path / "no.pt")
    with pytest.raises(DataError, match="this is a folder"):
        open_weights(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mean", "0.5"], "given together"),
        (["--mean", "0.5,0.5", "--std", "1"], "3 finite number"),
        (["--mean", "a", "--std", "1"], "--mean takes one number or three"),
        (["--mean", "0", "--std", "0"], "must be above 0"),
        (["--colour", "gray"], "must be one of fold, red, green, blue"),
    ],
)
def test_a_wrong_option_says_what_is_allowed(
    tmp_path: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = saved(tmp_path / "x.safetensors", convnext()), tmp_path / "out.safetensors"
    assert run_command(["kernels", "import", str(source), "-o", str(out), *options]) == 1
    assert message in capsys.readouterr().err and not out.exists()


def test_an_existing_file_is_only_replaced_by_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = saved(tmp_path / "x.safetensors", convnext()), tmp_path / "out.safetensors"
    out.write_bytes(b"precious")
    arguments = ["kernels", "import", str(source), "--out", str(out)]
    assert run_command(arguments) == 1 and "--force" in capsys.readouterr().err
    assert out.read_bytes() == b"precious"
    assert run_command([*arguments, "--force"]) == 0 and len(load_kernels(out)) == 8
    out.unlink()
    out.with_suffix(".md").write_text("my notes")
    assert run_command(arguments) == 1 and "out.md exists" in capsys.readouterr().err
    assert run_command([*arguments[:-1], str(tmp_path / "out.bin")]) == 1
    assert "ends with .safetensors" in capsys.readouterr().err


def test_import_as_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = saved(tmp_path / "x.safetensors", convnext()), tmp_path / "out.safetensors"
    assert run_command(["kernels", "import", str(source), "-o", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["kernels"] == 8 and said["licence"] == "CC-BY-NC-4.0" and said["source"]["key"] == "stem.0.weight"
