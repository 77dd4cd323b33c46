"""The parts of the page that its script draws: their frames, and the numbers that go with them."""

from __future__ import annotations

from typing import Any

from harmbench.data import FEATURE_CLASSES
from harmbench.leaderboard.model import Board, Figure, Row
from harmbench.leaderboard.page.definitions import Definitions
from harmbench.leaderboard.page.evidence import BINS, Evidence
from harmbench.leaderboard.page.markup import Child, Safe, el
from harmbench.leaderboard.page.sections import section

CROWD = 20
"""Beyond so many points only those that are ranked, or on the front, are named in the Pareto plot."""


def payload(board: Board, evidence: Evidence) -> dict[str, Any]:
    """Everything that the script needs, for `embedded`."""
    gate, goal = (board.definitions[board.ranking[k]] for k in ("gate", "goal"))
    return {
        "gate": {"label": gate.label, "direction": gate.direction, "delta": board.ranking["delta"]},
        "goal": {"label": goal.label, "direction": goal.direction},
        "makers": list(board.data["counts"]),
        "rows": [_point(row, board) for row in board.rows],
        "crowded": _crowded(board),
        "sweep": _sweep(board),
        "bins": BINS,
        "classes": list(FEATURE_CLASSES),
        "names": [n.model_dump() for n in evidence.names],
        "tables": {k: t.model_dump() for k, t in evidence.tables.items()},
        "methods": {
            k: {
                "stages": [s.model_dump() for s in m.stages],
                "reliability": {
                    maker: [[round(x, 4) for x in (b.predicted, b.observed, b.low, b.high)] + [b.n] for b in bins]
                    for maker, bins in m.reliability.items()
                },
            }
            for k, m in evidence.methods.items()
        },
    }


def _crowded(board: Board) -> bool:
    """Too many points for all to be named."""
    return len(board.of("ranked", "below the gate")) > CROWD


def _point(row: Row, board: Board) -> dict[str, Any]:
    gate, goal = (row.overall.get(board.ranking[k], Figure(value=None)) for k in ("gate", "goal"))
    return {
        "method": row.method,
        "section": row.section,
        "role": row.role,
        "goal": [goal.value, goal.low, goal.high],
        "gate": [gate.value, gate.low, gate.high],
        "front": None if row.pareto is None else [row.pareto.on_front, row.pareto.probability, row.pareto.dominates],
    }


def _sweep(board: Board) -> dict[str, Any] | None:
    s = board.sweep
    if s is None:
        return None
    first = {k: [round(x, 3) for x in v] for k, v in s.first.items()}
    return {"weights": s.weights, "rank": s.rank, "first": first, "wins": s.wins}


def _plot(key: str, label: str, *children: Child, role: str = "img") -> Safe:
    """Where a drawing goes; `label` is what a screen reader hears. One whose points take the focus is a "group"."""
    return el("figure", el("div", id=key, class_="plot", role=role, aria_label=label), children)


def _select(key: str, label: str) -> Safe:
    return el("label", f"{label} ", el("select", id=key, autocomplete="off"), class_="choice")


def two_goals(board: Board, words: Definitions) -> Safe:
    """Pareto plot and weight sweep."""
    gate, goal = (board.definitions[board.ranking[k]].label for k in ("gate", "goal"))
    box = el("input", type="checkbox", id="pareto-controls", autocomplete="off")
    controls = el("label", box, " show what is not ranked, controls too", class_="choice")
    caption = (
        "Filled: on the front; red: below the gate. Lines: 95 % intervals. Dotted: none less the margin of the gate."
    )
    if _crowded(board):
        caption += " Points below the gate show their names when pointed at."
    legend = el("figcaption", caption, class_="hint")
    pareto = el(
        "div", el("h3", "Pareto front", words.button("front")), controls,
        _plot("pareto", f"{goal} against {gate}; the table gives the same figures", legend, role="group"),
        class_="panel",
    )  # fmt: skip
    slider = el(
        "div",
        el("label", "Weight of the signal: ", el("output", "0.60", id="weight-value", for_="weight"), for_="weight"),
        el("input", type="range", id="weight", min="0", max="1", step="0.01", value="0.6", list="weight-ticks",
           autocomplete="off"),
        el("datalist", [el("option", value=v, label=t) for v, t in (("0", "0"), ("0.6", "0.6 / 0.4"), ("1", "1"))],
           id="weight-ticks"),
        el("div", el("span", "harmonization only"), el("button", "0.6 / 0.4", type="button", id="weight-tick"),
           el("span", "signal only"), class_="ends"),
        class_="slider",
    )  # fmt: skip
    sweep: Child
    if board.sweep is None:
        sweep = el(
            "p", "Not drawn: it needs the controls shuffle and collapse, and replicates of every method.", class_="hint"
        )  # fmt: skip
    else:
        sweep = [slider, _plot("winners", "Which method is first at which weight"),
                 el("div", id="totals")]  # fmt: skip
    second = el("div", el("h3", "Weight sweep", words.button("sweep")), sweep, class_="panel")
    return section("goals", "Two goals, no total", None, el("div", pareto, second, class_="columns"))


