"""Static figures for papers, drawn by matplotlib (an optional extra; the page does without)."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.page.charts import CROWD
from harmbench.leaderboard.page.evidence import Evidence
from harmbench.leaderboard.render import breakable, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "harmbench", "svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 8, "axes.spines.top": False,
    "axes.spines.right": False, "text.parse_math": False, "axes.unicode_minus": True, "font.family": "sans-serif",
}  # fmt: skip
_PASSED, _FAILED, _GREY = "#0b6fa8", "#c2510c", "#767f8c"
NAMES = ("pareto", "intervals", "sweep", "classes")
_WIDTH = 6.7  # inches: a full text width
_ACROSS = 4  # panels beside each other


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


def _canvas(height: float, across: int = 1, down: int = 1) -> tuple[Canvas, list[Any]]:
    """A figure and its axes, row by row."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
    return canvas, list(canvas.subplots(down, across, sharey=True, squeeze=False).flat)


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
    canvas, (axes,) = _canvas(4.2)
    gate, goal = (board.definitions[board.ranking[k]] for k in ("gate", "goal"))
    for row in rows:
        x, y = row.overall[goal.name], row.overall[gate.name]
        (a, b), (c, d) = _spread(x), _spread(y)
        axes.plot([a, b], [y.value] * 2, color=_GREY, alpha=0.5, lw=0.8)
        axes.plot([x.value] * 2, [c, d], color=_GREY, alpha=0.5, lw=0.8)
        inside = _colour(row) if _on_front(row) else "white"
        axes.plot(x.value, y.value, "o", ms=5, mec=_colour(row), mfc=inside)
    _front(axes, rows, board)
    axes.set_xlabel(f"{goal.label} ({_better(goal.direction)})")
    axes.set_ylabel(f"{gate.label} ({_better(gate.direction)})")
    if goal.direction == "min":
        axes.invert_xaxis()
    if gate.direction == "min":
        axes.invert_yaxis()
    named = rows if len(rows) <= CROWD else [r for r in rows if r.section == "ranked" or _on_front(r)]
    words = "filled: on the Pareto front (%: share of resamples); orange: below the gate"
    words += ", named in the tables" if named != rows else ""
    axes.set_title(_headline(board, words), fontsize=8, loc="left")
    _name_points(canvas, axes, rows, named, board)
    return canvas


def _on_front(row: Row) -> bool:
    return row.pareto is not None and row.pareto.on_front


def _name_points(canvas: Canvas, axes: Any, rows: Sequence[Row], named: Sequence[Row], board: Board) -> None:
    """Write each name beside its point, moved up or down and tied to it by a line where another one is in the way."""
    canvas.draw_without_rendering()  # settles the layout: names are placed in pixels
    at = {r.method: axes.transData.transform((_value(r, board, "goal"), _value(r, board, "gate"))) for r in rows}
    point = canvas.dpi / 72
    dot = 4 * point
    taken = [(x - dot, y - dot, x + dot, y + dot) for x, y in at.values()]
    left, right = axes.get_window_extent().intervalx
    for row in sorted(named, key=lambda r: (not _on_front(r), -at[r.method][1])):
        text = axes.annotate(
            _label(row), at[row.method], xycoords="figure pixels", xytext=(0, 0), textcoords="offset points",
            fontsize=7, va="center", in_layout=False,
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5},
            arrowprops={"arrowstyle": "-", "lw": 0.4, "color": _GREY},
        )  # fmt: skip
        text.arrow_patch.set_in_layout(False)
        size = text.get_window_extent()
        place = _free(at[row.method], size.width, size.height, taken, (left, right), 7 * point)
        if place is None:  # no room near it: the tables name it
            text.remove()
            continue
        x, y, step = place
        taken.append((x, y - size.height / 2, x + size.width, y + size.height / 2))
        text.set_position(((x - at[row.method][0]) / point, (y - at[row.method][1]) / point))
        text.arrow_patch.set_visible(abs(step) > 1)
        text.xy = tuple(axes.transData.inverted().transform(at[row.method]))
        text.xycoords = "data"


