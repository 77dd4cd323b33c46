"""The ComBat family and its canary."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

_HERE = "harmbench_builtin.harmonizers.combat"

COMBAT = (
    HarmonizerSpec(
        name="combat",
        target=f"{_HERE}.harmonizer:Combat",
        version="1",
        stage="feature",
        summary="ComBat: empirical-Bayes location and scale per manufacturer, fitted on the training fold",
        reference="10.1093/biostatistics/kxj037",
        uses_manufacturer="fit+transform",
        params={
            "parametric": True,
            "eb": True,
            "mean_only": False,
            "reference": "",
            "covariates": "none",
            "unseen": "error",
        },
    ),
    HarmonizerSpec(
        name="leaky-combat",
        target=f"{_HERE}.harmonizer:LeakyCombat",
        version="1",
        stage="feature",
        summary="ComBat fitted on all rows with the label preserved: a leak that the audit must catch",
        role="canary",
        uses_manufacturer="fit+transform",
        uses_label="fit",
        inductive=False,
    ),
)
