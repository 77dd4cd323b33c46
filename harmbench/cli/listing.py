"""`harmbench list`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harmbench.cli.common import Json, Plugins, note, show_json

KINDS = ("methods", "extractors", "evaluators", "datasets", "benchmarks", "plugins")


def list_(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}; all when left out.")] = "",
    plugin: Plugins = None,
    json: Json = False,
) -> int:
    """List what can be named: methods, extractors, evaluators, data sets, benchmarks, plugins."""
    from harmbench.errors import UsageError, suggestion
    from harmbench.plugins import build_registry

    if kind and kind not in KINDS:
        raise UsageError(f"There is no list of '{kind}'.{suggestion(kind, KINDS)}")
    registry = build_registry(plugin or ())
    found: dict[str, list[dict[str, Any]]] = {}
    for name in (kind,) if kind else KINDS:
        if name == "benchmarks":
            found[name] = _benchmarks()
        elif name == "plugins":
            found[name] = [
                {"name": o.plugin, "distribution": o.distribution, "version": o.version} for o in registry.origins
            ]
        else:
            found[name] = _components(registry, name)
    failures = [str(f) for f in registry.failures]
    if json:
        show_json({**found, "failures": failures})
        return 0
    for name, entries in found.items():
        print(f"{name}:")
        width = max((len(e["name"]) for e in entries), default=0)
        for entry in entries:
            facts = entry.get("summary") or " ".join(str(entry[k]) for k in ("distribution", "version") if k in entry)
            marks = "".join(f" [{m}]" for m in entry.get("marks", ()))
            print(f"  {entry['name']:<{width}}  {facts}{marks}")
        print()
    for text in failures:
        note(f"not loaded: {text}")
    return 0


def _components(registry: Any, kind: str) -> list[dict[str, Any]]:
    from harmbench.plugins import missing_requirements

    catalogue = registry.catalogues[kind]
    entries = []
    for name, (spec, origin) in sorted(catalogue.entries.items()):
        marks = []
        if getattr(spec, "role", "method") != "method":
            marks.append(spec.role)
        if kind == "methods":
            marks += [spec.stage] if spec.stage == "image" else []
            marks += ["transductive"] if not spec.inductive else []
        if getattr(spec, "synthetic", False):
            marks.append("synthetic")
        missing = missing_requirements(spec)
        marks += [f"not installed: {', '.join(missing)}"] if missing else []
        marks += ["name claimed twice"] if name in catalogue.clashes else []
        if origin.distribution != "harmbench":
            marks.append(str(origin))
        entries.append(
            {
                "name": name,
                "version": spec.version,
                "summary": spec.summary,
                "distribution": str(origin),
                "available": not missing and name not in catalogue.clashes,
                "marks": marks,
            }
        )
    return entries


def _benchmarks() -> list[dict[str, Any]]:
    import tomllib

    from harmbench.benchmark_files import benchmark_files

    entries = []
    for name, file in sorted(benchmark_files().items()):
        data = tomllib.loads(file.read_text(encoding="utf-8"))  # not validated: listing must stay fast
        entries.append({"name": name, "version": data.get("version", ""), "summary": data.get("title", "")})
    return entries
