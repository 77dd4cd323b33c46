"""harmbench: which harmonization method makes radiomic features comparable without losing the disease?

What a plugin author needs is here. Names are looked up when first used, so `import harmbench` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harmbench.components import Context, DatasetContext, EvaluationContext, Overlap
    from harmbench.data import Features, FeatureTable, FilteredImage, Image, ImageSet, Sample
    from harmbench.errors import DataError, HarmbenchError, NotApplicable, UnseenManufacturer, UsageError
    from harmbench.hookspecs import hookimpl
    from harmbench.results import CellResult, Evaluation, FoldResult, MetricValue, StoredCell
    from harmbench.specs import DatasetSpec, EvaluatorSpec, ExtractorSpec, HarmonizerSpec, MetricSpec

__version__ = "0.1.0"

__all__ = [
    "CellResult",
    "Context",
    "DataError",
    "DatasetContext",
    "DatasetSpec",
    "Evaluation",
    "EvaluationContext",
    "EvaluatorSpec",
    "ExtractorSpec",
    "FeatureTable",
    "Features",
    "FilteredImage",
    "FoldResult",
    "HarmbenchError",
    "HarmonizerSpec",
    "Image",
    "ImageSet",
    "MetricSpec",
    "MetricValue",
    "NotApplicable",
    "Overlap",
    "Sample",
    "StoredCell",
    "UnseenManufacturer",
    "UsageError",
    "__version__",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in ("hookspecs", "specs", "errors", "data", "results", "components"):  # what needs NumPy comes last
            module = importlib.import_module(f"harmbench.{home}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module 'harmbench' has no attribute {name!r}")
