"""ComBat on skewed features makes a manufacturer signature out of nothing; a transform before it does not.

All rows come of one distribution, so a forest that names the manufacturer should do no better than chance.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from harmbench_builtin.harmonizers.pretransform.specs import PRETRANSFORMS

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "skewed_features.py"
LOGNORMAL = "lognormal, sigma 1.5"
TRANSFORMS = ["signed-log", "yeo-johnson", "rank-gauss"]


@cache
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("skewed_features", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def auc(distribution: str, method: str) -> float:
    """Mean over two seeds; its standard error is about 0.03 where nothing is to be found."""
    found = [
        study().forest_auc(study().table(distribution, (139, 52), 60, seed), method, seed, 60) for seed in range(2)
    ]
    return sum(found) / len(found)


def test_there_is_nothing_to_find_before_harmonization():
    assert auc(LOGNORMAL, "none") == pytest.approx(0.5, abs=0.1)


def test_combat_creates_a_signature_on_lognormal_features():
    assert auc(LOGNORMAL, "combat") > 0.97


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_transform_before_combat_keeps_it_from_creating_one(transform):
    assert auc(LOGNORMAL, f"{transform}+combat") < 0.6


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_on_normal_features_combat_creates_none_with_or_without_a_transform(transform):
    assert auc("normal", "combat") < 0.6
    assert auc("normal", f"{transform}+combat") < 0.6


def test_the_study_covers_every_transform_that_ships():
    given = {method.removesuffix("+combat") for method in study().METHODS} - {"none", "combat"}
    assert given == {spec.name for spec in PRETRANSFORMS} == set(TRANSFORMS)
