"""Interpretation read from run folders, over repeats, as JSON, CSV and on the command line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tampering import forged

from harmbench.benchmark import load_benchmark
from harmbench.cli import run_command
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard import interpretation
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.interpretation_files import method_tables, strongest, write
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.page.build import page
from harmbench.leaderboard.page.evidence import Evidence
from harmbench.plugins import build_registry
from harmbench.run.parquet import parquet_bytes, read_parquet
from harmbench.run.plan import make_plan
from harmbench.run.run import Options
from harmbench.run.run import run as run_plan
from harmbench.run.store import RunFolder

BENCHMARK = """
schema = 1
name = "carriers"
version = "1"
title = "Two features carry the label (SYNTHETIC)"
[dataset]
name = "plax-phantom"
params = { patients = 48, paired = 0, ratio = 1.4, size = 96, tissue_effect = 3.0 }
[extractor]
name = "fast2d"
params = { bin_count = 16, shape = false }
[[evaluators]]
name = "lvh-auc"
params = { boruta_iterations = 12, boruta_trees = 20, trees = 20 }
[[evaluators]]
name = "interpretation"
[methods]
default = ["zscore"]
reference = ["none"]
controls = ["collapse"]
[splits]
folds = 3
repeats = 2
leave_one_manufacturer_out = false
[ranking]
goal = "brier"
[uncertainty]
replicates = 100
permutations = 99
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interpretation")
    (folder / "carriers.toml").write_text(BENCHMARK)
    registry = build_registry()
    plan = make_plan(load_benchmark(str(folder / "carriers.toml")), registry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARMBENCH_CACHE", str(folder / "cache"))
        return run_plan(plan, registry, Options(out=folder / "run")).folder


@pytest.fixture(scope="module")
def found(run: Path) -> interpretation.Interpretation:
    return interpretation.read([run])


def _tables(run: Path, method: str, name: str) -> list[dict[str, np.ndarray]]:
    folder = RunFolder(run)
    keys = [key for key, record in folder.records().items() if record["method"] == method]
    return [read_parquet(folder.cell(key) / f"{name}.parquet") for key in keys]


def test_folds_of_all_repeats_are_counted_and_figures_averaged_over_repeats(
    run: Path, found: interpretation.Interpretation
):
    tables = _tables(run, "none", "importance")
    one = found.method("none")
    assert one is not None and one.repeats == len(tables) == 2
    parts = one.of("feature")
    assert {p.name for p in parts} == {
        n for t in tables for n, level in zip(t["name"], t["level"], strict=True) if level == "feature"
    }
    for part in parts:
        own = [t["name"] == part.name for t in tables]
        assert part.folds == 6
        assert part.kept == sum(int(t["kept"][o].sum()) for t, o in zip(tables, own, strict=True))
        shap = np.mean([t["shap"][o].sum() for t, o in zip(tables, own, strict=True)])
        assert part.shap == pytest.approx(shap, rel=1e-5)
    assert sum(p.share for p in parts) == pytest.approx(1.0, abs=1e-4)
    assert [p.kept for p in parts] == sorted((p.kept for p in parts), reverse=True)


def test_what_is_kept_is_what_the_selections_of_all_repeats_say(run: Path, found: interpretation.Interpretation):
    counts: dict[str, int] = {}
    for table in _tables(run, "none", "selection"):
        for feature in table["feature"][table["used"].astype(bool)].tolist():
            counts[feature] = counts.get(feature, 0) + 1
    one = found.method("none")
    assert one is not None and counts and {p.name: p.kept for p in one.of("feature") if p.kept} == counts


def test_correlations_are_means_over_repeats_with_the_median_q(run: Path, found: interpretation.Interpretation):
    tables = _tables(run, "none", "covariate_correlation")
    one = found.method("none")
    assert one is not None and one.correlations
    row = max(one.correlations, key=lambda r: r.repeats)
    assert row.repeats == 2
    cells = []
    for t in tables:
        keep = (t["feature"] == row.feature) & (t["covariate"] == row.covariate) & (t["within"] == row.within)
        cells.append({name: column[keep] for name, column in t.items()})
    whole = [c["group"] == "" for c in cells]
    assert row.rho == pytest.approx(np.mean([c["rho"][w] for c, w in zip(cells, whole, strict=True)]), rel=1e-5)
    assert row.q_value == pytest.approx(
        np.median([c["q_value"][w] for c, w in zip(cells, whole, strict=True)]), rel=1e-5
    )
    for group, rho in row.by_group.items():
        own = [float(c["rho"][c["group"] == group][0]) for c in cells]
        assert rho == pytest.approx(np.mean(own), rel=1e-5)


def test_a_method_that_leaves_nothing_to_select_says_so(found: interpretation.Interpretation):
    one = found.method("collapse")
    assert one is not None and not one.of("feature") and not one.correlations
    assert one.notes == ["no fold kept any feature: nothing to correlate"]
    figure = one.stability["selection_stability"]
    assert figure.value is None and figure.note == "no fold kept any feature"
    assert method_tables(one, 5) == []


def test_methods_come_before_controls(found: interpretation.Interpretation):
    assert [one.role for one in found.methods] == ["method", "method", "control"]


def test_a_run_that_was_not_scored_by_it_says_so(tiny_benchmark, tiny_registry, tmp_path):
    plan = make_plan(load_benchmark(str(tiny_benchmark)), tiny_registry, ["center"])
    summary = run_plan(plan, tiny_registry, Options(out=tmp_path / "tiny"))
    other = interpretation.read([summary.folder])
    assert other.methods == [] and set(other.absent) == {"none", "center"}
    assert all("not scored by the evaluator 'interpretation'" in why for why in other.absent.values())


def test_the_files_hold_what_was_read(found: interpretation.Interpretation, tmp_path: Path):
    files = {f.name: f for f in write(found, tmp_path)}
    again = interpretation.Interpretation.model_validate_json(files["interpretation.json"].read_text())
    assert again == found
    with files["interpretation-importance.csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    one = found.method("zscore")
    assert one is not None
    own = [row for row in rows if row["method"] == "zscore"]
    assert [(r["level"], r["name"], float(r["shap"])) for r in own] == [(p.level, p.name, p.shap) for p in one.parts]
    with files["interpretation-covariates.csv"].open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "zscore"]
    for row, correlation in zip(rows, one.correlations, strict=True):
        assert row["covariate"] == correlation.covariate
        assert {g: float(row[f"rho {g}"]) for g in correlation.by_group} == correlation.by_group


def test_a_hostile_name_is_no_formula_in_a_spreadsheet(found: interpretation.Interpretation, tmp_path: Path):
    one = found.methods[0].model_copy(update={"method": '=HYPERLINK("x")'})
    files = {f.name: f for f in write(found.model_copy(update={"methods": [one]}), tmp_path)}
    with files["interpretation-importance.csv"].open(newline="") as file:
        assert {row["method"] for row in csv.DictReader(file)} == {'\'=HYPERLINK("x")'}


def test_the_smallest_q_comes_first_beside_the_same_pair_within_label(found: interpretation.Interpretation):
    one = found.method("none")
    assert one is not None
    pairs = strongest(one)
    q = [first.q_value for first, _ in pairs]
    assert q == sorted(q) and len(pairs) > 10
    for first, second in pairs:
        assert first.within == "manufacturer"
        if second is not None:
            assert second.within == "manufacturer and label"
            assert (first.feature, first.covariate) == (second.feature, second.covariate)


def test_the_verb_prints_methods_and_writes_files(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["interpret", str(run), "--top", "2", "-o", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "zscore" in out and "none" in out and "collapse" not in out
    assert "Selection stability" in out and "first 2 of" in out and "Within manufacturer and label" in out
    assert (tmp_path / "out" / "interpretation.json").is_file()
    assert run_command(["interpret", str(run), "--controls"]) == 0
    assert "collapse" in capsys.readouterr().out
    assert run_command(["interpret", str(run), "-m", "none", "--json"]) == 0
    assert [m["method"] for m in json.loads(capsys.readouterr().out)["methods"]] == ["none"]
    assert run_command(["interpret", str(run), "-m", "none", "--markdown"]) == 0
    assert "| Name | Kept |" in capsys.readouterr().out


def test_an_unknown_method_is_named_with_what_there_is(run: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["interpret", str(run), "-m", "zscor"]) == 1
    assert "Did you mean 'zscore'?" in capsys.readouterr().err


def test_folders_that_do_not_belong_together_are_refused(run: Path, tiny_benchmark, tiny_registry, tmp_path):
    plan = make_plan(load_benchmark(str(tiny_benchmark)), tiny_registry, ["center"])
    other = run_plan(plan, tiny_registry, Options(out=tmp_path / "tiny")).folder
    with pytest.raises(UsageError, match="cannot stand on one board"):
        interpretation.read([run, other])


@pytest.fixture(scope="module")
def board(run: Path) -> Board:
    return build([run])


def _section(board: Board, found: interpretation.Interpretation | None) -> str:
    whole = page(board, Evidence(interpretation=found))
    start = whole.index('id="interpretation-title"')
    return whole[start : whole.index("</section>", start)]


def test_the_page_shows_each_method_and_what_leads_in_it(board: Board, found: interpretation.Interpretation):
    shown = _section(board, found)
    one = found.method("none")
    assert one is not None
    classes = max((p for p in one.of("class") if p.kept), key=lambda p: p.share)
    assert f"{classes.name} ({100 * classes.share:.0f} %)" in shown
    assert all(part.name in shown for part in one.of("feature")[:10] if part.kept)
    assert "Feature classes of none" in shown and "Features and covariates of none" in shown
    assert "Leading kernel" not in shown  # every method here has the image only
    assert shown.count("<details>") == 2  # nothing is kept in collapse


def test_the_page_says_why_there_is_nothing(board: Board, found: interpretation.Interpretation):
    assert "made without run folders" in _section(board, None)
    none = found.model_copy(update={"methods": [], "absent": {"none": interpretation.NOT_SCORED}})
    assert "not scored by the evaluator" in _section(board, none)


def test_a_hostile_name_makes_no_element(board: Board, found: interpretation.Interpretation):
    bad = "<script>alert(1)</script>"
    text = found.model_dump_json(by_alias=True).replace("original_glcm_", f"{bad}_glcm_").replace("tissue", bad)
    shown = _section(board, interpretation.Interpretation.model_validate_json(text))
    assert "<script>" not in shown and "&lt;script&gt;alert(1)&lt;/script&gt;" in shown


def test_a_board_is_written_with_the_files_of_the_formats_asked_for(run: Path, tmp_path: Path):
    for formats, expected in (("json",), {"interpretation.json"}), (("tex",), set()):
        folder = tmp_path / formats[0]
        arguments = [a for f in formats for a in ("-f", f)]
        assert run_command(["leaderboard", "build", str(run), "-o", str(folder), "--trust-stored", *arguments]) == 0
        assert {f.name for f in folder.glob("interpretation*")} == expected


def test_building_a_board_works_the_tables_out_anew_and_refuses_one_that_was_changed(run: Path, tmp_path: Path):
    """`leaderboard build` rebuilds importance and correlations from selection, contributions and features."""
    shutil.copytree(run, tmp_path / "run")
    build([tmp_path / "run"], registry=build_registry())
    key = next(k for k, r in RunFolder(tmp_path / "run").records().items() if r["method"] == "none")
    path = RunFolder(tmp_path / "run").cell(key) / "covariate_correlation.parquet"
    columns = read_parquet(path)
    columns["rho"][0] += 0.01
    path.write_bytes(parquet_bytes(columns))
    with pytest.raises(DataError, match=r"covariate_correlation\.parquet was changed"):
        build([tmp_path / "run"], registry=build_registry())
    forged(tmp_path / "run")
    with pytest.raises(DataError, match="table 'covariate_correlation', column 'rho'"):
        build([tmp_path / "run"], registry=build_registry())
