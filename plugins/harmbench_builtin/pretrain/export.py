"""From a trained network to files for others: kernels, the whole encoder, pictures, and the card that explains them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.errors import DataError
from harmbench.seen import Seen
from harmbench_builtin.harmonizers.ssl_kernel.kernels import FORMAT, FORMAT_VERSION, IMAGES, PATIENTS

ENCODER, ENCODER_CONFIG = "encoder.safetensors", "config.json"
PICTURE, RESPONSES = "kernels.png", "kernels-frequency.png"

PUBLISHED_IMAGES = 1600 * 1_281_167
"""Images that the published recipe shows the network: 1600 epochs of ImageNet-1k."""


def export_kernels(
    path: Path,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike,
    *,
    mean: float,
    std: float,
    provenance: Mapping[str, Any],
    licence: str,
    synthetic: bool,
    seen: Seen | None = None,
    double: bool = False,
) -> Path:
    """Write a kernel file, whole or not at all.

    Parameters
    ----------
    path : Path
        `*.safetensors`.
    weight : (K, 1, h, w)
    bias : (K,)
    mean, std : float
        The network saw `(x / 255 - mean) / std`.
    provenance : mapping
        JSON values: data set, digests, settings, figures of the training.
    licence : str
    synthetic : bool
    seen : Seen, optional
        Ids of the patients and images that were trained on, 8 bytes each.
    double : bool, default False
        Store float64: for kernels that were computed in it.

    Raises
    ------
    DataError
        When the file cannot be written.
    """
    from safetensors.numpy import save

    kind = np.float64 if double else np.float32
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "preprocessing": json.dumps({"formula": "(x / 255 - mean) / std", "mean": mean, "std": std}),
        "provenance": json.dumps(provenance, sort_keys=True),
        "licence": licence,
        "synthetic": "true" if synthetic else "false",
    }
    tensors = {
        "stem.weight": np.ascontiguousarray(weight, dtype=kind),
        "stem.bias": np.ascontiguousarray(bias, dtype=kind),
    }
    if seen is not None:
        lists = ((PATIENTS, seen.patients), (IMAGES, seen.images))
        tensors |= {name: np.ascontiguousarray(ids) for name, ids in lists if len(ids)}
    return write_whole(path, save(tensors, metadata))


def export_encoder(
    folder: Path,
    state: Mapping[str, Any],
    *,
    size: str,
    channels: int,
    image_size: int,
    mean: float,
    std: float,
    provenance: Mapping[str, Any],
    licence: str,
) -> Path:
    """Write the whole encoder as timm names it: `encoder.safetensors` and `config.json`.

    `timm.create_model("convnextv2_<size>", in_chans=1, num_classes=0, checkpoint_path="encoder.safetensors")` loads it
    strictly. timm has one layer that pretraining does not: the LayerNorm after pooling, written as its start (weight 1,
    bias 0).

    Parameters
    ----------
    folder : Path
    state : mapping
        `Encoder.state_dict()`.
    size : str
        "atto" to "huge".
    channels : int
    image_size : int
        Side of the crops it was trained on.
    mean, std : float
        The network saw `(x / 255 - mean) / std`.
    provenance : mapping
        JSON values.
    licence : str

    Raises
    ------
    DataError
        When a file cannot be written.
    """
    import torch
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    width = len(tensors["stages.3.blocks.0.norm.weight"])
    tensors |= {"head.norm.weight": torch.ones(width), "head.norm.bias": torch.zeros(width)}
    config = {
        "architecture": f"convnextv2_{size}",
        "num_classes": 0,
        "num_features": width,
        "model_args": {"in_chans": channels, "num_classes": 0},
        "pretrained_cfg": {
            "input_size": [channels, image_size, image_size],
            "mean": [mean] * channels,
            "std": [std] * channels,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "num_classes": 0,
            "first_conv": "stem.0",
            "classifier": "head.fc",
            "license": licence,
        },
        "harmbench": dict(provenance),
    }
    path = write_whole(folder / ENCODER, save(tensors, {"format": "pt", "licence": licence}))
    write_whole(folder / ENCODER_CONFIG, (json.dumps(config, indent=1, sort_keys=True) + "\n").encode())
    return path


def export_pictures(folder: Path, weight: npt.ArrayLike, title: str) -> bool:
    """Write the kernels (K, 1, h, w) and their frequency responses as PNG; False where Pillow is missing."""
    if find_spec("PIL") is None:  # a machine for training may lack it, and a picture can be made from the file later
        return False
    from harmbench_builtin.kernels.pictures import kernels_picture, responses_picture

    kernels = np.asarray(weight, dtype=np.float64)[:, 0]
    write_whole(folder / PICTURE, kernels_picture(kernels, title))
    write_whole(folder / RESPONSES, responses_picture(kernels, f"{title}: frequency responses"))
    return True


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file under a temporary name, then rename it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(
            f"the file could not be written ({error}).", file=path, remedy="Free some space or choose another folder."
        ) from error
    return path


def _length(seen: int) -> str:
    share = seen / PUBLISHED_IMAGES
    if share < 0.01:
        return "Beside the published training this is next to none: see the share of images seen above."
    return f"The network saw {share:.0%} as many images as in the published training."


def card(name: str, provenance: Mapping[str, Any], *, licence: str, synthetic: bool) -> str:
    """A model card in Markdown: what the kernels are, how they were made, and what that is worth."""
    data, training, result = provenance["data"], provenance["settings"], provenance["result"]
    seen = result["images_seen"]
    nature = (
        "**Synthetic: trained on simulated images only. No patient image had any part in it.**"
        if synthetic
        else "Trained on the images named below."
    )
    rows = [
        ("Network", f"ConvNeXt-V2 {training['size']}, fully convolutional masked autoencoder, 1 channel"),
        ("Data", f"{data['name']}, {data['images']} images, {data['skipped']} left out"),
        ("Length", f"{result['steps']} steps of {training['batch']} images of {training['image_size']} pixels"),
        (
            "Wall time",
            f"{result['seconds'] / 60:.1f} minutes on {result['device']}, {result['threads']} thread(s), "
            f"{result['precision']}",
        ),
        ("Images seen", f"{seen:,}, that is {seen / PUBLISHED_IMAGES:.1e} of the published recipe's 2.0e9"),
        (
            "Loss of the reconstruction at the end",
            f"{result['loss']:.4f}; predicting a grey cell scores {result['trivial_loss']:.4f}",
        ),
        ("Stem, cosine to its random start", f"{result['stem_cosine']:.4f}"),
        ("Stem, relative change from its start", f"{result['stem_relative_change']:.4f}"),
        (
            "Kernel diversity (1 - abs(cosine), mean over pairs)",
            f"{result['kernel_diversity']:.4f}; at the random start {result['kernel_diversity_at_start']:.4f}",
        ),
        ("Steps skipped as non-finite", str(result["skipped_steps"])),
        ("Licence", licence),
    ]
    table = "\n".join(f"| {label} | {value} |" for label, value in rows)
    settings = "\n".join(f"    {key} = {value}" for key, value in sorted(training.items()))
    facts = "\n".join(f"    {key} = {value}" for key, value in sorted(data.items()))
    return f"""# {name}

The {provenance["kernels"]} kernels of 4 x 4 pixels of a masked autoencoder's first layer, for `ssl-kernel`.
{nature}

| | |
|---|---|
{table}

## What this is worth

{_length(seen)} See the stem's change above, too: a
cosine near 1 means that the kernels still point where chance put them at the start, and that random kernels of the
same norms may do as well. That is why `random-kernel` is run beside `ssl-kernel`, and why their difference, not
`ssl-kernel` alone, says what learning brought. Neither the loss nor a picture of the kernels says anything about
harmonization; only a benchmark does.

## Data

{facts}

## Settings

{settings}

The log of the training lies beside this file (`.jsonl`, one record per line). `harmbench kernels show` draws the
kernels and their frequency responses.
"""
