"""Methods that change grey levels: to a reference, to a scale of their own, or by depth."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

_HERE = "harmbench_builtin.harmonizers.intensity"

INTENSITY = (
    HarmonizerSpec(
        name="histogram-matching",
        target=f"{_HERE}.histogram:HistogramMatching",
        version="1",
        stage="image",
        summary="Grey levels in the sector take the histogram of the training images, all manufacturers weighing alike",
        reference="ISBN 9780133356724 (Gonzalez and Woods, Digital Image Processing: histogram specification)",
        uses_manufacturer="fit",
        handles_unseen_manufacturer=True,
        params={"reference": "balanced"},
    ),
    HarmonizerSpec(
        name="nyul",
        target=f"{_HERE}.nyul:Nyul",
        version="1",
        stage="image",
        summary="Deciles of grey in the sector moved to their means over the training images, piecewise linearly",
        reference="10.1109/42.836373",
        handles_unseen_manufacturer=True,
        params={"low": 1.0, "high": 99.0, "step": 10.0},
    ),
    HarmonizerSpec(
        name="image-zscore",
        target=f"{_HERE}.stretch:ImageZscore",
        version="1",
        stage="image",
        summary="Grey levels less their mean over their standard deviation in the sector",
        fits=False,
        handles_unseen_manufacturer=True,
    ),
    HarmonizerSpec(
        name="percentile-clip",
        target=f"{_HERE}.stretch:PercentileClip",
        version="1",
        stage="image",
        summary="Grey levels clipped at two percentiles of the sector and spread over 0 to 1",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"low": 1.0, "high": 99.0},
    ),
    HarmonizerSpec(
        name="clahe",
        target=f"{_HERE}.clahe:Clahe",
        version="1",
        stage="image",
        summary="Contrast-limited adaptive histogram equalisation of the sector",
        reference="10.1016/B978-0-12-336156-1.50061-6",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"tiles": 8, "clip": 0.01, "bins": 256},
    ),
    HarmonizerSpec(
        name="gain-normalization",
        target=f"{_HERE}.gain:GainNormalization",
        version="1",
        stage="image",
        summary="Mean and spread of grey made alike at every depth: takes away gain and its compensation by depth",
        fits=False,
        handles_unseen_manufacturer=True,
        params={"depth": "range", "width": 0.05, "scale": True},
    ),
)
