"""`harmbench compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmbench.cli.common import Json, show_json


def compare(
    a: Annotated[str, typer.Argument(help="A method (with --run), or a run folder, bundle or leaderboard.json.")],
    b: Annotated[str, typer.Argument(help="The same kind of thing.")],
    run: Annotated[str, typer.Option("--run", "-r", help="The run that both methods are in.")] = "",
    method: Annotated[
        list[str] | None, typer.Option("--method", "-m", help="Of two runs: only these methods (default: all shared).")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    json: Json = False,
) -> int:
    """Compare two methods of a run, or two runs or boards method by method: A minus B with paired intervals.

    Per metric, manufacturer and feature class, with what differs in settings, code and environment.
    """
    from harmbench.errors import UsageError
    from harmbench.leaderboard import pairs, tables
    from harmbench.leaderboard.tables import markdown as as_markdown

    if run:
        if method:
            raise UsageError("--method is for two runs; with --run the two methods are the arguments.")
        found = [pairs.methods_of(Path(run), a, b)]
    elif Path(a).exists() and Path(b).exists():
        found = pairs.sources(Path(a), Path(b), method or ())
    else:
        missing = a if not Path(a).exists() else b
        raise UsageError(
            f"There is no file or folder '{missing}'. Give two run folders or boards, or two methods and --run RUN."
        )
    if json:
        show_json([one.model_dump(mode="json") for one in found])
        return 0
    for one in found:
        title = f"A = {one.a}, B = {one.b}"
        if markdown:
            print(as_markdown(title, tables.comparison_tables(one), tables.comparison_notes(one)))
            continue
        from harmbench.cli.table import show_tables

        show_tables(title, tables.comparison_tables(one), tables.comparison_notes(one))
    return 0