_Box = tuple[float, float, float, float]


def _free(
    point: Any, width: float, height: float, taken: Sequence[_Box], bounds: tuple[float, float], gap: float
) -> tuple[float, float, int] | None:
    """Left end and middle of a name that touches nothing, and by how many lines it had to move."""
    for step in sorted(range(-12, 13), key=lambda k: (abs(k), -k)):
        for x in (point[0] + gap, point[0] - gap - width):
            y = point[1] + step * height
            inside = bounds[0] <= x and x + width <= bounds[1]
            box = (x, y - height / 2, x + width, y + height / 2)
            if inside and not any(_touch(box, other) for other in taken):
                return x, y, step
    return None


def _touch(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _front(axes: Any, rows: Sequence[Row], board: Board) -> None:
    """The steps between the points on the front."""
    on = [row for row in rows if _on_front(row)]
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
    panels[0].set_yticks(range(len(rows)), [_wrapped(r.method) for r in rows], linespacing=0.9, fontsize=7)
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    canvas.suptitle(
        _headline(board, "blue: ranked, orange: below the gate, grey: not ranked; dotted: none"), fontsize=8
    )
    return canvas


def sweep(board: Board) -> Canvas | None:
    """How often each method is first as the weight moves between the goals."""
    s = board.sweep
    if s is None:
        return None
    canvas, (axes,) = _canvas(3.2)
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


def _wrapped(name: str, width: int = 44) -> str:
    """A long name in lines."""
    lines = [""]
    for part in breakable(name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def classes(board: Board, evidence: Evidence) -> Canvas | None:
    """JSD by feature class, a panel for each pair of manufacturers."""
    rows = [r for r in board.rows if r.role == "method" and r.method in evidence.methods]
    rows = [r for r in rows if evidence.methods[r.method].classes]
    if not rows:
        return None
    found = {r.method: evidence.methods[r.method].classes for r in rows}
    pairs = list(dict.fromkeys(p for by in found.values() for p in by))
    kinds = list(dict.fromkeys(c for by in found.values() for names in by.values() for c in names))
    known = [v for by in found.values() for names in by.values() for v in names.values() if v is not None]
    top = max([0.01, *known])
    across = min(len(pairs), _ACROSS)
    down = -(-len(pairs) // across)
    canvas, panels = _canvas(0.6 + down * (0.8 + 0.19 * len(rows)), across, down)
    for k, axes in enumerate(panels):
        if k >= len(pairs):
            axes.remove()
            continue
        pair = pairs[k]
        values = [[found[r.method].get(pair, {}).get(c) for c in kinds] for r in rows]
        shown = [[float("nan") if v is None else v for v in line] for line in values]
        picture = axes.imshow(shown, cmap="Oranges", vmin=0, vmax=top, aspect="auto")
        for i, line in enumerate(values):
            for j, v in enumerate(line):
                dark = v is not None and v > 0.6 * top
                digits = number(v, 2) if across < 4 else ""  # narrower cells hold no figures
                axes.text(
                    j, i, digits, ha="center", va="center", fontsize=6 if across == 1 else 4.5,
                    color="white" if dark else "black",
                )  # fmt: skip
        axes.set_xticks(range(len(kinds)), kinds, rotation=0 if across == 1 else 90)
        axes.set_yticks(range(len(rows)), [_wrapped(r.method) for r in rows], linespacing=0.9, fontsize=7)
        axes.tick_params(length=0)
        axes.set_title(pair.replace("|", " – "), fontsize=8)
    canvas.colorbar(picture, ax=panels[: len(pairs)], label="JSD within labels", shrink=min(1.0, 10 / len(rows)))
    canvas.suptitle(_headline(board, "each feature class, each pair of manufacturers"), fontsize=8)
    return canvas
