"""harmbench: which harmonization method makes radiomic features comparable without losing the disease?

What a plugin author needs is here. Names are looked up when first used, so `import harmbench` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "harmbench.hookspecs": ("hookimpl",),
    "harmbench.specs": ("DatasetSpec", "EvaluatorSpec", "ExtractorSpec", "HarmonizerSpec", "MetricSpec"),
    "harmbench.data": (
        "CellResult", "Context", "DatasetContext", "Evaluation", "EvaluationContext", "FeatureTable", "Features",
        "FilteredImage", "FoldResult", "Image", "ImageSet", "MetricValue", "Sample",
    ),
    "harmbench.errors": ("DataError", "HarmbenchError", "NotApplicable", "UnseenManufacturer"),
}  # fmt: skip
_WHERE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted([*_WHERE, "__version__"])  # noqa: PLE0604 - built from the table above


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'harmbench' has no attribute {name!r}")


if TYPE_CHECKING:
    from harmbench.data import (
        CellResult,
        Context,
        DatasetContext,
        Evaluation,
        EvaluationContext,
        Features,
        FeatureTable,
        FilteredImage,
        FoldResult,
        Image,
        ImageSet,
        MetricValue,
        Sample,
    )
    from harmbench.errors import DataError, HarmbenchError, NotApplicable, UnseenManufacturer
    from harmbench.hookspecs import hookimpl
    from harmbench.specs import DatasetSpec, EvaluatorSpec, ExtractorSpec, HarmonizerSpec, MetricSpec
