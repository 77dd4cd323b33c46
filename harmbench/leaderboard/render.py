"""A leaderboard as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from harmbench.leaderboard.model import Board, Definition, Figure, Row
from harmbench.run.cache import write_atomically

COLUMNS = ("Rank", "Method", "Gate", "JSD | label", "AUC within", "Worst AUC", "AUC pooled", "Manuf. AUC tree", "Time")


def number(value: float | None, digits: int = 3) -> str:
    """A figure for people; a dash where there is none, never "-0.000"."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def breakable(method: str) -> list[str]:
    """A method's name in parts between which a line may end: after `+`, `,` and `[`, rather than inside a word."""
    return re.split(r"(?<=[+,\[])", method)


def with_interval(figure: Figure | None, digits: int = 3) -> str:
    """Value and 95 % interval: `0.712 [0.640, 0.781]`."""
    if figure is None or figure.value is None:
        return "–"
    if figure.low is None or figure.high is None:
        return number(figure.value, digits)
    return f"{number(figure.value, digits)} [{number(figure.low, digits)}, {number(figure.high, digits)}]"


def below_zero(goal: Definition) -> str:
    """The sentence on values below which nothing is gained; "" where there are none."""
    return f"A {goal.label} below 0 counts as 0: no scanners are more alike than equal ones." if goal.least == 0 else ""


def rank(row: Row) -> str:
    """`1`, or `1–3` when the data cannot tell."""
    if row.rank is None:
        return ""
    best, worst = row.rank
    return str(best) if best == worst else f"{best}–{worst}"


def gate(row: Row) -> str:
    """Whether the signal was kept: the difference to `none` with its interval."""
    if row.difference is None or row.method == "none":
        return "reference" if row.method == "none" and row.difference is not None else ""
    point, low, high = (number(d) for d in row.difference)
    word = {"ranked": "pass", "below the gate": "not shown"}.get(row.section, "")
    return f"{word} Δ {point} [{low}, {high}]".strip()


def duration(seconds: float) -> str:
    """Seconds for people."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def cells(row: Row, board: Board) -> list[str]:
    """One line of the main table, in the order of `COLUMNS`."""
    signal, goal = board.ranking["gate"], board.ranking["goal"]
    worst = row.worst.get(signal, "")
    value = row.manufacturer.get(signal, {}).get(worst)
    time = sum(f.value or 0.0 for name, f in row.overall.items() if name.startswith("seconds_"))
    return [
        rank(row),
        row.method + (f" ({', '.join(row.flags)})" if row.flags else ""),
        gate(row),
        with_interval(row.overall.get(goal)),
        with_interval(row.overall.get(signal)),
        f"{worst} {number(value.value)}" if value else "–",
        number(row.overall.get("auc_pooled", Figure(value=None)).value),
        number(row.overall.get("manufacturer_auc_tree", Figure(value=None)).value),
        duration(time),
    ]


def headings(board: Board) -> list[str]:
    """The column headings, with the benchmark's own gate and goal."""
    names = list(COLUMNS)
    names[3] = board.definitions[board.ranking["goal"]].label
    names[4] = board.definitions[board.ranking["gate"]].label
    return names


def caption(board: Board) -> list[str]:
    """What the table is about, line by line."""
    data = board.data
    kind = "SYNTHETIC data" if board.synthetic else "data"
    counts = "; ".join(
        f"{m} {sum(by.values())} ({', '.join(f'{n} {label}' for label, n in by.items())})"
        for m, by in data["counts"].items()
    )
    extra = f" and {data['paired_images']} paired images" if data["paired_images"] else ""
    return [
        f"Benchmark {board.benchmark} {board.benchmark_version}, {kind}: {data['name']} (revision {data['revision']}).",
        f"{data['images']} images of {data['patients']} patients{extra}; {data['batch_unit']}: {counts}.",
        f"Positive class {data['classes'][1]}. Split {board.split_digest}, seed {board.seed}, "
        f"{board.settings['extractor']['name']} {board.settings['extractor']['version']}, harmbench {board.harmbench}.",
    ]


def explanation(board: Board) -> list[str]:
    """How to read the table, with the definitions of its figures and their versions."""
    signal, goal = board.definitions[board.ranking["gate"]], board.definitions[board.ranking["goal"]]
    margin = "minus that of none" if signal.direction == "max" else "of none minus the method's"
    better = {"min": "smaller", "max": "larger"}[goal.direction]
    shown = [goal, signal] + [
        board.definitions[n] for n in ("auc_pooled", "manufacturer_auc_tree") if n in board.definitions
    ]
    return [
        f"Gate: the lower 95 % bound of {signal.label} {margin} lies above −{board.ranking['delta']:g}. "
        f"Methods that pass are ordered by {goal.label} ({better} is better); a rank such as 1–3 means that the data "
        f"cannot tell them apart. {below_zero(goal)}".rstrip(),
        f"Worst AUC: the manufacturer with the worst {signal.label}, and its value.",
        "Intervals are 95 %, from patient bootstrap on out-of-fold values, the same resamples for every method.",
        *(f"{d.label} (version {d.version}): {d.definition}." for d in shown),
        "Time: CPU seconds of image stage and extraction over all images, plus fitting and applying over all folds.",
        origin(board),
    ]


