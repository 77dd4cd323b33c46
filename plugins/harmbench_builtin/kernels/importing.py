"""From a network's weight file to kernels for grey images, with everything that is known of their origin."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harmbench import __version__
from harmbench.data import Floats
from harmbench.errors import DataError, UsageError
from harmbench_builtin.kernels.fold import BatchNorm, GreyLayer, fold_batch_norm, kept_share, to_grey
from harmbench_builtin.kernels.hub import HubFile, fetch
from harmbench_builtin.kernels.layers import CC_BY_NC, HALF, Found, find
from harmbench_builtin.kernels.weights import WeightFile, open_weights

FAINT = 0.05
"""A kernel of which folding leaves less than this share looks for colour, not for shape."""


@dataclass(frozen=True)
class Imported:
    """Kernels of somebody else's network.

    Parameters
    ----------
    grey : GreyLayer
        On grey levels from 0 to 1.
    provenance : mapping
        JSON values.
    licence : str
    remarks : tuple of str
        What a user should read before using them.
    """

    grey: GreyLayer
    provenance: Mapping[str, Any]
    licence: str
    remarks: tuple[str, ...]


def import_kernels(
    source: str,
    *,
    key: str = "",
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    colour: str = "fold",
    batch_norm: bool = False,
    licence: str = "",
    trained_on: str = "",
    from_hub: bool = False,
) -> Imported:
    """Read the first layer of a network.

    Parameters
    ----------
    source : str
        A file; with `from_hub`, ORG/NAME[@revision][:file].
    key : str
        The layer's name in the file; found by itself where networks of a known sort are concerned.
    mean, std : sequences of float
        The network saw `(x / 255 - mean) / std`; () for what a configuration beside the file says, else for what such
        networks are usually given.
    colour : {"fold", "red", "green", "blue"}
        See `fold.to_grey`.
    batch_norm : bool
        Include the BatchNorm that follows the layer.
    licence, trained_on : str
        As the user knows them.

    Raises
    ------
    DataError
        The file or its numbers are unusable.
    UsageError
        Something has to be said by the user: the key, the normalisation of a grey network, the licence.
    """
    hub = fetch(source) if from_hub else None
    file = open_weights(hub.path if hub else source)
    found = find(file, key)
    weight = file.read(found.key)
    bias = _bias(file, found.key, len(weight))
    if batch_norm:
        weight, bias = fold_batch_norm(weight, bias, _batch_norm(file, found.key, len(weight)))
    name = hub.repository + "/" + hub.file if hub else file.path.name
    centre, scale, why = _normalisation(file, found, weight.shape[1], mean, std, name)
    try:
        grey = to_grey(weight, bias, centre, scale, colour)
    except DataError as error:
        raise DataError(error.problem, file=file.path, remedy=error.remedy) from error
    terms, whose = _licence(file, found, hub, licence, name)
    kept = kept_share(weight, scale, grey) if colour == "fold" else np.ones(len(weight))
    data = trained_on or ("ImageNet-1k" if "fcmae" in name.lower() else "")
    provenance = {
        "kernels": len(weight),
        "harmbench": __version__,
        "data": {"name": data} if data else {},
        "source": {
            "network": _network(file, found),
            "file": file.path.name,
            "sha256": file.sha256(),
            **({"hub": hub.repository, "hub_file": hub.file, "revision": hub.revision} if hub else {}),
            "key": found.key,
            "shape": list(weight.shape),
            "mean": [float(v) for v in np.ravel(centre)],
            "std": [float(v) for v in np.ravel(scale)],
            "normalisation": why,
            "colour": colour,
            "batch_norm": "folded in" if batch_norm else "not included",
            "kept_share": [round(float(v), 4) for v in kept],
        },
    }
    remarks = [
        f"Layer '{found.key}' of a {_network(file, found)}: {weight.shape[0]} kernels, {weight.shape[1]} channel(s), "
        f"{weight.shape[2]} x {weight.shape[3]} pixels.",
        f"The network saw (x / 255 - {_shown(centre)}) / {_shown(scale)}: {why}.",
        f"Licence: {terms} ({whose}).",
    ]
    if "NC" in terms.upper().replace("_", "-").split("-"):
        remarks.append(
            f"NOT FOR COMMERCIAL USE: {terms} holds for these kernels and for what is made with them. Do not ship them."
        )
    if found.passed_over:
        remarks.append(f"Passed over, another copy of the layer: {', '.join(found.passed_over)} (choose with --key).")
    if found.layer and not batch_norm:
        hint = " (--fold-batchnorm includes it)" if "BatchNorm" in found.layer.following else ""
        remarks.append(f"Not included, what the network does next: {found.layer.following}{hint}.")
    if faint := int((kept < FAINT).sum()):
        remarks.append(
            f"{faint} of {len(kept)} kernels look for colour: folding leaves less than {FAINT:.0%} of them, and their "
            "maps are mostly rounding and noise. Leave them out with reduce=select, or import --colour green."
        )
    if not data:
        remarks.append("What it was trained on is not recorded; say so with --trained-on.")
    return Imported(grey, provenance, terms, tuple(remarks))


def card(name: str, imported: Imported) -> str:
    """A card in Markdown for an imported kernel file."""
    facts = "\n".join(
        f"    {key} = {value}" for key, value in imported.provenance["source"].items() if key != "kept_share"
    )
    remarks = "\n".join(f"- {remark}" for remark in imported.remarks)
    return f"""# {name}

The {len(imported.grey.weight)} kernels of another network's first layer, turned into kernels for grey images, for
`ssl-kernel`.

{remarks}

