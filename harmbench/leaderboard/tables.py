"""Comparisons and changes as tables: rows of texts for a terminal, and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harmbench.leaderboard.auc_tests import Test
from harmbench.leaderboard.compare import Change, Comparison, Difference
from harmbench.leaderboard.diff import Changes
from harmbench.leaderboard.render import escape, markdown_table, number

HEAD = ("Metric", "Where", "A", "B", "A − B [95 %]", "Better")
TESTS: tuple[tuple[str, Callable[[Difference], Test | None]], ...] = (
    ("DeLong p", lambda d: d.delong),
    ("Folds p", lambda d: d.over_folds),
)
"""Columns that are there when a line of the comparison has such a test."""
TITLES = {"overall": "Overall", "manufacturer": "Per manufacturer", "class": "Per feature class"}
_LONG = 60

Table = tuple[str, Sequence[str], list[list[str]]]
"""Title, headings, lines."""


def comparison_tables(found: Comparison) -> list[Table]:
    """One table per level, then what differs besides the figures."""
    tables: list[Table] = []
    tests = [(name, of) for name, of in TESTS if any(of(d) for d in found.differences)]
    head = (*HEAD, *(name for name, _ in tests))
    for scope, title in TITLES.items():
        lines = [[*_line(d), *(_p(of(d)) for _, of in tests)] for d in found.differences if d.scope == scope]
        if lines:
            tables.append((title, head, lines))
    for title, changed in (("Settings", found.settings), ("Method", found.method), ("Environment", found.environment)):
        if changed:
            tables.append((f"{title}: what differs", ("What", "A", "B"), [_change(c) for c in changed]))
    return tables


def comparison_notes(found: Comparison) -> list[str]:
    """What a reader must know of the tables."""
    if found.paired:
        notes = ["Paired: both sides have the same resamples of the same patients."]
    else:
        notes = [f"NOT PAIRED: {'; '.join(found.unpaired_because)}. Intervals are those of independent samples."]
    if any((v is not None and v < 0) for d in found.differences if d.goal == "harmonization" for v in (d.a, d.b)):
        notes.append("Differences count a JSD below 0 as 0, as ranks do: nothing is more alike than equal.")
    if any(d.over_folds for d in found.differences):
        notes.append("Folds p: Nadeau and Bengio's corrected t-test over folds and repeats, of AUCs inside each fold.")
    if found.as_recorded:
        notes.append(
            f"Figures of {' and '.join(found.as_recorded)} are as recorded; harmbench leaderboard validate works them "
            "out anew."
        )
    notes += [f"Not compared: {text}." for text in found.refused]
    notes += [f"{d.label}: {d.note}." for d in found.differences if d.note and d.scope == "overall"]
    return notes


def _line(d: Difference) -> list[str]:
    span = f" [{number(d.low)}, {number(d.high)}]" if d.low is not None and d.high is not None else ""
    return [d.label, d.place, number(d.a), number(d.b), f"{number(d.difference)}{span}", d.better]


def _p(test: Test | None) -> str:
    if test is None:
        return ""
    return f"{test.p_value:.3f}" if test.p_value >= 0.001 else "< 0.001"


def _change(change: Change) -> list[str]:
    return [change.what, *(_short(v) for v in (change.a, change.b))]


def _short(value: object) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def diff_tables(found: Changes) -> list[Table]:
    """What changed from one board to another."""
    tables: list[Table] = []
    if found.added or found.removed:
        lines = [[m, "added"] for m in found.added] + [[m, "removed"] for m in found.removed]
        tables.append(("Rows", ("Method", "Change"), lines))
    if found.standings:
        standing = [[s["method"], _standing(s["old"]), _standing(s["new"])] for s in found.standings]
        tables.append(("Standings", ("Method", "Old", "New"), standing))
    if found.figures:
        figures = [
            [f["method"], f["metric"], f["place"], number(f["old"], 6), number(f["new"], 6), ", ".join(f["changed"])]
            for f in found.figures
        ]
        tables.append(("Figures", ("Method", "Metric", "Where", "Old", "New", "What changed"), figures))
    return tables


def diff_notes(found: Changes) -> list[str]:
    """What stands beside the tables of a diff."""
    notes = [] if found.any else ["Nothing changed."]
    if found.different:
        notes.append(f"The boards do not belong together; they differ in: {', '.join(found.different)}.")
    notes += [f"New warning: {w}" for w in found.warnings_added]
    notes += [f"No longer warned: {w}" for w in found.warnings_removed]
    if found.not_compared:
        notes.append(f"Measured anew by every run, not compared: {', '.join(found.not_compared)}.")
    return notes


def _standing(standing: dict[str, object]) -> str:
    rank = standing["rank"]
    place = "" if not isinstance(rank, list) else f" {rank[0]}–{rank[1]}" if rank[0] != rank[1] else f" {rank[0]}"
    reason = f" ({standing['reason']})" if standing["reason"] else ""
    return f"{standing['section']}{place}{reason}"


def markdown(title: str, tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Tables and notes as Markdown."""
    out = [f"# {escape(title)}", ""]
    for name, head, lines in tables:
        out += [f"## {escape(name)}", "", *markdown_table(head, lines), ""]
    return "\n".join([*out, *(f"- {escape(note)}" for note in notes), ""])
