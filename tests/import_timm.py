"""timm for tests, also beside a CPU build of torch, where torchvision's compiled operators cannot be loaded."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest
import torch


def timm_or_skip() -> Any:
    """The module timm; the test is skipped where it cannot be imported.

    timm needs torchvision at import, but only operators' names; declaring the two that are missing is enough.
    """
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        pytest.skip(f"timm cannot be imported: {error}")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            pytest.skip(f"timm cannot be imported: {error}")
    for name in [m for m in sys.modules if m.split(".")[0] in ("torchvision", "timm")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    timm_or_skip.library = library  # type: ignore[attr-defined] # the operators live as long as this object
    try:
        return importlib.import_module("timm")
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm cannot be imported: {error}")
