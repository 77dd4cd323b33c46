"""What the page shows besides the board is what the run folder holds."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from scipy.stats import binomtest

from builders import table
from harmbench.leaderboard.collect import build
from harmbench.leaderboard.page import reading
from harmbench.leaderboard.page.evidence import BINS
from harmbench.leaderboard.page.histograms import counted, most_features, short_names
from harmbench.leaderboard.page.reading import read_evidence, reliability_bins, wilson
from harmbench.run.store import RunFolder
from harmbench.run.stored import RunData


@pytest.fixture(scope="module")
def evidence(kept_run):
    return read_evidence([kept_run])


def test_class_means_of_the_only_pair_are_the_figures_of_the_ranked_metric(kept_run, evidence):
    compared = 0
    for row in build([kept_run]).rows:
        (pair,) = evidence.methods[row.method].classes
        assert pair == "GE-like|Philips-like"
        for name, value in evidence.methods[row.method].classes[pair].items():
            expected = row.other["jsd_conditional"][name].value
            assert value == pytest.approx(expected, abs=1e-12), (row.method, name)  # also where folds drop features
            compared += 1
    assert compared == 6 * 7  # six methods, six classes and shape2D


def test_a_method_is_shown_from_the_original_image_to_its_last_stage(evidence):
    assert [s.title for s in evidence.methods["none"].stages] == ["original image"]
    assert [s.title for s in evidence.methods["zscore"].stages] == ["original image", "after zscore"]
    selected = next(m for m in evidence.methods if m.startswith("laplacian"))
    titles = [s.title for s in evidence.methods[selected].stages]
    assert titles == ["original image", "after laplacian-of-gaussian", "after laplacian-of-gaussian+select-maps"]
    first = {m.stages[0].table for m in evidence.methods.values()}
    assert len(first) == 1  # kept once for all methods


def test_histograms_count_the_rows_of_the_stored_features(kept_run, evidence):
    data = RunData(RunFolder(kept_run))
    record = next(r for r in data.folder.records().values() if r["method"] == "zscore")
    scored = data.cell(record).result.scored
    kept = evidence.tables[evidence.methods["zscore"].stages[-1].table]
    feature = scored.features.index("original_glcm_Contrast")
    low, high = np.quantile(scored.values[:, feature], [0.01, 0.99])
    assert kept.low[feature] == float(f"{low:.4g}") and kept.high[feature] == float(f"{high:.4g}")
    own = scored.values[scored.manufacturer == "GE-like", feature]
    counts, _ = np.histogram(np.clip(own, low, high), bins=BINS, range=(low, high))
    shown = np.frombuffer(base64.b64decode(kept.shares["GE-like"]), np.uint8).reshape(-1, BINS)[feature]
    np.testing.assert_array_equal(shown, np.rint(255 * counts / len(own)))


def test_values_that_are_missing_and_features_that_are_constant_have_histograms_too():
    given = table(n=40, p=3)
    values = given.values.copy()
    values[:, 0] = 5.0
    values[:, 1] = np.nan
    values[:20, 2] = np.inf
    done = counted(given.with_values(values))
    assert done.low[0] == done.high[0] == 5.0 and np.isnan(done.low[1])
    for maker in given.manufacturers:
        assert done.shares[maker][0].tolist() == [255 if i == BINS // 2 else 0 for i in range(BINS)]
        assert not done.shares[maker][1].any()
    assert done.high[2] == pytest.approx(np.quantile(values[20:, 2], 0.99))
    written = done.written(0, np.arange(3))
    assert written.low[1] is None and written.high[1] is None


def test_tables_over_the_budget_keep_the_features_with_the_largest_jsd():
    small, large = counted(table(p=4)), counted(table(p=100), np.arange(100) / 100.0)
    each = 30 + 2 * BINS * 4 // 3
    assert most_features([small, large], 104 * each) == 100
    assert most_features([small, large], 24 * each) == 20  # 4 of the small one, 20 of the large one
    assert large.kept(20, large.order).tolist() == list(range(80, 100))
    assert small.kept(20, small.order).tolist() == [0, 1, 2, 3]
    assert most_features([], 10) == 0


def test_a_page_over_its_budget_says_so(kept_run, monkeypatch):
    monkeypatch.setattr("harmbench.leaderboard.page.reading.BUDGET", 60_000)
    found = read_evidence([kept_run])
    assert "the run folder holds all" in found.absent["some distributions"]
    assert sum(len(s) for t in found.tables.values() for s in t.shares.values()) < 60_000
    for kept in found.tables.values():
        names = found.names[kept.names]
        assert len(kept.low) == len(names.names or [1 for _ in names.maps for _ in names.suffixes])


def test_names_are_shortened_only_where_nothing_is_lost():
    names = [f"k{i}_glcm_{f}" for i in range(3) for f in ("A", "B")]
    short = short_names(names)
    assert short.maps == ["k0", "k1", "k2"] and short.suffixes == ["glcm_A", "glcm_B"] and not short.names
    with_underscores = [f"gabor_f1_a{i}_glcm_{f}" for i in (0, 45) for f in ("A", "B")]
    assert short_names(with_underscores).maps == ["gabor_f1_a0", "gabor_f1_a45"]
    for odd in (names[:-1], ["shape2D_Elongation", *names], ["<script>", "b"]):
        assert short_names(odd).names == odd


def test_wilson_interval_is_that_of_scipy():
    for k, n in ((0, 8), (3, 11), (25, 25), (40, 97)):
        expected = binomtest(k, n).proportion_ci(method="wilson")
        assert wilson(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_reliability_points_hold_rows_of_neighbouring_score():
    score = np.array([0.9, 0.1, 0.2, 0.8] * 8)  # 32 rows: four groups of eight
    label = np.array([1, 0, 1, 1] * 8)
    bins = reliability_bins(score, label)
    assert [(b.predicted, b.observed, b.n) for b in bins] == [
        (pytest.approx(0.1), 0.0, 8), (pytest.approx(0.2), 1.0, 8),
        (pytest.approx(0.8), 1.0, 8), (pytest.approx(0.9), 1.0, 8),
    ]  # fmt: skip
    assert len(reliability_bins(score[:5], label[:5])) == 1  # too few rows for groups


def test_a_run_of_schema_1_has_no_such_evidence_and_says_why():
    from pathlib import Path

    (old,) = (Path(__file__).parents[1] / "fixtures").glob("*schema-1*")
    folder = old if (old / "plan.json").exists() else next(old.glob("*/plan.json")).parent
    found = read_evidence([folder])
    assert not found.tables and "schema 1" in found.absent["distributions"]


def test_tables_of_the_same_features_keep_the_same_ones(kept_run, monkeypatch):
    monkeypatch.setattr(reading, "BUDGET", 40_000)
    found = read_evidence([kept_run])
    before, after = (found.tables[stage.table] for stage in found.methods["zscore"].stages)
    assert before.names == after.names and "some distributions" in found.absent
    assert 0 < len(before.low) < 90  # of 102


def test_rows_of_one_score_are_one_point_of_the_reliability_diagram():
    label = np.arange(80) % 2
    (only,) = reliability_bins(np.full(80, 0.5), label)
    assert (only.predicted, only.observed, only.n) == (0.5, 0.5, 80)
    score = np.concatenate([np.full(40, 0.2), np.linspace(0.3, 0.9, 40)])
    for order in (np.arange(80), np.random.default_rng(0).permutation(80)):
        found = reliability_bins(score[order], label[order])
        assert found[0].n == 40 and found[0].predicted == pytest.approx(0.2) and found[0].observed == 0.5
        assert [b.n for b in found[1:]] == [10] * 4 or sum(b.n for b in found) == 80
        assert len({b.predicted for b in found}) == len(found)
