"""The hooks of harmbench. A plugin implements those it needs, marked with `harmbench.hookimpl`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from harmbench.specs import DatasetSpec, EvaluatorSpec, ExtractorSpec, HarmonizerSpec

if TYPE_CHECKING:
    import typer

PROJECT = "harmbench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_harmonizers() -> Iterable[HarmonizerSpec]:  # type: ignore[empty-body]
    """Return the harmonization methods that the plugin brings."""


@hookspec
def register_extractors() -> Iterable[ExtractorSpec]:  # type: ignore[empty-body]
    """Return the feature extractors that the plugin brings."""


@hookspec
def register_evaluators() -> Iterable[EvaluatorSpec]:  # type: ignore[empty-body]
    """Return the evaluators that the plugin brings."""


@hookspec
def register_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Return the data sets that the plugin brings."""


@hookspec
def register_commands(app: typer.Typer) -> None:
    """Add verbs to the command line."""


@hookspec
def provenance_facts() -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Return facts (JSON values) to be written into `environment.json` of every run."""


@hookspec
def on_cell_finished(record: Mapping[str, Any]) -> None:
    """Observe the record of a cell that has just ended, whatever its status."""


@hookspec
def on_run_finished(summary: Mapping[str, Any]) -> None:
    """Observe the end of a run."""
