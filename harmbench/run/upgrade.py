"""Run folders of older schemas, as they are read today. Nothing is written: the folder stays as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harmbench.upgrading import Document, Step

SCHEMA = 3
"""2: evaluators see hashed ids, and what figures are rebuilt from is kept (samples, raw features, paired images).
3: ids are hashed with a key that bundles do not hold; rows and folds follow the order of the hashed ids; no text holds
an id; records name the type and place of a failure, their tables, and the digests of their cell's files, the plan those
of samples and splits; a cell's key can be worked out from its record; entries of environment.json carry the number."""

REBUILDABLE = 2
"""The first schema whose folders hold what figures can be rebuilt from."""


def upgrade_plan_1_to_2(plan: Document) -> Document:
    """Resamples of schema 1 depend on ids that were not kept, so its figures cannot be rebuilt."""
    metrics = [{**m, "bounds": [b if math.isfinite(b) else None for b in m["bounds"]]} for m in plan["metrics"]]
    return {**plan, "harmbench": plan.get("harmbench", ""), "rebuildable": False, "metrics": metrics}


def upgrade_record_1_to_2(record: Document) -> Document:
    """Raw features and the code of each stage were not written down."""
    stages = [{**stage, "code": stage.get("code", "")} for stage in record["stages"]]
    return {**record, "raw": "", "stages": stages}


def upgrade_plan_2_to_3(plan: Document) -> Document:
    """The revision, which is published, was the key; nothing tied samples and splits to the plan."""
    data = {**plan["data"], "ids": "revision" if plan["rebuildable"] else "original"}
    return {**plan, "id_key": "", "data": data, "files": None}


def upgrade_record_2_to_3(record: Document) -> Document:
    """What had been raised stood in texts only; which tables there were, in the folder only; nothing tied its files."""
    stages = [{**stage, "requires": None, "package": None} for stage in record["stages"]]
    return {**record, "exception": "", "stage": "", "fold": "", "tables": None, "files": None, "stages": stages}


def same(document: Document) -> Document:
    """Nothing but the number changed."""
    return document


UNNUMBERED = 2
"""Entries of environment.json without a number are of this schema, or the one before it, which is the same."""
PLAN: Mapping[int, Step] = {1: upgrade_plan_1_to_2, 2: upgrade_plan_2_to_3}
RECORD: Mapping[int, Step] = {1: upgrade_record_1_to_2, 2: upgrade_record_2_to_3}
ENVIRONMENT: Mapping[int, Step] = {1: same, 2: same}
