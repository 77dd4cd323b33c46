"""timm, for comparison, also beside a CPU build of torch, where torchvision's compiled operators cannot be loaded."""

from __future__ import annotations

import importlib
import sys
from typing import Any

_KEPT: list[Any] = []  # declared operators live as long as their library object


def import_timm() -> Any:
    """The module timm; ImportError where it cannot be imported.

    timm needs torchvision at import, but not what its operators do: declaring the two that are missing is enough.
    """
    try:
        return importlib.import_module("timm")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise ImportError(str(error)) from error
    for name in [m for m in sys.modules if m.split(".")[0] in ("torchvision", "timm")]:
        del sys.modules[name]
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)
    try:
        return importlib.import_module("timm")
    except RuntimeError as error:
        raise ImportError(str(error)) from error
