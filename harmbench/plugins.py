"""Finding plugins and what they register.

pluggy's own entry-point loader gives up as a whole when one plugin fails. Here entry points are loaded one at a time:
a plugin that breaks is reported with its distribution and its error, and everything else works.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import pluggy

from harmbench import hookspecs
from harmbench.errors import PluginError, UsageError, suggestion
from harmbench.plugin_files import GROUP, Origin, load_files, load_given, read_source_folder
from harmbench.specs import DatasetSpec, EvaluatorSpec, ExtractorSpec, HarmonizerSpec, Spec

BUILTIN = "harmbench_builtin.plugin"


@dataclass(frozen=True)
class PluginFailure:
    """A plugin, or one thing it registers, that cannot be used."""

    origin: Origin
    error: str
    details: str = ""

    def __str__(self) -> str:
        return f"plugin '{self.origin.plugin}' of {self.origin}: {self.error}"


__all__ = [
    "BUILTIN",
    "GROUP",
    "Catalogue",
    "Origin",
    "PluginFailure",
    "PluginManager",
    "Registry",
    "build_registry",
    "load_files",
    "load_plugins",
    "missing_requirements",
]

S = TypeVar("S", bound=Spec)


@dataclass
class Catalogue(Generic[S]):
    """The components of one kind, by name."""

    kind: str
    entries: dict[str, tuple[S, Origin]] = field(default_factory=dict)
    clashes: dict[str, tuple[Origin, Origin]] = field(default_factory=dict)
    failures: list[PluginFailure] = field(default_factory=list)

    def add(self, spec: S, origin: Origin) -> None:
        if spec.name in self.entries:
            first = self.entries[spec.name][1]
            text = f"{self.kind} '{spec.name}' is already registered by {first}; "
            if first.plugin == "builtin":  # no stranger may take `none` or `combat` away from every benchmark
                text += "the built-in keeps the name"
            else:
                self.clashes[spec.name] = (first, origin)
                text += "the name is refused for both until one of them is renamed or uninstalled"
            self.failures.append(PluginFailure(origin, text))
            return
        self.entries[spec.name] = (spec, origin)

    def __iter__(self) -> Iterator[S]:
        return iter(spec for spec, _ in self.entries.values())

    def origin(self, name: str) -> Origin:
        return self.entries[name][1]

    def get(self, name: str) -> S:
        """The spec of this name.

        Raises
        ------
        UsageError
            Unknown (with a suggestion and the plugins that failed to load), or claimed by two plugins.
        """
        if name in self.clashes:
            first, second = self.clashes[name]
            raise UsageError(f"{self.kind} '{name}' is registered by both {first} and {second}; uninstall one of them.")
        if name not in self.entries:
            broken = "".join(f" (Not loaded: {failure}.)" for failure in self.failures)
            raise UsageError(f"There is no {self.kind} '{name}'.{suggestion(name, self.entries)}{broken}")
        return self.entries[name][0]


class PluginManager(pluggy.PluginManager):
    """pluggy's manager with loading in isolation."""

    def __init__(self) -> None:
        super().__init__(hookspecs.PROJECT)
        self.add_hookspecs(hookspecs)
        self.origins: dict[int, Origin] = {}
        self.failures: list[PluginFailure] = []
        self.given: list[Origin] = []
        """The plugins that the user named by their path."""

    def plugin_of(self, origin: Origin) -> Any:
        """The module of a plugin, None where it is not registered."""
        return self.get_plugin(f"{origin.distribution}:{origin.plugin}")

    def add(self, origin: Origin, load: Callable[[], Any]) -> None:
        """Import and register one plugin; whatever it raises becomes a `PluginFailure`."""
        try:
            plugin = load()
            self.register(plugin, name=f"{origin.distribution}:{origin.plugin}")
            self.origins[id(plugin)] = origin
            try:
                self.check_pending()  # a misspelt hook is an error, not silence
            except pluggy.PluginValidationError:
                self.unregister(plugin)
                raise
        except (Exception, SystemExit) as error:
            if os.environ.get("HARMBENCH_STRICT") == "1":
                raise PluginError(f"plugin '{origin.plugin}' of {origin} failed to load: {error}") from error
            text = f"{type(error).__name__}: {error}"
            self.failures.append(PluginFailure(origin, text, traceback.format_exc(limit=-6)))

    def call(self, hook: str, **arguments: Any) -> Iterable[tuple[Origin, Any]]:
        """Call one hook plugin by plugin, so that one failure does not take the others along."""
        for implementation in getattr(self.hook, hook).get_hookimpls():
            origin = self.origins[id(implementation.plugin)]
            if os.environ.get("HARMBENCH_TRACE") == "1":
                print(f"harmbench: {hook}({', '.join(arguments)}) -> {origin.plugin} of {origin}", file=sys.stderr)
            try:
                wanted = {name: arguments[name] for name in implementation.argnames if name in arguments}
                result = implementation.function(**wanted)
                if isinstance(result, Iterator):  # a hook written as a generator raises only when it is read
                    result = list(result)
            except Exception as error:
                if os.environ.get("HARMBENCH_STRICT") == "1":
                    raise PluginError(f"plugin '{origin.plugin}' of {origin}, hook {hook}: {error}") from error
                text = f"hook {hook} raised {type(error).__name__}: {error}"
                self.failures.append(PluginFailure(origin, text, traceback.format_exc(limit=-6)))
                continue
            yield origin, result


