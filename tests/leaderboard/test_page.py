"""The page as a file: whole, self-contained, and not to be broken out of by a name."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from harmbench.leaderboard.collect import build
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.page.build import SCRIPTS, STYLES, asset, page
from harmbench.leaderboard.page.evidence import Evidence
from harmbench.leaderboard.page.markup import el, embedded, name_of
from harmbench.leaderboard.page.reading import read_evidence

HOSTILE = "<script>alert(1)</script>"
ENDING = "</script><img src=x onerror=alert(2)>\u2028'\"&amp;"


class Elements(HTMLParser):
    """All elements with their attributes, and the text of each script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data


def elements(text: str) -> Elements:
    parser = Elements()
    parser.feed(text)
    return parser


def renamed(value, old: str, new: str):
    """The same data with a name replaced wherever it stands, in keys and texts."""
    if isinstance(value, dict):
        return {renamed(k, old, new): renamed(v, old, new) for k, v in value.items()}
    if isinstance(value, list):
        return [renamed(v, old, new) for v in value]
    return value.replace(old, new) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def board(kept_run, registry):
    return build([kept_run], registry=registry)


@pytest.fixture(scope="module")
def evidence(kept_run):
    return read_evidence([kept_run])


@pytest.fixture(scope="module")
def hostile(board, evidence):
    """A board and evidence whose method, manufacturer and features are named to do harm."""
    facts, shown = board.model_dump(mode="json", by_alias=True), evidence.model_dump(mode="json")
    for old, new in (("zscore", HOSTILE), ("GE-like", ENDING), ("Contrast", HOSTILE), ("Small", ENDING)):
        facts, shown = renamed(facts, old, new), renamed(shown, old, new)
    return Board.model_validate(facts), Evidence.model_validate(shown)


def test_every_method_stands_in_the_table_once(board, evidence):
    text = page(board, evidence)
    for i, row in enumerate(board.rows):
        assert text.count(f'popovertarget="method-{i}"') == 2  # its name, and the button that closes its card
        assert f'data-sort="{row.method}"' in text


def test_nothing_is_fetched_from_anywhere(board, evidence):
    found = elements(page(board, evidence)).found
    for tag, attributes in found:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), (tag, name, value)
    assert not re.search(r"@import|url\(", "".join(asset(name) for name in STYLES))
    scripts = "".join(asset(name) for name in SCRIPTS)
    assert not re.search(
        r"fetch\(|XMLHttpRequest|import\(|innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", scripts
    )


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(board):
    parsed = elements(page(board))
    (policy,) = (a["content"] for t, a in parsed.found if t == "meta" and "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256(parsed.scripts[-1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_hostile_names_make_no_element_and_no_attribute(hostile, board, evidence):
    parsed, plain = elements(page(*hostile)), elements(page(board, evidence))
    assert [tag for tag, _ in parsed.found].count("script") == 2
    assert not [a for _, a in parsed.found if any(name.startswith("on") for name in a)]
    assert not [a for tag, a in parsed.found if tag == "img" and a.get("src") == "x"]
    assert sorted({t for t, _ in parsed.found}) == sorted({t for t, _ in plain.found})


def test_hostile_names_are_in_the_numbers_as_they_are(hostile):
    data = json.loads(elements(page(*hostile)).scripts[0])
    assert HOSTILE in [row["method"] for row in data["rows"]]
    assert ENDING in data["makers"]
    assert any(HOSTILE in name for names in data["names"] for name in names["names"] + names["suffixes"])


def test_every_column_and_part_has_its_definition_beside_it(board, evidence):
    text = page(board, evidence)
    opened = set(re.findall(r'popovertarget="(def-\d+)"', text))
    there = set(re.findall(r'id="(def-\d+)"', text))
    assert opened <= there
    heads = re.findall(r'<th scope="col"[^>]*>.*?</th>', re.search(r"<thead>.*?</thead>", text, re.S)[0])
    assert len(heads) == len(re.findall(r'class="method"|class="rank"|class="info"', "".join(heads))) - 1
    for part in ("classes", "distributions", "transfer", "reliability", "quality"):
        assert re.search(rf'<h2 id="{part}-title">[^<]*<button[^>]*popovertarget="def-', text), part
    for definition in board.definitions.values():
        assert str(el("p", definition.definition + ".")) in text


def test_missing_parts_say_why(board):
    text = page(board)
    assert "built from a board alone" in text and 'id="dist"' not in text


def test_a_board_without_sweep_or_front_is_a_page_too(board):
    bare = board.model_copy(deep=True)
    bare.sweep = None
    for row in bare.rows:
        row.pareto, row.difference, row.rank = None, None, None
        row.section = "not ranked"
    text = page(bare)
    assert "No method could be ranked" in text and "needs the controls" in text


def test_not_run_confounded_and_transductive_rows_stand_apart(board):
    changed = board.model_copy(deep=True)
    changed.rows[0].section, changed.rows[0].reason = "confounded", "one thing"
    changed.rows[1].section, changed.rows[1].status, changed.rows[1].reason = "not run", "failed", "sum of nothing"
    changed.rows[1].overall = {}
    text = page(changed)
    assert 'class="part-confounded"' in text and 'class="part-lost"' in text and "sum of nothing" in text


def test_markup_escapes_what_it_did_not_make():
    assert el("a", "<b>", title='"x" & y') == '<a title="&quot;x&quot; &amp; y">&lt;b&gt;</a>'
    assert el("p", ["a", el("b", "c"), None], hidden=True, id=None) == "<p hidden>a<b>c</b></p>"
    assert name_of("a+<b>") == "a+<wbr>&lt;b&gt;"
    text = embedded({"</script>": "<!--\u2028&"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"</script>": "<!--\u2028&"}


def test_the_page_stays_below_five_megabytes(board, evidence):
    assert len(page(board, evidence).encode()) < 5_000_000
