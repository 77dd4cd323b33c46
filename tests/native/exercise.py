"""Runs the engine over all kinds of masks, maps and settings; what it computes is checked elsewhere.

python exercise.py path/to/_engine.abi3.so
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

NAME = "harmbench_builtin.extractors.fast2d._engine"


def load(path: str) -> None:
    """Make `engine` use this build."""
    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[NAME] = module


def masks(rng: np.random.Generator) -> Iterator[Any]:
    y, x = np.mgrid[0:60, 0:70]
    ring = ((y - 30) / 28) ** 2 + ((x - 33) / 30) ** 2 <= 1
    yield ring & (((y - 30) / 15) ** 2 + ((x - 33) / 12) ** 2 > 1)
    yield np.ones((40, 50), bool)
    one = np.zeros((9, 7), bool)
    for corner in ((0, 0), (8, 6), (4, 3)):
        at = one.copy()
        at[corner] = True
        yield at
    yield np.eye(30, dtype=bool)
    yield np.eye(30, dtype=bool)[::-1].copy()
    yield np.ones((1, 700), bool)
    yield np.ones((700, 1), bool)
    yield np.ones((1, 1), bool)
    border = np.zeros((50, 40), bool)
    border[:6], border[-2:, 10:], border[:, -1] = True, True, True
    yield border
    for share in (0.01, 0.2, 0.5, 0.95):
        scattered = rng.random((45, 63)) < share
        if scattered.any():
            yield scattered
    yield np.indices((31, 33)).sum(axis=0) % 2 == 0


def maps(rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    noise = rng.standard_normal(shape)
    blobs = np.floor(np.cumsum(noise, axis=1) / 3)
    bad = noise.copy()
    bad[rng.random(shape) < 0.3] = np.nan
    return np.stack([noise, blobs, np.full(shape, 7.25), -1e6 + noise, 1e-300 * noise, 1e17 + 100 * noise, bad])


def main() -> None:
    load(sys.argv[1])
    from harmbench_builtin.extractors.fast2d import engine
    from harmbench_builtin.extractors.fast2d.settings import Settings

    rng = np.random.default_rng(0)
    settings = [
        *(Settings(bin_count=bins) for bins in (2, 32, 63, 254, 255, 3000, 65_535)),
        *(Settings(bin_width=width) for width in (0.02, 0.5, 1e9)),
        *(Settings(distance=d, symmetrical_glcm=s) for d, s in itertools.product((1, 2, 9), (True, False))),
    ]
    sets = engine._compiled().instruction_sets()
    calls = 0
    for mask in masks(rng):
        plan = engine.Plan(mask, (0.3, 0.7))
        engine.shape2d(plan)
        planes = maps(rng, plan.shape)
        sizes = [size for size in ((1, 1), (4, 4), (3, 6)) if size[0] <= plan.shape[0] and size[1] <= plan.shape[1]]
        for name in sets:
            os.environ["HARMBENCH_ISA"] = name
            for s in settings if name == sets[-1] else settings[:4]:
                engine.extract(planes, plan, s)
                calls += len(planes)
            for h, w in sizes:
                engine.extract_filtered(planes[0], rng.standard_normal((3, h, w)), None, plan, settings[1])
    os.environ.pop("HARMBENCH_ISA")
    plans = [engine.Plan(mask) for mask in masks(rng)]
    engine.extract_many([maps(rng, plan.shape) for plan in plans], plans, settings[1], threads=4)
    print(f"exercised {calls} maps with {', '.join(sets)}")


if __name__ == "__main__":
    main()
