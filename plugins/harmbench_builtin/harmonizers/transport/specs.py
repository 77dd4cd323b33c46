"""Maps of the joint distribution: linear (CORAL, Gaussian optimal transport), entropic, and Harmony's."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

_HERE = "harmbench_builtin.harmonizers.transport"

TRANSPORT = (
    HarmonizerSpec(
        name="coral",
        target=f"{_HERE}.gaussian:Coral",
        version="1",
        stage="feature",
        summary="CORAL: whitens with a manufacturer's shrunk covariance, colours with the common one",
        reference="arXiv:1511.05547",
        uses_manufacturer="fit+transform",
        params={"reference": "", "shrinkage": 0.5, "unseen": "error"},
    ),
    HarmonizerSpec(
        name="linear-ot",
        target=f"{_HERE}.gaussian:LinearOt",
        version="1",
        stage="feature",
        summary="Optimal transport between normal distributions, to their barycentre or a reference",
        reference="10.1561/2200000073",
        uses_manufacturer="fit+transform",
        params={"reference": "", "shrinkage": 0.5, "unseen": "error"},
    ),
    HarmonizerSpec(
        name="entropic-ot",
        target=f"{_HERE}.entropic:EntropicOt",
        version="1",
        stage="feature",
        summary="Entropy-regularized optimal transport of rows, by POT",
        reference="10.1109/TPAMI.2016.2615921",
        uses_manufacturer="fit+transform",
        params={"reference": "", "regularization": 1.0, "debias": True, "extension": "map", "unseen": "error"},
        requires=("ot (pip install 'harmbench[transport]')",),
    ),
    HarmonizerSpec(
        name="harmony",
        target=f"{_HERE}.harmony:Harmony",
        version="1",
        stage="feature",
        summary="Harmony's corrected principal components, carried back to the features",
        reference="10.1038/s41592-019-0619-0",
        uses_manufacturer="fit+transform",
        inductive=False,
        params={"components": 20, "theta": 2.0, "sigma": 0.1, "clusters": 0},
        requires=("harmonypy (pip install 'harmbench[harmony]')",),
    ),
)
