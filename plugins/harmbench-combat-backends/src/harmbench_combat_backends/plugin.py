"""One method per package. Nothing heavy is imported here: every harmbench command reads this file."""

from __future__ import annotations

from typing import Any

from harmbench import HarmonizerSpec, hookimpl

_HERE = "harmbench_combat_backends.methods"


def _spec(package: str, cls: str, requires: str, params: dict[str, Any], reference: str) -> HarmonizerSpec:
    return HarmonizerSpec(
        name=f"combat-{package.lower()}",
        target=f"{_HERE}:{cls}",
        version="1",
        stage="feature",
        summary=f"ComBat as {package} computes it, fitted on the training fold",
        reference=reference,
        uses_manufacturer="fit+transform",
        params=params,
        requires=(requires,),
    )


@hookimpl
def register_harmonizers() -> list[HarmonizerSpec]:
    johnson = "10.1093/biostatistics/kxj037"
    options = {"parametric": True, "mean_only": False}
    return [
        _spec(
            "neuroCombat",
            "NeuroCombat",
            "neuroCombat (pip install neuroCombat)",
            {**options, "eb": True},
            "10.1016/j.neuroimage.2017.11.024",
        ),
        _spec(
            "neuroHarmonize",
            "NeuroHarmonize",
            "neuroHarmonize (pip install --no-deps neuroHarmonize, then neuroCombat, statsmodels and nibabel)",
            {"eb": True},
            "10.1016/j.neuroimage.2019.116450",
        ),
        _spec("combatlearn", "CombatLearn", "combatlearn (pip install combatlearn)", options, johnson),
        _spec("inmoose", "InMoose", "inmoose (pip install inmoose)", options, "10.1186/s12859-023-05578-5"),
    ]
