"""Cells of several run folders: which of them make up a method's row, and what keeps them apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harmbench.errors import UsageError
from harmbench.run.recompute import differences
from harmbench.run.store import RunFolder
from harmbench.run.tied import STATE

Record = Mapping[str, Any]
Cells = dict[int, tuple[RunFolder, dict[str, Any]]]
"""Repeat to folder and record."""
SHOWN = 3


def distinct(folders: Sequence[Path]) -> list[Path]:
    """The folders, each once however often and by whatever path it was given."""
    return list({Path(folder).resolve(): Path(folder) for folder in reversed(folders)}.values())[::-1]


def own_cells(run: RunFolder, keys: Sequence[str], notes: list[str]) -> dict[str, dict[int, dict[str, Any]]]:
    """The cells of one folder by method and repeat, those of one state of each method's code.

    Of a method that was recorded in several states (its code changed in between) the one that `keys` names counts, or
    else the last one.
    """
    by_method: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in run.records().values():
        by_method[record["method"]].append(record)
    found = {}
    for method, records in by_method.items():
        last = next((r for r in reversed(records) if r["key"] in keys), records[-1])
        own = [r for r in records if _whole_state(r) == _whole_state(last)]
        if len(own) < len(records):
            notes.append(f"Of '{method}' earlier cells, made by other code or parameters, are left out.")
        own.sort(key=lambda r: r["key"] in keys)  # stable: what `keys` names comes last, and counts
        found[method] = {r["repeat"]: r for r in own}
    return found


def joined(
    method: str, parts: Sequence[tuple[RunFolder, Mapping[int, dict[str, Any]]]], cost: Sequence[str], notes: list[str]
) -> Cells:
    """The cells of a method's row.

    Parameters
    ----------
    method : str
    parts : sequence of (folder, repeat to record)
        A cell that ran counts before one that failed, and the first folder's before others that are equal.
    cost : sequence of str
        Metrics that differ from run to run (times, memory).
    notes : list of str
        Gets what a reader must know.

    Raises
    ------
    UsageError
        Two folders give one cell other figures, or repeats come from different states of the method.
    """
    found: Cells = {}
    for run, cells in parts:
        for repeat, record in cells.items():
            if repeat not in found:
                found[repeat] = (run, record)
                continue
            other, before = found[repeat]
            ran, had = record["status"] == "ok", before["status"] == "ok"
            if ran and had:
                _refuse_other_figures(method, repeat, (other, before), (run, record), cost)
            elif ran:
                found[repeat] = (run, record)
            if ran is not had:
                status = (before if ran else record)["status"]
                notes.append(f"'{method}' did not run in one folder ({status}); its figures come from another.")
    states: dict[str, tuple[int, RunFolder]] = {}
    for repeat, (run, record) in sorted(found.items(), key=lambda item: item[0]):
        states.setdefault(_words(record), (repeat, run))
    if len(states) > 1:
        where = "; ".join(f"repeat {repeat} in {run.path} of {words}" for words, (repeat, run) in states.items())
        raise UsageError(
            f"The repeats of '{method}' come from different states of it: {where}. Run it again in one folder."
        )
    return found


def _refuse_other_figures(
    method: str, repeat: int, one: tuple[RunFolder, Record], other: tuple[RunFolder, Record], cost: Sequence[str]
) -> None:
    a, b = ([m for m in run.metrics(record["key"]) if m.metric not in cost] for run, record in (one, other))
    if wrong := differences(a, b, ("there", "here"), notes="where both"):
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise UsageError(
            f"'{method}', repeat {repeat}, has other figures in {other[0].path} than in {one[0].path}: "
            f"{'; '.join(wrong[:SHOWN])}{more}. Leave one of them out."
        )


def _whole_state(record: Record) -> list[Any]:
    """Everything of a record's stages that its key covers."""
    return [[stage[k] for k in (*STATE, "requires", "package")] for stage in record["stages"]]


def _words(record: Record) -> str:
    found = []
    for stage in record["stages"]:
        params = ", ".join(f"{k}={v}" for k, v in stage["params"].items()) or "no parameters"
        found.append(f"{stage['name']} {stage['version']} ({params}; code {stage['code'] or 'unknown'})")
    return "+".join(found)
