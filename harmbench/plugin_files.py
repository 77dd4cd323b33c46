"""Plugins that are not installed: a loose file, or the source folder of a package.

Both are loaded only when they are named (`--plugin`), here and in every worker process.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from harmbench.errors import HarmbenchError, PluginError, UsageError

GROUP = "harmbench"


@dataclass(frozen=True)
class Origin:
    """Where a plugin came from."""

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


def import_file(path: Path) -> ModuleType:
    """Import a loose plugin file under its stem, so that its targets can be found by name."""
    path = path.resolve()
    if not path.is_file():
        raise UsageError(f"--plugin {path}: there is no such file.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"--plugin {path}: not a Python file.")
    present = sys.modules.get(path.stem)
    if present is not None:
        if Path(getattr(present, "__file__", None) or "").resolve() == path:
            return present
        raise UsageError(f"--plugin {path}: a module named '{path.stem}' is loaded already; rename the file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module


@dataclass(frozen=True)
class SourceFolder:
    """The source tree of a plugin package, as its `pyproject.toml` describes it."""

    root: Path
    distribution: str
    version: str
    entries: tuple[tuple[str, str], ...]

    @property
    def code(self) -> Path:
        """The folder that has to be on `sys.path`."""
        return self.root / "src" if (self.root / "src").is_dir() else self.root


def read_source_folder(folder: Path) -> SourceFolder:
    """What the `pyproject.toml` of a plugin package says.

    Raises
    ------
    UsageError
        No `pyproject.toml`, not valid, or no entry point of the group `harmbench`.
    """
    file = folder.resolve() / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    except FileNotFoundError:
        raise UsageError(f"--plugin {folder}: the folder has no pyproject.toml.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--plugin {file}: not valid TOML: {error}.") from None
    entries = project.get("entry-points", {}).get(GROUP, {})
    if not entries:
        raise UsageError(
            f"--plugin {file}: no entry point of the group '{GROUP}'. Add a table "
            f'[project.entry-points.{GROUP}] with a line such as my-plugin = "my_package".'
        )
    name, version = str(project.get("name", folder.name)), str(project.get("version", ""))
    return SourceFolder(file.parent, name, version, tuple((str(k), str(v)) for k, v in entries.items()))


def load_given(path: Path) -> Iterator[tuple[Origin, ModuleType]]:
    """The plugins of a loose file or of a source folder, imported.

    Errors of the plugin are raised, not collected: the user named it.

    Raises
    ------
    PluginError
        It cannot be imported; names the file and the line.
    UsageError
        There is no such file, or the folder is no plugin package.
    """
    if path.is_dir():
        source = read_source_folder(path)
        if str(source.code) not in sys.path:
            sys.path.insert(0, str(source.code))
        for name, module in source.entries:
            distribution = f"{source.distribution} (source folder)"
            load = partial(importlib.import_module, module.partition(":")[0])
            yield Origin(name, distribution, source.version), _imported(path, load)
        return
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""
    yield Origin(path.stem, f"unpackaged file {path.name}", digest), _imported(path, partial(import_file, path))


def _imported(path: Path, load: Callable[[], ModuleType]) -> ModuleType:
    try:
        return load()
    except HarmbenchError:
        raise
    except (Exception, SystemExit) as error:
        own = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(path.resolve())]
        # A syntax error says itself where it is; its traceback ends in the importer.
        where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
        raise PluginError(f"plugin {path} cannot be imported: {type(error).__name__}: {error}{where}") from error


def load_files(paths: Iterable[str]) -> None:
    """Import loose plugins in a worker process, so that their targets can be found there."""
    for path in paths:
        for _ in load_given(Path(path)):
            pass
