"""The main table for a paper: LaTeX with booktabs, to be pasted or `\\input`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.render import below_zero, breakable, number, rank, sections

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "−": "$-$", "–": "--", "Δ": r"$\Delta$", "→": r"$\rightarrow$", "\n": " ", "\r": " ",
}  # fmt: skip


PAGE = 50
"""Lines of a table that fit a page, with its caption."""
NAME = 18
"""Characters of a method's name that surely fit a line of its column."""


_LAST = 0x17F
"""The last character that pdfTeX's own fonts have (Latin with accents)."""


def escape(text: str) -> str:
    """Text that LaTeX prints as it is; characters that pdfTeX has not are named, such as [U+65E5]."""
    return "".join(_SPECIAL.get(c, c if c.isprintable() and ord(c) <= _LAST else f"[U+{ord(c):04X}]") for c in text)


def latex(board: Board) -> str:
    """`table*` environments: rank, method, gate, goal and signal with intervals, and the worst manufacturer.

    Needs `\\usepackage{booktabs}`; fits between margins of 25 mm on A4, and over both columns of a journal. Groups are
    those of the other renderings, controls come last. What does not fit a page goes on in another table.
    """
    apart = [part for part in sections(board) if part[0] != "Methods"]
    parts = [("Methods", board.of("ranked")), ("Below the gate", board.of("below the gate")), *apart]
    marks = _marks([row for _, rows in parts for row in rows])
    pages: list[list[str]] = [[]]
    used = 0
    for title, rows in parts:
        for i, row in enumerate(rows):
            needed = -(-len(row.method) // NAME) + (i == 0)
            if pages[-1] and used + needed > PAGE:
                pages.append([])
                used = 0
            used += needed
            if i == 0 or not pages[-1]:
                words = escape(title) + (", continued" if i else "")
                pages[-1] += [rf"\midrule \multicolumn{{6}}{{l}}{{\emph{{{words}}}}} \\"]
            pages[-1].append(" & ".join(_line(row, board, marks)) + r" \\")
    label = "".join(c for c in board.benchmark if c.isalnum() or c == "-")
    lines = ["% Needs \\usepackage{booktabs}. Made by harmbench; do not edit by hand."]
    for number_, page in enumerate(pages, 1):
        caption = _caption(board, marks) if number_ == 1 else rf"Table~\ref{{tab:{label}}}, continued."
        lines += [
            r"\begin{table*}",
            r"\centering\footnotesize\setlength{\tabcolsep}{2.5pt}",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{label}{'' if number_ == 1 else f'-{number_}'}}}",
            r"\begin{tabular}{lp{30mm}llll}",
            r"\toprule",
            _heads(board),
            *page,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    return "\n".join(lines) + "\n"


def _heads(board: Board) -> str:
    gate, goal = (board.definitions[board.ranking[k]] for k in ("gate", "goal"))
    arrow = {"min": r"$\downarrow$", "max": r"$\uparrow$"}
    heads = [
        "Rank", "Method", rf"$\Delta$ {escape(gate.label)}", f"{escape(goal.label)} {arrow[goal.direction]}",
        f"{escape(gate.label)} {arrow[gate.direction]}", f"Worst {escape(gate.label)}",
    ]  # fmt: skip
    return " & ".join(heads) + r" \\"


def _marks(rows: Sequence[Row]) -> dict[str, str]:
    """A letter for each thing that is said beside methods' names."""
    flags = dict.fromkeys(flag for row in rows for flag in row.flags)
    return {flag: "abcdefghijklmnopqrstuvwxyz"[i % 26] * (1 + i // 26) for i, flag in enumerate(flags)}


def _line(row: Row, board: Board, marks: Mapping[str, str]) -> list[str]:
    gate, goal = board.ranking["gate"], board.ranking["goal"]
    worst = row.worst.get(gate, "")
    value = row.manufacturer.get(gate, {}).get(worst)
    difference = "" if row.difference is None or row.method == "none" else _interval(*row.difference)
    raised = ",".join(marks[flag] for flag in row.flags)
    mark = rf"\textsuperscript{{{raised}}}" if raised else ""
    shown = f"{_number(value.value)} ({escape(worst)})" if value and value.value is not None else "--"
    return [
        escape(rank(row)),
        r"\raggedright " + r"\allowbreak{}".join(map(escape, breakable(row.method))) + mark,
        difference,
        *(_figure(row.overall.get(m)) for m in (goal, gate)),
        shown,
    ]


def _number(value: float | None) -> str:
    return escape(number(value))


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return _number(value)
    # Braces: a bracket at the start of a cell would be read as the argument of the line break before it.
    return rf"{_number(value)} {{\scriptsize [{_number(low)}, {_number(high)}]}}"


def _figure(figure: Figure | None) -> str:
    return "--" if figure is None else _interval(figure.value, figure.low, figure.high)


def _caption(board: Board, marks: Mapping[str, str]) -> str:
    gate, goal = (board.definitions[board.ranking[k]].label for k in ("gate", "goal"))
    data = board.data
    kind = "Simulated data. " if board.synthetic else ""
    lost = ", ".join(row.method for row in board.of("not run"))
    floor = below_zero(board.definitions[board.ranking["goal"]])
    words = escape(
        f"{board.title}. {kind}{data['patients']} patients, {data['images']} images; benchmark {board.benchmark} "
        f"{board.benchmark_version}, data revision {data['revision']}. Methods pass the gate when the lower 95 % bound "
        f"of Δ {gate} (against none) lies above −{board.ranking['delta']:g}, and are then ordered by {goal}; a rank "
        f"such as 1–3 means that the data cannot tell. {floor} Brackets: 95 % intervals from patient bootstrap."
        f"{f' Not run: {lost}.' if lost else ''}"
    )
    notes = "; ".join(rf"\textsuperscript{{{mark}}}\,{escape(flag)}" for flag, mark in marks.items())
    return f"{words} {notes}." if notes else words
