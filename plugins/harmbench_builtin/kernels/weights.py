"""Weight files of other programs: which tensors they hold, read without executing anything.

Safetensors, and what `torch.save` writes where torch can read it with `weights_only=True`. A file that would have to
run code to be read is refused.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harmbench.data import Floats
from harmbench.errors import DataError

Shape = tuple[int, ...]

_COPY_AGAIN = "Copy or download it again, and check its size."
_DEEPEST = 8
"""Levels of dictionaries in a checkpoint that are looked through."""


@dataclass(frozen=True)
class WeightFile:
    """An opened weight file.

    Parameters
    ----------
    path : Path
    kind : {"safetensors", "torch"}
    shapes : mapping
        Shape of every floating-point tensor by its name; dictionaries within dictionaries are joined by dots.
    metadata : mapping
        The text in a safetensors header.
    """

    path: Path
    kind: str
    shapes: Mapping[str, Shape]
    metadata: Mapping[str, str] = field(default_factory=dict)
    _tensors: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def read(self, name: str) -> Floats:
        """A tensor as float64."""
        if self.kind == "torch":
            return _as_array(self._tensors[name])
        from safetensors import SafetensorError, safe_open

        try:
            # Through torch, because NumPy knows no bfloat16.
            with safe_open(self.path, framework="pt") as content:
                return _as_array(content.get_tensor(name))
        except (SafetensorError, OSError) as error:
            raise DataError(f"'{name}' cannot be read ({error}).", file=self.path, remedy=_COPY_AGAIN) from error

    def sha256(self) -> str:
        """A hash of the whole file."""
        hasher = hashlib.sha256()
        with self.path.open("rb") as stream:
            while block := stream.read(1 << 20):
                hasher.update(block)
        return hasher.hexdigest()


def open_weights(path: str | Path) -> WeightFile:
    """Open a weight file, whatever its ending: the content decides.

    Raises
    ------
    DataError
        Missing, empty, cut off, of another format, without tensors, or only readable by executing code.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise DataError("this is a folder.", file=path, remedy="Name the weight file in it.")
    if not path.is_file():
        raise DataError(
            "there is no such file.", file=path, remedy="Give a weight file, or --from-hub with ORG/NAME[:file]."
        )
    with path.open("rb") as stream:
        head = stream.read(16)
    if not head:
        raise DataError("the file is empty (0 bytes).", file=path, remedy=_COPY_AGAIN)
    if head[:2] == b"PK" or head[:1] == b"\x80":
        return _open_torch(path)
    if head[8:9] == b"{" or path.suffix == ".safetensors":
        return _open_safetensors(path)
    raise DataError(
        "this is neither a safetensors file nor one that torch.save wrote.",
        file=path,
        remedy="Save the network's state_dict with safetensors or torch.save.",
    )


def _open_safetensors(path: Path) -> WeightFile:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as content:
            names = list(content.keys())
            slices = {name: content.get_slice(name) for name in names}
            shapes = {n: tuple(s.get_shape()) for n, s in slices.items() if s.get_dtype() in _FLOATS}
            metadata = dict(content.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise DataError(f"this is not a whole safetensors file ({error}).", file=path, remedy=_COPY_AGAIN) from error
    return _with_tensors(WeightFile(path, "safetensors", shapes, metadata))


_FLOATS = ("F64", "F32", "F16", "BF16")


def _open_torch(path: Path) -> WeightFile:
    import pickle

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about protocols of pickles; whether it can be read is what counts
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            "to read this file, code in it would have to be executed, which harmbench does not do "
            f"({str(error).splitlines()[0].rstrip('.')}).",
            file=path,
            remedy="If you trust it, load it in a Python of your own and save its state_dict with safetensors.",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise DataError(
            f"torch cannot read this file; it is cut off or something else ({str(error).splitlines()[0]}).",
            file=path,
            remedy=_COPY_AGAIN,
        ) from error
    tensors = dict(_flat(content, ""))
    return _with_tensors(
        WeightFile(path, "torch", {name: tuple(tensor.shape) for name, tensor in tensors.items()}, {}, tensors)
    )


def _flat(content: Any, prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Floating-point tensors in dictionaries within dictionaries."""
    import torch

    if isinstance(content, torch.Tensor):
        if content.is_floating_point():
            yield prefix, content
    elif isinstance(content, Mapping) and depth < _DEEPEST:
        for key, value in content.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key), depth + 1)


def _as_array(tensor: Any) -> Floats:
    import torch

    return np.ascontiguousarray(tensor.detach().to(torch.float64).numpy())


def _with_tensors(file: WeightFile) -> WeightFile:
    if not file.shapes:
        raise DataError(
            "the file holds no floating-point tensors.",
            file=file.path,
            remedy="Give the file with the network's weights (its state_dict).",
        )
    return file
