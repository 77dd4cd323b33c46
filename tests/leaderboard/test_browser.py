"""The page in headless Chromium: it draws, sorts, filters, fits a phone, and runs nobody's script but its own."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shutil
import subprocess

import pytest
from test_outputs import crowded
from test_page import board, evidence, hostile  # noqa: F401 - fixtures

from harmbench.leaderboard.page.build import page
from harmbench.leaderboard.page.evidence import Names

CHROMIUM = next((c for c in ("chromium", "chromium-browser", "google-chrome") if shutil.which(c)), "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium, chromium-browser or google-chrome on PATH")

_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_ERRORS = (
    "<script>window.problems = []; addEventListener('error', (e) => problems.push(String(e.message)));"
    "window.alert = () => problems.push('alert');</script>"
)


def browse(text: str, folder, width: int = 1400) -> str:
    """The document that the browser has after its scripts ran."""
    (folder / "page.html").write_text(text, encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--disable-gpu", "--dump-dom", "--virtual-time-budget=4000",
        f"--window-size={width},900",
        f"--user-data-dir={folder / 'profile'}", "--no-first-run", "--disable-extensions", "--disable-dev-shm-usage",
        *(["--no-sandbox"] if os.geteuid() == 0 else []), (folder / "page.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def ask(text: str, script: str, folder, width: int = 1400):
    """What `script` returns in the page, and the errors that the page had; the policy is lifted for the question."""
    inside = _POLICY.sub("", text).replace("<head>", f"<head>{_ERRORS}", 1)
    question = f"""<script>addEventListener('load', () => {{
        const answer = (() => {{ {script} }})();
        const box = document.createElement('pre');
        box.id = 'answer';
        box.textContent = JSON.stringify({{answer, problems}});
        document.body.append(box);
    }});</script>"""
    dumped = browse(inside.replace("</body>", f"{question}</body>"), folder, width)
    found = json.loads(html.unescape(re.search(r'<pre id="answer">(.*?)</pre>', dumped, re.S)[1]))
    assert found["problems"] == []
    return found["answer"]


def framed(text: str, width: int) -> str:
    """The page in a frame as wide as a phone (a browser's window cannot be)."""
    inner = html.escape(_POLICY.sub("", text), quote=True)
    frame = f'<iframe width="{width}" height="800" srcdoc="{inner}"></iframe>'
    return f"<!DOCTYPE html><html><head></head><body>{frame}</body></html>"


def test_everything_is_drawn_under_the_page_s_own_policy(board, evidence, tmp_path):  # noqa: F811
    dumped = browse(page(board, evidence), tmp_path)
    for plot in ("pareto", "winners", "dist", "rel"):
        box = re.search(rf'<div id="{plot}" class="plot".*?(?=<figcaption|</figure)', dumped, re.S)[0]
        assert "<svg" in box and "NaN" not in box and "undefined" not in box, plot
    assert dumped.count('class="point') == sum(r.section in ("ranked", "below the gate") for r in board.rows)


def test_a_heading_sorts_within_each_part_and_says_so(board, evidence, tmp_path):  # noqa: F811
    script = """
        const heads = [...document.querySelectorAll('#board thead th')];
        const head = heads.findIndex((h) => h.textContent.startsWith('JSD | label'));
        const column = () => [...document.querySelectorAll('#board tbody.part-control tr:not(.banner)')]
            .map((row) => Number(row.cells[head].dataset.sort));
        const button = heads[head].querySelector('.sort');
        const states = [];
        for (let i = 0; i < 2; i += 1) {
            button.click();
            states.push([heads[head].getAttribute('aria-sort'), column(),
                         document.querySelectorAll('#board [aria-sort]').length,
                         [...document.querySelectorAll('#board tbody')].map((b) => b.rows[0].className)]);
        }
        return states;
    """
    (up, rising, marked, banners), (down, falling, _, _) = ask(page(board, evidence), script, tmp_path)
    assert (up, down, marked) == ("ascending", "descending", 1)
    assert rising == sorted(rising) and falling == rising[::-1] and len(set(rising)) > 1
    assert set(banners) == {"banner"}


def test_the_filter_hides_rows_and_empty_parts_and_tells_how_many_are_left(board, evidence, tmp_path):  # noqa: F811
    script = """
        const input = document.getElementById('filter');
        input.value = 'ZSC';
        input.dispatchEvent(new Event('input'));
        const seen = [...document.querySelectorAll('#board tbody tr')].filter((r) => r.offsetParent !== null);
        return [seen.map((r) => r.className === 'banner' ? '' : r.querySelector('.name').textContent),
                document.getElementById('filter-status').textContent];
    """
    rows, status = ask(page(board, evidence), script, tmp_path)
    assert rows == ["", "zscore"] and status == f"1 of {len(board.rows)} rows"


def test_boxes_show_and_hide_columns_and_parts(board, evidence, tmp_path):  # noqa: F811
    script = """
        const shown = (selector) => document.querySelector(selector).offsetParent !== null;
        const before = [shown('.g-manufacturer'), shown('.g-signal'), shown('.part-control')];
        for (const name of ['g-manufacturer', 'g-signal', 'part-control']) {
            document.getElementById(`show-${name}`).click();
        }
        return [before, [shown('.g-manufacturer'), shown('.g-signal'), shown('.part-control')]];
    """
    assert ask(page(board, evidence), script, tmp_path) == [[True, False, True], [False, True, False]]


def test_definitions_cards_and_provenance_open_from_their_buttons(board, evidence, tmp_path):  # noqa: F811
    script = """
        const open = [];
        for (const button of document.querySelectorAll('.info, .name, .tools [popovertarget]')) {
            const target = document.getElementById(button.getAttribute('popovertarget'));
            button.click();
            open.push(target.matches(':popover-open') && target.textContent.length > 40);
            target.hidePopover();
        }
        return [open.length, open.every(Boolean)];
    """
    count, all_open = ask(page(board, evidence), script, tmp_path)
    assert all_open and count > 20 + len(board.rows)


def test_the_weight_slider_reorders_the_methods_and_its_tick_is_0_6(board, evidence, tmp_path):  # noqa: F811
    script = """
        const first = () => [...document.querySelectorAll('#totals li')][1].children[1].textContent;
        const slider = document.getElementById('weight');
        const found = {};
        for (const at of ['0', '1']) {
            slider.value = at;
            slider.dispatchEvent(new Event('input'));
            found[at] = [first(), document.getElementById('weight-value').textContent];
        }
        document.getElementById('weight-tick').click();
        found.tick = [slider.value, slider.getAttribute('aria-valuetext').includes(first())];
        return found;
    """
    found = ask(page(board, evidence), script, tmp_path)
    sweep = board.sweep
    for at, weight in (("0", 1.0), ("1", 0.0)):  # stored weights are those of harmonization
        column = sweep.weights.index(weight)
        assert sweep.rank[found[at][0]][column] == 1
    assert found["0"][1] == "0.00" and found["tick"] == ["0.6", True]


def test_another_feature_and_another_method_are_drawn(board, evidence, tmp_path):  # noqa: F811
    script = """
        const choose = (id, value) => {
            const box = document.getElementById(id);
            box.value = value;
            box.dispatchEvent(new Event('change'));
        };
        const seen = [];
        for (const method of [...document.getElementById('dist-method').options].map((o) => o.value)) {
            choose('dist-method', method);
            choose('dist-order', 'name');
            const options = [...document.getElementById('dist-feature').options];
            choose('dist-feature', options[options.length - 1].value);
            choose('rel-method', method);
            const panels = [...document.querySelectorAll('#dist .panels > div')];
            const titles = panels.map((p) => p.querySelector('h3').textContent);
            seen.push([method, titles, panels.map((p) => p.children.length)]);
        }
        return seen;
    """
    seen = {m: (titles, sizes) for m, titles, sizes in ask(page(board, evidence), script, tmp_path)}
    for method, shown in evidence.methods.items():
        assert seen[method][0] == [s.title for s in shown.stages]
        assert min(seen[method][1]) == 3  # a title, what it is, and a picture or a sentence


def test_the_panel_before_shows_the_same_feature_or_none(board, evidence, tmp_path):  # noqa: F811
    """Where a stage has several maps, another map's feature is never shown in a feature's place."""
    cut = evidence.model_copy(deep=True)
    (method,) = (m for m in cut.methods if m.startswith("laplacian"))
    stage = cut.methods[method].stages[1]
    table = cut.tables[stage.table]
    names = cut.names[table.names]
    full = names.names or [f"{m}_{s}" for m in names.maps for s in names.suffixes]
    kept = [i for i, name in enumerate(full) if not name.endswith("firstorder_Mean")]
    other = next(i for i, name in enumerate(full) if name.endswith("firstorder_Mean"))
    kept = sorted([*kept, other])  # one map's Mean stays
    width = {m: len(base64.b64decode(s)) // len(full) for m, s in table.shares.items()}
    cut.tables[stage.table] = table.model_copy(update={
        "names": len(cut.names), "low": [table.low[i] for i in kept], "high": [table.high[i] for i in kept],
        "jsd": None,
        "shares": {m: base64.b64encode(b"".join(base64.b64decode(s)[i * width[m]:(i + 1) * width[m]] for i in kept))
                   .decode() for m, s in table.shares.items()},
    })  # fmt: skip
    cut.names.append(Names(names=[full[i] for i in kept]))
    script = f"""
        const choose = (id, value) => {{
            const box = document.getElementById(id);
            box.value = value;
            box.dispatchEvent(new Event('change'));
        }};
        choose('dist-method', {json.dumps(method)});
        const found = [];
        for (const map of [...document.getElementById('dist-map').options].map((o) => o.value).filter(Boolean)) {{
            choose('dist-map', map);
            choose('dist-feature', 'firstorder_Mean');
            const middle = document.querySelectorAll('#dist .panels > div')[1];
            found.push([map, document.getElementById('dist-feature').value, middle.querySelector('.hint').textContent]);
        }}
        return found;
    """
    seen = ask(page(board, cut), script, tmp_path)
    assert all(feature == "firstorder_Mean" for _, feature, _ in seen)
    assert any(shown.startswith("This feature is not among") for _, _, shown in seen)
    assert all(shown.startswith((f"{map_}_{feature}", "This feature is not")) for map_, feature, shown in seen)


def test_the_points_of_the_pareto_plot_are_one_stop_of_the_tab_key(board, evidence, tmp_path):  # noqa: F811
    script = """
        const points = [...document.querySelectorAll('#pareto .point')];
        const stops = () => points.map((p) => p.getAttribute('tabindex'));
        const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
        points[0].focus();
        const found = [stops()];
        for (const key of ['ArrowRight', 'End', 'ArrowRight', 'Home']) {
            press(key);
            found.push([points.indexOf(document.activeElement), stops().filter((s) => s === '0').length]);
        }
        const pictures = [...document.querySelectorAll('#dist svg')].map((s) => s.getAttribute('aria-label'));
        return [found, pictures];
    """
    (first, right, end, beyond, home), pictures = ask(page(board, evidence), script, tmp_path)
    assert first == ["0", *["-1"] * (len(first) - 1)]
    assert [right, end, beyond, home] == [[1, 1], [len(first) - 1, 1], [len(first) - 1, 1], [0, 1]]
    assert pictures and all("median about" in words for words in pictures)


def test_the_theme_button_goes_through_light_and_dark(board, tmp_path):  # noqa: F811
    script = """
        const states = [];
        for (let i = 0; i < 3; i += 1) {
            document.getElementById('theme').click();
            const root = document.documentElement;
            states.push([root.dataset.theme || 'auto', getComputedStyle(document.body).backgroundColor]);
        }
        return states;
    """
    light, dark, auto = ask(page(board), script, tmp_path)
    assert (light[0], dark[0], auto[0]) == ("light", "dark", "auto")
    assert light[1] != dark[1]


def test_in_a_crowd_points_below_the_gate_are_named_when_they_have_the_focus(board, tmp_path):  # noqa: F811
    script = """
        const shown = () => [...document.querySelectorAll('#pareto .label')]
            .filter((t) => getComputedStyle(t).display !== 'none').map((t) => t.textContent);
        const before = shown();
        const quiet = document.querySelector('#pareto .point.failed:not(.on)');
        quiet.focus();
        return [before, shown().filter((name) => !before.includes(name)), quiet.getAttribute('aria-label')];
    """
    before, more, words = ask(page(crowded(board)), script, tmp_path)
    numbers = [int(name.rpartition("-")[2]) for name in before]
    assert len(numbers) > 5 and all(i % 3 == 0 or i < 2 for i in numbers)
    assert len(more) == 1 and words.startswith(more[0])


def test_the_reason_of_a_method_that_did_not_run_takes_the_place_of_its_figures(board, tmp_path):  # noqa: F811
    lost = board.model_copy(deep=True)
    last = lost.rows[-1]
    last.section, last.status, last.reason, last.overall = "not run", "failed", "the reason why", {}
    script = """
        const heads = [...document.querySelectorAll('#board thead th')];
        const row = document.querySelector('.part-lost tr:not(.banner)');
        heads.at(-1).querySelector('.sort').click();
        return [row.cells.length, row.cells[2].colSpan, heads.length, row.cells[2].textContent];
    """
    cells, span, columns, reason = ask(page(lost), script, tmp_path)
    assert (cells, span, reason) == (3, columns - 2, "the reason why")


@pytest.mark.parametrize("width", [360, 390, 1400])
def test_nothing_is_wider_than_the_window(board, evidence, tmp_path, width):  # noqa: F811
    script = """
        const inside = document.querySelector('iframe').contentDocument;
        const root = inside.documentElement;
        return [root.scrollWidth, root.clientWidth, inside.querySelectorAll('svg').length];
    """
    content, window, pictures = ask(framed(page(board, evidence), width), script, tmp_path)
    assert content <= window and pictures > 10


def test_hostile_names_run_nothing_and_are_shown_as_they_are(hostile, tmp_path):  # noqa: F811
    script = """
        const names = [...document.querySelectorAll('#board .name')].map((b) => b.textContent);
        for (const id of ['dist-method', 'rel-method']) {
            const box = document.getElementById(id);
            for (const option of [...box.options]) { box.value = option.value; box.dispatchEvent(new Event('change')); }
        }
        return [names, document.querySelectorAll('script').length, document.querySelectorAll('img[src=x]').length];
    """
    names, scripts, images = ask(page(*hostile), script, tmp_path)
    assert "<script>alert(1)</script>" in names
    assert scripts == 4 and images == 0  # two of the page, two of this test