def _itself(module: ModuleType) -> ModuleType:
    return module


def _absent(name: str, known: list[str]) -> ModuleType:
    raise UsageError(f"no plugin '{name}' is installed.{suggestion(name, known)}")


def _import_builtin() -> ModuleType:
    """The built-in plugin, also when the source tree is used without being installed."""
    try:
        return importlib.import_module(BUILTIN)
    except ModuleNotFoundError as error:
        source = Path(__file__).resolve().parents[1] / "plugins"
        if error.name != "harmbench_builtin" or not source.is_dir():
            raise
        sys.path.insert(0, str(source))
        return importlib.import_module(BUILTIN)


def load_plugins(files: Iterable[str | os.PathLike[str]] = ()) -> PluginManager:
    """Load the built-ins, every installed entry point of group `harmbench`, then what was named.

    Parameters
    ----------
    files : paths
        Loose plugin files and source folders of packages (`--plugin file.py`, `--plugin folder`). A package that is
        installed too is loaded from the folder.

    Notes
    -----
    `HARMBENCH_PLUGINS=a,b` restricts to the entry points of these names (the built-ins always load; `none`, or an empty
    value, means none of the others). `HARMBENCH_STRICT=1` raises at the first failure. `HARMBENCH_TRACE=1` prints hook
    calls.
    """
    from harmbench import __version__

    manager = PluginManager()
    paths = [Path(file) for file in files]
    named = {value for file in paths if file.is_dir() for _, value in read_source_folder(file).entries}
    manager.add(Origin("builtin", "harmbench", __version__), _import_builtin)
    wanted = os.environ.get("HARMBENCH_PLUGINS")
    chosen = None if wanted is None else {name.strip() for name in wanted.split(",") if name.strip()} - {"none"}
    entries = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: (e.name, e.value))
    for entry in entries:
        if entry.value == BUILTIN or (chosen is not None and entry.name not in chosen):
            continue
        if entry.value in named:
            continue
        distribution = entry.dist
        name, version = (distribution.name, distribution.version) if distribution else ("unknown distribution", "")
        manager.add(Origin(entry.name, name, version), entry.load)
    known = {entry.name for entry in entries} | {"builtin"}
    for name in sorted((chosen or set()) - known):
        manager.add(Origin(name, "HARMBENCH_PLUGINS", ""), partial(_absent, name, sorted(known)))
    for path in paths:
        for origin, module in load_given(path):
            before = len(manager.failures)
            manager.add(origin, partial(_itself, module))
            if len(manager.failures) > before:
                raise PluginError(str(manager.failures[-1]))
            manager.given.append(origin)
    return manager


@dataclass
class Registry:
    """Everything that can be named: harmonizers, extractors, evaluators, data sets."""

    manager: PluginManager
    harmonizers: Catalogue[HarmonizerSpec]
    extractors: Catalogue[ExtractorSpec]
    evaluators: Catalogue[EvaluatorSpec]
    datasets: Catalogue[DatasetSpec]
    files: tuple[str, ...] = ()

    @property
    def catalogues(self) -> Mapping[str, Catalogue[Any]]:
        return {
            "methods": self.harmonizers,
            "extractors": self.extractors,
            "evaluators": self.evaluators,
            "datasets": self.datasets,
        }

    @property
    def failures(self) -> list[PluginFailure]:
        clashes = [f for c in self.catalogues.values() for f in c.failures if f not in self.manager.failures]
        return [*self.manager.failures, *clashes]

    @property
    def origins(self) -> list[Origin]:
        return list(self.manager.origins.values())


def build_registry(files: Iterable[str | os.PathLike[str]] = ()) -> Registry:
    """Load all plugins and collect what they register."""
    files = tuple(files)
    manager = load_plugins(files)
    kinds: tuple[tuple[str, str, type], ...] = (
        ("method", "register_harmonizers", HarmonizerSpec),
        ("extractor", "register_extractors", ExtractorSpec),
        ("evaluator", "register_evaluators", EvaluatorSpec),
        ("data set", "register_datasets", DatasetSpec),
    )
    catalogues = []
    for kind, hook, expected in kinds:
        catalogue: Catalogue[Any] = Catalogue(kind)
        for origin, specs in manager.call(hook):
            for spec in specs if isinstance(specs, Iterable) else (specs,):
                if isinstance(spec, expected):
                    catalogue.add(spec, origin)
                else:
                    text = f"hook {hook} returned a {type(spec).__name__}, not a {expected.__name__}"
                    manager.failures.append(PluginFailure(origin, text))
        catalogues.append(catalogue)
    for catalogue in catalogues:  # so that an unknown name can say what did not load
        catalogue.failures = [*manager.failures, *catalogue.failures]
    harmonizers, extractors, evaluators, datasets = catalogues
    paths = tuple(str(Path(f).resolve()) for f in files)
    return Registry(manager, harmonizers, extractors, evaluators, datasets, paths)


def missing_requirements(spec: Spec) -> list[str]:
    """The modules of `spec.requires` that are not installed, found without importing them."""
    missing = []
    for requirement in spec.requires:
        module = requirement.split(" ", 1)[0]
        try:
            found = importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):
            found = False
        if not found:
            missing.append(requirement)
    return missing
