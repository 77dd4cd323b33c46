"""Kernel files: `*.safetensors` with `stem.weight` (K, 1, h, w), `stem.bias` (K) and what is known of their origin.

What the kernels were trained on may be listed as hashed ids (`harmbench.seen`): `trained_on.patients` and
`trained_on.images`, uint8 (n, 8). A run looks its test patients up in them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.data import Floats
from harmbench.errors import DataError
from harmbench.seen import Seen

FORMAT = "harmbench-kernels"
FORMAT_VERSION = 1
_REMEDY = (
    "Make one with 'harmbench pretrain' or 'harmbench kernels import', or name kernels that ship "
    "('harmbench kernels list')."
)
PATIENTS, IMAGES = "trained_on.patients", "trained_on.images"


@dataclass(frozen=True)
class Kernels:
    """The kernels of a network's first layer, and the grey levels they expect.

    Parameters
    ----------
    weight : float64 (K, h, w)
    bias : float64 (K,)
    mean, std : float
        The network saw `(x / 255 - mean) / std`.
    provenance : mapping
        What they were trained on and how.
    licence : str
    synthetic : bool
        Trained on simulated images only.
    seen : Seen
        Ids of the patients and images they were trained on; empty where the file lists none.
    """

    weight: Floats
    bias: Floats
    mean: float
    std: float
    provenance: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    synthetic: bool = False
    seen: Seen = field(default_factory=Seen)

    def __len__(self) -> int:
        return len(self.weight)

    def prepare(self, pixels: Any) -> Floats:
        """Grey levels 0 to 255 as the network saw them, in float64."""
        return (np.asarray(pixels, dtype=np.float64) / 255.0 - self.mean) / self.std

    def digest(self) -> str:
        """A hash of everything that shapes the maps."""
        hasher = hashlib.sha256(repr((self.weight.shape, self.mean, self.std)).encode())
        hasher.update(np.ascontiguousarray(self.weight).tobytes() + np.ascontiguousarray(self.bias).tobytes())
        return hasher.hexdigest()[:32]


def load_kernels(path: str | Path) -> Kernels:
    """Read and check a kernel file. Nothing in it is executed: safetensors holds numbers and text.

    Raises
    ------
    DataError
        When the file is missing, is not safetensors, or does not hold what a kernel file must.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise DataError("there is no such kernel file.", file=path, remedy=_REMEDY)
    try:
        with safe_open(path, framework="numpy") as content:
            metadata = content.metadata() or {}
            known = ("stem.weight", "stem.bias", PATIENTS, IMAGES)
            tensors = {name: content.get_tensor(name) for name in content.keys() if name in known}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, TypeError) as error:
        raise DataError(f"this is not a safetensors file ({error}).", file=path, remedy=_REMEDY) from error
    return _checked(path, metadata, tensors)


def _checked(path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Any]) -> Kernels:
    def wrong(problem: str, remedy: str = _REMEDY) -> DataError:
        return DataError(problem, file=path, remedy=remedy)

    if metadata.get("format") != FORMAT:
        raise wrong(f"the safetensors file is not a kernel file (its metadata lacks format = {FORMAT}).")
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise wrong(
            f"the kernel file has format version {metadata.get('format_version')!r}; "
            f"this harmbench reads version {FORMAT_VERSION}.",
            "Install the harmbench that wrote it, or export the kernels again.",
        )
    missing = [name for name in ("stem.weight", "stem.bias") if name not in tensors]
    if missing:
        raise wrong(f"the kernel file lacks {' and '.join(missing)}.")
    weight, bias = (np.asarray(tensors[name], dtype=np.float64) for name in ("stem.weight", "stem.bias"))
    if weight.ndim != 4 or weight.shape[1] != 1 or 0 in weight.shape:
        raise wrong(f"stem.weight has shape {weight.shape}; kernels for grey images have (K, 1, h, w).")
    if bias.shape != weight.shape[:1]:
        raise wrong(f"stem.bias has shape {bias.shape}, stem.weight {weight.shape}; there must be one bias per kernel.")
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise wrong("the kernels hold NaN or infinite values.", "The training went wrong; train again.")
    try:
        preprocessing = json.loads(metadata["preprocessing"])
        provenance = json.loads(metadata.get("provenance", "{}"))
        mean, std = float(preprocessing["mean"]), float(preprocessing["std"])
    except (KeyError, TypeError, ValueError) as error:
        raise wrong(f"the metadata about preprocessing or provenance cannot be read ({error!r}).") from error
    if not np.isfinite(mean) or not np.isfinite(std) or std <= 0:
        raise wrong(f"preprocessing has mean {mean} and std {std}; std must be above 0.")
    try:
        seen = Seen(
            **{name: tensors[key] for name, key in (("patients", PATIENTS), ("images", IMAGES)) if key in tensors}
        )
    except ValueError as error:
        raise wrong(f"the list of what the kernels were trained on is damaged: {error}.") from error
    return Kernels(
        weight=weight[:, 0],
        bias=bias,
        mean=mean,
        std=std,
        provenance=provenance,
        licence=metadata.get("licence", ""),
        synthetic=metadata.get("synthetic") == "true",
        seen=seen,
    )
