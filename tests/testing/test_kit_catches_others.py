"""Each deliberately broken extractor, evaluator and data set is caught by the check that asks about its fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmbench.testing import find_subjects, run_checks

PLUGIN = str(Path(__file__).with_name("broken_others.py"))
CAUGHT = [
    ("reverses-images", "E03", "another order"),
    ("names-the-sample", "E04", "other names"),
    ("names-no-map", "E04", "does not tell its map"),
    ("scales-the-batch", "E05", "alone differs"),
    ("mutates-maps", "E06", "writes into the maps"),
    ("counts-calls", "E07", "two calls"),
    ("uses-the-whole-image", "E08", "outside the mask"),
    ("skew-of-nothing", "E09", "not finite"),
    ("printing-extractor", "E10", "'extracting"),
    ("wrong-linear", "E13", "differs from extract"),
    ("camel-metric", "V03", "snake_case"),
    ("no-definition", "V03", "no definition"),
    ("no-range", "V03", "no range"),
    ("undeclared", "V04", "not declared"),
    ("too-large", "V05", "outside"),
    ("upside", "V06", "for the worse case"),
    ("wrong-sign", "V06", "better: max"),
    ("blind", "V06", "no metric tells"),
    ("by-position", "V07", "rows in another order"),
    ("counts-rows", "V08", "every row twice"),
    ("calls-random", "V09", "two calls"),
    ("mutates-tables", "V10", "writes into the tables"),
    ("printing-evaluator", "V11", "'evaluating"),
    ("forgets-on-recompute", "V14", "recomputed"),
    ("twice-the-same", "D03", "more than once"),
    ("label-among-covariates", "D03", "label is among"),
    ("one-maker", "D04", "manufacturer"),
    ("confounded", "D04", "determines"),
    ("double-pixels", "D05", "float64"),
    ("changing-pixels", "D06", "other pixels"),
    ("one-digest", "D07", "have one digest"),
    ("lambda-reader", "D08", "cannot be pickled"),
    ("claims-to-be-real", "D09", "synthetic=True"),
    ("absolute-paths", "D09", "absolute path"),
    ("printing-data", "D10", "'loading'"),
]


def subject(name):
    (found,) = find_subjects([name], [PLUGIN])
    return found


@pytest.mark.parametrize(("name", "check", "reason"), CAUGHT, ids=lambda v: v if isinstance(v, str) else "")
def test_a_broken_component_is_caught_by_the_check_that_should(name, check, reason):
    (result,) = run_checks(subject(name), only=[check])
    assert result.status == "failed"
    assert reason in result.reason


@pytest.mark.parametrize("name", ["honest-extractor", "honest-evaluator", "honest-data"])
def test_the_honest_ones_they_derive_from_pass_everything(name):
    results = list(run_checks(subject(name)))
    assert [(r.check, r.reason) for r in results if r.status not in ("passed", "not applicable")] == []
    assert sum(r.status == "passed" for r in results) >= len(results) - 2


def test_a_data_set_that_needs_files_is_not_checked_without_them():
    (found,) = find_subjects(["bus-bra"])
    results = {r.check: r for r in run_checks(found, only=["D01", "D03"])}
    assert results["D01"].status == "passed"
    assert results["D03"].status == "not applicable" and "--data" in results["D03"].reason
