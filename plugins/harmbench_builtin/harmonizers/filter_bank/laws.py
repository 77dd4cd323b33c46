"""`laws`: texture masks that are products of short one-dimensional ones."""

from __future__ import annotations

import numpy as np

from harmbench.errors import UsageError
from harmbench_builtin.harmonizers.filter_bank.bank import FixedBank, Select

MASKS: dict[int, dict[str, tuple[int, ...]]] = {
    3: {"L3": (1, 2, 1), "E3": (-1, 0, 1), "S3": (-1, 2, -1)},
    5: {
        "L5": (1, 4, 6, 4, 1),
        "E5": (-1, -2, 0, 2, 1),
        "S5": (-1, 0, 2, 0, -1),
        "W5": (-1, 2, 0, -2, 1),
        "R5": (1, -4, 6, -4, 1),
    },
}
"""Level, edge, spot, wave, ripple."""


class Laws(FixedBank):
    """All products of two masks, the first one down the columns, the second one along the rows: L5E5, E5L5, ...

    The responses themselves, not their local energy: the extractor sums them up over the region.

    Parameters
    ----------
    size : {3, 5}, default 5
        9 or 25 maps.
    reduce, select
        As for `ssl-kernel`.

    References
    ----------
    Laws 1980, 10.1117/12.959169.
    """

    def __init__(self, size: int = 5, reduce: str = "concat", select: Select = "") -> None:
        if isinstance(size, bool) or size not in MASKS:
            raise UsageError(f"laws.size must be 3 or 5, not {size!r}.")
        masks = MASKS[size]
        kernels = np.array([np.outer(down, along) for down in masks.values() for along in masks.values()], np.float64)
        super().__init__("laws", kernels, [down + along for down in masks for along in masks], reduce, select)
