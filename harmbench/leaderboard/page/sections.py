"""The parts of the page below the main table that need no script."""

from __future__ import annotations

from harmbench.leaderboard import render
from harmbench.leaderboard.model import Board, Row
from harmbench.leaderboard.page.columns import figure_cell
from harmbench.leaderboard.page.definitions import Definitions
from harmbench.leaderboard.page.evidence import Evidence
from harmbench.leaderboard.page.markup import Child, Safe, el, name_of, text
from harmbench.leaderboard.page.qc import checks
from harmbench.leaderboard.render import number, with_interval

HEAT_STEPS = 10
LOMO = ("auc_lomo", "balanced_accuracy_lomo")


def section(key: str, title: str, info: Safe | None, *children: Child) -> Safe:
    """A titled part of the page that links can lead to."""
    return el("section", el("h2", title, info, id=f"{key}-title"), children, id=key, aria_labelledby=f"{key}-title")


def summary(board: Board, words: Definitions) -> Safe:
    """The head of the page: what was compared on what, and the finding in a sentence."""
    data = board.data
    counts = "; ".join(
        f"{maker} {sum(by.values())} ({', '.join(f'{n} {label}' for label, n in by.items())})"
        for maker, by in data["counts"].items()
    )
    facts = [
        ("Benchmark", f"{board.benchmark} {board.benchmark_version}"),
        ("Data", f"{data['name']}, revision {data['revision']}"),
        ("Patients", f"{data['patients']} ({data['images']} images)"),
        (f"By {data['batch_unit']}", counts),
        ("Positive class", data["classes"][1]),
        ("Split", f"{board.split_digest}, seed {board.seed}"),
        ("Built", f"{board.built[:10]}, harmbench {board.harmbench}"),
    ]
    return text([
        el("p", "SYNTHETIC DATA. ", "Simulated images: what wins here has won on a simulation.", class_="synthetic",
           role="note") if board.synthetic else None,
        el("p", finding(board), words.button("rank"), class_="finding"),
        el("dl", [el("div", el("dt", k), el("dd", v)) for k, v in facts], class_="facts"),
    ])  # fmt: skip


def finding(board: Board) -> str:
    """What the ranking says, without more certainty than the data give."""
    gate, goal = (board.definitions[board.ranking[k]].label for k in ("gate", "goal"))
    ranked = board.of("ranked")
    others = [row for row in ranked if row.method != "none"]
    below = len(board.of("below the gate"))
    if not ranked:
        return "No method could be ranked; the reasons stand in the table."
    if not others:
        return f"No method but none is shown to keep the signal ({gate}); {below} are below the gate."
    best, reference = ranked[0], board.row("none")
    tied = [row.method for row in ranked[1:] if row.rank is not None and row.rank[0] == 1]
    words = f"{best.method} has the best {goal} of the methods shown to keep the signal: "
    words += with_interval(best.overall.get(board.ranking["goal"]))
    if reference is not None and best.method != "none":
        words += f", against {with_interval(reference.overall.get(board.ranking['goal']))} of none"
    words += f". The data cannot tell it from {', '.join(tied)}." if tied else "."
    return words + (f" {below} {'is' if below == 1 else 'are'} below the gate." if below else "")


def classes(board: Board, evidence: Evidence, words: Definitions) -> Safe:
    """JSD per feature class: a table per pair of manufacturers, coloured."""
    rows = [r for r in board.rows if evidence.methods.get(r.method) and evidence.methods[r.method].classes]
    if not rows:
        why = evidence.absent.get("classes", "The runs were not scored by the evaluator jsd.")
        return section("classes", "JSD by feature class", None, el("p", why, class_="hint"))
    pairs = list(dict.fromkeys(pair for r in rows for pair in evidence.methods[r.method].classes))
    names = list(dict.fromkeys(c for r in rows for by in evidence.methods[r.method].classes.values() for c in by))
    known = [
        v for r in rows if r.role == "method" for by in evidence.methods[r.method].classes.values()
        for v in by.values() if v is not None
    ]  # fmt: skip
    top = max([0.01, *known])
    choice = el(
        "label", "Pair of manufacturers ",
        el("select", [el("option", pair.replace("|", " – "), value=str(i)) for i, pair in enumerate(pairs)],
           id="pair", autocomplete="off"), class_="choice", hidden=len(pairs) == 1,
    )  # fmt: skip
    tables = [_heat(i, pair, rows, names, evidence, top) for i, pair in enumerate(pairs)]
    legend = el(
        "p", el("span", "0 or less"), " ", [el("span", "", class_=f"swatch heat-{i}") for i in range(HEAT_STEPS + 1)],
        " ", el("span", f"{number(top)} or more"), class_="legend", aria_hidden="true",
    )  # fmt: skip
    return section("classes", "JSD by feature class", words.button("classes"), choice, tables, legend)


