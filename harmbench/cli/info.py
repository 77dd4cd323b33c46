"""`harmbench info NAME`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from harmbench.cli.common import Json, Plugins, show_json


def info(
    name: Annotated[str, typer.Argument(help="A method, extractor, evaluator, data set, benchmark or metric.")],
    plugin: Plugins = None,
    json: Json = False,
) -> int:
    """Show everything that is declared of one name: parameters with defaults, reference, version, origin."""
    from harmbench.benchmark import load_benchmark
    from harmbench.benchmark_files import benchmark_files
    from harmbench.errors import UsageError, suggestion
    from harmbench.plugins import build_registry, missing_requirements

    registry = build_registry(plugin or ())
    found: list[dict[str, Any]] = []
    for kind, catalogue in registry.catalogues.items():
        if name in catalogue.entries:
            spec = catalogue.get(name)
            facts = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}
            if kind == "evaluators":
                facts["metrics"] = [dataclasses.asdict(m) for m in spec.metrics]
            facts["missing"] = missing_requirements(spec)
            found.append({"kind": kind[:-1], **facts, "from": str(catalogue.origin(name))})
    for evaluator in registry.evaluators.entries.values():
        for metric in evaluator[0].metrics:
            if metric.name == name:
                found.append({"kind": "metric", "evaluator": evaluator[0].name, **dataclasses.asdict(metric)})
    files = benchmark_files()
    if name in files:
        found.append({"kind": "benchmark", **load_benchmark(name).model_dump(by_alias=True)})
    if not found:
        known = {n for c in registry.catalogues.values() for n in c.entries} | set(files)
        broken = "".join(f" (Not loaded: {f}.)" for f in registry.failures)
        raise UsageError(f"Nothing is called '{name}'.{suggestion(name, known)}{broken}")
    if json:
        show_json(found)
        return 0
    for entry in found:
        print(f"{entry.pop('kind')} {entry.pop('name', name)}")
        for key, value in entry.items():
            if value in ("", (), [], {}, None):
                continue
            _show(key, value)
        print()
    return 0


def _show(key: str, value: Any) -> None:
    label = key.replace("_", " ")
    if key == "metrics":
        print("  metrics:")
        for metric in value:
            print(f"    {metric['name']} ({metric['goal']}, better: {metric['direction']}): {metric['definition']}")
    elif hasattr(value, "items"):
        print(f"  {label}:")
        for k, v in value.items():
            print(f"    {k} = {v!r}")
    elif isinstance(value, tuple | list):
        print(f"  {label}: {', '.join(str(v) for v in value)}")
    else:
        print(f"  {label}: {value}")
