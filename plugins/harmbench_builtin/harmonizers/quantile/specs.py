"""Quantile mapping."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

QUANTILE = (
    HarmonizerSpec(
        name="quantile",
        target="harmbench_builtin.harmonizers.quantile.harmonizer:Quantile",
        version="1",
        stage="feature",
        summary="Maps each manufacturer's quantiles to a reference or to the balanced mixture, feature by feature",
        reference="10.1093/bioinformatics/19.2.185",
        uses_manufacturer="fit+transform",
        params={"target": "mixture", "reference": "", "quantiles": 100, "unseen": "error"},
    ),
)
