"""Differences between two methods, against what can be worked out by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from harmbench.cli import run_command
from harmbench.errors import DataError, UsageError
from harmbench.leaderboard import pairs, tables
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.compare import changes, compare
from harmbench.leaderboard.model import Definition
from harmbench.leaderboard.render import write
from harmbench.leaderboard.sides import Side
from harmbench.results import MetricValue
from harmbench.run.parquet import read_parquet
from harmbench.run.store import RunFolder
from harmbench.stats.delong import delong, difference

DESIGN = {"name": "d", "revision": "r", "classes": ["N", "P"], "counts": {}, "seed": 0, "replicates": 4}


def definition(name, direction="min", version=1):
    return Definition(name=name, label=name, goal="signal", direction=direction, version=version, definition="x")


def side(label="a", values=(), definitions=(), **more):
    return Side(
        label=label,
        method="m",
        values={(v.metric, v.scope, v.scope_value): v for v in values},
        definitions={d.name: d for d in definitions},
        design={**DESIGN, **more.pop("design", {})},
        settings=more.pop("settings", {}),
        stages=more.pop("stages", []),
        environment=more.pop("environment", {}),
    )


def drawn(value, replicates, metric="gap", **more):
    return MetricValue(metric, value, replicates=np.array(replicates, dtype=float), **more)


def test_a_paired_interval_is_that_of_the_differences_resample_by_resample():
    # A and B swing together by 100; their difference is 1, 2 or 3.
    a = side("a", [drawn(10.0, [101, 202, 303, 402])], [definition("gap")])
    b = side("b", [drawn(8.0, [100, 200, 300, 400])], [definition("gap")])
    (found,) = compare(a, b).differences
    low, high = np.quantile([1, 2, 3, 2], (0.025, 0.975))
    assert (found.difference, found.low, found.high) == (2.0, pytest.approx(low), pytest.approx(high))
    assert found.better == "B"  # less is better


def test_the_better_side_follows_the_direction():
    values = [drawn(2.0, [2, 2, 2, 2])], [drawn(1.0, [1, 1, 1, 1])]
    for direction, better in (("max", "A"), ("min", "B")):
        a, b = (side(n, v, [definition("gap", direction)]) for n, v in zip("ab", values, strict=True))
        assert compare(a, b).differences[0].better == better
        assert compare(b, a).differences[0].better == {"A": "B", "B": "A"}[better]


def test_below_a_bound_nothing_more_is_gained():
    jsd = definition("jsd").model_copy(update={"goal": "harmonization"})
    a = side("a", [drawn(-0.05, [-0.06, -0.05, -0.05, -0.04], "jsd")], [jsd])
    b = side("b", [drawn(-0.01, [-0.02, -0.01, -0.01, 0.0], "jsd")], [jsd])
    (found,) = compare(a, b).differences
    assert (found.a, found.b, found.difference, found.low, found.high, found.better) == (-0.05, -0.01, 0, 0, 0, "")
    c = side("c", [drawn(0.02, [0.01, 0.02, 0.02, 0.03], "jsd")], [jsd])
    (found,) = compare(a, c).differences
    assert (found.difference, found.better) == (-0.02, "A") and found.high < 0


def folded(seed, shift):
    """Predictions of one repeat: 60 patients, two manufacturers, three folds."""
    rng = np.random.default_rng(seed)
    n = 60
    label = np.arange(n) % 2
    return {
        "sample": np.array([f"s{i:02d}" for i in range(n)]),
        "patient": np.array([f"p{i:02d}" for i in range(n)]),
        "manufacturer": np.where(np.arange(n) // 2 % 4 < 3, "A", "B"),
        "label": label,
        "protocol": np.full(n, "cross-validation"),
        "fold": np.array([f"cv-{i // 20}" for i in range(n)]),
        "score": rng.standard_normal(n) + shift * label,
    }


def test_over_repeats_the_corrected_t_test_is_that_of_the_folds():
    one, other = ([folded(10 * r + s, shift) for r in range(2)] for s, shift in ((0, 1.5), (5, 0.5)))
    values = [MetricValue(metric, 0.7) for metric in ("auc_within", "auc_pooled", "brier")]
    shared = [definition(v.metric, "max") for v in values]
    a, b = (
        replace(side(name, values, shared), predictions=tuple(tables)) for name, tables in (("a", one), ("b", other))
    )
    found = {d.metric: d for d in compare(a, b).differences}
    assert found["brier"].over_folds is None and all(d.delong is None for d in found.values())
    for metric in ("auc_within", "auc_pooled"):
        gaps = []
        for first, second in zip(one, other, strict=True):
            for fold in ("cv-0", "cv-1", "cv-2"):
                aucs = []
                for table in (first, second):
                    inside = table["fold"] == fold
                    groups = (
                        [inside] if metric == "auc_pooled" else [inside & (table["manufacturer"] == m) for m in "AB"]
                    )
                    aucs.append(np.mean([roc_auc_score(table["label"][g], table["score"][g]) for g in groups]))
                gaps.append(aucs[0] - aucs[1])
        error = np.sqrt((1 / 6 + 20 / 40) * np.var(gaps, ddof=1))
        p = 2 * student.sf(abs(np.mean(gaps)) / error, 5)
        shown = found[metric].over_folds
        assert (shown.difference, shown.p_value) == (pytest.approx(np.mean(gaps)), pytest.approx(p))
    text = tables.markdown("t", tables.comparison_tables(compare(a, b)), tables.comparison_notes(compare(a, b)))
    assert "Folds p" in text and "Nadeau" in text and "DeLong" not in text
    left_out = {k: np.append(v, v[:1]) for k, v in one[0].items()}
    lomo = np.append(one[0]["protocol"], "leave-one-manufacturer-out")
    left_out |= {"protocol": lomo}  # only one side has such rows
    more = replace(a, predictions=(left_out, one[1]))
    assert compare(more, b).differences == compare(a, b).differences
    other_folds = [{**t, "fold": t["fold"][::-1]} for t in other]
    assert compare(a, replace(b, predictions=tuple(other_folds))).differences[0].over_folds is None
    assert compare(a, replace(b, predictions=b.predictions[:1])).differences[0].over_folds is None


def test_figures_that_were_not_worked_out_anew_are_said_to_be_as_recorded():
    a, b = (side(n, [drawn(1.0, [1, 1, 1, 1])], [definition("gap")]) for n in "ab")
    assert compare(a, b).as_recorded == ["a", "b"]
    assert compare(replace(a, rebuilt=True), b).as_recorded == ["b"]
    assert any("as recorded" in note for note in tables.comparison_notes(compare(a, b)))


def test_an_interval_with_zero_names_nobody_better():
    a, b = (
        side("a", [drawn(1.0, [0, 1, 2, 3])], [definition("gap")]),
        side("b", [drawn(1.0, [1, 1, 1, 1])], [definition("gap")]),
    )
    found = compare(a, b).differences[0]
    assert found.low < 0 < found.high and found.better == ""


@pytest.mark.parametrize("what", [{"revision": "s"}, {"seed": 1}, {"replicates": 5}, {"counts": {"A": {"N": 1}}}])
def test_other_data_or_resamples_are_shown_unpaired_with_the_reason(what):
    a = side("a", [drawn(10.0, [101, 202, 303, 402])], [definition("gap")])
    b = side("b", [drawn(8.0, [100, 200, 300, 400])], [definition("gap")], design=what)
    found = compare(a, b)
    assert not found.paired and found.unpaired_because == [f"{next(iter(what))} differs"]
    assert found.differences[0].high - found.differences[0].low > 100  # what they have in common is no longer taken off
    assert "NOT PAIRED" in tables.comparison_notes(found)[0]


def test_other_classes_are_refused():
    a = side("a", [drawn(1, [1])], [definition("gap")])
    b = side("b", [drawn(1, [1])], [definition("gap")], design={"classes": ["P", "N"]})
    with pytest.raises(UsageError, match=r"the positive class is P of .* on one side and N"):
        compare(a, b)


def test_a_metric_of_another_version_is_refused_and_the_others_are_compared():
    values = [drawn(1, [1, 1]), drawn(1, [1, 1], "sd")]
    a = side("a", values, [definition("gap"), definition("sd")])
    b = side("b", values, [definition("gap", version=2), definition("sd")])
    found = compare(a, b)
    assert [d.metric for d in found.differences] == ["sd"]
    assert found.refused == ["gap: version 1 on one side, 2 on the other"]
    with pytest.raises(UsageError, match="version 1 on one side"):
        compare(side("a", values, [definition("gap")]), b)


def test_a_missing_value_is_shown_with_its_reason():
    a = side("a", [drawn(1, [1, 1])], [definition("gap")])
    b = side("b", [MetricValue("gap", float("nan"), note="one class only")], [definition("gap")])
    found = compare(a, b).differences[0]
    assert (found.a, found.b, found.difference, found.low, found.note) == (1.0, None, None, None, "b: one class only")


def test_changes_are_found_wherever_they_lie():
    a = {
        "x": 1,
        "list": [{"name": "p", "version": "1"}, {"name": "q", "version": "1"}],
        "same": [1],
        "deep": {"y": {"z": 1}},
    }
    b = {"x": 1, "list": [{"name": "q", "version": "2"}], "same": [1], "deep": {"y": {"z": 2}}}
    found = [(c.what, c.a, c.b) for c in changes(a, b)]
    assert found == [("list.p", {"version": "1"}, None), ("list.q.version", "1", "2"), ("deep.y.z", 1, 2)]


def test_two_methods_of_a_run(kept_run):
    found = pairs.methods_of(kept_run, "none", "zscore")
    run = RunFolder(kept_run)
    keys = {r["method"]: k for k, r in run.records().items()}
    one, other = ({(m.metric, m.scope, m.scope_value): m for m in run.metrics(keys[n])} for n in ("none", "zscore"))
    assert found.paired
    scopes = {d.scope for d in found.differences}
    assert scopes == {"overall", "manufacturer", "class"}
    with_interval = [d for d in found.differences if d.low is not None]
    assert {"firstorder", "glcm", "shape2D"} <= {d.place for d in with_interval if d.scope == "class"}
    for d in with_interval:
        a, b = (m[d.metric, d.scope, d.place] for m in (one, other))
        least = 0.0 if (d.goal, d.direction) == ("harmonization", "min") else -np.inf
        assert d.difference == pytest.approx(max(a.value, least) - max(b.value, least))
        apart = np.maximum(a.replicates, least) - np.maximum(b.replicates, least)
        assert (d.low, d.high) == pytest.approx(tuple(np.nanquantile(apart, (0.025, 0.975))))


def test_delong_stands_beside_the_differences_of_aucs(kept_run):
    found = pairs.methods_of(kept_run, "none", "zscore")
    run = RunFolder(kept_run)
    keys = {r["method"]: k for k, r in run.records().items()}
    scores, label, patient = [], None, None
    for name in ("none", "zscore"):
        columns = read_parquet(run.cell(keys[name]) / "predictions.parquet")
        own = np.flatnonzero(columns["protocol"] == "cross-validation")
        own = own[np.argsort(columns["sample"][own])]
        scores.append(columns["score"][own])
        label, patient = columns["label"][own], columns["patient"][own]
    wanted = difference(delong(label, np.column_stack(scores), patient))
    shown = next(d for d in found.differences if d.metric == "auc_pooled" and d.scope == "overall")
    assert shown.delong.p_value == pytest.approx(wanted.p_value)
    assert shown.delong.difference == pytest.approx(shown.difference)
    within = next(d for d in found.differences if d.metric == "auc_within" and d.scope == "overall")
    assert within.delong.difference == pytest.approx(within.difference)
    makers = [d for d in found.differences if d.metric == "auc_within" and d.scope == "manufacturer"]
    assert len(makers) == 2 and all(d.delong.difference == pytest.approx(d.difference) for d in makers)
    assert all(d.delong is None for d in found.differences if not d.metric.startswith("auc_"))


def test_a_method_compared_with_itself_is_the_same_everywhere(kept_run, small_run):
    for found in pairs.sources(kept_run, small_run):
        assert found.paired and not found.settings and not found.method and not found.environment
        assert all(d.difference in (0.0, None) and not d.better for d in found.differences)


def test_what_changed_in_settings_code_and_environment_is_listed(kept_run, small_run):
    plan = json.loads((small_run / "plan.json").read_text())
    plan["code"]["harmbench"] = "other"
    plan["ranking"]["delta"] = 0.05
    (small_run / "plan.json").write_text(json.dumps(plan))
    environment = json.loads((small_run / "environment.json").read_text())
    environment[-1] |= {"python": "3.99.0", "processor": "Abacus"}
    environment[-1]["distributions"]["numpy"] = "0.1"
    (small_run / "environment.json").write_text(json.dumps(environment))
    found = pairs.sources(kept_run, small_run, ["zscore"])[0]
    assert [(c.what, c.b) for c in found.settings] == [("ranking.delta", 0.05)]
    assert {"python", "processor", "distributions.numpy", "code.harmbench"} == {c.what for c in found.environment}
    assert found.paired  # neither changes the resamples


def test_boards_are_paired_by_the_replicates_they_hold(kept_run, tmp_path):
    board = build([kept_run])
    write(board, tmp_path / "board")
    found = pairs.methods_of(tmp_path / "board", "none", "zscore")
    exact = pairs.methods_of(kept_run, "none", "zscore")
    for metric in ("jsd_conditional", "auc_within"):
        a, b = (next(d for d in f.differences if d.metric == metric and d.scope == "overall") for f in (found, exact))
        assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-6)
    assert all(d.low is None for d in found.differences if d.metric == "energy_distance")


def test_unknown_methods_failed_ones_and_wrong_places_are_errors(kept_run, tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'zscore'"):
        pairs.methods_of(kept_run, "none", "zscor")
    with pytest.raises(DataError, match="there is no such board"):
        pairs.sources(kept_run, tmp_path)
    copy = shutil.copytree(kept_run, tmp_path / "copy")
    text = (copy / "records.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in text]
    for line in lines:
        if line["method"] == "zscore":
            line |= {"status": "failed", "error": "the sum of nothing"}
    (copy / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UsageError, match=r"'zscore' has no figures .* failed: the sum of nothing"):
        pairs.methods_of(copy, "none", "zscore")


def test_the_verb_prints_tables_markdown_and_json(kept_run, small_run, capsys):
    assert run_command(["compare", "none", "zscore", "--run", str(kept_run)]) == 0
    out = capsys.readouterr().out
    assert "Paired: both sides" in out and "Per feature class" in out and "DeLong p" in out
    assert run_command(["compare", str(kept_run), str(small_run), "-m", "zscore", "--markdown"]) == 0
    assert "| Metric | Where | A | B |" in capsys.readouterr().out
    assert run_command(["compare", "none", "zscore", "--run", str(kept_run), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["paired"] and found["a"] == "none"
    assert run_command(["compare", "none", "zscore"]) == 1
    assert "--run RUN" in capsys.readouterr().err


def test_names_cannot_break_out_of_the_markdown():
    a = replace(side("<b>|x", [drawn(1, [1, 1])], [definition("gap")]), settings={"k": "|"})
    found = compare(a, side("b", [drawn(1, [1, 1])], [definition("gap")]))
    text = tables.markdown(f"A = {found.a}", tables.comparison_tables(found), tables.comparison_notes(found))
    assert "<b>" not in text.replace("\\<", "") and "\\|x" in text
