"""The page's main table: real rows and cells, grouped by where a method stands."""

from __future__ import annotations

from harmbench.leaderboard.model import Board, Row, Section
from harmbench.leaderboard.page.columns import GROUPS, columns, heading, rank_cell, sort_key
from harmbench.leaderboard.page.definitions import Definitions
from harmbench.leaderboard.page.markup import Child, Safe, el, name_of, text

PARTS: tuple[tuple[str, str, Section], ...] = (
    ("ranked", "Pass the gate: ranked", "ranked"),
    ("gate", "Below the gate: not shown to keep the signal", "below the gate"),
    ("transductive", "Transductive: fitted on all rows at once, in no rank", "transductive"),
    ("confounded", "Confounded: the manufacturer determines the label; nothing here can be ranked", "confounded"),
    ("apart", "Not ranked", "not ranked"),
    ("control", "Controls and canaries: never ranked, they bound the scores", "control"),
    ("lost", "Did not run", "not run"),
)
"""Name, title and section of each part of the table."""

FEW = 3
"""Manufacturers whose columns are shown from the start."""
UNSAID = ("below the gate", "transductive", "not run")
"""Sections where the name needs no reason below it: the title says it already, or the row has no figures and the reason
takes their place."""


def main_table(board: Board, words: Definitions) -> Safe:
    """The table with its filters."""
    shown = columns(board)
    head = el(
        "tr",
        el("th", el("button", "Rank", type="button", class_="sort", data_first="min"), words.button("rank"),
           scope="col", class_="rank", aria_sort="ascending"),
        el("th", el("button", "Method", type="button", class_="sort", data_first="text"), scope="col", class_="method"),
        [el("th", heading(c, words.button(c.definition)), scope="col", class_=_group(c.group)) for c in shown],
    )  # fmt: skip
    bodies = []
    number = {row.method: i for i, row in enumerate(board.rows)}
    for name, title, part in PARTS:
        rows = board.of(part)
        if not rows:
            continue
        banner = el("tr", el("th", el("span", title), scope="rowgroup", colspan=len(shown) + 2), class_="banner")
        lines = [
            el(
                "tr",
                el("td", rank_cell(row), class_="rank", data_sort=f"{number[row.method]}"),
                el("th", method_cell(row, number[row.method]), scope="row", class_="method", data_sort=row.method),
                el("td", el("small", row.reason), class_="why", colspan=len(shown))
                if part == "not run"
                else [el("td", c.cell(row), data_sort=sort_key(c, row), class_=_group(c.group)) for c in shown],
                data_group=row.group or "", data_name=f"{row.method} {' '.join(row.flags)}".lower(),
            )
            for row in rows
        ]  # fmt: skip
        bodies.append(el("tbody", banner, lines, class_=f"part-{name}"))
    caption = el(
        "caption", "Leaderboard: one row per method. ",
        "Figures in brackets are 95 % intervals. Choose a column heading to sort within each part.",
    )  # fmt: skip
    table = el("table", caption, el("thead", head), bodies, class_="board", id="board")
    note = el("p", "What the brackets and bars are", words.button("interval"), class_="hint")
    return text([_filters(board), el("div", table, class_="scroll", role="region", tabindex="0",
                 aria_label="Leaderboard table, scrolls sideways"), note])  # fmt: skip


def _group(group: str) -> str | None:
    return f"g-{group}" if group else None


def method_cell(row: Row, number: int) -> Child:
    """The method's name, a button that opens what is known of it; its flags and why it is not ranked."""
    return [
        el("button", name_of(row.method), type="button", class_="name", popovertarget=f"method-{number}"),
        el("div", [el("span", flag, class_="badge flag") for flag in row.flags]) if row.flags else None,
        el("small", row.reason, class_="reason") if row.reason and row.section not in UNSAID else None,
    ]


def _filters(board: Board) -> Safe:
    search = el(
        "label", "Filter methods ", el("input", type="search", id="filter", autocomplete="off", placeholder="combat"),
        class_="search",
    )  # fmt: skip
    present = [name for name, _, part in PARTS if board.of(part)]
    words = {"ranked": "ranked", "gate": "below the gate", "apart": "not ranked", "control": "controls",
             "lost": "not run", "confounded": "confounded", "transductive": "transductive"}  # fmt: skip
    parts = el(
        "fieldset", el("legend", "Rows"),
        [_box(f"part-{name}", words[name], checked=True) for name in present],
    )  # fmt: skip
    goals = {d.goal for d in board.definitions.values()} | {"manufacturer"}
    opened = ("manufacturer",) if len(board.data["counts"]) <= FEW else ()
    more = el(
        "fieldset", el("legend", "More columns"),
        [_box(f"g-{name}", title, checked=name in opened) for name, title in GROUPS.items() if name in goals],
    )  # fmt: skip
    status = el("p", "", id="filter-status", role="status", class_="hint")
    return el("form", search, parts, more, status, class_="filters", id="filters")


def _box(target: str, title: str, checked: bool) -> Safe:
    box = el("input", type="checkbox", id=f"show-{target}", data_shows=target, checked=checked, autocomplete="off")
    return el("label", box, " ", title)
