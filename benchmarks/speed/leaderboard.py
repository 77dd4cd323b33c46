"""The leaderboard's statistics at full size: time and memory.

    python benchmarks/speed/leaderboard.py [--quick] [--json]

For each of 10 methods: the patient bootstrap (2 000 replicates) of the class-conditional JSD of 12 000 features, each
of 5 manufacturers against the balanced mixture of the others, edges found anew in every replicate; and of the AUC
within manufacturers. Then paired differences to the first method, gate and ranks, Pareto front, weight sweep. 400
patients with one image each, unequal manufacturers, two labels. Every method has features of its own and sees the same
resamples. Two threads. Simulating the features is not timed.

bootstrap_seconds
    Wall-clock seconds of all that; what is asked for (60 s) is asked of this figure, and of this design, whose row
    counts per label (60, 50, 40, 30, 20) have a small common multiple. With --quick 300 features are worked on and the
    JSD's time is scaled up to 12 000: it is proportional to features. They are one block, for one thread: then
    cpu_seconds is the figure to look at.
peak_memory_mb
    Largest resident memory of the process, MiB, libraries and one method's features (37 MiB) included. Methods come one
    after the other, as they are read from run folders.
cpu_seconds (in `spread`)
    Processor seconds of the same: half of it is what two free cores would take. `load` is the machine's load average
    (1 min) when it started; other programs slow the wall clock, and the caches, down.
unfriendly_cpu_seconds (in `environment`)
    Processor seconds of the JSD alone for row counts with hardly a common factor (61, 47, 41, 31, 20), which the
    compiled program works on with 64-bit numbers instead of 32-bit ones: one method's 300 features, scaled up to all.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
from common import environment, parser, show
from threadpoolctl import threadpool_limits

from harmbench.data import FEATURE_CLASSES, FeatureTable, Floats
from harmbench.stats.auc import weighted_auc
from harmbench.stats.bootstrap import interval, patient_resamples
from harmbench.stats.pareto import pareto_front, weight_sweep
from harmbench.stats.ranking import Contender, gate_then_goal
from harmbench_builtin.evaluators import divergence_blocks
from harmbench_builtin.evaluators.manufacturer_divergence import ManufacturerDivergence

METHODS, FEATURES, REPLICATES, PATIENTS = 10, 12_000, 2_000, 400
SHARES = {"A": 0.30, "B": 0.25, "C": 0.20, "D": 0.15, "E": 0.10}
UNFRIENDLY = {"A": 0.305, "B": 0.235, "C": 0.205, "D": 0.155, "E": 0.10}
QUICK_FEATURES = 300
THREADS = 2


def simulate(method: int, features: int, shares: dict[str, float] = SHARES) -> FeatureTable:
    """One method's features: a smaller manufacturer effect the later the method."""
    rng = np.random.default_rng([method, features])
    maker = np.repeat(list(shares), [round(s * PATIENTS) for s in shares.values()])
    label = np.arange(len(maker)) % 2
    values = rng.standard_normal((len(maker), features))
    values += (0.6 - 0.05 * method) * np.searchsorted(list(shares), maker)[:, None] / len(shares)
    names = np.array([f"s{i:04d}" for i in range(len(maker))])
    return FeatureTable(
        values,
        tuple(f"map_{FEATURE_CLASSES[j % len(FEATURE_CLASSES)]}_F{j:05d}" for j in range(features)),
        names,
        maker,
        names,
        label=label,
    )


def divergence(table: FeatureTable, resamples: Floats) -> tuple[float, Floats]:
    """Corrected class-conditional JSD and its replicates (the formula's bias taken off twice)."""
    engine = ManufacturerDivergence(table, small_group=0, n_jobs=THREADS)
    estimate = engine.estimate("conditional", p_values=False)
    drawn = engine.replicates("conditional", resamples, np.ones((1, len(table.features)), dtype=bool))
    bias = float(estimate.bias[engine.headline].mean())
    return float(estimate.corrected[engine.headline].mean()), drawn[:, 0].mean(axis=0) - 2.0 * bias


def auc_within(table: FeatureTable, score: Floats, resamples: Floats) -> tuple[float, Floats]:
    """Mean over manufacturers of the AUC, and its replicates."""
    assert table.label is not None
    drawn = []
    for name in table.manufacturers:
        rows = table.manufacturer == name
        weights = np.concatenate([np.ones((rows.sum(), 1)), resamples[rows]], axis=1)
        drawn.append(weighted_auc(table.label[rows], score[rows], weights))
    mean = np.mean(drawn, axis=0)
    return float(mean[0]), mean[1:]


