"""Which tensor of a network is its first layer: names that the usual programs give it, and what is known of each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harmbench.errors import DataError, UsageError, suggestion
from harmbench_builtin.kernels.weights import Shape, WeightFile

Triple = tuple[float, float, float]

IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF: tuple[Triple, Triple] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLIP: tuple[Triple, Triple] = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
CC_BY_NC = "CC-BY-NC-4.0"


@dataclass(frozen=True)
class Layer:
    """A way to name a first layer.

    Parameters
    ----------
    ending : str
        How the weight's name ends.
    network : str
        What sort of network that is.
    following : str
        What the network does right after this layer, which the kernels leave out.
    normalisation : (mean, std)
        What such networks are usually given, on grey levels from 0 to 1.
    """

    ending: str
    network: str
    following: str
    normalisation: tuple[Triple, Triple] = IMAGENET


_LAYER_NORM = "LayerNorm over the channels of each pixel"
_BATCH_NORM = "BatchNorm and ReLU"
_POSITION = "position embeddings are added"

LAYERS = (
    Layer("stem.0.weight", "ConvNeXt", _LAYER_NORM),
    Layer("stem_0.weight", "ConvNeXt", _LAYER_NORM),
    Layer("downsample_layers.0.0.weight", "ConvNeXt", _LAYER_NORM),
    Layer("embeddings.patch_embeddings.weight", "ConvNeXt", _LAYER_NORM),
    Layer("patch_embed.proj.weight", "vision transformer", _POSITION),
    Layer("embeddings.patch_embeddings.projection.weight", "vision transformer", _POSITION),
    Layer("conv_proj.weight", "vision transformer", _POSITION),
    Layer("visual.conv1.weight", "CLIP vision transformer", _POSITION, CLIP),
    Layer("embeddings.patch_embedding.weight", "CLIP vision transformer", _POSITION, CLIP),
    Layer("conv1.weight", "ResNet", _BATCH_NORM),
    Layer("embedder.embedder.convolution.weight", "ResNet", _BATCH_NORM),
)
"""Longer endings come before those that they end with."""

_INSIDE = re.compile(r"(layers?|blocks?|stages?|decoder)\d*|\d+")
"""Parts of a name that lie before an ending only where the layer is not the first one of its network."""

PREFERRED = (
    ("teacher", "student"),
    ("encoder_q", "encoder_k"),
    ("base_encoder", "momentum_encoder"),
    ("online_encoder", "target_encoder"),
    ("state_dict_ema", "state_dict"),
    ("model_ema", "model"),
)
"""Where a checkpoint holds a network twice, the copy that its authors evaluate, and the other one."""


@dataclass(frozen=True)
class Found:
    """The first layer of a network.

    Parameters
    ----------
    key : str
        The weight's name in the file.
    layer : Layer or None
        None for a key that the user named and that is of no known sort.
    passed_over : tuple of str
        Other copies of the same layer in the file.
    """

    key: str
    layer: Layer | None
    passed_over: tuple[str, ...] = ()


def candidates(shapes: Mapping[str, Shape]) -> list[str]:
    """Names of tensors that could be a first layer: (K, 1 or 3, h, w), more than one pixel."""
    return [
        name
        for name, shape in shapes.items()
        if len(shape) == 4 and shape[1] in (1, 3) and shape[0] > 0 and shape[2] * shape[3] > 1
    ]


def find(file: WeightFile, key: str = "") -> Found:
    """The first layer of a network.

    Parameters
    ----------
    file : WeightFile
    key : str
        Its name, when the user knows it.

    Raises
    ------
    UsageError
        There is no such key, or it is not clear which tensor is the layer; lists the candidates.
    DataError
        The tensor has the wrong rank or number of channels.
    """
    if key:
        if key not in file.shapes:
            raise UsageError(f"{file.path.name} has no tensor '{key}'.{_likely(file, key)}")
        check_shape(file, key)
        return Found(key, next((layer for layer in LAYERS if _is(key, layer)), None))
    matches = {name: layer for layer in reversed(LAYERS) for name in candidates(file.shapes) if _is(name, layer)}
    kept = _without_copies(list(matches))
    if len(kept) == 1:
        return Found(kept[0], matches[kept[0]], tuple(name for name in matches if name != kept[0]))
    wrong = [name for layer in LAYERS for name in file.shapes if _is(name, layer)]
    if not kept and wrong:
        check_shape(file, wrong[0])
    what = (
        f"more than one tensor of {file.path.name} could be the first layer"
        if kept
        else f"no tensor of {file.path.name} has a name that harmbench knows as a first layer"
    )
    raise UsageError(f"{what[0].upper()}{what[1:]}. Name it with --key.{_likely(file)}")


def check_shape(file: WeightFile, key: str) -> None:
    """Refuse what are no kernels for images."""
    shape = file.shapes[key]
    problem = ""
    if len(shape) != 4:
        problem = f"has {len(shape)} axes; kernels have 4: (K, channels, h, w)"
    elif 0 in shape:
        problem = "is empty"
    elif shape[1] not in (1, 3):
        problem = f"takes {shape[1]} channels; 1 (grey) or 3 (RGB) can be turned into kernels for grey images"
    if problem:
        raise DataError(f"'{key}' of shape {shape} {problem}.", file=file.path, remedy=f"Use --key.{_likely(file)}")


def _is(name: str, layer: Layer) -> bool:
    before = name.removesuffix(layer.ending)
    if before == name or (before and not before.endswith(".")):
        return False
    return not any(_INSIDE.fullmatch(part) for part in before.split("."))


def _without_copies(names: Sequence[str]) -> list[str]:
    """Leave out a name if the preferred copy of the same layer is there."""
    left = list(names)
    for better, worse in PREFERRED:
        for name in names:
            parts = name.split(".")
            if worse in parts and ".".join(better if p == worse else p for p in parts) in left and name in left:
                left.remove(name)
    return left


def _likely(file: WeightFile, near: str = "") -> str:
    """What the key could be, with shapes; the closest name first when one was given."""
    found = candidates(file.shapes)
    # Depthwise kernels (one input channel) are many and are no first layers of networks for colour images.
    found.sort(key=lambda name: (file.shapes[name][1] != 3, name.count(".")))
    if not found:
        return " It holds none of shape (K, 1 or 3, h, w)."
    listed = ", ".join(f"{name} {file.shapes[name]}" for name in found[:8])
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    hint = suggestion(near, file.shapes) if near else ""
    return f"{hint if 'Did you mean' in hint else ''} Candidates: {listed}{more}."
