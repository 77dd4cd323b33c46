"""The other side of `probe`: what runs in the fresh process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from harmbench.plugins import Origin, PluginManager, load_files
from harmbench.specs import DatasetSpec, EvaluatorSpec, ExtractorSpec, HarmonizerSpec, MetricSpec

LARGE = frozenset(
    (
        "numpy", "scipy", "pandas", "pyarrow", "polars", "sklearn", "torch", "torchvision", "tensorflow", "jax",
        "numba", "matplotlib", "seaborn", "plotly", "SimpleITK", "radiomics", "nibabel", "pydicom", "skimage", "cv2",
        "PIL", "xgboost", "lightgbm", "statsmodels", "boruta", "neuroCombat", "timm", "monai", "transformers", "nyxus",
        "joblib", "dask",
    )
)  # fmt: skip
HOOKS = ("register_harmonizers", "register_extractors", "register_evaluators", "register_datasets")
SPECS = {"harmonizer": HarmonizerSpec, "extractor": ExtractorSpec, "evaluator": EvaluatorSpec, "dataset": DatasetSpec}


def register(request: Mapping[str, Any]) -> dict[str, Any]:
    """Import a plugin and ask it for its specs; name what came along."""
    before = set(sys.modules)
    load_files(request["files"])
    manager = PluginManager()
    manager.add(Origin("probed", "probed", ""), lambda: importlib.import_module(request["plugin"]))
    for hook in HOOKS:
        for _ in manager.call(hook):
            pass
    own = request["plugin"].partition(".")[0]
    found = set()
    for name in set(sys.modules) - before:
        top = name.partition(".")[0]
        file = getattr(sys.modules[name], "__file__", None) or ""
        compiled = file.endswith((".so", ".pyd")) and top not in sys.stdlib_module_names and "site-packages" in file
        if top != own and (top in LARGE or compiled):
            found.add(top)
    return {"heavy": sorted(found)}


def _metric(given: Mapping[str, Any]) -> MetricSpec:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return MetricSpec(**values)


def _spec(kind: str, given: Mapping[str, Any]) -> Any:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    if kind == "evaluator":
        values["metrics"] = tuple(_metric(metric) for metric in given["metrics"])
    values["params"] = given["params"]
    return SPECS[kind](**values)


def run(request: Mapping[str, Any]) -> dict[str, Any]:
    """Build a component and put it to work, with nothing importable that is not declared."""
    from harmbench.testing.exercise import exercise
    from harmbench.testing.imports import OnlyDeclared, allowed_distributions
    from harmbench.testing.subjects import Subject

    spec = _spec(request["kind"], request["spec"])
    finder = OnlyDeclared(
        allowed_distributions(request["distribution"], spec.requires), spec.target.partition(":")[0].partition(".")[0]
    )
    sys.meta_path.insert(0, finder)
    texts: list[str] = []
    values: list[float] = []
    error = ""
    try:
        load_files(request["files"])
        texts, values = exercise(Subject(spec, request["params"], data=request["data"]))
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    torch = sys.modules.get("torch")
    gpu = bool(torch is not None and torch.cuda.is_initialized())
    return {"texts": texts, "values": values, "error": error, "blocked": finder.blocked, "gpu": gpu}
