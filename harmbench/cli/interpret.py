"""`harmbench interpret`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmbench.cli.common import Json, note


def interpret(
    runs: Annotated[list[str], typer.Argument(help="Run folders (runs/...) or bundles that belong together.")],
    method: Annotated[
        list[str] | None, typer.Option("--method", "-m", help="Only these methods (repeatable; default: all methods).")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Rows of each printed table.")] = 10,
    controls: Annotated[bool, typer.Option("--controls", help="Print controls and canaries too.")] = False,
    out: Annotated[
        str, typer.Option("--out", "-o", help="Write interpretation.json and .csv files to this folder.")
    ] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    json: Json = False,
) -> int:
    """Which features and maps carry the label, how surely, and which covariates they go with.

    Read from what the runs keep; nothing is fitted again.
    """
    from harmbench.errors import UsageError, suggestion
    from harmbench.leaderboard import interpretation
    from harmbench.leaderboard.interpretation_files import method_notes, method_tables, write
    from harmbench.leaderboard.tables import markdown as as_markdown

    found = interpretation.read([Path(r) for r in runs])
    there = [one.method for one in found.methods] + list(found.absent)
    for name in method or ():
        if name not in there:
            raise UsageError(f"There is no method '{name}' in {', '.join(runs)}.{suggestion(name, there)}")
    if method:
        found = found.model_copy(
            update={
                "methods": [one for one in found.methods if one.method in method],
                "absent": {name: why for name, why in found.absent.items() if name in method},
            }
        )
    if out:
        note(f"Written: {', '.join(str(f) for f in write(found, Path(out)))}")
    if json:
        print(found.model_dump_json(by_alias=True, indent=1))
        return 0
    for name, why in found.absent.items():
        note(f"{name}: {why}")
    for one in found.methods:
        if one.role != "method" and not (controls or method):
            continue
        title, tables, notes = one.method, method_tables(one, top), method_notes(one, found)
        if markdown:
            print(as_markdown(title, tables, notes))
            continue
        from harmbench.cli.table import show_tables

        show_tables(title, tables, notes)
    return 0