def origin(board: Board) -> str:
    """Whether figures were rebuilt from stored predictions and features, and which were not."""
    recorded = [d.label for d in board.definitions.values() if d.recorded]
    if not board.rebuilt or len(recorded) == len(board.definitions):
        return "Figures are as the run recorded them; harmbench leaderboard build works them out anew."
    but = f", except {', '.join(recorded)}, which are as recorded" if recorded else ""
    return f"Figures were worked out anew from stored predictions and features, and equal the recorded ones{but}."


def sections(board: Board) -> list[tuple[str, list[Row]]]:
    """Titles and rows of the parts of the table that hold any."""
    parts = [
        ("Methods", board.of("ranked", "below the gate")),
        ("Transductive: fitted on all rows at once; a table of its own, in no rank", board.of("transductive")),
        ("Confounded: the manufacturer determines the label; nothing here can be ranked", board.of("confounded")),
        ("Not ranked", board.of("not ranked")),
        ("Controls and canaries (never ranked; they bound the scores)", board.of("control")),
    ]
    return [(title, rows) for title, rows in parts if rows]


def by_manufacturer(board: Board) -> tuple[list[str], list[list[str]]]:
    """Heading and lines of the table of goal and signal per manufacturer."""
    signal, goal = board.ranking["gate"], board.ranking["goal"]
    makers = list(board.data["counts"])
    head = ["Method", *(f"{board.definitions[goal].label}, {m}" for m in makers)]
    head += [f"{board.definitions[signal].label}, {m}" for m in makers]
    lines = []
    for _, rows in sections(board):
        for row in rows:
            goals, signals = row.manufacturer.get(goal, {}), row.manufacturer.get(signal, {})
            line = [row.method, *(with_interval(goals.get(m)) for m in makers)]
            lines.append(line + [with_interval(signals.get(m)) for m in makers])
    return head, lines


_MARKDOWN = {c: "\\" + c for c in "\\|<>`*_[]$~#"} | {"&": "&amp;", "@": "&#64;", "\n": " ", "\r": " ", "\t": " "}
"""What a forge reads as markup, mathematics or a mention. Control and direction marks are left out: they turn lines."""


def escape(text: str) -> str:
    """Text that cannot end a cell or start markup, wherever a user's names are shown."""
    return "".join(_MARKDOWN.get(c, "" if unicodedata.category(c) in ("Cc", "Cf") else c) for c in text)


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    body = ["| " + " | ".join(escape(c) for c in line) + " |" for line in lines]
    return ["| " + " | ".join(escape(c) for c in head) + " |", "|" + "---|" * len(head), *body]


def markdown(board: Board) -> str:
    """The whole board as Markdown."""
    out = [f"# {escape(board.title)}", "", *(f"{escape(line)}  " for line in caption(board)), ""]
    for title, rows in sections(board):
        out += [f"## {title}", "", *markdown_table(headings(board), [cells(row, board) for row in rows]), ""]
        out += [f"- {escape(row.method)}: {escape(row.reason)}" for row in rows if row.reason]
        out += [""] if any(row.reason for row in rows) else []
    head, lines = by_manufacturer(board)
    out += ["## Per manufacturer", "", *markdown_table(head, lines), ""]
    if board.of("not run"):
        out += ["## Not run", ""]
        out += [f"- {escape(r.method)}: {r.status}, {escape(r.reason)}" for r in board.of("not run")] + [""]
    if board.warnings:
        out += ["## Notes", "", *(f"- {escape(w)}" for w in board.warnings), ""]
    out += ["## How to read this", "", *(f"- {escape(line)}" for line in explanation(board)), ""]
    return "\n".join(out)


def as_csv(board: Board) -> str:
    """Every figure in long form: method, metric, scope, value, interval."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(
        ["benchmark", "benchmark_version", "data_revision", "synthetic", "method", "role", "section", "flags",
         "rank_best", "rank_worst", "metric", "metric_version", "scope", "scope_value", "value", "low", "high", "n",
         "p_value", "note"]
    )  # fmt: skip
    for row in board.rows:
        head = [csv_text(board.benchmark), csv_text(board.benchmark_version), board.data["revision"], board.synthetic]
        head += [csv_text(row.method), row.role, row.section, csv_text("; ".join(row.flags)), *(row.rank or ("", ""))]
        parts = [("overall", {m: {"": f} for m, f in row.overall.items()}), ("manufacturer", row.manufacturer)]
        parts += [("pair", row.pair), ("other", row.other)]
        for scope, metrics in parts:
            for metric, values in metrics.items():
                for name, f in values.items():
                    shown = ["" if v is None else repr(v) for v in (f.value, f.low, f.high)]
                    p = "" if f.p_value is None else repr(f.p_value)
                    version = board.definitions[metric].version
                    writer.writerow([*head, metric, version, scope, csv_text(name), *shown, f.n, p, csv_text(f.note)])
    return sink.getvalue()


def csv_text(text: str) -> str:
    """A text cell that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def as_json(board: Board) -> str:
    """The board's typed data."""
    return board.model_dump_json(by_alias=True, indent=1) + "\n"


def texts(board: Board) -> dict[str, str]:
    """`leaderboard.md`, `.csv` and `.json` by name."""
    return {"leaderboard.md": markdown(board), "leaderboard.csv": as_csv(board), "leaderboard.json": as_json(board)}


def write(board: Board, folder: Path) -> list[Path]:
    """Write `texts` into a folder."""
    files = texts(board)
    for name, text in files.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in files]
