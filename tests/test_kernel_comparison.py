"""The script that sets kernel files against random kernels: pairing, intervals, and what it prints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest

from harmbench.errors import UsageError
from harmbench.plugins import build_registry
from harmbench.results import MetricValue

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import kernels  # noqa: E402 - the scripts are no package

RNG = np.random.default_rng(0)
SHARED = RNG.normal(size=500)
"""What all methods have in common in a resample: a paired difference is free of it."""


def figures(jsd: float, auc: float, own: float = 0.0) -> dict[str, MetricValue]:
    noise = own * np.random.default_rng(int(1000 * jsd)).normal(size=500)
    return {
        "jsd_conditional": MetricValue("jsd_conditional", jsd, replicates=jsd + SHARED + noise),
        "auc_within": MetricValue("auc_within", auc, replicates=auc + SHARED + noise),
    }


ENTRIES = kernels.entries_of({"mine": "a.safetensors"}, 2, True)
FOUND = {
    "none": figures(0.3, 0.7),
    "random 0": figures(0.2, 0.6),
    "random 1": figures(0.4, 0.7),
    "mine": figures(0.25, 0.8),
    "random 0+select-maps": figures(0.1, 0.6),
    "random 1+select-maps": figures(0.1, 0.6),
    "mine+select-maps": figures(0.15, 0.6),
}


def test_every_kernel_file_runs_whole_and_chosen_and_random_ones_are_treated_alike() -> None:
    assert [e.label for e in ENTRIES] == [
        "none", "combat", "signed-log+combat",
        "random 0", "random 1", "mine",
        "random 0+select-maps", "random 1+select-maps", "mine+select-maps",
    ]  # fmt: skip
    assert ENTRIES[3].expression == "random-kernel[like=a.safetensors,seed=0]"
    assert ENTRIES[-1].expression == "ssl-kernel[kernels=a.safetensors]+select-maps"
    assert "+select-maps" not in "".join(e.label for e in kernels.entries_of({"mine": "a"}, 2, False))


def test_the_difference_is_to_the_mean_of_random_kernels_of_the_same_treatment() -> None:
    rows = {row["kernels"]: row for row in kernels.compared("b", ENTRIES, FOUND, {"combat": "failed: why"})}
    assert rows["mine"]["jsd_conditional_minus_random"] == pytest.approx(0.25 - 0.3)
    assert rows["mine"]["jsd_conditional_random_beaten"] == "1 of 2"
    assert rows["mine"]["auc_within_minus_random"] == pytest.approx(0.8 - 0.65)
    assert rows["mine"]["auc_within_random_beaten"] == "2 of 2"
    assert rows["mine+select-maps"]["jsd_conditional_minus_random"] == pytest.approx(0.05)
    assert rows["mine+select-maps"]["jsd_conditional_random_beaten"] == "0 of 2"
    assert np.isnan(rows["random 0"]["jsd_conditional_minus_random"])
    assert rows["combat"]["status"] == "failed: why" and np.isnan(rows["combat"]["jsd_conditional"])


def test_its_interval_is_paired() -> None:
    row = next(r for r in kernels.compared("b", ENTRIES, FOUND, {}) if r["kernels"] == "mine")
    # Each method varies by 1 between resamples, all in the same way: nothing of that is left in the difference.
    assert row["jsd_conditional_high"] - row["jsd_conditional_low"] > 3.0
    assert row["jsd_conditional_minus_random_low"] == pytest.approx(-0.05)
    assert row["jsd_conditional_minus_random_high"] == pytest.approx(-0.05)


def test_the_page_marks_only_what_is_better_beyond_its_interval() -> None:
    noisy = {**FOUND, "mine": figures(0.25, 0.8, own=1.0)}
    arguments = argparse.Namespace(random=2)
    for found, marked in ((FOUND, True), (noisy, False)):
        rows = kernels.compared("b", ENTRIES, found, {})
        text = kernels.page(rows, {"mine": {"kernels": 40, "stem_cosine": 0.5}}, {"b": ["x.y=1"]}, arguments)
        own = next(line for line in text.splitlines() if line.startswith("| mine |") and "beats" in line)
        assert ("**-0.050" in own) == marked and ("**+0.150" in own) == marked
        chosen = next(line for line in text.splitlines() if line.startswith("| mine+select-maps |"))
        assert "**" not in chosen  # worse on one figure, equal on the other
        assert "x.y=1" in text and "JSD \\| label" in text


def test_the_phantom_gets_a_seed_of_its_own_and_other_data_do_not() -> None:
    arguments = kernels.read_arguments(["--out", "o", "--kernels", "a=b", "--set", "uncertainty.replicates=9"])
    given = kernels.settings_of("plax-phantom-third", arguments)
    assert given == ["plax-phantom.seed=101", "uncertainty.replicates=9"]
    assert kernels.settings_of("bus-bra", arguments) == ["uncertainty.replicates=9"]
    assert arguments.on == ["plax-phantom", "plax-phantom-third"] and arguments.random == 5


def test_names_are_unique_and_the_same_kernels_twice_are_noticed() -> None:
    assert kernels.named_paths(["a=x/b.safetensors", "shipped"], "--kernels") == {
        "a": "x/b.safetensors",
        "shipped": "shipped",
    }
    with pytest.raises(UsageError, match="'a' is there twice"):
        kernels.named_paths(["a=x", "a=y"], "--kernels")
    twice = kernels.entries_of({"one": "fcmae-atto-phantom", "two": "fcmae-atto-phantom"}, 1, False)
    with pytest.raises(UsageError, match="'one' and 'two' are the same method"):
        kernels.labels(twice, build_registry(), {})


def test_what_a_kernel_file_says_of_its_training_is_shown() -> None:
    facts = kernels.training_facts("fcmae-atto-phantom")
    assert facts["kernels"] == 40 and 0 < facts["stem_cosine"] <= 1 and 0 < facts["kernel_diversity"] < 1
