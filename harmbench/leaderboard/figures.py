"""Static figures for papers, drawn by matplotlib (an optional extra; the page does without)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.page.evidence import Evidence
from harmbench.leaderboard.render import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "harmbench", "svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 8, "axes.spines.top": False,
    "axes.spines.right": False, "text.parse_math": False, "axes.unicode_minus": True, "font.family": "sans-serif",
}  # fmt: skip
_PASSED, _FAILED, _GREY = "#0b6fa8", "#c2510c", "#767f8c"
_WIDTH = 6.7  # inches: a full text width


def missing() -> str:
    """Why figures cannot be drawn here; "" when they can."""
    if importlib.util.find_spec("matplotlib") is None:
        return "matplotlib is not installed (pip install 'harmbench[figures]')."
    return ""


def figures(board: Board, evidence: Evidence, kinds: Sequence[str]) -> dict[tuple[str, str], bytes]:
    """All figures that the board has the numbers for.

    Parameters
    ----------
    board : Board
    evidence : Evidence
        For the figure of feature classes.
    kinds : sequence of {"svg", "pdf"}

    Returns
    -------
    mapping of (name, kind) to the file's bytes
        Equal boards give equal bytes (with one version of matplotlib).
    """
    import matplotlib

    drawings: dict[str, Callable[[], Canvas | None]] = {
        "pareto": lambda: pareto(board),
        "intervals": lambda: intervals(board),
        "sweep": lambda: sweep(board),
        "classes": lambda: classes(board, evidence),
    }
    found = {}
    with matplotlib.rc_context(_STYLE):
        for name, draw in drawings.items():
            canvas = draw()
            if canvas is None:
                continue
            for kind in kinds:
                sink = io.BytesIO()
                # No date: the same board gives the same file.
                metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {"CreationDate": None}
                canvas.savefig(sink, format=kind, bbox_inches="tight", metadata=metadata)
                found[name, kind] = sink.getvalue()
    return found


def _canvas(height: float, panels: int = 1) -> tuple[Canvas, Any]:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
    return canvas, canvas.subplots(1, panels, sharey=panels > 1)


def _field(board: Board) -> list[Row]:
    """Methods that have both figures."""
    return [
        r
        for r in board.of("ranked", "below the gate")
        if all(_value(r, board, k) is not None for k in ("gate", "goal"))
    ]


def _value(row: Row, board: Board, which: str) -> float | None:
    return row.overall.get(board.ranking[which], Figure(value=None)).value


def _spread(figure: Figure) -> tuple[float, float]:
    """Lower and upper bound, the value itself where there is none."""
    value = figure.value or 0.0
    return (value if figure.low is None else figure.low, value if figure.high is None else figure.high)


def _colour(row: Row) -> str:
    return {"ranked": _PASSED, "below the gate": _FAILED}.get(row.section, _GREY)


def pareto(board: Board) -> Canvas | None:
    """Both goals with their 95 % intervals; filled points are on the front."""
    rows = _field(board)
    if not rows:
        return None
    canvas, axes = _canvas(4.2)
    gate, goal = (board.definitions[board.ranking[k]] for k in ("gate", "goal"))
    for row in rows:
        x, y = row.overall[goal.name], row.overall[gate.name]
        (a, b), (c, d) = _spread(x), _spread(y)
        axes.plot([a, b], [y.value] * 2, color=_GREY, alpha=0.5, lw=0.8)
        axes.plot([x.value] * 2, [c, d], color=_GREY, alpha=0.5, lw=0.8)
        on = row.pareto is not None and row.pareto.on_front
        axes.plot(x.value, y.value, "o", ms=5, mec=_colour(row), mfc=_colour(row) if on else "white")
        axes.annotate(_label(row), (x.value, y.value), xytext=(5, 4), textcoords="offset points", fontsize=7)
    _front(axes, rows, board)
    axes.set_xlabel(f"{goal.label} ({_better(goal.direction)})")
    axes.set_ylabel(f"{gate.label} ({_better(gate.direction)})")
    if goal.direction == "min":
        axes.invert_xaxis()
    if gate.direction == "min":
        axes.invert_yaxis()
    axes.set_title(_headline(board, "filled: on the Pareto front; orange: below the gate"), fontsize=8, loc="left")
    return canvas


def _front(axes: Any, rows: Sequence[Row], board: Board) -> None:
    """The steps between the points on the front."""
    on = [row for row in rows if row.pareto is not None and row.pareto.on_front]
    points = sorted((_value(row, board, "goal") or 0.0, _value(row, board, "gate") or 0.0) for row in on)
    # At each goal figure, the best signal of those at least as good there: what lies beyond the steps nobody reached.
    step = "post" if board.definitions[board.ranking["goal"]].direction == "min" else "pre"
    axes.step([x for x, _ in points], [y for _, y in points], where=step, color=_PASSED, lw=0.9, ls="--", zorder=0)


def _label(row: Row) -> str:
    share = "" if row.pareto is None else f" ({100 * row.pareto.probability:.0f} %)"
    return f"{row.method}{share}"


def _better(direction: str) -> str:
    return "smaller is better" if direction == "min" else "larger is better"


def _headline(board: Board, words: str) -> str:
    return f"{'SYNTHETIC DATA. ' if board.synthetic else ''}{board.benchmark} {board.benchmark_version}; {words}"


def intervals(board: Board) -> Canvas | None:
    """Value and 95 % interval of both goals, one line per method, controls below."""
    rows = [*_field(board), *(r for r in board.of("transductive", "control") if r.overall)]
    if not rows:
        return None
    canvas, panels = _canvas(1.0 + 0.21 * len(rows), 2)
    for axes, which in zip(panels, ("goal", "gate"), strict=True):
        d = board.definitions[board.ranking[which]]
        for i, row in enumerate(rows):
            figure = row.overall.get(d.name)
            if figure is None or figure.value is None:
                continue
            axes.plot(_spread(figure), [i, i], color=_colour(row), lw=1.2)
            axes.plot(figure.value, i, "o", ms=3.5, color=_colour(row))
        reference = board.row("none")
        at = None if reference is None else _value(reference, board, which)
        if at is not None:
            axes.axvline(at, color=_GREY, lw=0.7, ls=":")
        axes.set_xlabel(f"{d.label} ({_better(d.direction)})")
    panels[0].set_yticks(range(len(rows)), [r.method for r in rows])
    panels[0].invert_yaxis()
    canvas.suptitle(
        _headline(board, "blue: ranked, orange: below the gate, grey: not ranked; dotted: none"), fontsize=8
    )
    return canvas


def sweep(board: Board) -> Canvas | None:
    """How often each method is first as the weight moves between the goals."""
    s = board.sweep
    if s is None:
        return None
    canvas, axes = _canvas(3.2)
    signal = [1 - w for w in s.weights]
    best = sorted(s.first, key=lambda m: -max(s.first[m]))[:8]
    dashes = ("-", "--", "-.", ":")
    for i, method in enumerate(m for m in best if max(s.first[m]) >= 0.02):
        axes.plot(signal, s.first[method], dashes[i % 4], lw=1.3, label=method)
    axes.axvline(0.6, color=_GREY, lw=0.7, ls=":")
    axes.set_xlabel("weight of the signal (dotted: 0.6 / 0.4)")
    axes.set_ylabel("share of resamples in which first")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_title(_headline(board, "for display: ranks do not rest on weights"), fontsize=8, loc="left")
    return canvas


def classes(board: Board, evidence: Evidence) -> Canvas | None:
    """JSD by feature class and pair of manufacturers."""
    rows = [r for r in board.rows if r.role == "method" and r.method in evidence.methods]
    rows = [r for r in rows if evidence.methods[r.method].classes]
    if not rows:
        return None
    found = {r.method: evidence.methods[r.method].classes for r in rows}
    columns = list(dict.fromkeys((p, c) for by in found.values() for p, names in by.items() for c in names))
    values = [[found[r.method].get(p, {}).get(c) for p, c in columns] for r in rows]
    known = [v for line in values for v in line if v is not None]
    top = max([0.01, *known])
    canvas, axes = _canvas(1.2 + 0.24 * len(rows))
    shown = [[float("nan") if v is None else v for v in line] for line in values]
    picture = axes.imshow(shown, cmap="Oranges", vmin=0, vmax=top, aspect="auto")
    for i, line in enumerate(values):
        for j, v in enumerate(line):
            dark = v is not None and v > 0.6 * top
            axes.text(j, i, number(v, 2), ha="center", va="center", fontsize=6, color="white" if dark else "black")
    pairs = list(dict.fromkeys(p for p, _ in columns))
    names = [c if len(pairs) == 1 else f"{c}\n{p.replace('|', ' – ')}" for p, c in columns]
    axes.set_xticks(range(len(columns)), names, rotation=0 if len(columns) < 9 else 90)
    axes.set_yticks(range(len(rows)), [r.method for r in rows])
    axes.tick_params(length=0)
    canvas.colorbar(picture, ax=axes, label="JSD within labels", shrink=0.8)
    axes.set_title(
        _headline(board, f"{pairs[0].replace('|', ' – ')}" if len(pairs) == 1 else "by pair"), fontsize=8, loc="left"
    )
    return canvas
