"""What `harmbench leaderboard build` writes besides the page."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess

import numpy as np
import pytest

from harmbench.cli import run_command
from harmbench.errors import UsageError
from harmbench.leaderboard import figures, outputs, render
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.files import read_board
from harmbench.leaderboard.latex import escape, latex
from harmbench.leaderboard.model import Pareto
from harmbench.leaderboard.page.columns import letters
from harmbench.leaderboard.page.evidence import Evidence, Numbers
from harmbench.leaderboard.page.qc import checks
from harmbench.leaderboard.page.reading import read_evidence
from harmbench.leaderboard.page.sections import finding
from harmbench.leaderboard.render import escape as markdown_escape

needs_matplotlib = pytest.mark.skipif(bool(figures.missing()), reason=figures.missing() or "matplotlib is there")


@pytest.fixture(scope="module")
def board(kept_run):
    return build([kept_run])


def test_all_formats_are_written_and_the_readme_names_them(kept_run, tmp_path, capsys):
    out = tmp_path / "board"
    assert run_command(["leaderboard", "build", str(kept_run), "-o", str(out), "--trust-stored"]) == 0
    names = {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}
    expected = {"README.md", "index.html", "evidence.json", "leaderboard.json", "leaderboard.csv", "leaderboard.tex"}
    if not figures.missing():
        expected |= {f"figures/{n}.{k}" for n in ("pareto", "intervals", "sweep", "classes") for k in ("svg", "pdf")}
    assert names == expected
    text = (out / "README.md").read_text()
    assert set(re.findall(r"\]\(([^)]*)\)", text)) == expected - {"README.md"}
    assert "index.html in a browser" in capsys.readouterr().err
    assert read_board(out).rows
    kept = Numbers.model_validate_json((out / "evidence.json").read_text())
    shown = read_evidence([kept_run])
    assert kept.classes == {name: m.classes for name, m in shown.methods.items()}
    assert kept.reliability == {name: m.reliability for name, m in shown.methods.items()}


def test_only_the_formats_that_were_asked_for(kept_run, tmp_path, capsys):
    command = ["leaderboard", "build", str(kept_run), "-o", str(tmp_path), "--trust-stored", "-f", "tex", "-f", "csv"]
    assert run_command(command) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"leaderboard.tex", "leaderboard.csv"}
    assert run_command([*command, "-f", "docx"]) == 1
    assert "no format 'docx'" in capsys.readouterr().err


def test_a_readme_of_somebody_else_is_not_written_over(board, tmp_path):
    outputs.write(board, tmp_path, ("md",))
    outputs.write(board, tmp_path, ("md",))  # its own
    (tmp_path / "README.md").write_text("# Mine")
    with pytest.raises(UsageError, match="was not made by harmbench"):
        outputs.write(board, tmp_path, ("md", "csv"))
    assert (tmp_path / "README.md").read_text() == "# Mine"
    assert not (tmp_path / "leaderboard.csv").exists()


def test_without_matplotlib_the_rest_is_written_and_the_remedy_named(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else real(name))
    formats, said = outputs.chosen(())
    assert set(formats) == {"md", "json", "csv", "tex", "html"}
    assert "pip install 'harmbench[figures]'" in said
    with pytest.raises(UsageError, match="matplotlib is not installed"):
        outputs.chosen(("pdf",))


@needs_matplotlib
def test_figures_say_that_data_are_simulated_and_are_the_same_every_time(board, kept_run):
    evidence = read_evidence([kept_run])
    first, again = (figures.figures(board, evidence, ("svg", "pdf")) for _ in range(2))
    assert {name for name, _ in first} == {"pareto", "intervals", "sweep", "classes"}
    assert first == again
    for (_, kind), content in first.items():
        assert content.startswith(b"<?xml" if kind == "svg" else b"%PDF")
        assert kind == "pdf" or b"SYNTHETIC DATA" in content


def crowded(board, count: int = 30):
    """The board with many methods around one point, every third of them ranked."""
    made = board.model_copy(deep=True)
    (model,) = (row for row in made.rows if row.method == "zscore")
    rng = np.random.default_rng(0)
    made.rows = []
    for i, (x, y) in enumerate(0.01 * rng.standard_normal((count, 2))):
        row = model.model_copy(deep=True)
        row.method, row.section = f"method-number-{i}", "below the gate" if i % 3 else "ranked"
        row.overall["jsd_conditional"].value, row.overall["auc_within"].value = 0.1 + x, 0.8 + y
        row.pareto = Pareto(on_front=i < 2, probability=0.5, dominates=0.5)
        made.rows.append(row)
    return made


@needs_matplotlib
def test_names_in_a_crowded_plot_touch_neither_each_other_nor_a_point(board):
    from matplotlib.text import Text

    many = crowded(board)
    canvas = figures.pareto(many)
    (axes,) = canvas.axes
    canvas.draw_without_rendering()
    boxes = [Text.get_window_extent(text).shrunk(0.99, 0.99) for text in axes.texts]  # without their lines
    named = [text.get_text().partition(" ")[0] for text in axes.texts]
    assert set(named) <= {row.method for row in many.rows if row.section == "ranked" or row.pareto.on_front}
    assert len(named) >= 8
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    points = axes.transData.transform(
        [[r.overall[m].value for m in ("jsd_conditional", "auc_within")] for r in many.rows]
    )
    assert not any(box.contains(*point) for box in boxes for point in points)
    assert all(axes.get_window_extent().x0 <= box.x0 and box.x1 <= axes.get_window_extent().x1 for box in boxes)


@needs_matplotlib
def test_figures_take_names_as_text(board):
    odd = board.model_copy(deep=True)
    for row in odd.rows:
        if row.method == "zscore":
            row.method = r"<script>alert(1)</script> $\frac{1}{0}$"
    content = figures.figures(odd, Evidence(), ("svg",))["intervals", "svg"].decode()
    assert "<script>" not in content and r"$\frac{1}{0}$" in content


def test_latex_escapes_what_latex_reads():
    assert escape(r"a_b & 50% $x$ #1 {y} ~ ^ \z <|>") == (
        r"a\_b \& 50\% \$x\$ \#1 \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}z "
        r"\textless{}\textbar{}\textgreater{}"
    )


def test_latex_has_six_cells_in_every_line(board):
    odd = board.model_copy(deep=True)
    odd.rows[0].method = "a_b & c % d"
    text = latex(odd)
    body = text.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    lines = [line for line in body.splitlines()[2:] if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(lines) == len(board.rows)
    assert all(len(re.findall(r"(?<!\\)&", line)) == 5 for line in lines)
    assert r"a\_b \& c \% d" in text and "−" not in text
    assert text.count(r"\begin{") == text.count(r"\end{") == 2


def test_latex_names_what_pdftex_cannot_print_and_says_what_the_other_tables_say(board):
    assert escape("Müller 日\u202e\t") == "Müller [U+65E5][U+202E][U+0009]"
    made = board.model_copy(deep=True)
    made.rows[0].flags, made.rows[1].flags = ["uses label"], ["uses label", "leak_caught"]
    made.rows[-1].section = "not run"
    text = latex(made)
    caption = re.search(r"\\caption\{(.*)\}\n", text)[1]
    assert r"\textsuperscript{a}\,uses label; \textsuperscript{b}\,leak\_caught" in caption
    assert rf"{made.rows[0].method}\textsuperscript{{a}} &" in text.replace(r"\allowbreak{}", "")
    assert r"\textsuperscript{a,b} &" in text
    assert f"Not run: {made.rows[-1].method}." in caption and "below 0 counts as 0" in caption


def test_markdown_shows_names_as_they_are_on_a_forge():
    shown = markdown_escape("a&lt;b $x$ @you ~~no~~ \u202eback\tend")
    assert shown == r"a&amp;lt;b \$x\$ &#64;you \~\~no\~\~ back end"


def test_no_text_cell_of_the_csv_is_a_formula(board):
    made = board.model_copy(deep=True)
    for row, name in zip(made.rows, ("=1+1", "\tx", "@sum", "-2"), strict=False):
        row.method = name
    cells = [line.split(",")[4] for line in render.as_csv(made).splitlines()[1:]]
    assert all(cell[0] not in "=+-@\t" for cell in cells) and "'=1+1" in cells


def test_files_of_the_board_before_do_not_stay(kept_run, tmp_path):
    folder = tmp_path / "board"
    (folder / "figures").mkdir(parents=True)
    for name in ("figures/sweep.svg", "interpretation-importance.csv", "figures/mine.svg"):
        (folder / name).write_text("old")
    assert run_command(["leaderboard", "build", str(kept_run), "-o", str(folder), "--trust-stored", "-f", "csv"]) == 0
    assert (folder / "figures" / "sweep.svg").exists()  # another format: not asked for
    assert not (folder / "interpretation-importance.csv").exists()
    assert (folder / "figures" / "mine.svg").exists()


def test_latex_of_many_methods_goes_on_in_further_tables(board):
    many = crowded(board, 125)
    text = latex(many)
    tables = text.split(r"\begin{table*}")[1:]
    assert len(tables) == 3 and len(set(re.findall(r"\\label\{(.*?)\}", text))) == 3
    assert [re.findall(r"emph\{(.*?)\}", t) for t in tables] == [
        ["Methods", "Below the gate"], ["Below the gate, continued"], ["Below the gate, continued"],
    ]  # fmt: skip
    names = re.findall(r"method-number-(\d+)", text)
    assert len(names) == len(set(names)) == 125


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("count", [0, 48])
def test_latex_compiles_and_fits_the_page(board, tmp_path, count):
    made = crowded(board, count) if count else board
    for row in made.rows if count else []:
        row.method = f"ssl-kernel[kernels=fcmae-atto-phantom-tied]+select-maps+{row.method}"
    page = r"\documentclass[a4paper]{article}\usepackage{booktabs}\usepackage[margin=25mm]{geometry}\begin{document}"
    (tmp_path / "t.tex").write_text(page + latex(made) + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    told = (tmp_path / "t.log").read_text()
    assert "Float too large" not in told
    assert all(float(points) < 3 for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", told))


def test_the_finding_names_whom_the_data_cannot_tell_apart(board):
    made = board.model_copy(deep=True)
    ranked = [row for row in made.rows if row.role == "method"]
    for i, row in enumerate(ranked):
        row.section, row.rank = "ranked", (1, 2) if i < 2 else (3, 3)
    made.rows = ranked
    words = finding(made)
    assert words.startswith(f"{ranked[0].method} has the best")
    assert f"cannot tell it from {ranked[1].method}." in words
    for row in ranked:
        row.section = "below the gate"
    assert "No method could be ranked" in finding(made)


def test_tie_groups_have_letters():
    assert [letters(g) for g in (1, 2, 26, 27, 28, None)] == ["a", "b", "z", "aa", "ab", ""]


def test_quality_checks_hold_on_a_sound_board_and_fail_on_others(board):
    found = {c.claim: c.verdict for c in checks(board)}
    assert [v for c, v in found.items() if "canary" in c or "collapse" in c or "asked for ran" in c] == ["holds"] * 4
    bad = board.model_copy(deep=True)
    for row in bad.rows:
        if row.role == "canary":
            row.audit = {"label_leak": False}
        if row.method == "collapse":
            row.overall["jsd_conditional"].value = 0.2
            row.overall["auc_within"].low, row.overall["auc_within"].high = 0.8, 0.9
        if row.method == "shuffle":
            row.section, row.status = "not run", "failed"
    verdicts = {c.claim: c for c in checks(bad)}
    failed = [c for c, check in verdicts.items() if check.verdict == "fails"]
    assert sum("canary" in c for c in failed) == 1 and sum("`collapse`" in c for c in failed) == 2
    assert any("asked for ran" in c and "shuffle: failed" in verdicts[c].figures for c in failed)
