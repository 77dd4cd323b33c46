"""Location and scale: per manufacturer, and of all rows together."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

_HERE = "harmbench_builtin.harmonizers.scaling.harmonizers"

SCALING = (
    HarmonizerSpec(
        name="zscore",
        target=f"{_HERE}:ZScore",
        version="1",
        stage="feature",
        summary="Mean 0 and standard deviation 1 at each manufacturer, learned on the training fold",
        uses_manufacturer="fit+transform",
        params={"unseen": "error"},
    ),
    HarmonizerSpec(
        name="robust-zscore",
        target=f"{_HERE}:RobustZScore",
        version="1",
        stage="feature",
        summary="Median 0 and unit median absolute deviation at each manufacturer, learned on the training fold",
        uses_manufacturer="fit+transform",
        params={"unseen": "error"},
    ),
    HarmonizerSpec(
        name="pooled-zscore",
        target=f"{_HERE}:PooledZScore",
        version="1",
        stage="feature",
        summary="Mean 0 and standard deviation 1 over all training rows: the same map for every manufacturer",
        handles_unseen_manufacturer=True,
    ),
    HarmonizerSpec(
        name="pooled-robust",
        target=f"{_HERE}:PooledRobust",
        version="1",
        stage="feature",
        summary="Median 0 and unit median absolute deviation over all training rows, the same map for all",
        handles_unseen_manufacturer=True,
    ),
)
