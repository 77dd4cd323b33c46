"""`harmbench doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from typing import Any

from harmbench.cli.common import Json, Plugins, show_json

DISTRIBUTIONS = (
    "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "joblib", "xgboost-cpu", "xgboost", "Boruta", "SimpleITK",
    "pyradiomics-cuda", "torch", "timm", "safetensors", "pluggy", "typer", "rich", "pydantic", "neuroCombat",
)  # fmt: skip


def doctor(plugin: Plugins = None, json: Json = False) -> int:
    """Look for what is broken: plugins that do not load, missing packages, folders that cannot be written."""
    from harmbench import __version__
    from harmbench.plugins import build_registry, missing_requirements
    from harmbench.run.cache import cache_folder

    registry = build_registry(plugin or ())
    versions: dict[str, str] = {}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = ""
    missing = {
        f"{kind[:-1]} {name}": needed
        for kind, catalogue in registry.catalogues.items()
        for name, (spec, _) in catalogue.entries.items()
        if (needed := missing_requirements(spec))
    }
    parts = {k: v for _, given in registry.manager.call("provenance_facts") for k, v in dict(given).items()}
    extras: list[str] = []
    problems = [f"not loaded: {f}" for f in registry.failures]
    for who, needed in missing.items():
        # A requirement that names its own remedy is an extra that was left out, not something broken.
        optional = all("(" in requirement for requirement in needed)
        (extras if optional else problems).append(f"{who} needs {', '.join(needed)}, which is not installed")
    if versions["xgboost"] and versions["xgboost-cpu"]:
        problems.append("xgboost and xgboost-cpu are both installed and share one module: pip uninstall one of them")
    cache = cache_folder()
    if not _writable(cache):
        problems.append(f"the cache folder {cache} cannot be written: set HARMBENCH_CACHE to another one")
    facts: dict[str, Any] = {
        "harmbench": __version__,
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "gpu": _gpu(),
        "cache": str(cache),
        "parts": parts,
        "versions": versions,
        "plugins": [{"name": o.plugin, "from": str(o)} for o in registry.origins],
        "extras": extras,
        "problems": problems,
        "details": [f.details for f in registry.manager.failures],
    }
    if json:
        show_json(facts)
        return 1 if problems else 0
    print(f"harmbench {__version__}, Python {facts['python']}, {facts['cores']} cores, GPU: {facts['gpu']}")
    print(f"cache: {cache}")
    for name, state in parts.items():
        print(f"{name}: {state}")
    for name, version in versions.items():
        print(f"  {name:<18}{version or '(not installed)'}")
    print("plugins: " + ", ".join(f"{o.plugin} ({o})" for o in registry.origins))
    for text in extras:
        print(f"optional: {text}")
    for text in problems:
        print(f"PROBLEM: {text}")
    print("Nothing is wrong." if not problems else f"{len(problems)} problems.")
    return 1 if problems else 0


def _writable(folder: Any) -> bool:
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _gpu() -> str:
    if importlib.util.find_spec("torch") is None:
        return "unknown (torch is not installed)"
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none that torch can use"
