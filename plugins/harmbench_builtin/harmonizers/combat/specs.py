"""The ComBat family and its canary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harmbench.specs import HarmonizerSpec

_HERE = "harmbench_builtin.harmonizers.combat"
_EB: Mapping[str, Any] = {"parametric": True, "eb": True, "mean_only": False}
_COMBAT: Mapping[str, Any] = {**_EB, "reference": "", "covariates": "none", "unseen": "error"}
_NESTED: Mapping[str, Any] = {"batches": "", "covariates": "none", **_EB, "unseen": "error"}


def _spec(
    name: str, target: str, summary: str, reference: str, params: Mapping[str, Any], **more: Any
) -> HarmonizerSpec:
    more = {"version": "1", "uses_manufacturer": "fit+transform", **more}
    return HarmonizerSpec(
        name=name,
        target=f"{_HERE}.{target}",
        stage="feature",
        summary=summary,
        reference=reference,
        params=params,
        **more,
    )


COMBAT = (
    _spec(
        "combat",
        "harmonizer:Combat",
        "ComBat: empirical-Bayes location and scale per manufacturer, fitted on the training fold",
        "10.1093/biostatistics/kxj037",
        _COMBAT,
    ),
    _spec(
        "combat-label",
        "harmonizer:CombatLabel",
        "ComBat with the label protected in the fit; no label is needed to transform",
        "10.1093/biostatistics/kxj037",
        _COMBAT,
        uses_label="fit",
    ),
    _spec(
        "combat-self",
        "own_rows:CombatSelf",
        "ComBat that estimates an unseen manufacturer from its own rows",
        "10.1093/biostatistics/kxj037",
        {**_EB, "reference": "", "covariates": "none"},
        inductive=False,
        handles_unseen_manufacturer=True,
    ),
    _spec(
        "combat-gam",
        "gam:CombatGam",
        "ComBat that keeps smooth effects of continuous covariates (penalised splines)",
        "10.1016/j.neuroimage.2019.116450",
        {**_COMBAT, "smooth": "none", "df": 10, "penalty": "gcv"},
        version="2",
    ),
    _spec(
        "covbat",
        "covbat:CovBat",
        "CovBat: ComBat, then ComBat on principal component scores, so that correlations agree too",
        "10.1002/hbm.25688",
        {**_COMBAT, "explained": 0.95, "score_eb": False},
    ),
    _spec(
        "nested-combat",
        "nested:NestedCombat",
        "Nested ComBat: manufacturer and acquisition covariates one after the other, the best next one first",
        "10.1038/s41598-022-08412-9",
        _NESTED,
    ),
    _spec(
        "opnested-combat",
        "nested:OPNestedCombat",
        "OPNested ComBat: several batch variables in the best of all orders",
        "10.1038/s41598-022-23328-0",
        _NESTED,
    ),
    _spec(
        "opnested-plus-gmm-combat",
        "nested_gmm:OPNestedPlusGmmCombat",
        "OPNested + GMM ComBat: hidden groups of a Gaussian mixture as one more batch variable",
        "10.1038/s41598-022-23328-0",
        _NESTED,
    ),
    _spec(
        "opnested-minus-gmm-combat",
        "nested_gmm:OPNestedMinusGmmCombat",
        "OPNested - GMM ComBat: hidden groups of a Gaussian mixture as a protected covariate",
        "10.1038/s41598-022-23328-0",
        _NESTED,
    ),
    _spec(
        "gmm-combat",
        "nested_gmm:GmmCombat",
        "GMM ComBat: hidden groups of a Gaussian mixture first, then the manufacturer",
        "10.1038/s41598-022-08412-9",
        _NESTED,
    ),
    _spec(
        "recombat",
        "regularised:ReCombat",
        "reComBat: ComBat with penalised covariate effects, for designs that are singular or nearly so",
        "10.1093/bioadv/vbac071",
        {**_COMBAT, "remove": "none", "strength": 0.1, "l1_ratio": 0.0},
        version="2",
    ),
    _spec(
        "autocombat",
        "clusters:AutoCombat",
        "AutoComBat: ComBat on clusters of acquisition or image-level quantities; serves unseen scanners",
        "10.1038/s41598-022-16609-1",
        {"by": "firstorder", "max_clusters": 10, "min_rows": 10, "covariates": "none", **_EB},
        uses_manufacturer="no",
        handles_unseen_manufacturer=True,
    ),
    _spec(
        "longitudinal-combat",
        "longitudinal:LongitudinalCombat",
        "Longitudinal ComBat: a random intercept for every patient",
        "10.1016/j.neuroimage.2020.117129",
        {"covariates": "none", **_EB},
        inductive=False,
    ),
    _spec(
        "stacked-combat",
        "stacked:StackedCombat",
        "ComBat that keeps the label's effect by pretended labels and stacking, without asking rows for labels",
        "arXiv:2410.19643",
        {"target": "probability", "inner_folds": 5, "strength": 0.01, "covariates": "none", **_EB, "unseen": "error"},
        uses_label="fit",
    ),
    _spec(
        "leaky-combat",
        "harmonizer:LeakyCombat",
        "ComBat fitted on all rows with the label preserved: a leak that the audit must catch",
        "",
        {},
        role="canary",
        uses_label="fit",
        inductive=False,
    ),
)
