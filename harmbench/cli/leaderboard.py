"""`harmbench leaderboard show|build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmbench.cli.common import Json, note, show_json

app = typer.Typer(help="Leaderboards of finished runs: show, build.", no_args_is_help=True, rich_markup_mode=None)

Runs = Annotated[list[str], typer.Argument(help="Run folders (runs/...).")]
Method = Annotated[
    list[str] | None, typer.Option("--method", "-m", help="Only these methods; ranks are worked out anew among them.")
]


@app.command("show")
def show(runs: Runs, method: Method = None, json: Json = False) -> int:
    """Print the leaderboard of one or more run folders that belong together."""
    from harmbench.leaderboard.collect import build as collect

    board = collect([Path(r) for r in runs], method or ())
    if json:
        show_json(board.model_dump(by_alias=True, mode="json"))
    else:
        from harmbench.cli.table import show_board

        show_board(board)
    return 0


@app.command("build")
def build(
    runs: Runs,
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for leaderboard.md, .csv and .json.")] = "leaderboard",
    method: Method = None,
    json: Json = False,
) -> int:
    """Write the leaderboard of one or more run folders as Markdown, CSV and JSON."""
    from harmbench.leaderboard.collect import build as collect
    from harmbench.leaderboard.render import write

    board = collect([Path(r) for r in runs], method or ())
    files = write(board, Path(out))
    if json:
        show_json({"files": [str(f) for f in files], "rows": len(board.rows)})
    else:
        note(f"{len(board.rows)} rows: {', '.join(str(f) for f in files)}")
    return 0
