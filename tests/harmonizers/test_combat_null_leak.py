"""PROTOCOL's pure noise again, for the other members of the ComBat family: none finds signal within a manufacturer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from harmbench.components import Context, FeatureHarmonizer
from harmbench.data import FeatureTable
from harmbench_builtin.harmonizers.combat.clusters import AutoCombat
from harmbench_builtin.harmonizers.combat.covbat import CovBat
from harmbench_builtin.harmonizers.combat.harmonizer import Combat, CombatLabel
from harmbench_builtin.harmonizers.combat.nested_gmm import GmmCombat
from harmbench_builtin.harmonizers.combat.stacked import StackedCombat
from harmonizers.test_null_leak import aucs, interval, pure_noise

SEEDS = range(6)
LABEL_IN_FIT: dict[str, Callable[[], FeatureHarmonizer]] = {
    "combat-label": CombatLabel,
    "stacked-combat": StackedCombat,
}
BLIND: dict[str, Callable[[], FeatureHarmonizer]] = {
    "covbat": CovBat,
    "autocombat": lambda: AutoCombat(by="features", max_clusters=4),
    "gmm-combat": GmmCombat,
}


@pytest.mark.parametrize("name", [*LABEL_IN_FIT, *BLIND])
def test_no_signal_within_a_manufacturer_comes_out_of_noise(name: str) -> None:
    make = {**LABEL_IN_FIT, **BLIND}[name]
    within = np.array([aucs(pure_noise(seed), make, False, seed, name in LABEL_IN_FIT)[1] for seed in SEEDS])
    low, high = interval(within)
    assert low <= 0.5 <= high


def test_to_keep_a_covariate_that_stands_for_the_label_is_to_write_the_label_into_noise() -> None:
    """Why `covariates` is "none" unless somebody names them: rows to transform bring theirs along."""
    kept, blind = [], []
    for seed in SEEDS:
        table = pure_noise(seed)
        assert table.label is not None
        # Scales must differ: x b (1 - 1 / sqrt(delta*)) is what a covariate leaves in a row.
        loud = np.where(table.manufacturer == "Philips", 2.0, 1.0)[:, None]
        grade = table.label + 0.3 * np.random.default_rng(seed).normal(size=len(table))
        table = replace(table, values=table.values * loud, covariates={"grade": grade}).rows(
            table.manufacturer != "Siemens"
        )
        kept.append(within_philips(table, seed, "grade"))
        blind.append(within_philips(table, seed, "none"))
    low, high = interval(np.array(blind))
    assert low <= 0.5 <= high
    assert interval(np.array(kept))[0] > 0.6


def within_philips(table: FeatureTable, seed: int, covariates: str) -> float:
    """Out-of-fold AUC of the Philips rows after `combat` that keeps these covariates."""
    label = table.label
    assert label is not None
    blind, score = table.with_label(None), np.empty(len(table))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(table.values, label):
        method = Combat(covariates=covariates).fit(blind.rows(train), Context())
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(method.transform(blind.rows(train)).values, label[train])
        score[test] = model.decision_function(method.transform(blind.rows(test)).values)
    rows = table.manufacturer == "Philips"
    return float(roc_auc_score(label[rows], score[rows]))
