"""Images in a folder of their own: for processes that share one reading of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harmbench_builtin.pretrain.export import write_whole
from harmbench_builtin.pretrain.images import PretrainingImages
from harmbench_builtin.pretrain.stack import FACTS, StackFull, mapped

_STACKS = ("pixels", "sector", "pixels_b", "sector_b")
_BYTES = ("patient_ids", "content_ids", "content_ids_b")


def keep(images: PretrainingImages, folder: Path) -> None:
    """Write images for `open_kept`; stacks that lie there already are left as they are.

    Raises
    ------
    DataError
        When a file cannot be written.
    """
    facts: dict[str, Any] = {
        "name": images.name,
        "synthetic": images.synthetic,
        "licence": images.licence,
        "ids": list(images.ids),
        "skipped": [list(pair) for pair in images.skipped],
        "origin": dict(images.origin),
        "shape": list(images.pixels.shape),
        **{name: [id_.hex() for id_ in getattr(images, name)] for name in _BYTES},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FACTS).unlink(missing_ok=True)
        for name in _STACKS:
            stack = getattr(images, name)
            if stack is not None and not isinstance(stack, np.memmap):
                with (folder / f"{name}.bin").open("wb") as file:
                    file.write(np.ascontiguousarray(stack).data)
    except OSError as error:
        raise StackFull(folder, error) from error
    facts["stacks"] = [name for name in _STACKS if getattr(images, name) is not None]
    write_whole(folder / FACTS, json.dumps(facts).encode())


def open_kept(folder: Path) -> PretrainingImages:
    """The images that `keep` wrote, mapped from their files."""
    facts: Mapping[str, Any] = json.loads((folder / FACTS).read_text())
    shape = tuple(facts["shape"])
    stacks: dict[str, Any] = {
        name: mapped(folder / f"{name}.bin", np.uint8 if name.startswith("pixels") else bool, shape)
        for name in facts["stacks"]
    }
    hashed: dict[str, Any] = {name: tuple(bytes.fromhex(id_) for id_ in facts[name]) for name in _BYTES}
    return PretrainingImages(
        name=facts["name"],
        ids=tuple(facts["ids"]),
        synthetic=facts["synthetic"],
        licence=facts["licence"],
        skipped=tuple((name, why) for name, why in facts["skipped"]),
        origin=facts["origin"],
        **stacks,
        **hashed,
    )
