"""PROTOCOL's pure-noise table: which harmonization shows a shortcut, which a leak, and in which AUC.

Features are noise, so the true AUC is 0.5 whatever a method does. Three manufacturers (50, 30, 20 %) differ in their
means, and the label is more frequent in some than in others (.2, .5, .8). 200 samples, 1000 features, L2 logistic
regression, five folds. Every claim is about the mean over seeds, with its t interval.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from harmbench.components import Context, FeatureHarmonizer
from harmbench.data import FeatureTable
from harmbench_builtin.harmonizers.combat.harmonizer import Combat, LeakyCombat
from harmbench_builtin.harmonizers.controls import Collapse, Shuffle
from harmbench_builtin.harmonizers.none import Identity
from harmonizers.feature_tables import make_table

SEEDS = range(12)
SIZES = {"GE": 100, "Philips": 60, "Siemens": 40}
POSITIVES = {"GE": 20, "Philips": 30, "Siemens": 32}
FEATURES = 1000

INDUCTIVE: dict[str, Callable[[], FeatureHarmonizer]] = {
    "none": Identity,
    "combat": Combat,
    "combat, non-parametric": lambda: Combat(parametric=False),
    "combat, no EB": lambda: Combat(eb=False),
    "combat, means only": lambda: Combat(mean_only=True),
    "combat, reference": lambda: Combat(reference="GE"),
    "shuffle": Shuffle,
}


def pure_noise(seed: int) -> FeatureTable:
    rng = np.random.default_rng(seed)
    manufacturer = np.repeat(list(SIZES), list(SIZES.values()))
    label = np.concatenate([rng.permutation(np.arange(n) < POSITIVES[name]) for name, n in SIZES.items()])
    shift = np.repeat(rng.normal(size=(3, FEATURES)), list(SIZES.values()), axis=0)
    return make_table(shift + rng.normal(size=(len(label), FEATURES)), manufacturer, label=label)


def aucs(
    table: FeatureTable, make: Callable[[], FeatureHarmonizer], transductive: bool, seed: int, uses_label: bool = False
) -> tuple[float, float]:
    """Pooled and within-manufacturer AUC of out-of-fold scores; the method sees what the runner would show it."""
    label = table.label
    assert label is not None
    blind = table.with_label(None)
    score = np.empty(len(table))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    for train, test in folds.split(table.values, np.char.add(table.manufacturer, label.astype(str))):
        rows = table if transductive else (table if uses_label else blind).rows(train)
        method = make().fit(rows, Context(seed=seed))
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(method.transform(blind.rows(train)).values, label[train])
        score[test] = model.decision_function(method.transform(blind.rows(test)).values)
    within = [
        roc_auc_score(label[rows], score[rows]) for rows in (table.manufacturer == name for name in table.manufacturers)
    ]
    return float(roc_auc_score(label, score)), float(np.mean(within))


@cache
def over_seeds(name: str) -> np.ndarray:
    """Pooled (column 0) and within-manufacturer (column 1) AUC for every seed."""
    make, transductive = (
        (LeakyCombat, True) if name == "leaky-combat" else ({**INDUCTIVE, "collapse": Collapse}[name], False)
    )
    return np.array([aucs(pure_noise(seed), make, transductive, seed) for seed in SEEDS])


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % t interval of the mean over seeds."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def test_without_harmonization_the_manufacturer_is_a_shortcut_in_the_pooled_auc() -> None:
    low, _ = interval(over_seeds("none")[:, 0])
    assert low > 0.6


def test_the_shortcut_is_gone_after_combat_fitted_on_the_training_fold() -> None:
    combat, none = over_seeds("combat")[:, 0], over_seeds("none")[:, 0]
    low, high = interval(combat)
    assert low <= 0.5 <= high
    assert interval(none - combat)[0] > 0.1


@pytest.mark.parametrize("name", INDUCTIVE)
def test_no_inductive_method_finds_signal_within_a_manufacturer(name: str) -> None:
    low, high = interval(over_seeds(name)[:, 1])
    assert low <= 0.5 <= high


def test_collapse_finds_no_signal() -> None:
    # No interval here: every seed has the same fold sizes and constant scores. A fold that holds more positives than
    # the others is scored by an intercept fitted on fewer, so out-of-fold scores read a little below one half.
    assert ((over_seeds("collapse") > 0.45) & (over_seeds("collapse") <= 0.5)).all()


def test_leaky_combat_makes_signal_out_of_noise_even_within_a_manufacturer() -> None:
    leaky, honest = over_seeds("leaky-combat")[:, 1], over_seeds("combat")[:, 1]
    low, high = interval(leaky)
    assert low > 0.65 and high < 0.9  # PROTOCOL measured 0.80 over 20 seeds
    assert interval(leaky - honest)[0] > 0.15
