"""Runs the compiled divergence over all kinds of designs; what it computes is checked elsewhere.

python exercise_divergence.py path/to/_divergence.abi3.so
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np

NAME = "harmbench_builtin.evaluators._divergence"


def load(path: str) -> Any:
    """Make `divergence_blocks` use this build."""
    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[NAME] = module
    return module


def replicates_of(rng: np.random.Generator, code: Any, size: int, kind: str) -> tuple[Any, Any]:
    """Manufacturers and counts of the rows in `size` replicates."""
    shape = (len(code), size)
    if kind == "permuted":
        return np.ascontiguousarray(rng.permuted(np.repeat(code[:, None], size, axis=1), axis=0)), None
    if kind == "permuted and counted":
        codes = np.ascontiguousarray(rng.permuted(np.repeat(code[:, None], size, axis=1), axis=0))
        return codes, rng.poisson(1.0, shape).astype(np.int32)
    counts = {
        "ones": lambda: np.ones(shape),
        "poisson": lambda: rng.poisson(1.0, shape),
        "sparse": lambda: rng.poisson(0.05, shape),
        "none": lambda: np.zeros(shape),
        "one group": lambda: rng.poisson(1.0, shape) * (code == 0)[:, None],
        "huge": lambda: rng.integers(0, max(1, (1 << 30) // len(code)), shape),
    }[kind]()
    return code, counts.astype(np.int32)


KINDS = ("ones", "poisson", "sparse", "none", "one group", "huge", "permuted", "permuted and counted")


def main() -> None:
    compiled = load(sys.argv[1])
    from harmbench_builtin.evaluators import divergence_blocks
    from harmbench_builtin.evaluators.divergence_blocks import Replicates, Stratum, blocks, per_stratum

    assert divergence_blocks.COMPILED is compiled
    rng = np.random.default_rng(0)
    narrow: list[int | None] = []

    class Recorded:
        CHUNK = compiled.CHUNK

        @staticmethod
        def add(*given: Any) -> int | None:
            narrow.append(compiled.add(*given))
            return narrow[-1]

    divergence_blocks.COMPILED = Recorded  # type: ignore[assignment]
    designs = [[1, 1], [3, 4], [60, 50, 40, 30, 20], [61, 47, 41, 31, 20], [1023, 1025], [1023, 1027], [7] * 20]
    designs += [rng.integers(1, 60, rng.integers(2, 7)).tolist() for _ in range(20)]
    for at, sizes in enumerate(designs):
        makers = len(sizes)
        code = rng.permutation(np.repeat(np.arange(makers), sizes)).astype(np.int16)
        mixtures = np.zeros((makers, 2, makers))
        mixtures[:, 0] = np.eye(makers)
        mixtures[:, 1] = (1.0 - np.eye(makers)) / (makers - 1)
        strata = [Stratum(np.arange(len(code)), mixtures, np.ones(makers))]
        values = rng.standard_normal((len(code), 3))
        if at % 2:
            values[:, 1] = np.round(values[:, 1])
            values[rng.random(len(code)) < 0.3, 1] = np.nan
            values[:, 2] = 1.0
        for kind in KINDS:
            size = int(rng.integers(1, 70))
            codes, counts = replicates_of(rng, code, size, kind)
            replicates = Replicates(codes, counts, makers)
            for bins in (2, 10, 37):
                for number in range(compiled.sets()):
                    for wide in (False, True):
                        divergence_blocks.BEST_SET, divergence_blocks.WIDE = number, wide
                        for _ in blocks(values, strata, replicates, bins, 1 + at % 2):
                            pass
                per_stratum(values, strata[0], replicates, bins)
    some = [n for n in narrow if n is not None]
    assert None in narrow and 0 in some and max(some) > 0  # both widths, and neither
    print(f"exercised {len(narrow)} calls with {compiled.sets()} instruction sets")


if __name__ == "__main__":
    main()
