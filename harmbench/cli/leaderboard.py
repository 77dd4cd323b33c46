"""`harmbench leaderboard show|build|diff|merge|validate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harmbench.cli.common import Jobs, Json, Plugins, folder, note, show_json
from harmbench.errors import UsageError, suggestion

if TYPE_CHECKING:
    from harmbench.leaderboard.tables import Table

app = typer.Typer(
    help="Leaderboards of finished runs: show, build, diff, merge, validate.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip

Runs = Annotated[list[str], typer.Argument(help="Run folders (runs/...) or submitted bundles.")]
Method = Annotated[
    list[str] | None, typer.Option("--method", "-m", help="Only these methods; ranks are worked out anew among them.")
]
Trust = Annotated[
    bool, typer.Option("--trust-stored", help="Take the stored figures as they are instead of rebuilding them (fast).")
]
Out = Annotated[
    str, typer.Option("--out", "-o", help="Folder for README.md, index.html, leaderboard.json, .csv, .tex, figures/.")
]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", "-f", help="md, json, csv, tex, html, svg or pdf (repeatable); all of them by default."),
]
Examples = Annotated[
    bool | None,
    typer.Option(
        "--example-images/--no-example-images",
        help="Whether the page holds an image of each manufacturer; by default only when the data are simulated.",
    ),
]
Data = Annotated[str, typer.Option("--data", "-d", help="With --example-images: what `run` was given.")]


@app.command("show")
def show(
    runs: Annotated[list[str], typer.Argument(help="Run folders that belong together, or one leaderboard.json.")],
    method: Method = None,
    json: Json = False,
) -> int:
    """Print the leaderboard of run folders that belong together, or of a leaderboard.json, from the stored figures."""
    from harmbench.leaderboard.collect import build as collect
    from harmbench.leaderboard.files import BOARD_FILE, is_run, read_board

    paths = [Path(r) for r in runs]
    if (
        len(paths) == 1
        and not method
        and not is_run(paths[0])
        and (paths[0].is_file() or (paths[0] / BOARD_FILE).is_file())
    ):
        board = read_board(paths[0])
    else:
        _known(method or (), paths)
        board = collect(paths, method or ())
    if json:
        show_json(board.model_dump(by_alias=True, mode="json"))
    else:
        from harmbench.cli.table import show_board

        show_board(board)
    return 0


@app.command("build")
def build(
    runs: Runs,
    out: Out = "leaderboard",
    method: Method = None,
    format_: Formats = None,
    example_images: Examples = None,
    data: Data = "",
    trust_stored: Trust = False,
    jobs: Jobs = 0,
    plugin: Plugins = None,
    json: Json = False,
) -> int:
    """Write the leaderboard of run folders that belong together; every figure is rebuilt from what the runs keep.

    A stored figure that is not what the stored predictions and features give is an error.
    """
    from harmbench.leaderboard import outputs
    from harmbench.leaderboard.collect import build as collect
    from harmbench.plugins import build_registry
    from harmbench.run.run import default_jobs

    target = folder(out)
    formats, left_out = outputs.chosen(format_ or ())
    registry = build_registry(plugin or ())
    folders = [Path(r) for r in runs]
    _known(method or (), folders)
    given = None if trust_stored else registry
    board = collect(folders, method or (), registry=given, n_jobs=jobs or default_jobs())
    evidence = outputs.gather_evidence(
        board, folders, method or (), registry, formats, examples=example_images, data=data or None
    )
    files = outputs.write(board, target, formats, evidence)
    if left_out:
        note(left_out)
    if json:
        recorded = sorted(n for n, d in board.definitions.items() if d.recorded)
        show_json({"files": [str(f) for f in files], "rows": len(board.rows), "recorded": recorded})
    else:
        how = "figures rebuilt" if board.rebuilt else "figures as stored"
        note(f"{len(board.rows)} rows, {how}. In {out}: {', '.join(str(f.relative_to(target)) for f in files)}")
        if (page := target / "index.html") in files:
            note(f"Open {page} in a browser: it needs no network.")
    return 0


@app.command("diff")
def diff(
    old: Annotated[str, typer.Argument(help="A leaderboard.json, a run folder or a bundle.")],
    new: Annotated[str, typer.Argument(help="The same, later.")],
    tolerance: Annotated[float, typer.Option("--tolerance", min=0, help="Differences up to this do not count.")] = 1e-9,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    json: Json = False,
) -> int:
    """What changed from one board to another: rows, figures, ranks, warnings."""
    from harmbench.leaderboard import tables
    from harmbench.leaderboard.diff import diff as difference
    from harmbench.leaderboard.files import load

    found = difference(load(Path(old)), load(Path(new)), tolerance)
    if json:
        show_json({**found.as_dict(), "any": found.any})
        return 0
    _print(f"{old} -> {new}", tables.diff_tables(found), tables.diff_notes(found), markdown)
    return 0


@app.command("merge")
def merge(
    sources: Annotated[list[str], typer.Argument(help="Each a leaderboard.json, a run folder or a bundle.")],
    out: Out = "leaderboard",
    format_: Formats = None,
    trust_stored: Trust = False,
    jobs: Jobs = 0,
    plugin: Plugins = None,
    json: Json = False,
) -> int:
    """Put boards and runs together, if they belong together; ranks are worked out anew among all rows."""
    from harmbench.leaderboard import outputs
    from harmbench.leaderboard.files import is_run, load
    from harmbench.leaderboard.merge import merge as together
    from harmbench.plugins import build_registry
    from harmbench.run.run import default_jobs

    target = folder(out)
    formats, left_out = outputs.chosen(format_ or ())
    registry = None if trust_stored else build_registry(plugin or ())
    boards = [load(Path(s), registry, jobs or default_jobs()) for s in sources]
    board = together(boards, sources, [s for s in sources if not is_run(Path(s))])
    files = outputs.write(board, target, formats)
    if left_out:
        note(left_out)
    if json:
        show_json({"files": [str(f) for f in files], "rows": len(board.rows)})
    else:
        names = ", ".join(str(f.relative_to(target)) for f in files)
        note(f"{len(board.rows)} rows of {len(boards)} sources. In {out}: {names}")
    return 0


@app.command("validate")
def validate(
    sources: Annotated[list[str], typer.Argument(help="Each a leaderboard.json, a run folder or a bundle.")],
    trust_stored: Trust = False,
    jobs: Jobs = 0,
    plugin: Plugins = None,
    json: Json = False,
) -> int:
    """Check boards, runs or bundles: schema, completeness, digests, controls and canary, figures rebuilt.

    Exit code 0 when all are sound, 2 when one is not.
    """
    from harmbench.leaderboard.validate import validate as check
    from harmbench.plugins import build_registry
    from harmbench.run.run import default_jobs

    registry = build_registry(plugin or ())
    reports = [check(Path(s), registry, rebuild=not trust_stored, n_jobs=jobs or default_jobs()) for s in sources]
    sound = all(report.sound for report in reports)
    if json:
        show_json({"sound": sound, "reports": [report.as_dict() for report in reports]})
        return 0 if sound else 2
    for report in reports:
        print(f"{report.where} ({report.kind}): {'sound' if report.sound else 'NOT SOUND'}")
        for line in report.lines():
            print(f"  {line}")
    return 0 if sound else 2


def _known(methods: Sequence[str], runs: Sequence[Path]) -> None:
    """Refuse a name that no run has: a board without it would look complete."""
    from harmbench.leaderboard.collect import gather

    if not methods:
        return
    names = gather(list(runs)).cells
    for method in methods:
        if method not in names:
            raise UsageError(f"No run given has a method '{method}'.{suggestion(method, names)}")


def _print(title: str, tables: list[Table], notes: list[str], markdown: bool) -> None:
    from harmbench.leaderboard.tables import markdown as as_markdown

    if markdown:
        print(as_markdown(title, tables, notes))
        return
    from harmbench.cli.table import show_tables

    show_tables(title, tables, notes)