A map is what the network's first layer gives for a grey image shown in all its channels, at stride 1: the kernels and
the bias contain the normalisation. The images that the network was trained on are not listed, so a run cannot tell
whether its test patients were among them.

## Source

{facts}
"""


def _bias(file: WeightFile, key: str, count: int) -> Floats:
    name = re.sub(r"weight$", "bias", key)
    if name == key or name not in file.shapes:
        return np.zeros(count)
    if file.shapes[name] != (count,):
        raise DataError(
            f"'{name}' has shape {file.shapes[name]}, '{key}' has {count} kernels.",
            file=file.path,
            remedy="The file is damaged, or --key names something else than a convolution.",
        )
    return file.read(name)


def _batch_norm(file: WeightFile, key: str, count: int) -> BatchNorm:
    """The BatchNorm behind a convolution."""
    prefix = re.sub(r"conv(\w*)\.weight$", lambda m: "normalization" if m[1] == "olution" else f"bn{m[1]}", key)
    parts = ("weight", "bias", "running_mean", "running_var")
    missing = [f"{prefix}.{part}" for part in parts if file.shapes.get(f"{prefix}.{part}") != (count,)]
    if prefix == key or missing:
        raise UsageError(
            f"--fold-batchnorm: {file.path.name} has no BatchNorm for '{key}'"
            + (f" ({', '.join(missing)} missing or of another length)." if prefix != key else ".")
        )
    gain, shift, mean, variance = (file.read(f"{prefix}.{part}") for part in parts)
    return BatchNorm(gain, shift, mean, variance)


def _normalisation(
    file: WeightFile, found: Found, channels: int, mean: Sequence[float], std: Sequence[float], name: str
) -> tuple[Sequence[float], Sequence[float], str]:
    """Mean, standard deviation, and where they come from."""
    if mean or std:
        if not (mean and std):
            raise UsageError("--mean and --std are given together.")
        return mean, std, "as given"
    for beside, read in (("preprocessor_config.json", _from_processor), ("config.json", _from_timm)):
        numbers = read(_json(file.path.parent / beside))
        if numbers is not None and {len(numbers[0]), len(numbers[1])} <= {1, channels}:
            return *numbers, f"as {beside} beside the weights says"
    if channels == 1:
        raise UsageError(
            f"'{found.key}' takes grey images; which grey levels the network saw is not in {file.path.name}. Give "
            "--mean and --std: it saw (x / 255 - mean) / std."
        )
    if "augreg" in name.lower():
        return *HALF, "usual for timm's augreg weights; --mean and --std change it"
    if found.layer is None:
        raise UsageError(
            f"'{found.key}' belongs to no sort of network that harmbench knows, so its normalisation has to be given: "
            "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 for ImageNet's."
        )
    note = "; some use 0.5 and 0.5" if found.layer.network == "vision transformer" else ""
    return (
        *found.layer.normalisation,
        f"assumed, as is usual for a {found.layer.network}{note}; --mean and --std change it",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _from_timm(config: Mapping[str, Any]) -> tuple[list[float], list[float]] | None:
    return _numbers((config.get("pretrained_cfg") or config), "mean", "std")


def _from_processor(config: Mapping[str, Any]) -> tuple[list[float], list[float]] | None:
    return _numbers(config, "image_mean", "image_std")


def _numbers(config: Any, mean: str, std: str) -> tuple[list[float], list[float]] | None:
    if not isinstance(config, Mapping):
        return None
    try:
        centre, scale = ([float(v) for v in np.ravel(config[name])] for name in (mean, std))
    except (KeyError, TypeError, ValueError):
        return None
    return centre, scale


def _network(file: WeightFile, found: Found) -> str:
    if found.layer is None:
        return "network of unknown sort"
    if found.layer.network == "ConvNeXt" and any(".grn." in name for name in file.shapes):
        return "ConvNeXt-V2"
    return found.layer.network


def _licence(file: WeightFile, found: Found, hub: HubFile | None, given: str, name: str) -> tuple[str, str]:
    """The licence, and who says so."""
    if given:
        return given, "as given"
    if hub and hub.licence:
        return hub.licence, f"as the card of {hub.repository} says"
    front = _front_matter(file.path.parent / "README.md")
    if front:
        return front, "as README.md beside the weights says"
    config = _json(file.path.parent / "config.json").get("pretrained_cfg")
    if isinstance(config, Mapping) and isinstance(config.get("license"), str) and config["license"]:
        return config["license"], "as config.json beside the weights says"
    if _network(file, found) == "ConvNeXt-V2" and file.shapes[found.key][1] == 3:
        return CC_BY_NC, "that of all published ConvNeXt-V2 weights; give --licence if these are your own"
    if re.search(r"(^|[/_-])mae[_-]", name.lower()):
        return CC_BY_NC, "that of the published MAE weights; give --licence if these are your own"
    raise UsageError(
        f"The licence of {name} is not known here. Give --licence, such as --licence Apache-2.0, or --licence unknown."
    )


def _front_matter(path: Path) -> str:
    """`license:` in the YAML head of a model card."""
    try:
        head = path.read_text(encoding="utf-8", errors="replace")[:4000]
    except OSError:
        return ""
    block = re.match(r"---\s*\n(.*?)\n---", head, flags=re.S)
    line = re.search(r"^licen[sc]e:[ \t]*['\"]?([\w.+-]+)", block[1], flags=re.M) if block else None
    return line[1] if line else ""


def _shown(values: Sequence[float]) -> str:
    texts = [f"{v:.4g}" for v in np.ravel(values)]
    return texts[0] if len(set(texts)) == 1 else f"({', '.join(texts)})"
