"""The entry point of the built-in plugin: specs only, nothing heavy is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harmbench.hookspecs import hookimpl
from harmbench.specs import DatasetSpec, EvaluatorSpec, ExtractorSpec, HarmonizerSpec
from harmbench_builtin.datasets.specs import DATASETS
from harmbench_builtin.evaluators.specs import EVALUATORS
from harmbench_builtin.extractors.specs import EXTRACTORS
from harmbench_builtin.harmonizers.specs import HARMONIZERS

if TYPE_CHECKING:
    import typer

# What the conformance kit may find, and why it stays.
expected_failed_checks = {
    "oracle-label": {"H05": "its noise is drawn row by row, one column after the other"},
    "oracle-site": {"H05": "feature j stands for manufacturer j mod L"},
    "interpretation": {"V06": "it reads what lvh-auc kept, and the kit runs it alone"},
    "harmony": {"H13": "with tens of rows each of its clusters holds one manufacturer, so nothing is moved"},
}


@hookimpl
def register_harmonizers() -> tuple[HarmonizerSpec, ...]:
    return HARMONIZERS


@hookimpl
def register_extractors() -> tuple[ExtractorSpec, ...]:
    return EXTRACTORS


@hookimpl
def register_evaluators() -> tuple[EvaluatorSpec, ...]:
    return EVALUATORS


@hookimpl
def register_datasets() -> tuple[DatasetSpec, ...]:
    return DATASETS


@hookimpl
def provenance_facts() -> dict[str, str]:
    """Which compiled parts are in use: they give the same numbers as NumPy, and other times."""
    from harmbench_builtin.evaluators.forest import COMPILED
    from harmbench_builtin.extractors.fast2d import engine

    there, why = engine.available()
    return {
        "fast2d engine": f"compiled, {engine.instruction_set()}" if there else f"not compiled: {why}",
        "Boruta forest": "compiled" if COMPILED is not None else "not compiled: NumPy serves, slower",
    }


@hookimpl
def register_commands(app: typer.Typer) -> None:
    from harmbench_builtin.cli import pretrain
    from harmbench_builtin.kernels.cli import app as kernels

    app.command("pretrain")(pretrain)
    app.add_typer(kernels, name="kernels")
