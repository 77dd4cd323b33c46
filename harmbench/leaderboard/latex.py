"""The main table for a paper: LaTeX with booktabs, to be pasted or `\\input`."""

from __future__ import annotations

from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.render import number, rank, sections

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "−": "$-$", "–": "--", "Δ": r"$\Delta$", "→": r"$\rightarrow$", "\n": " ", "\r": " ",
}  # fmt: skip


def escape(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def latex(board: Board) -> str:
    """A `table` environment: rank, method, gate, goal and signal with intervals, and the worst manufacturer.

    Needs `\\usepackage{booktabs}`. Groups are those of the other renderings; controls come last.
    """
    gate, goal = (board.definitions[board.ranking[k]] for k in ("gate", "goal"))
    arrow = {"min": r"$\downarrow$", "max": r"$\uparrow$"}
    heads = [
        "Rank", "Method", rf"$\Delta$ {escape(gate.label)}", f"{escape(goal.label)} {arrow[goal.direction]}",
        f"{escape(gate.label)} {arrow[gate.direction]}", f"Worst {escape(gate.label)}",
    ]  # fmt: skip
    lines = [
        "% Needs \\usepackage{booktabs}. Made by harmbench; do not edit by hand.",
        r"\begin{table}",
        r"\centering",
        r"\small",
        rf"\caption{{{_caption(board)}}}",
        rf"\label{{tab:{''.join(c for c in board.benchmark if c.isalnum() or c == '-')}}}",
        r"\begin{tabular}{llllll}",
        r"\toprule",
        " & ".join(heads) + r" \\",
    ]
    apart = [part for part in sections(board) if part[0] != "Methods"]
    parts = [("Methods", board.of("ranked")), ("Below the gate", board.of("below the gate")), *apart]
    for title, rows in parts:
        if not rows:
            continue
        lines += [r"\midrule", rf"\multicolumn{{6}}{{l}}{{\emph{{{escape(title)}}}}} \\"]
        lines += [" & ".join(_line(row, board)) + r" \\" for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _line(row: Row, board: Board) -> list[str]:
    gate, goal = board.ranking["gate"], board.ranking["goal"]
    worst = row.worst.get(gate, "")
    value = row.manufacturer.get(gate, {}).get(worst)
    difference = "" if row.difference is None or row.method == "none" else _interval(*row.difference)
    shown = f"{_number(value.value)} ({escape(worst)})" if value and value.value is not None else "--"
    return [
        escape(rank(row)),
        escape(row.method),
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
    return f"{_number(value)} {{[{_number(low)}, {_number(high)}]}}"


def _figure(figure: Figure | None) -> str:
    return "--" if figure is None else _interval(figure.value, figure.low, figure.high)


def _caption(board: Board) -> str:
    gate, goal = (board.definitions[board.ranking[k]].label for k in ("gate", "goal"))
    data = board.data
    kind = "Simulated data. " if board.synthetic else ""
    return escape(
        f"{board.title}. {kind}{data['patients']} patients, {data['images']} images; benchmark {board.benchmark} "
        f"{board.benchmark_version}, data revision {data['revision']}. Methods pass the gate when the lower 95 % bound "
        f"of Δ {gate} (against none) lies above −{board.ranking['delta']:g}, and are then ordered by {goal}; a rank "
        "such as 1–3 means that the data cannot tell. Brackets: 95 % intervals from patient bootstrap."
    )
