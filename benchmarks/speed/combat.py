"""Our ComBat against neuroCombat: time, agreement, memory.

    python benchmarks/speed/combat.py [--quick] [--json]

Both run in this process on the same data, in turn, on one thread; the time is the processor's, the smallest of the
repeats. Ours is what a run uses: `Combat.fit` and `Combat.transform` on a feature table, checks included. Two
manufacturers 4:1, one binary and one continuous covariate, parametric empirical Bayes.

neurocombat_ratio_<n>x<p>
    neuroCombat's time / ours, n samples and p features. The larger size is skipped (null) with --quick.
max_absolute_difference
    Largest difference between the two results over all sizes, features having a standard deviation of about 1 to 5.
peak_memory_over_input
    (input + largest memory that ours held at any moment, result included) / input, in bytes, at 2000 x 3720.

Without neuroCombat (`pip install harmbench[reference]`) its figures are null.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import tracemalloc
from collections.abc import Callable

import numpy as np
from common import environment, parser, seconds, show
from threadpoolctl import threadpool_limits

from harmbench.components import Context
from harmbench.data import FeatureTable, Floats
from harmbench_builtin.harmonizers.combat.harmonizer import Combat

SIZES = ((2000, 3720), (5000, 12000))
REPEATS = {SIZES[0]: 5, SIZES[1]: 2}


def simulate(n: int, p: int) -> FeatureTable:
    """Features with manufacturer and covariate effects; ages are float32 numbers, as neuroCombat rounds them so."""
    rng = np.random.default_rng([n, p])
    ge = np.arange(n) < 0.8 * n
    age = rng.normal(60, 9, n).astype(np.float32).astype(np.float64)
    female = rng.random(n) < 0.4
    values = rng.standard_normal((n, p))
    values *= np.where(ge[:, None], rng.uniform(1, 2, p), rng.uniform(1, 2, p))
    values += np.where(ge[:, None], rng.normal(0, 1, p), rng.normal(0.5, 1, p))
    for column, scale in ((age, 0.02), (female, 0.3)):
        values += column[:, None] * rng.normal(0, scale, p)
    names = np.array([f"s{i}" for i in range(n)])
    return FeatureTable(
        values,
        tuple(f"f{j}" for j in range(p)),
        names,
        np.where(ge, "GE", "Philips"),
        names,
        covariates={"age": age, "sex": np.where(female, "f", "m")},
    )


def ours(table: FeatureTable) -> Floats:
    return Combat(covariates="all").fit(table, Context()).transform(table).values


def theirs(table: FeatureTable) -> Callable[[], Floats]:
    """A call of neuroCombat with its input prepared; what it prints is dropped."""
    import pandas
    from neuroCombat import neuroCombat

    frame = pandas.DataFrame({"batch": table.manufacturer, **table.covariates})
    features_first = np.ascontiguousarray(table.values.T)

    def call() -> Floats:
        with contextlib.redirect_stdout(io.StringIO()):
            return neuroCombat(features_first, frame, "batch", ["sex"], ["age"])["data"].T

    return call


def compare(n: int, p: int) -> tuple[list[float], list[float], float]:
    """Processor seconds of neuroCombat and of ours in each round, and the largest difference of the results."""
    table = simulate(n, p)
    reference = theirs(table)
    slow, fast, difference = [], [], 0.0
    for _ in range(REPEATS[n, p]):
        taken, expected = seconds(reference)
        slow.append(taken)
        taken, result = seconds(lambda: ours(table))
        fast.append(taken)
        result -= expected
        difference = max(difference, float(np.abs(result, out=result).max()))
        del expected, result
    return slow, fast, difference


def peak_memory_over_input(n: int, p: int) -> float:
    table = simulate(n, p)
    gc.collect()
    tracemalloc.start()
    ours(table)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (table.values.nbytes + peak) / table.values.nbytes


def measure(quick: bool) -> tuple[dict[str, float | None], dict[str, list[float]], list[str]]:
    """Figures, their spread (smallest and largest over rounds), and lines for people."""
    figures: dict[str, float | None] = {f"neurocombat_ratio_{n}x{p}": None for n, p in SIZES}
    figures["max_absolute_difference"] = None
    spread: dict[str, list[float]] = {}
    lines = []
    with_reference = importlib.util.find_spec("neuroCombat") is not None
    if not with_reference:
        lines.append("neuroCombat is not installed (pip install harmbench[reference]): nothing to compare with")
    for n, p in SIZES if with_reference else ():
        if quick and (n, p) != SIZES[0]:
            lines.append(f"{n} x {p}: skipped by --quick")
            continue
        slow, fast, difference = compare(n, p)
        name = f"neurocombat_ratio_{n}x{p}"
        figures[name] = min(slow) / min(fast)
        ratios = [a / b for a, b in zip(slow, fast, strict=True)]
        spread[name] = [min(ratios), max(ratios)]
        figures["max_absolute_difference"] = max(figures["max_absolute_difference"] or 0.0, difference)
        lines.append(
            f"{n} x {p}: neuroCombat {min(slow):.3f} s, ours {min(fast):.3f} s, ratio {figures[name]:.1f} "
            f"({min(ratios):.1f} to {max(ratios):.1f} in {len(ratios)} rounds), largest difference {difference:.1e}"
        )
    memory = peak_memory_over_input(*SIZES[0])
    figures["peak_memory_over_input"] = memory
    lines.append(f"peak memory, input and result included: {memory:.2f} times the input")
    return figures, spread, lines


def main() -> None:
    options = parser(__doc__, "the smaller size only").parse_args()
    with threadpool_limits(1):
        figures, spread, lines = measure(options.quick)
    show(options.json, figures, spread, environment(("numpy", "neuroCombat"), threads=1), lines)


if __name__ == "__main__":
    main()
