"""The part of the page that says which features and kernels carry the label, and what they go with."""

from __future__ import annotations

from collections.abc import Sequence

from harmbench.leaderboard.interpretation import Interpretation, MethodInterpretation, Part
from harmbench.leaderboard.interpretation_files import LABEL, PAIR_HEAD, PART_HEAD, pair_line, part_line, strongest
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.page.definitions import Definitions
from harmbench.leaderboard.page.evidence import Evidence
from harmbench.leaderboard.page.markup import Safe, el, name_of, text
from harmbench.leaderboard.page.sections import section
from harmbench.leaderboard.render import number

TOP = 10
"""Rows of each table; interpretation.json and its CSV files have all."""
MANY = 20
"""Beyond so many methods those that are not ranked are folded away."""
TITLE = "Which features and kernels"
OFTEN = 0.5
WORD = {"feature": "Features", "map": "Kernels (maps)", "class": "Feature classes"}


def interpretation(board: Board, evidence: Evidence, words: Definitions) -> Safe:
    """An overview, a row per method, and what is known of each method behind its name."""
    found = evidence.interpretation
    if found is None or not found.methods:
        why = next(iter(found.absent.values()), "") if found else ""
        hint = el("p", why or evidence.absent.get("interpretation", "This page was made without run folders."),
                  class_="hint")  # fmt: skip
        return section("interpretation", TITLE, None, hint)
    known = {one.method: one for one in found.methods}
    sections = {row.method: row.section for row in board.rows}
    order = [known[row.method] for row in board.rows if row.method in known]
    told = [one for one in order if one.of("feature")]
    first = [one for one in told if len(told) <= MANY or sections[one.method] == "ranked"]
    rest = [one for one in told if one not in first]
    more = el(
        "details", el("summary", f"{len(rest)} more: what is not ranked"), [_method(one, found, words) for one in rest]
    )
    details = [[_method(one, found, words) for one in first], more if rest else None]
    return section("interpretation", TITLE, words.button("shap"), _overview(order, found, words), details)


def _overview(methods: Sequence[MethodInterpretation], found: Interpretation, words: Definitions) -> Safe:
    maps = any(len(one.of("map")) > 1 for one in methods)
    given = [n for n in found.definitions if any(_value(one, n) is not None for one in methods)]
    head = [
        el("th", "Method", scope="col"),
        el("th", "Kept in half of the folds", words.button("shap"), scope="col"),
        el("th", "Leading kernel", words.button("shap"), scope="col") if maps else None,
        el("th", "Leading class", words.button("shap"), scope="col"),
        el("th", "Strongest covariate within manufacturer and label", words.button("covariates"), scope="col"),
        [el("th", found.definitions[n].label, words.button(n), scope="col") for n in given],
    ]
    lines = []
    for one in methods:
        often = sum(part.frequency >= OFTEN for part in one.of("feature"))
        cells = [
            el("td", str(often)),
            el("td", _leader(one.of("map"))) if maps else None,
            el("td", _leader(one.of("class"))),
            el("td", _covariate(one)),
            [el("td", number(_value(one, n), 2), _note(one, n)) for n in given],
        ]
        lines.append(el("tr", el("th", name_of(one.method), scope="row"), cells, class_=f"role-{one.role}"))
    return _table("What leads, and how far folds agree, by method", el("tr", head), lines)


def _note(one: MethodInterpretation, metric: str) -> Safe | None:
    """What the figure rests on: one of few pairs of folds says little."""
    note = one.stability[metric].note if metric in one.stability else ""
    return el("small", note, class_="rests") if note else None


def _value(one: MethodInterpretation, metric: str) -> float | None:
    return one.stability[metric].value if metric in one.stability else None


def _leader(parts: Sequence[Part]) -> str:
    kept = [part for part in parts if part.kept]
    if not kept:
        return "–"
    first = max(kept, key=lambda part: part.share)
    return f"{first.name} ({100 * first.share:.0f} %)"


def _covariate(one: MethodInterpretation) -> str:
    """The pair with the smallest q inside the label, where it is below 0.05."""
    sure = [r for r in one.correlations if r.within == LABEL and r.q_value is not None and r.q_value < 0.05]
    if not sure:
        return "none shown" if one.correlations else "–"
    first = min(sure, key=lambda r: (r.q_value or 0.0, -abs(r.rho or 0.0)))
    return f"{first.covariate}: {number(first.rho, 2)} ({first.feature})"


def _method(one: MethodInterpretation, found: Interpretation, words: Definitions) -> Safe:
    tables: list[Safe] = []
    for level, title in WORD.items():
        kept = [part for part in one.of(level) if part.kept]
        if not kept or (level == "map" and len(one.of("map")) == 1):
            continue
        lines = [_line(part_line(part)) for part in kept[:TOP]]
        tables.append(_table(_caption(title, len(kept), one.method), _head(PART_HEAD, words.button("shap")), lines))
    pairs = strongest(one)
    if pairs:
        lines = [_line(pair_line(*pair)) for pair in pairs[:TOP]]
        head = _head(PAIR_HEAD, words.button("covariates"))
        tables.append(_table(_caption("Features and covariates", len(pairs), one.method), head, lines))
    hint = el("p", f"Direction above 0: larger values speak for {found.classes[1]}.", class_="hint")
    notes = el("ul", [el("li", note) for note in one.notes]) if one.notes else None
    return el("details", el("summary", name_of(one.method)), hint, tables, notes)


def _caption(title: str, total: int, method: str) -> str:
    return f"{title} of {method}" + (f", first {TOP} of {total}" if total > TOP else "")


def _head(titles: Sequence[str], button: Safe) -> Safe:
    """Headings; the button that explains all of them stands at the first."""
    return el("tr", [el("th", title, None if i else button, scope="col") for i, title in enumerate(titles)])


def _line(cells: Sequence[str]) -> Safe:
    return el("tr", el("th", cells[0], scope="row"), [el("td", cell) for cell in cells[1:]])


def _table(caption: str, head: Safe, lines: Sequence[Safe]) -> Safe:
    table = el("table", el("caption", caption), el("thead", head), el("tbody", text(lines)), class_="transfer")
    return el("div", table, class_="scroll", role="region", tabindex="0", aria_label=caption)
