"""Transforms of single features that are blind to manufacturer and label; made to stand before another method."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

_HERE = "harmbench_builtin.harmonizers.pretransform"

PRETRANSFORMS = (
    HarmonizerSpec(
        name="signed-log",
        target=f"{_HERE}.signed_log:SignedLog",
        version="1",
        stage="feature",
        summary="sign(x) log(1 + |x| / s), the scale s of each feature learned on the training fold",
        reference="10.2307/2986305",
        handles_unseen_manufacturer=True,
        params={"level": 0.05},
    ),
    HarmonizerSpec(
        name="yeo-johnson",
        target=f"{_HERE}.yeo_johnson:YeoJohnson",
        version="1",
        stage="feature",
        summary="Yeo-Johnson power transform, the exponent of each feature by maximum likelihood on the training fold",
        reference="10.1093/biomet/87.4.954",
        handles_unseen_manufacturer=True,
    ),
    HarmonizerSpec(
        name="rank-gauss",
        target=f"{_HERE}.rank_gauss:RankGauss",
        version="1",
        stage="feature",
        summary="Normal scores of ranks among the training fold; tails clipped",
        reference="10.1007/s10519-009-9281-0",
        handles_unseen_manufacturer=True,
    ),
)
