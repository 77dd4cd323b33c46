"""The methods, controls and the canary that ship: those of this folder, and the specs of each family beside it."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec
from harmbench_builtin.harmonizers.combat.specs import COMBAT
from harmbench_builtin.harmonizers.filter_bank.specs import BANKS
from harmbench_builtin.harmonizers.intensity.specs import INTENSITY
from harmbench_builtin.harmonizers.map_selection.specs import MAP_SELECTION
from harmbench_builtin.harmonizers.pretransform.specs import PRETRANSFORMS
from harmbench_builtin.harmonizers.quantile.specs import QUANTILE
from harmbench_builtin.harmonizers.scaling.specs import SCALING
from harmbench_builtin.harmonizers.speckle.specs import SPECKLE
from harmbench_builtin.harmonizers.ssl_kernel.specs import KERNELS
from harmbench_builtin.harmonizers.transport.specs import TRANSPORT

_HERE = "harmbench_builtin.harmonizers"

NONE = (
    HarmonizerSpec(
        name="none",
        target=f"{_HERE}.none:Identity",
        version="1",
        stage="feature",
        summary="Features of the original image, left as they are",
        handles_unseen_manufacturer=True,
        fits=False,
    ),
)

CONTROLS = (
    HarmonizerSpec(
        name="collapse",
        target=f"{_HERE}.controls:Collapse",
        version="1",
        stage="feature",
        summary="Constant features: no manufacturer effect and no signal",
        role="control",
        handles_unseen_manufacturer=True,
    ),
    HarmonizerSpec(
        name="shuffle",
        target=f"{_HERE}.controls:Shuffle",
        version="1",
        stage="feature",
        summary="Every row replaced by a random training row: no manufacturer effect and no signal",
        role="control",
        handles_unseen_manufacturer=True,
    ),
    HarmonizerSpec(
        name="oracle-label",
        target=f"{_HERE}.controls:OracleLabel",
        version="1",
        stage="feature",
        summary="The label plus noise: the best signal there can be",
        role="control",
        uses_label="oracle",
        handles_unseen_manufacturer=True,
        params={"noise": 0.1},
    ),
    HarmonizerSpec(
        name="oracle-site",
        target=f"{_HERE}.controls:OracleSite",
        version="1",
        stage="feature",
        summary="The manufacturer plus noise: the worst harmonization there can be",
        role="control",
        uses_manufacturer="fit+transform",
        params={"noise": 0.1},
    ),
)

HARMONIZERS = (
    *NONE,
    *COMBAT,
    *KERNELS,
    *BANKS,
    *INTENSITY,
    *SPECKLE,
    *MAP_SELECTION,
    *PRETRANSFORMS,
    *SCALING,
    *QUANTILE,
    *TRANSPORT,
    *CONTROLS,
)
