"""What opens beside the page: a card per method, and the drawer of provenance."""

from __future__ import annotations

import json
from typing import Any

from harmbench.leaderboard.model import Board, Row, Run
from harmbench.leaderboard.page.markup import Child, Safe, el, text

MAIN = ("harmbench", "numpy", "scipy", "pandas", "scikit-learn", "xgboost", "xgboost-cpu", "torch", "SimpleITK")


def method_cards(board: Board) -> Safe:
    """One popover per method, opened by its name in the table."""
    return text(_card(row, i) for i, row in enumerate(board.rows))


def _card(row: Row, number: int) -> Safe:
    stages = [
        el("li", el("b", s["name"]), f" {s['version']}, {s['stage']} stage, {s['distribution']}",
           _params(s["params"]), _pretrained(s.get("pretrained_on", [])))
        for s in row.stages
    ]  # fmt: skip
    facts: list[tuple[str, Child]] = [
        ("Status", f"{row.status}; {row.section}"),
        ("Why", row.reason or None),
        ("Features", str(row.features)),
        ("Audit", ", ".join(f"{k.replace('_', ' ')}: {'yes' if v else 'no'}" for k, v in row.audit.items()) or None),
        ("Cells", ", ".join(row.cells) or None),
    ]
    facts += [(f"Not applicable, {k}", v) for k, v in row.not_applicable.items()]
    facts += [
        (f"Trained on, {p['stage']}", f"{p['source'] or 'not known'}; {p['seen_patients']} of {p['test_patients']} "
                                      "test patients were among it")
        for p in row.pretraining
    ]  # fmt: skip
    key = f"method-{number}"
    close = el("button", "Close", type="button", popovertarget=key, popovertargetaction="hide")
    body = el("dl", [el("div", el("dt", k), el("dd", v)) for k, v in facts if v], class_="facts")
    return el("div", el("h3", row.method), el("ol", stages), body, close, id=key, popover="auto", class_="card",
              role="note")  # fmt: skip


def _params(params: dict[str, Any]) -> Safe | None:
    if not params:
        return None
    return el("ul", [el("li", el("code", f"{k} = {json.dumps(v)}")) for k, v in params.items()], class_="params")


def _pretrained(names: list[str]) -> Safe | None:
    return el("p", f"Trained before on: {', '.join(names)}") if names else None


def provenance(board: Board) -> Safe:
    """The drawer: digests, settings, and for each run its versions, hardware and plugins."""
    settings = board.settings
    parts = [("Data set", settings["dataset"]), ("Extractor", settings["extractor"])]
    parts += [("Evaluator", e) for e in settings["evaluators"]]
    lines = [
        el("div", el("dt", title), el("dd", f"{part['name']} {part['version']}", _params(part["params"])))
        for title, part in parts
    ]  # fmt: skip
    lines += [
        el("div", el("dt", title), el("dd", _params(settings[key])))
        for title, key in (("Splits", "splits"), ("Uncertainty", "uncertainty"))
    ]
    lines.append(el("div", el("dt", "Ranking"), el("dd", _params(board.ranking))))
    figures = "every figure worked out anew from stored features and predictions" if board.rebuilt else "as recorded"
    lines.append(el("div", el("dt", "Figures"), el("dd", figures)))
    lines.append(el("div", el("dt", "Data revision"), el("dd", el("code", str(board.data["revision"])))))
    lines.append(el("div", el("dt", "Split digest"), el("dd", el("code", board.split_digest))))
    close = el("button", "Close", type="button", popovertarget="provenance", popovertargetaction="hide")
    return el(
        "div", el("div", el("h2", "Provenance"), close, class_="drawer-head"), el("dl", lines, class_="facts"),
        [_run(run, i) for i, run in enumerate(board.runs)], id="provenance", popover="auto", class_="drawer",
        role="complementary", aria_label="Provenance",
    )  # fmt: skip


def _run(run: Run, number: int) -> Safe:
    found: list[Child] = [el("h3", f"Run {number + 1}"), el("p", f"harmbench {run.harmbench}, ended {run.finished}")]
    found.append(el("p", "Methods: ", ", ".join(run.methods)))
    found.append(_details("Digests of code", [f"{k}: {v}" for k, v in run.code.items()]))
    found.append(_details("Required", [f"{k}: {v}" for k, v in run.requires.items()]))
    for i, e in enumerate(run.environment):
        git = ", ".join(f"{k} {v}" for k, v in (e.get("git") or {}).items())
        facts = [
            f"{k}: {e[k]}" for k in ("python", "platform", "processor", "cores", "memory_gib", "started") if k in e
        ]
        facts += [f"git: {git}"] if git else []
        facts += [f"command: {' '.join(e.get('command', []))}"]
        found.append(_details(f"Call {i + 1}: machine and command", facts))
        plugins = [f"{p['name']}: {p['distribution']} {p['version']}" for p in e.get("plugins", [])]
        found.append(_details("Plugins", plugins + [f"NOT LOADED {p}" for p in e.get("plugin_failures", [])]))
        versions = e.get("distributions", {})
        first = [f"{k} {versions[k]}" for k in MAIN if k in versions]
        rest = [f"{k} {v}" for k, v in versions.items() if k not in MAIN]
        found.append(_details(f"{len(versions)} distributions", first + rest))
    return el("section", found)


def _details(title: str, lines: list[str]) -> Safe | None:
    return el("details", el("summary", title), el("ul", [el("li", el("code", x)) for x in lines])) if lines else None
