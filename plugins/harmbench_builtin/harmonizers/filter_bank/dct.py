"""`dct`: the cosine basis of a small square, the fixed counterpart of a network's stem."""

from __future__ import annotations

import numpy as np

from harmbench.errors import UsageError
from harmbench_builtin.harmonizers.filter_bank.bank import FixedBank, Select


class Dct(FixedBank):
    """n x n maps under the orthonormal DCT-II basis of n x n pixels: rUcV holds u half waves down and v along.

    4 x 4 kernels span everything that a 4 x 4 stem can see, in 16 uncorrelated maps.

    Parameters
    ----------
    size : int, default 4
        n, from 2 to 16.
    reduce, select
        As for `ssl-kernel`; number u n + v is the map rUcV.

    References
    ----------
    Ahmed, Natarajan and Rao 1974, 10.1109/T-C.1974.223784.
    """

    def __init__(self, size: int = 4, reduce: str = "concat", select: Select = "") -> None:
        if isinstance(size, bool) or not isinstance(size, int) or not 2 <= size <= 16:
            raise UsageError(f"dct.size must be a whole number from 2 to 16, not {size!r}.")
        order, place = np.arange(size)[:, None], np.arange(size)
        basis = np.cos(np.pi * (2 * place + 1) * order / (2 * size)) * np.sqrt(2 / size)
        basis[0] /= np.sqrt(2)
        kernels = np.einsum("ui,vj->uvij", basis, basis).reshape(size**2, size, size)
        super().__init__("dct", kernels, [f"r{u}c{v}" for u in range(size) for v in range(size)], reduce, select)