def distributions(evidence: Evidence, words: Definitions) -> Safe:
    """Histograms of one feature before and after."""
    title = "Distributions, before and after"
    if not evidence.tables:
        why = evidence.absent.get("distributions", "This page was built from a board alone, without its run folders.")
        return section("distributions", title, None, el("p", why, class_="hint"))
    wanted = ("method", "Method"), ("map", "Map"), ("feature", "Feature"), ("order", "Order features by")
    choices = el("div", [_select(f"dist-{key}", label) for key, label in wanted], class_="choices")
    return section(
        "distributions", title, words.button("distributions"), choices, el("div", id="dist-legend", class_="keys"),
        _plot("dist", "Histograms of the chosen feature by manufacturer, before and after", role="group"),
    )  # fmt: skip


def reliability(evidence: Evidence, words: Definitions) -> Safe:
    """Reliability diagram."""
    if not any(m.reliability for m in evidence.methods.values()):
        why = evidence.absent.get("reliability", "No predicted probabilities were stored.")
        return section("reliability", "Reliability", None, el("p", why, class_="hint"))
    return section(
        "reliability", "Reliability", words.button("reliability"),
        el("div", _select("rel-method", "Method"), _select("rel-other", "Beside"), class_="choices"),
        el("div", id="rel-legend", class_="keys"),
        _plot("rel", "Observed share of positives against predicted probability, by manufacturer"),
        el("details", el("summary", "The points as a table"), el("div", id="rel-table", class_="scroll", tabindex="0",
           role="region", aria_label="Points of the reliability diagram")),
    )  # fmt: skip


def pictures(board: Board, evidence: Evidence, words: Definitions) -> Safe:
    """Kernels, and example images by manufacturer."""
    kernels = [
        el("figure", el("img", src=k.picture, alt=f"{k.count} kernels of {method}"),
           el("figcaption", el("b", method), f": {k.count} kernels of {k.shape[0]} × {k.shape[1]}"))
        for method, k in evidence.kernels.items()
    ]  # fmt: skip
    makers = list(board.data["counts"])
    parts: list[Child] = []
    if kernels:
        parts += [el("h3", "Kernels", words.button("kernels")), el("div", kernels, class_="kernels")]
    if evidence.examples:
        blocks = [_block(method or "original image", evidence, method, makers) for method in evidence.examples]
        parts += [el("h3", "Example images", words.button("examples")), el("div", blocks, class_="examples")]
    elif "examples" in evidence.absent:
        parts.append(el("p", evidence.absent["examples"], class_="hint"))
    if not parts:
        parts.append(el("p", "No method here filters images.", class_="hint"))
    return section("pictures", "Kernels and filtered images", None, parts)


def _block(title: str, evidence: Evidence, method: str, makers: list[str]) -> Safe:
    found = sorted(
        evidence.examples[method],
        key=lambda e: makers.index(e.manufacturer) if e.manufacturer in makers else len(makers),
    )
    lines: list[Child] = [el("p", note, class_="hint") for note in sorted({e.note for e in found if e.note})]
    for one in dict.fromkeys(e.map for e in found):
        shown = [
            el(
                "figure",
                el("img", src=e.picture, alt=" ".join(part for part in (title, one, e.manufacturer) if part)),
                el("figcaption", e.manufacturer),
            )
            for e in found
            if e.map == one
        ]
        lines += [el("p", one, class_="hint") if one else None, el("div", shown, class_="pair")]
    return el("div", el("h4", title), lines, class_="example")
