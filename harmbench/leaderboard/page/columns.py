"""The columns of the page's main table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.page.markup import Child, Safe, el, text
from harmbench.leaderboard.render import duration, number

GROUPS = {
    "manufacturer": "per manufacturer",
    "signal": "all signal",
    "harmonization": "all harmonization",
    "integrity": "integrity",
    "cost": "cost",
}
"""Groups of columns that can be shown besides the main ones, and what their boxes are called."""
_ALSO = ("balanced_accuracy_lomo", "auc_pooled", "manufacturer_auc_tree")
_DIGITS = {"s": 1, "MiB": 0}


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    title : str
    group : str
        "" for those always shown, or one of `GROUPS`.
    definition : str
        What `Definitions.button` takes.
    cell : callable
        Row to what the cell shows.
    key : callable
        Row to the number it is sorted by; None goes last.
    direction : {"min", "max"}
        Which way is better, and sorted first.
    """

    title: str
    group: str
    definition: str
    cell: Callable[[Row], Child]
    key: Callable[[Row], float | None]
    direction: str = "min"


def columns(board: Board) -> list[Column]:
    """All columns, the always shown ones first."""
    gate, goal = board.ranking["gate"], board.ranking["goal"]
    found = [
        Column("Gate", "", "gate", gate_cell, lambda row: row.difference[0] if row.difference else None, "max"),
        _metric(board, goal, "", bar=True),
        _metric(board, gate, "", bar=True),
        _worst(board),
    ]
    found += [_of_manufacturer(board, name, maker) for name in (goal, gate) for maker in board.data["counts"]]
    found += [_metric(board, name, "") for name in _ALSO if name in board.definitions and name not in (gate, goal)]
    found.append(
        Column("On front", "", "front", front_cell, lambda r: r.pareto.probability if r.pareto else None, "max")
    )
    found.append(Column("Time", "", "time", lambda row: duration(seconds(row)), seconds))
    shown = {gate, goal, *_ALSO}
    found += [_metric(board, name, d.goal) for name, d in board.definitions.items() if name not in shown]
    return found


def seconds(row: Row) -> float:
    """CPU seconds of all stages."""
    return sum(f.value or 0.0 for name, f in row.overall.items() if name.startswith("seconds_"))


def gate_cell(row: Row) -> Child:
    """Passed or not, with the difference to `none`."""
    if row.difference is None:
        return "–"
    if row.method == "none":
        return el("span", "reference", class_="muted")
    word = {"ranked": ("pass", "good"), "below the gate": ("not shown", "bad")}.get(row.section)
    point, low, high = row.difference
    badge = el("span", word[0], class_=f"badge {word[1]}") if word else None
    return [badge, " ", "Δ ", number(point), el("small", f"[{number(low)}, {number(high)}]", class_="interval")]


def front_cell(row: Row) -> Child:
    """Probability of being on the Pareto front."""
    if row.pareto is None:
        return "–"
    mark = el("span", "●" if row.pareto.on_front else "○", aria_hidden="true")
    return [mark, " ", f"{100 * row.pareto.probability:.0f} %"]


def figure_cell(figure: Figure | None, digits: int = 3, scale: tuple[float, float] | None = None) -> Child:
    """Value, interval, and a bar of both on the column's scale."""
    if figure is None or figure.value is None:
        return el("span", "–", title=figure.note if figure and figure.note else None)
    parts: list[Child] = [el("span", number(figure.value, digits), class_="value")]
    if figure.low is not None and figure.high is not None:
        parts.append(
            el("small", f"[{number(figure.low, digits)}, {number(figure.high, digits)}]", class_="interval")
        )  # fmt: skip
        if scale is not None:
            parts.append(_bar(figure.value, figure.low, figure.high, scale))
    return parts


def _bar(value: float, low: float, high: float, scale: tuple[float, float]) -> Safe:
    span = scale[1] - scale[0] or 1.0
    x, a, b = (f"{min(max(100 * (v - scale[0]) / span, 0), 100):.1f}" for v in (value, low, high))
    return el(
        "svg",
        el("line", x1="0", x2="100", y1="4", y2="4", class_="track"),
        el("line", x1=a, x2=b, y1="4", y2="4", class_="range"),
        el("circle", cx=x, cy="4", r="2.6", class_="dot"),
        class_="bar", viewBox="-3 0 106 8", aria_hidden="true",
    )  # fmt: skip


def _scale(board: Board, metric: str) -> tuple[float, float]:
    """From the least to the largest bound of the methods that are no controls."""
    rows = [row for row in board.rows if row.role == "method"]
    known = [f for row in rows if (f := row.overall.get(metric)) and f.low is not None and f.high is not None]
    if not known:
        return (0.0, 1.0)
    return min(f.low for f in known if f.low is not None), max(f.high for f in known if f.high is not None)


def _metric(board: Board, name: str, group: str, bar: bool = False) -> Column:
    d = board.definitions[name]
    scale = _scale(board, name) if bar else None
    digits = _DIGITS.get(d.unit, 3)
    return Column(
        d.label, group, name,
        lambda row: figure_cell(row.overall.get(name), digits, scale),
        lambda row: row.overall.get(name, Figure(value=None)).value,
        d.direction,
    )  # fmt: skip


def _of_manufacturer(board: Board, name: str, maker: str) -> Column:
    d = board.definitions[name]
    return Column(
        f"{d.label}, {maker}", "manufacturer", name,
        lambda row: figure_cell(row.manufacturer.get(name, {}).get(maker)),
        lambda row: row.manufacturer.get(name, {}).get(maker, Figure(value=None)).value,
        d.direction,
    )  # fmt: skip


def _worst(board: Board) -> Column:
    name = board.ranking["gate"]
    d = board.definitions[name]

    def value(row: Row) -> float | None:
        return row.manufacturer.get(name, {}).get(row.worst.get(name, ""), Figure(value=None)).value

    def cell(row: Row) -> Child:
        found = value(row)
        if found is None:
            return "–"
        return [number(found), el("small", row.worst[name], class_="interval")]

    title = "Worst " + ("AUC" if name.startswith("auc") else d.label)
    return Column(title, "", "worst", cell, value, d.direction)


def rank_cell(row: Row) -> Child:
    """`1`, or `1–3` when the data cannot tell, and the letter of the tie group."""
    if row.rank is None:
        return "–"
    best, worst = row.rank
    text_ = str(best) if best == worst else f"{best}–{worst}"
    letter = letters(row.group)
    return [
        el("span", text_, class_="value"),
        el("span", letter, class_="tie", title=f"tie group {letter}") if letter else None,
    ]


def letters(group: int | None) -> str:
    """a, b, ..., z, aa, ab, ..."""
    found = ""
    while group is not None and group > 0:
        group, rest = divmod(group - 1, 26)
        found = chr(ord("a") + rest) + found
    return found


def sort_key(column: Column, row: Row) -> str:
    """The number that the browser sorts by; "" where there is none."""
    value = column.key(row)
    return "" if value is None else repr(float(value))


def heading(column: Column, info: Safe) -> Safe:
    """The head of a column: a button that sorts, an arrow that says which way is better, and the definition."""
    arrow = "↓" if column.direction == "min" else "↑"
    better = el("span", arrow, class_="better", title="smaller is better" if arrow == "↓" else "larger is better")
    sort = el("button", column.title, type="button", class_="sort", data_first=column.direction)
    return text([sort, better, info])
