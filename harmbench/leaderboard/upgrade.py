"""Boards of older schemas, as they are read today."""

from __future__ import annotations

from collections.abc import Mapping

from harmbench.upgrading import Document, Step


def upgrade_1_to_2(board: Document) -> Document:
    """Schema 1 kept no replicates, so such a board can be shown and compared, and its ranks not worked out anew."""
    rows = []
    for row in board["rows"]:
        alone = row["section"] not in ("ranked", "below the gate")
        rows.append({**row, "apart": row["section"] if alone else None, "apart_reason": row["reason"] if alone else ""})
    return {**board, "rows": rows, "rebuilt": False, "rebuildable": False}


def upgrade_2_to_3(board: Document) -> Document:
    """Runs of schema 2 hashed ids with the revision, those of schema 1 drew over the ids themselves.

    Nobody looked whether the settings are those of the benchmark.
    """
    ids = "revision" if board["rebuildable"] else "original"
    return {**board, "data": {**board["data"], "ids": ids}, "deviations": None}


BOARD: Mapping[int, Step] = {1: upgrade_1_to_2, 2: upgrade_2_to_3}