def decide(field: list[Contender]) -> list[str]:
    """Paired differences, gate and ranks, front, sweep: one line per method."""
    reference = field[0]
    standings = gate_then_goal(field, reference, delta=0.02)
    signal, goal = np.array([c.signal for c in field]), np.array([-c.goal for c in field])
    signals = np.array([c.signal_replicates for c in field])
    goals = -np.array([c.goal_replicates for c in field])
    front = pareto_front(signal, goal, signals, goals, 0)
    sweep = weight_sweep(goal, signal, None, goals, signals)
    assert sweep.first is not None
    lines = []
    for i, c in enumerate(field):
        low, high = interval(goals[0] - goals[i])
        standing = standings[c.name]
        lines.append(
            f"{c.name:9s} JSD {c.goal:.4f}, minus none [{low:+.4f}, {high:+.4f}], AUC {c.signal:.3f}, rank "
            f"{standing.rank}, on the front {front.probability[i]:.2f}, first at weight 0.6 {sweep.first[i, 60]:.2f}"
        )
    return lines


def measure(features: int) -> tuple[float, float, list[str]]:
    """Wall and processor seconds for all features, and lines for people."""
    wall = cpu = 0.0
    field = []
    scale = FEATURES / features
    for method in range(METHODS):
        table = simulate(method, features)
        assert table.label is not None
        common, own = (np.random.default_rng([7, seed]).standard_normal(len(table)) for seed in (99, method))
        score = 2.0 * table.label + common + 0.02 * method * own
        start, start_cpu = time.perf_counter(), time.process_time()
        resamples = patient_resamples(table.patient, table.manufacturer, table.label, REPLICATES, seed=0)
        signal, signals = auc_within(table, score, resamples.astype(np.float64))
        middle, middle_cpu = time.perf_counter(), time.process_time()
        goal, goals = divergence(table, resamples.astype(np.float64))
        wall += (middle - start) + scale * (time.perf_counter() - middle)
        cpu += (middle_cpu - start_cpu) + scale * (time.process_time() - middle_cpu)
        field.append(Contender("none" if method == 0 else f"method-{method}", signal, goal, signals, goals))
    start, start_cpu = time.perf_counter(), time.process_time()
    lines = decide(field)
    return wall + time.perf_counter() - start, cpu + time.process_time() - start_cpu, lines


def unfriendly() -> float:
    """Processor seconds of the JSD of all methods and features, from one method and a few features."""
    table = simulate(0, QUICK_FEATURES, UNFRIENDLY)
    resamples = patient_resamples(table.patient, table.manufacturer, table.label, REPLICATES, seed=0)
    start = time.process_time()
    divergence(table, resamples.astype(np.float64))
    return METHODS * FEATURES / QUICK_FEATURES * (time.process_time() - start)


def peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def main() -> None:
    options = parser(__doc__, f"{QUICK_FEATURES} features, scaled up").parse_args()
    before = environment(("numpy",), threads=THREADS, compiled=divergence_blocks.COMPILED is not None)
    with threadpool_limits(1):
        wall, cpu, lines = measure(QUICK_FEATURES if options.quick else FEATURES)
        figures = {"bootstrap_seconds": wall, "peak_memory_mb": peak_memory_mb()}
        unfriendly_cpu = unfriendly()
    scaled = f", scaled up from {QUICK_FEATURES} features" if options.quick else ""
    lines += [
        f"{METHODS} methods x {FEATURES} features x {len(SHARES)} manufacturers x {REPLICATES} replicates, {PATIENTS} "
        f"patients{scaled}: {wall:.1f} s (processor {cpu:.1f} s, {THREADS} threads; load {before['load']} at the "
        f"start), peak memory {figures['peak_memory_mb']:.0f} MiB",
        f"JSD alone for row counts with hardly a common factor, scaled up: {unfriendly_cpu:.1f} processor s",
    ]
    about = {**before, "scaled_up": options.quick, "unfriendly_cpu_seconds": unfriendly_cpu}
    show(options.json, figures, {"cpu_seconds": [cpu, cpu]}, about, lines)


if __name__ == "__main__":
    main()
