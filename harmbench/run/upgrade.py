"""Run folders of older schemas, as they are read today. Nothing is written: the folder stays as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harmbench.upgrading import Document, Step

SCHEMA = 2
"""2: evaluators see hashed ids, and what figures are rebuilt from is kept (samples, raw features, paired images)."""


def upgrade_plan_1_to_2(plan: Document) -> Document:
    """Resamples of schema 1 depend on ids that were not kept, so its figures cannot be rebuilt."""
    metrics = [{**m, "bounds": [b if math.isfinite(b) else None for b in m["bounds"]]} for m in plan["metrics"]]
    return {**plan, "harmbench": plan.get("harmbench", ""), "rebuildable": False, "metrics": metrics}


def upgrade_record_1_to_2(record: Document) -> Document:
    """Raw features and the code of each stage were not written down."""
    stages = [{**stage, "code": stage.get("code", "")} for stage in record["stages"]]
    return {**record, "raw": "", "stages": stages}


PLAN: Mapping[int, Step] = {1: upgrade_plan_1_to_2}
RECORD: Mapping[int, Step] = {1: upgrade_record_1_to_2}
