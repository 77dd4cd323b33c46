"""Which modules a component may import: what its distribution and its spec declare, and all that these need."""

from __future__ import annotations

import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.cache
def _owners() -> dict[str, list[str]]:
    """Top-level module to the distributions that hold it."""
    return {
        module: [_normal(name) for name in names]
        for module, names in importlib.metadata.packages_distributions().items()
    }


def _required(distribution: str) -> list[str]:
    """What a distribution requires without any extra. Markers of other systems count too: they do no harm here."""
    try:
        lines = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        lines = _required_by_source(distribution)
    return [re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0] for line in lines if "extra ==" not in line]


def _required_by_source(distribution: str) -> list[str]:
    """The dependencies in the `pyproject.toml` of a source tree that is used without being installed."""
    import tomllib

    for path in dict.fromkeys([Path(__file__).resolve().parents[2], *(Path(p).resolve() for p in sys.path if p)]):
        for folder in (path, path.parent):
            file = folder / "pyproject.toml"
            if not file.is_file():
                continue
            project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
            if _normal(str(project.get("name", ""))) == _normal(distribution):
                return [str(line) for line in project.get("dependencies", [])]
    return []


def _closure(distributions: Iterable[str]) -> set[str]:
    open_, closed = [_normal(d) for d in distributions], set()
    while open_:
        name = open_.pop()
        if name not in closed:
            closed.add(name)
            open_ += [_normal(d) for d in _required(name)]
    return closed


def allowed_distributions(distribution: str, requires: Iterable[str]) -> set[str]:
    """Normalised names of the distributions that a component may use.

    Parameters
    ----------
    distribution : str
        The plugin's own; "" for a loose file.
    requires : iterable of str
        `spec.requires`: modules, each perhaps with a remedy in brackets.
    """
    modules = [requirement.split(" ", 1)[0].partition(".")[0] for requirement in requires]
    roots = ["harmbench", *([distribution] if distribution else [])]
    roots += [owner for module in modules for owner in _owners().get(module, [])]
    return _closure(roots)


class OnlyDeclared:
    """A finder that stands first and finds nothing but what is declared: an installation without extras.

    Modules of no known distribution (the standard library, the plugin's own) are left to the others.
    """

    def __init__(self, allowed: set[str], own: str) -> None:
        self.allowed, self.own = allowed, own
        self.blocked: list[str] = []

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        top = name.partition(".")[0]
        owners = _owners().get(top, [])
        if top in (self.own, "harmbench") or not owners or any(owner in self.allowed for owner in owners):
            return None
        if _importer() == self.own and top not in self.blocked:
            self.blocked.append(top)
        raise ModuleNotFoundError(f"No module named '{name}' (nothing declares it)", name=name)


def _importer() -> str:
    """The top-level package of the code that asked for an import."""
    frame = sys._getframe(2)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if not name.startswith(("importlib", "_frozen_importlib", __name__)):
            return name.partition(".")[0]
        frame = frame.f_back  # type: ignore[assignment]
    return ""
