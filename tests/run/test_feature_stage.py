from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import builders
from harmbench.components import Context
from harmbench.errors import NotApplicable, PluginError
from harmbench.methods import parse_method
from harmbench.run.audit import audit
from harmbench.run.feature_stage import harmonize

TRAIN = builders.table(60, 6, seed=1, shift=1.0, manufacturers=("A", "B"))
TEST = builders.table(20, 6, seed=2, shift=1.0, manufacturers=("A", "B"))


def stages(registry, text):
    return parse_method(text, registry).features


def test_fit_sees_training_rows_and_transform_applies_to_all(tiny_registry):
    done = harmonize(stages(tiny_registry, "center"), TRAIN, TEST, TEST, Context())
    for maker in ("A", "B"):
        mean = TRAIN.values[TRAIN.manufacturer == maker].mean(axis=0)
        assert np.allclose(done.train.values[TRAIN.manufacturer == maker].mean(axis=0), 0)
        assert np.allclose(done.test.values[TEST.manufacturer == maker], TEST.values[TEST.manufacturer == maker] - mean)
    assert np.array_equal(done.paired.values, done.test.values)
    assert np.array_equal(done.test.label, TEST.label)


def test_the_label_is_withheld_from_a_method_that_does_not_declare_it(tiny_registry):
    with pytest.raises(NotApplicable, match="there is no label"):
        harmonize(stages(tiny_registry, "wants-label"), TRAIN, TEST, None, Context())


@pytest.mark.parametrize(
    ("method", "message"),
    [("reorders", "another order"), ("makes-nan", "non-finite values, first nan for feature")],
)
def test_a_broken_transform_is_refused_and_named(tiny_registry, method, message):
    with pytest.raises(PluginError, match=rf"method '{method}'.*{message}"):
        harmonize(stages(tiny_registry, method), TRAIN, TEST, None, Context())


def test_a_method_cannot_write_into_its_input(tiny_registry):
    before = TRAIN.values.copy()
    with pytest.raises(ValueError, match="read-only"):
        harmonize(stages(tiny_registry, "mutates"), TRAIN, TEST, None, Context())
    assert np.array_equal(TRAIN.values, before)


def test_the_audit_catches_the_leaky_canary(tiny_registry):
    found = audit(stages(tiny_registry, "leaky-combat"), TRAIN, TEST, Context())
    assert found.label_leak and found.row_dependent


def test_the_audit_catches_a_method_whose_rows_see_each_other(tiny_registry):
    found = audit(stages(tiny_registry, "peeks"), TRAIN, TEST, Context())
    assert found.row_dependent and not found.label_leak


@pytest.mark.parametrize("method", ["none", "combat", "center", "collapse", "shuffle", "oracle-label", "oracle-site"])
def test_the_audit_clears_what_is_inductive(tiny_registry, method):
    found = audit(stages(tiny_registry, method), TRAIN, TEST, Context())
    assert not found.row_dependent and not found.label_leak


def test_a_transductive_method_without_a_map_for_paired_rows_goes_without_them(tiny_registry):
    others = replace(TEST, samples=np.char.add(TEST.samples, "x"))
    done = harmonize(stages(tiny_registry, "whole-cohort+center"), TRAIN, TEST, others, Context())
    assert done.paired is None
    assert done.unpaired == "no map for 20 rows outside the fit"
    mean = np.concatenate([TRAIN.values, TEST.values]).mean(axis=0)
    alone = harmonize(stages(tiny_registry, "whole-cohort"), TRAIN, TEST, None, Context())
    assert np.allclose(alone.test.values, TEST.values - mean)
    assert alone.unpaired == ""


def test_an_inductive_method_must_have_a_map_for_paired_rows(tiny_registry):
    others = replace(TEST, samples=np.char.add(TEST.samples, "x"))
    with pytest.raises(NotApplicable, match="no map for 20 rows"):
        harmonize(stages(tiny_registry, "whole-cohort-undeclared"), TRAIN, TRAIN.rows(slice(0, 9)), others, Context())
