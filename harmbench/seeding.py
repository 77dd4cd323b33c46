"""Seeds as a hash of named axes.

`seed(7, split="cv", repeat=0)` depends on exactly these names and values: methods that share a split share its seed,
and adding a method, a worker or a fold never moves another one's random numbers.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Axis = str | int | float | bool | None


def seed(base: int, **axes: Axis) -> int:
    """A seed in [0, 2**32) from the run's base seed and named axes (their order does not matter)."""
    text = json.dumps([base, sorted(axes.items())], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def rng(base: int, **axes: Axis) -> np.random.Generator:
    """A NumPy generator seeded by `seed(base, **axes)`."""
    import numpy as np

    return np.random.default_rng(seed(base, **axes))
