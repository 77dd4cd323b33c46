"""What the plugin registers. Nothing heavy is imported here: every harmbench command reads this file."""

from __future__ import annotations

from harmbench import HarmonizerSpec, hookimpl


@hookimpl
def register_harmonizers() -> list[HarmonizerSpec]:
    return [
        HarmonizerSpec(
            name="median-align",
            target="harmbench_median_align.method:MedianAlign",
            version="1",
            stage="feature",
            summary="Median of each manufacturer brought to that of all, less so where rows are few",
            uses_manufacturer="fit+transform",
            params={"weight": 5.0},
        )
    ]
