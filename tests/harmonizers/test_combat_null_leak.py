"""PROTOCOL's pure noise again, for the other members of the ComBat family: none finds signal within a manufacturer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harmbench.components import FeatureHarmonizer
from harmbench_builtin.harmonizers.combat.clusters import AutoCombat
from harmbench_builtin.harmonizers.combat.covbat import CovBat
from harmbench_builtin.harmonizers.combat.harmonizer import CombatLabel
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
