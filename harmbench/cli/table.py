"""The leaderboard on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harmbench.leaderboard import render
from harmbench.leaderboard.model import Board


def _print(console: Console, title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i < 3 else "right", overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))  # Text: a name with brackets is not markup
    console.print(table)


def show_board(board: Board) -> None:
    """Print the main table, the table per manufacturer, notes and how to read them."""
    # Not a terminal: a file or a pipe has no width, so nothing is squeezed.
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, highlight=False)
    narrow = console.width < 130
    if board.synthetic:
        console.print("SYNTHETIC DATA: simulated images; what wins here has won on a simulation.", style="bold")
    console.print(f"\n{board.title}", style="bold", markup=False)
    for line in render.caption(board):
        console.print(line, markup=False)
    head = render.headings(board)
    keep = [i for i, name in enumerate(head) if not (narrow and name in ("AUC pooled", "Manuf. AUC tree"))]
    for title, rows in render.sections(board):
        lines = [render.cells(row, board) for row in rows]
        _print(console, title, [head[i] for i in keep], [[line[i] for i in keep] for line in lines])
        for row in rows:
            if row.reason:
                console.print(f"  {row.method}: {row.reason}", markup=False)
    head, lines = render.by_manufacturer(board)
    _print(console, "Per manufacturer", head, lines)
    for row in board.of("not run"):
        console.print(f"Not run: {row.method}: {row.status}: {row.reason}", markup=False)
    for text in board.warnings:
        console.print(f"Note: {text}", markup=False)
    console.print()
    for line in render.explanation(board):
        console.print(line, style="dim", markup=False)


def show_tables(title: str, tables: Sequence[tuple[str, Sequence[str], list[list[str]]]], notes: Sequence[str]) -> None:
    """Print plain tables (title, headings, lines) and what must be known of them."""
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(f"\n{title}", style="bold", markup=False)
    for note in notes:
        console.print(note, markup=False)
    for name, head, lines in tables:
        _print(console, name, head, lines)
