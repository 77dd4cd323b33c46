"""Results of the kit as a table for people, as Markdown and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harmbench.testing.model import Result

ORDER = ("failed", "unexpected pass", "expected failure", "passed", "not applicable")


def counts(results: Sequence[Result]) -> str:
    """Such as "17 passed, 3 not applicable"."""
    number: Counter[str] = Counter(r.status for r in results)
    plural = {"expected failure": "expected failures", "unexpected pass": "unexpected passes"}
    parts = [f"{n} {plural.get(s, s) if n > 1 else s}" for s in ORDER if (n := number[s])]
    return ", ".join(parts) or "nothing was checked"


def as_text(results: Sequence[Result]) -> str:
    """One line per check, under its component; a long reason that many checks share is told once."""
    lines: list[str] = []
    for name in dict.fromkeys(r.subject for r in results):
        own = [r for r in results if r.subject == name]
        width = max(len(r.title) for r in own)
        if len({r.reason for r in own}) == 1 and own[0].status == "not applicable":
            lines += [f"{name}: no check applies: {own[0].reason}", ""]
            continue
        lines.append(f"{name}: {counts(own)}")
        told: dict[str, str] = {}
        for r in own:
            first = told.setdefault(r.reason, r.check)
            reason = r.reason if first == r.check else f"as {first}"
            lines.append(f"  {r.check:<6} {r.title:<{width}}  {r.status}" + (f": {reason}" if r.reason else ""))
        lines.append("")
    return "\n".join(lines)


def as_markdown(results: Sequence[Result]) -> str:
    """A table per component."""
    lines: list[str] = []
    for name in dict.fromkeys(r.subject for r in results):
        own = [r for r in results if r.subject == name]
        lines += [f"## {_cell(name)}", "", counts(own) + ".", "", "| check | what | result | reason |"]
        lines += ["|---|---|---|---|"]
        lines += [f"| {r.check} | {_cell(r.title)} | {r.status} | {_cell(r.reason)} |" for r in own]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Everything, for programs."""
    return {"results": [asdict(r) for r in results], "failed": sum(r.bad for r in results)}
