"""What a finished training leaves for its users, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harmbench_builtin.pretrain.export import card, export_encoder, export_kernels, export_pictures, write_whole
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.model import MaskedAutoencoder
from harmbench_builtin.pretrain.monitor import stem_facts
from harmbench_builtin.pretrain.settings import Settings

KERNELS = "kernels.safetensors"
EMA_KERNELS = "kernels-ema.safetensors"
CARD = "kernels.md"


@dataclass(frozen=True)
class Trained:
    """A training that has come to its end.

    Parameters
    ----------
    images : PretrainingImages
    settings : Settings
    mean, std : float
        Of `pixels / 255`.
    start : (K, C, h, w)
        The stem's weights at step 0.
    network : MaskedAutoencoder
    average : MaskedAutoencoder or None
        The network with averaged weights.
    result : mapping
        Figures of the training: steps, seconds, device, loss, ...
    """

    images: PretrainingImages
    settings: Settings
    mean: float
    std: float
    start: Tensor
    network: MaskedAutoencoder
    average: MaskedAutoencoder | None
    result: Mapping[str, Any]


def write_artifacts(out: Path, trained: Trained) -> Path:
    """Write the kernels, those of the averaged weights where there are any, the encoder, pictures and the card.

    Returns
    -------
    Path
        Of the kernels of the weights as they were trained.
    """
    images = trained.images
    path = _write_kernels(out / KERNELS, trained, trained.network, "raw")
    if trained.average is not None:
        _write_kernels(out / EMA_KERNELS, trained, trained.average, "ema")
    name = f"fcmae-{trained.settings.size}-{images.name}"
    provenance = provenance_of(trained, trained.network, "raw")
    export_encoder(
        out,
        trained.network.encoder.state_dict(),
        size=trained.settings.size,
        channels=trained.network.stem.in_channels,
        image_size=trained.settings.image_size,
        mean=trained.mean,
        std=trained.std,
        provenance=provenance,
        licence=images.licence,
    )
    export_pictures(out, trained.network.stem.weight.detach().cpu().numpy(), name)
    text = card(name, provenance, licence=images.licence, synthetic=images.synthetic)
    write_whole(out / CARD, text.encode())
    return path


def _write_kernels(path: Path, trained: Trained, network: MaskedAutoencoder, weights: str) -> Path:
    stem = network.stem
    assert stem.bias is not None
    return export_kernels(
        path,
        stem.weight.detach().cpu().numpy(),
        stem.bias.detach().cpu().numpy(),
        mean=trained.mean,
        std=trained.std,
        provenance=provenance_of(trained, network, weights),
        licence=trained.images.licence,
        synthetic=trained.images.synthetic,
        seen=trained.images.seen(),
    )


def provenance_of(trained: Trained, network: MaskedAutoencoder, weights: str) -> dict[str, Any]:
    """How weights came about: data, settings, result.

    Parameters
    ----------
    weights : {"raw", "ema"}
        Whether `network` has the weights as trained or their running average.
    """
    from harmbench import __version__

    images, start = trained.images, trained.start
    return {
        "kernels": len(start),
        "weights": weights,
        "harmbench": __version__,
        "torch": torch.__version__,
        "data": {
            "name": images.name,
            "images": len(images),
            "skipped": len(images.skipped),
            "samples_sha256": images.ids_digest(),
            "pixels_sha256": images.digest(),
            **images.origin,
        },
        "settings": trained.settings.shaping(),
        "result": {
            **trained.result,
            **stem_facts(network.stem.weight, start),
            "kernel_diversity_at_start": stem_facts(start, start)["kernel_diversity"],
        },
    }
