"""How long work tells how far it is. Apart from the other types because it needs no NumPy."""

from __future__ import annotations

from collections.abc import Callable

ProgressFunction = Callable[[str, int, int], None]
"""progress(stage, done, total)"""


def no_progress(stage: str, done: int, total: int) -> None:
    """The progress function that shows nothing."""
