"""Keys: what determines a result, as canonical JSON and its hash."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from harmbench.specs import Spec


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be part of a key")


def digest(value: Any, length: int = 32) -> str:
    """SHA-256 of the canonical JSON, as hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


@cache
def package_digest(module: str) -> str:
    """A hash of the files beside a component's module, so that edited code or data never meet an old cache entry."""
    found = importlib.util.find_spec(module)
    if found is None or not found.origin or not Path(found.origin).is_file():
        return ""
    file = Path(found.origin)
    package = found.submodule_search_locations is not None or (file.parent / "__init__.py").is_file()
    kept = {".py", ".c", ".h", ".json", ".toml", ".safetensors"}
    files = sorted(f for f in file.parent.rglob("*") if f.suffix in kept) if package else [file]
    hasher = hashlib.sha256()
    for source in files:
        hasher.update(source.relative_to(file.parent).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    return hasher.hexdigest()[:16]


def package_code(target: str) -> dict[str, str]:
    """The digest of the whole package that a target lives in, by the package's name."""
    package = target.partition(":")[0].partition(".")[0]
    return {package: package_digest(package)}


def core_code() -> str:
    """The digest of the core: protocol, splits, statistics, runner."""
    return package_digest("harmbench")


@cache
def _version(module: str) -> str:
    names = importlib.metadata.packages_distributions().get(module, [])
    return ",".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(names)))


def named_by_content(value: Any) -> Any:
    """A parameter that is the path of a file, as `name@<hash of its content>`; anything else as it is.

    What is written down holds no path, a moved file is the same file, and two files of one name are two.
    """
    if isinstance(value, str) and (Path(value).suffix or "/" in value or "\\" in value):
        path = Path(value).expanduser()
        if path.is_file():
            return f"{path.name}@{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"
    return value


def component_key(spec: Spec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Everything about a component that determines what it computes."""
    return {
        "name": spec.name,
        "version": spec.version,
        "params": {name: named_by_content(value) for name, value in params.items()},
        "code": package_digest(spec.target.partition(":")[0]),
        "requires": {r.split(" ")[0]: _version(r.split(" ")[0]) for r in spec.requires},
    }