def _heat(number_: int, pair: str, rows: list[Row], names: list[str], evidence: Evidence, top: float) -> Safe:
    head = el("tr", el("th", "Method", scope="col"), [el("th", name, scope="col") for name in names])
    lines = []
    for row in rows:
        values = evidence.methods[row.method].classes.get(pair, {})
        cells = []
        for name in names:
            value = values.get(name)
            step = None if value is None else round(HEAT_STEPS * min(max(value / top, 0), 1))
            cells.append(el("td", number(value), class_=None if step is None else f"heat-{step}"))
        lines.append(el("tr", el("th", name_of(row.method), scope="row"), cells, class_=f"role-{row.role}"))
    table = el(
        "table", el("caption", f"JSD within labels, {pair.replace('|', ' – ')}"), el("thead", head),
        el("tbody", lines), class_="heat",
    )  # fmt: skip
    return el(
        "div", table, class_="scroll", role="region", tabindex="0", data_pair=str(number_),
        aria_label=f"JSD by feature class, {pair.replace('|', ' – ')}",
    )  # fmt: skip


def transfer(board: Board, words: Definitions) -> Safe:
    """Who was trained on whom, and what came of it on the manufacturer left out."""
    metrics = [name for name in LOMO if name in board.definitions]
    makers = list(board.data["counts"])
    rows = [r for r in board.rows if any(r.manufacturer.get(m) for m in metrics) or _refused(r)]
    if not metrics or not rows:
        hint = el("p", "The benchmark leaves no manufacturer out.", class_="hint")
        return section("transfer", "Leave one manufacturer out", words.button("transfer"), hint)
    gate = board.ranking["gate"]
    shown = [*metrics, *([gate] if gate == "auc_within" else [])]
    first = [el("th", "Method", scope="col", rowspan="2")]
    second = []
    for maker in makers:
        trained = ", ".join(m for m in makers if m != maker)
        first.append(el("th", f"{trained} → {maker}", scope="colgroup", colspan=len(shown)))
        for name in shown:
            title = "Cross-validated" if name == gate else board.definitions[name].label
            second.append(el("th", title, words.button("transfer" if name == gate else name), scope="col"))
    lines = []
    for row in rows:
        cells = []
        for maker in makers:
            reason = row.not_applicable.get(f"lomo-{maker}")
            for name in shown:
                figure = row.manufacturer.get(name, {}).get(maker)
                inside: Child = figure_cell(figure)
                if (figure is None or figure.value is None) and name != gate and reason:
                    inside = el("span", "n/a", title=reason)
                cells.append(el("td", inside))
        lines.append(el("tr", el("th", name_of(row.method), scope="row"), cells, class_=f"role-{row.role}"))
    table = el(
        "table", el("caption", "Trained on → tested on"), el("thead", el("tr", first), el("tr", second)),
        el("tbody", lines), class_="transfer",
    )  # fmt: skip
    box = el("div", table, class_="scroll", role="region", tabindex="0", aria_label="Leave one manufacturer out")
    reasons = [(r.method, k.removeprefix("lomo-"), v) for r in rows for k, v in r.not_applicable.items()
               if k.startswith("lomo-")]  # fmt: skip
    why = el(
        "details", el("summary", f"Not applicable: {len(reasons)}"),
        el("ul", [el("li", f"{method}, {maker}: {reason}") for method, maker, reason in reasons]),
    ) if reasons else None  # fmt: skip
    return section("transfer", "Leave one manufacturer out", words.button("transfer"), box, why)


def _refused(row: Row) -> bool:
    return any(k.startswith("lomo-") for k in row.not_applicable)


def quality(board: Board, evidence: Evidence, words: Definitions) -> Safe:
    """Checks of controls and canaries, failures, warnings, and what is missing from the page."""
    sign = {"holds": "✓", "fails": "✗", "unknown": "?"}
    lines = [
        el("tr", el("td", el("span", f"{sign[c.verdict]} {c.verdict}", class_=f"badge {c.verdict}")),
           el("th", _code(c.claim), scope="row"), el("td", c.figures))
        for c in checks(board)
    ]  # fmt: skip
    table = el(
        "table", el("caption", "What must hold"),
        el("thead", el("tr", [el("th", t, scope="col") for t in ("Verdict", "Claim", "Figures")])),
        el("tbody", lines), class_="checks",
    )  # fmt: skip
    lost = [el("li", el("b", r.method), f": {r.status}. {r.reason}") for r in board.of("not run")]
    audits = [
        el("li", el("b", r.method), ": ", ", ".join(k.replace("_", " ") for k, found in r.audit.items() if found))
        for r in board.rows if any(r.audit.values())
    ]  # fmt: skip
    missing = [el("li", f"{part}: {why}") for part, why in evidence.absent.items()]
    return section(
        "quality", "Quality control", words.button("qc"),
        el("div", table, class_="scroll", role="region", tabindex="0", aria_label="What must hold"),
        _list("Did not run", lost), _list("Found by the audit", audits),
        _list("Notes and warnings", [el("li", w) for w in board.warnings]), _list("Not on this page", missing),
    )  # fmt: skip


def _list(title: str, items: list[Safe]) -> Safe | None:
    return text([el("h3", title), el("ul", items)]) if items else None


def _code(claim: str) -> Safe:
    """A claim whose `names` stand as code."""
    return text([el("code", part) if i % 2 else part for i, part in enumerate(claim.split("`"))])


def reading(board: Board) -> Safe:
    """How to read the table, in words."""
    lines = [el("li", _code(line)) for line in render.explanation(board)]
    return section("reading", "How to read this", None, el("ul", lines))
