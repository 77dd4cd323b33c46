"""A parameter that would make a metric meaningless is refused by name, with what is allowed."""

from __future__ import annotations

import pytest

from harmbench.errors import UsageError
from harmbench.specs import load_target
from harmbench_builtin.evaluators.parameters import require
from harmbench_builtin.evaluators.specs import EVALUATORS

TARGETS = {spec.name: spec.target for spec in EVALUATORS}
SMALLEST = {
    "lvh-auc": {
        "boruta_iterations": 2,
        "boruta_trees": 1,
        "boruta_depth": 1,
        "trees": 1,
        "depth": 1,
        "inner_folds": 2,
    },
    "jsd": {"bins": 2, "small_group": 0},
    "manufacturer-predictability": {"trees": 1},
    "interpretation": {"least_features": 0, "least_patients": 10},
}
SHARES = [("lvh-auc", "learning_rate"), ("interpretation", "kept_in")]
EACH = [(name, parameter, least) for name, known in SMALLEST.items() for parameter, least in known.items()]


@pytest.mark.parametrize(("name", "parameter", "least"), EACH, ids=[f"{n}.{p}" for n, p, _ in EACH])
def test_the_smallest_allowed_number_is_taken_and_one_less_is_refused(name: str, parameter: str, least: int):
    evaluator = load_target(TARGETS[name])
    evaluator(**{parameter: least})
    with pytest.raises(UsageError, match=rf"^{name}\.{parameter} is {least - 1}; it must be at least {least}\b"):
        evaluator(**{parameter: least - 1})


def test_every_number_that_an_evaluator_takes_has_a_range():
    numbers = {
        (spec.name, parameter)
        for spec in EVALUATORS
        for parameter, default in spec.params.items()
        if isinstance(default, int | float) and not isinstance(default, bool)
    }
    assert numbers == {(name, parameter) for name, parameter, _ in EACH} | set(SHARES)


@pytest.mark.parametrize("value", [0.0, -0.1, 1.5, float("nan"), float("inf")])
@pytest.mark.parametrize(("name", "parameter"), SHARES)
def test_a_learning_rate_or_share_is_above_zero_and_at_most_one(name: str, parameter: str, value: float):
    evaluator = load_target(TARGETS[name])
    evaluator(**{parameter: 1.0})
    with pytest.raises(UsageError, match=rf"{name}\.{parameter} is .*; it must be above 0 and at most 1\."):
        evaluator(**{parameter: value})


def test_the_message_ends_with_what_else_there_is_to_know():
    with pytest.raises(UsageError, match=r"^a\.b is 3; it must be at least 4 \(why\)\.$"):
        require("a.b", 3, least=4, hint="why")
