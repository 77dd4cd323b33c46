"""Interpretation as JSON, as CSV, and as tables to print."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harmbench.leaderboard.interpretation import Correlation, Interpretation, MethodInterpretation, Part
from harmbench.leaderboard.render import csv_text, number
from harmbench.leaderboard.tables import Table
from harmbench.run.cache import write_atomically

NAME = "interpretation"
FILES = (f"{NAME}.json", *(f"{NAME}-{part}.csv" for part in ("importance", "covariates", "stability")))
IMPORTANCE = (
    "level", "name", "map", "feature_class", "folds", "kept", "frequency", "confirmed", "features", "shap", "share",
    "gap", "direction",
)  # fmt: skip
CORRELATION = tuple(name for name in Correlation.model_fields if name != "by_group")
LABEL = "manufacturer and label"
PART_HEAD = ("Name", "Kept", "Confirmed", "SHAP", "Share", "Gap", "Direction")
PAIR_HEAD = ("Feature", "Covariate", "Within manufacturer", "q", "Within manufacturer and label", "q")


def write(found: Interpretation, folder: Path) -> list[Path]:
    """Write all of `texts` to a folder."""
    contents = texts(found)
    for name, text in contents.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in contents]


def texts(found: Interpretation) -> dict[str, str]:
    """File name to content: `interpretation.json` (everything), and a CSV each of importance, covariates, stability."""
    stability = [
        (one.method, metric, figure.value, figure.note)
        for one in found.methods
        for metric, figure in one.stability.items()
    ]
    importance = [(one.method, *(getattr(part, c) for c in IMPORTANCE)) for one in found.methods for part in one.parts]
    groups = list(dict.fromkeys(g for one in found.methods for row in one.correlations for g in row.by_group))
    covariates = [
        (one.method, *(getattr(row, c) for c in CORRELATION), *(row.by_group.get(g) for g in groups))
        for one in found.methods
        for row in one.correlations
    ]
    return {
        f"{NAME}.json": found.model_dump_json(by_alias=True) + "\n",
        f"{NAME}-importance.csv": _csv(("method", *IMPORTANCE), importance),
        f"{NAME}-covariates.csv": _csv(("method", *CORRELATION, *(f"rho {g}" for g in groups)), covariates),
        f"{NAME}-stability.csv": _csv(("method", "metric", "value", "note"), stability),
    }


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(["" if c is None else csv_text(c) if isinstance(c, str) else c for c in row] for row in rows)
    return out.getvalue()


def method_tables(one: MethodInterpretation, top: int) -> list[Table]:
    """The features and maps that carry the label, and the covariates they go with.

    Parameters
    ----------
    one : MethodInterpretation
    top : int
        Rows of each table at most.
    """
    tables: list[Table] = []
    kept = {level: [part for part in one.of(level) if part.kept] for level in ("feature", "map", "class")}
    for level, title in (("feature", "Features"), ("map", "Maps"), ("class", "Feature classes")):
        chosen = kept[level][:top]
        if level == "map" and len(one.of("map")) == 1:
            continue
        if chosen:
            more = f", first {top} of {len(kept[level])}" if len(kept[level]) > top else ""
            tables.append((f"{title}{more}", PART_HEAD, [part_line(part) for part in chosen]))
    rows = strongest(one)
    if rows:
        more = f", first {top} of {len(rows)}" if len(rows) > top else ""
        tables.append((f"Covariates{more}", PAIR_HEAD, [pair_line(*pair) for pair in rows[:top]]))
    return tables


def strongest(one: MethodInterpretation) -> list[tuple[Correlation, Correlation | None]]:
    """Feature and covariate within manufacturer, with the same within label; the smallest q first."""
    inside = {(r.feature, r.covariate): r for r in one.correlations if r.within == LABEL}
    rows = [
        (r, inside.get((r.feature, r.covariate))) for r in one.correlations if r.within != LABEL and r.rho is not None
    ]
    return sorted(rows, key=lambda pair: (1.0 if pair[0].q_value is None else pair[0].q_value, -abs(pair[0].rho or 0)))


def method_notes(one: MethodInterpretation, found: Interpretation) -> list[str]:
    """Stability, and what could not be done."""
    notes = []
    for metric, figure in one.stability.items():
        definition = found.definitions[metric]
        text = (number(figure.value) if figure.value is not None else "not known") + (
            f" ({figure.note})" if figure.note else ""
        )
        notes.append(f"{definition.label}: {text}")
    return notes + [f"Note: {text}." for text in one.notes]


def part_line(part: Part) -> list[str]:
    """In the order of `PART_HEAD`."""
    return [
        part.name, f"{part.kept}/{part.folds}", f"{part.confirmed}/{part.folds}", number(part.shap),
        f"{100 * part.share:.0f} %", number(part.gap), number(part.direction, 2),
    ]  # fmt: skip


def pair_line(row: Correlation, inside: Correlation | None) -> list[str]:
    """In the order of `PAIR_HEAD`."""
    return [row.feature, row.covariate, *_with_q(row), *(_with_q(inside) if inside else ["–", "–"])]


def _with_q(row: Correlation) -> list[str]:
    if row.rho is None:
        return ["–", "–"]
    q = "–" if row.q_value is None else "< 0.001" if row.q_value < 0.001 else f"{row.q_value:.3f}"
    return [f"{number(row.rho, 2)} [{number(row.low, 2)}, {number(row.high, 2)}]", q]
