"""Methods that smooth speckle. Speckle is the texture that features measure, so they can take signal away too."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

_HERE = "harmbench_builtin.harmonizers.speckle"

SPECKLE = (
    HarmonizerSpec(
        name="median",
        target=f"{_HERE}.local:Median",
        version="1",
        stage="image",
        summary="Median of a square window",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"size": 5},
    ),
    HarmonizerSpec(
        name="lee",
        target=f"{_HERE}.local:Lee",
        version="1",
        stage="image",
        summary="Lee's filter: the local mean, and more of the pixel itself where it varies more than noise does",
        reference="10.1109/TPAMI.1980.4766994",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"size": 5, "model": "additive", "noise": 0.0},
    ),
    HarmonizerSpec(
        name="srad",
        target=f"{_HERE}.srad:Srad",
        version="1",
        stage="image",
        summary="Speckle-reducing anisotropic diffusion of the decompressed intensity (Yu and Acton)",
        reference="10.1109/TIP.2002.804276",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"iterations": 50, "step": 0.2, "dynamic_range": 50.0, "q0": 1.0, "decay": 1 / 6},
    ),
    HarmonizerSpec(
        name="non-local-means",
        target=f"{_HERE}.non_local_means:NonLocalMeans",
        version="1",
        stage="image",
        summary="Mean of the pixels around, weighted by how alike their patches are",
        reference="10.1109/CVPR.2005.38",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"patch": 5, "search": 11, "strength": 0.8, "noise": 0.0},
    ),
)
