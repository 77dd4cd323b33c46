"""The page: one HTML file with its styles, scripts, numbers and pictures inside. It asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from harmbench.leaderboard.model import Board
from harmbench.leaderboard.page import charts, sections
from harmbench.leaderboard.page.cards import method_cards, provenance
from harmbench.leaderboard.page.definitions import Definitions
from harmbench.leaderboard.page.evidence import Evidence
from harmbench.leaderboard.page.interpretation import interpretation
from harmbench.leaderboard.page.markup import Safe, el, embedded, text
from harmbench.leaderboard.page.table import main_table

STYLES = ("base.css", "table.css", "charts.css", "print.css")
SCRIPTS = (
    "core.js", "theme.js", "table.js", "pareto.js", "sweep.js", "classes.js", "distributions.js", "reliability.js",
)  # fmt: skip
LINKS = (
    ("leaderboard", "Leaderboard"),
    ("goals", "Two goals"),
    ("classes", "Feature classes"),
    ("interpretation", "Features and kernels"),
    ("distributions", "Distributions"),
    ("transfer", "Transfer"),
    ("reliability", "Reliability"),
    ("pictures", "Images"),
    ("quality", "Quality"),
    ("reading", "How to read"),
)


def asset(name: str) -> str:
    """A style or script that comes with the package."""
    return (files("harmbench.leaderboard.page") / "assets" / name).read_text(encoding="utf-8")


def page(board: Board, evidence: Evidence | None = None) -> str:
    """The whole page.

    Parameters
    ----------
    board : Board
    evidence : Evidence, optional
        What run folders hold besides (`read_evidence`, `add_pictures`); without it those parts say that it is absent.
    """
    evidence = evidence or Evidence()
    style = "\n".join(asset(name) for name in STYLES)
    script = "\n".join(asset(name) for name in SCRIPTS)
    words = Definitions(board)
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="generator", content=f"harmbench {board.harmbench}"),
        el("title", board.title),
        el("style", Safe(style)),
    )
    numbers = embedded(charts.payload(board, evidence))
    body = el(
        "body",
        el("a", "Skip to the leaderboard", href="#leaderboard", class_="skip"),
        _header(board, words),
        el("noscript", el("p", "Without scripts the tables are here, and the plots are not.", class_="synthetic")),
        el("main", _main(board, evidence, words), id="main"),
        el("footer", el("p", f"Made by harmbench {board.harmbench} on {board.built}.")),
        words.popovers(),
        method_cards(board),
        provenance(board),
        el("script", numbers, type="application/json", id="data"),
        el("script", Safe(script)),
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{el('html', head, body, lang='en')}\n"


def _policy(style: str, script: str) -> str:
    """Only this style and this script; no connection anywhere. A name that did get out of its text could do nothing."""

    def hashed(source: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() + "'"

    return (
        f"default-src 'none'; style-src {hashed(style)}; script-src {hashed(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _header(board: Board, words: Definitions) -> Safe:
    tools = el(
        "div",
        el("button", "Provenance", type="button", popovertarget="provenance"),
        el("button", "Theme: auto", type="button", id="theme"),
        class_="tools",
    )
    links = el("nav", el("ul", [el("li", el("a", title, href=f"#{key}")) for key, title in LINKS]), aria_label="Parts")
    return el("header", el("div", el("h1", board.title), tools, class_="top"), sections.summary(board, words), links)


def _main(board: Board, evidence: Evidence, words: Definitions) -> Safe:
    return text([
        sections.section("leaderboard", "Leaderboard", None, main_table(board, words)),
        charts.two_goals(board, words),
        sections.classes(board, evidence, words),
        interpretation(board, evidence, words),
        charts.distributions(evidence, words),
        sections.transfer(board, words),
        charts.reliability(evidence, words),
        charts.pictures(board, evidence, words),
        sections.quality(board, evidence, words),
        sections.reading(board),
    ])  # fmt: skip
