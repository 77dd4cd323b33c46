"""The choice of maps inside the training fold."""

from __future__ import annotations

from harmbench.specs import HarmonizerSpec

MAP_SELECTION = (
    HarmonizerSpec(
        name="select-maps",
        target="harmbench_builtin.harmonizers.map_selection.harmonizer:SelectMaps",
        version="1",
        stage="feature",
        summary="Keeps the few maps that differ least between manufacturers, of those that keep the signal",
        uses_manufacturer="fit",
        uses_label="fit",
        handles_unseen_manufacturer=True,
        drops_features=True,
        params={"maps": 4, "tolerance": 1.0, "inner_folds": 5, "inner_repeats": 3, "bins": 10},
    ),
)
