"""Makes the committed leaderboards: every shipped method on the simulated benchmarks, one command, nothing by hand.

    python leaderboard/make.py [--on plax-phantom ...] [--out leaderboard] [--runs runs/leaderboard] [--jobs 2]

Runs the benchmarks, rebuilds every figure from what the runs kept, writes a board per benchmark (README.md,
index.html, leaderboard.json, .csv, .tex, figures/), their list into leaderboard/README.md and the head of the default
benchmark's board into the project's README. What is done is not done again: the same command goes on where it was
stopped. Whoever runs it gets the same figures, times and memory apart.

Some methods only (--method), or other settings (--set), make other boards: they want an --out of their own.

All data are SYNTHETIC.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from harmbench.cli import run_command
from harmbench.leaderboard.files import read_board
from harmbench.leaderboard.model import Board, Figure
from harmbench.plugins import Registry, build_registry

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "leaderboard"
BENCHMARKS = ("plax-phantom", "plax-phantom-null", "plax-phantom-confounded", "plax-phantom-third")
CHAINS = (
    "signed-log+combat",
    "yeo-johnson+combat",
    "rank-gauss+combat",
    "signed-log+combat-label",
    "ssl-kernel+combat",
    "ssl-kernel+signed-log+combat",
    "ssl-kernel+select-maps",
    "ssl-kernel+select-maps+signed-log+combat",
    "ssl-kernel[kernels=fcmae-atto-phantom-tied]",
    "ssl-kernel[kernels=fcmae-atto-phantom-tied]+select-maps",
    "laplacian-of-gaussian+signed-log+combat",
    "nyul+signed-log+combat",
)
"""Beside every method on its own: what the pages recommend to try together. Decided upon before any was scored."""
PARTNER = ("select-maps",)
"""Methods that do nothing on their own: they choose among the maps of another."""
HEAD = "<!-- head of leaderboard/plax-phantom: made by leaderboard/make.py -->"
LIST = "<!-- boards: made by leaderboard/make.py -->"
END = "<!-- end -->"
SHOWN = 8
ALWAYS = ("none", "combat", "ssl-kernel")


def methods(registry: Registry) -> list[str]:
    """Every shipped method by itself, then the chains."""
    entries = registry.harmonizers.entries
    alone = [name for name in sorted(entries) if registry.harmonizers.get(name).role == "method"]
    return [name for name in alone if name not in PARTNER] + list(CHAINS)


def make(benchmark: str, names: Sequence[str], arguments: argparse.Namespace) -> Board:
    """Run one benchmark and write its board."""
    folder, board = arguments.runs / benchmark, arguments.out / benchmark
    chosen = [text for name in names for text in ("--method", name)]
    settings = [text for setting in arguments.set for text in ("--set", setting)]
    workers = ["--jobs", str(arguments.jobs)]
    code = run_command(
        ["run", "-b", benchmark, *chosen, *settings, *workers, "--out", str(folder), "--allow-confounded"]
    )
    # 2: some cells failed; they stand on the board with their reason.
    if code not in (0, 2):
        raise SystemExit(code)
    code = run_command(["leaderboard", "build", str(folder), "--out", str(board), *workers])
    if code:
        raise SystemExit(code)
    return read_board(board)


def head(board: Board) -> str:
    """The first rows of a board for the README: what is ranked, `none` and the plain published method always there."""
    lines = [
        "| Rank | Method | AUC within, minus `none` | JSD given the label | AUC within | A forest names the scanner |",
        "|---|---|---|---|---|---|",
    ]
    rows = [row for row in board.rows if row.section in ("ranked", "below the gate")]
    kept = [row for i, row in enumerate(rows) if i < SHOWN or row.method in ALWAYS]
    for row in kept:
        rank = "below the gate" if row.rank is None else "–".join(str(r) for r in sorted(set(row.rank)))
        difference = "reference" if row.method == "none" or row.difference is None else _interval(*row.difference)
        figures = (row.overall.get(m) for m in ("jsd_conditional", "auc_within", "manufacturer_auc_tree"))
        cells = " | ".join(_figure(figure) for figure in figures)
        lines.append(f"| {rank} | {row.method} | {difference} | {cells} |")
    passed = sum(row.section == "ranked" for row in rows) - 1
    lines += [
        "",
        f"{passed} of {len(rows) - 1} methods that can be ranked are shown to keep the signal of `none`; "
        f"{len(rows) - len(kept)} more are on the board, and the controls.",
    ]
    return "\n".join(lines)


def _figure(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return ""
    return _interval(figure.value, figure.low, figure.high)


def _interval(value: float, low: float | None, high: float | None) -> str:
    texts = [f"{v:.3f}".replace("-0.000", "0.000") for v in (value, low, high) if v is not None]
    return texts[0] if len(texts) < 3 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def listed(folder: Path) -> str:
    """A line for each board in the folder."""
    lines = ["| board | data | methods ranked, below the gate | best |", "|---|---|---|---|"]
    for path in sorted(folder.glob("*/leaderboard.json"), key=lambda p: (len(p.parent.name), p.parent.name)):
        board = read_board(path)
        ranked, failed = (sum(r.method != "none" for r in board.of(part)) for part in ("ranked", "below the gate"))
        best = [row.method for row in board.of("ranked") if row.rank is not None and row.rank[0] == 1]
        shown = best[0] + (f" and {len(best) - 1} more, not told apart" if len(best) > 1 else "") if best else "none"
        title = board.title + ("" if "SYNTHETIC" in board.title or not board.synthetic else " (SYNTHETIC)")
        lines.append(f"| [{path.parent.name}]({path.parent.name}/README.md) | {title} | {ranked}, {failed} | {shown} |")
    return "\n".join(lines)


def put_between(path: Path, begin: str, text: str) -> None:
    """Replace what stands between two marks."""
    old = path.read_text(encoding="utf-8")
    if begin not in old or END not in old.partition(begin)[2]:
        raise SystemExit(f"{path} lacks the marks '{begin}' and '{END}'.")
    new = re.sub(f"{re.escape(begin)}.*?{re.escape(END)}", lambda _: f"{begin}\n{text}\n{END}", old, flags=re.S)
    path.write_text(new, encoding="utf-8")


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", nargs="+", default=list(BENCHMARKS), help="benchmarks")
    parser.add_argument("--out", type=Path, default=COMMITTED, help="where the boards go")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "leaderboard", help="where the run folders go")
    parser.add_argument("--method", nargs="+", default=[], help="instead of every shipped method")
    parser.add_argument("--set", action="append", default=[], help="as harmbench run --set (repeatable)")
    parser.add_argument("--jobs", type=int, default=0, help="worker processes; 0: one per core")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="README whose head is replaced")
    arguments = parser.parse_args(given)
    whole = not arguments.method and not arguments.set
    if not whole and arguments.out.resolve() == COMMITTED:
        parser.error("with --method or --set the boards are others than those in leaderboard/: name another --out.")
    names = arguments.method or methods(build_registry())
    boards = {benchmark: make(benchmark, names, arguments) for benchmark in arguments.on}
    if arguments.out.resolve() == COMMITTED or arguments.readme != ROOT / "README.md":
        if BENCHMARKS[0] in boards:
            put_between(arguments.readme, HEAD, head(boards[BENCHMARKS[0]]))
        if (arguments.out / "README.md").exists():
            put_between(arguments.out / "README.md", LIST, listed(arguments.out))


if __name__ == "__main__":
    sys.exit(main())
