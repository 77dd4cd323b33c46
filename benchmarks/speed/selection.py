"""Our Boruta against BorutaPy with scikit-learn's random forest: time, and whether they decide alike.

    python benchmarks/speed/selection.py [--quick] [--json]

Everything runs in this process, in turn, on one thread; times are the processor's. Both sides grow forests of 100 trees
of depth 5, classes balanced.

borutapy_ratio
    BorutaPy's time per iteration / ours at 300 x 3720, nothing rejected yet (labels are noise, the first 3 iterations,
    as many on both sides; shadows, forest, importances and tests included): smallest of the rounds.
borutapy_ratio_93
    The same at 300 x 93.
run_ratio
    The same for whole runs (max_iter 30) of the data below with 3720 features, where rejected features leave.
plain_ratio
    BorutaPy's time / ours without the compiled forest, at 300 x 3720 as above.
decision_agreement
    Over runs with 20 relevant features of 300 and of 3720, n = 200, as many BorutaPy iterations as ours (max_iter 30):
    of the features that one of two runs on the same data confirms, the share that both do, ours against BorutaPy's.
decision_agreement_borutapy
    The same, BorutaPy against BorutaPy with another seed: what agreement can be had at all.
recall, precision, recall_borutapy, precision_borutapy
    Of the confirmed features over the same runs.

--quick takes fewer data sets and rounds.
"""

from __future__ import annotations

import warnings

import numpy as np
from boruta import BorutaPy
from common import environment, parser, seconds, show
from sklearn.ensemble import RandomForestClassifier
from threadpoolctl import threadpool_limits

from harmbench_builtin.evaluators import forest
from harmbench_builtin.evaluators.boruta import boruta

TREES, DEPTH, MAX_ITER = 100, 5, 30
RELEVANT, ROWS = 20, 200
EFFECTS = (0.8, 1.2)
"""Distance of the class means of the relevant features, in standard deviations: hard and easy."""


def simulate(p: int, effect: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """ROWS rows, two in five of them positive; the first RELEVANT features tell the classes apart."""
    rng = np.random.default_rng([p, int(10 * effect), seed])
    positive = rng.permutation(np.arange(ROWS) < 0.4 * ROWS)
    values = rng.standard_normal((ROWS, p))
    values[:, :RELEVANT] += effect * positive[:, None]
    return values, positive


def theirs(values: np.ndarray, positive: np.ndarray, max_iter: int, seed: int) -> np.ndarray:
    trees = RandomForestClassifier(max_depth=DEPTH, class_weight="balanced", n_jobs=1)
    selector = BorutaPy(trees, n_estimators=TREES, max_iter=max_iter, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # medians of nothing, when every feature is decided
        selector.fit(values, positive.astype(int))
    return selector.support_


def ours(values: np.ndarray, positive: np.ndarray, max_iter: int, seed: int) -> np.ndarray:
    return boruta(values, positive, max_iter, TREES, DEPTH, seed).confirmed


def per_iteration(p: int, iterations: int, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds per iteration of BorutaPy, ours and ours without the compiled forest, in each round.

    Nothing can be rejected in so few iterations on noise, so all see all the features every time.
    """
    rng = np.random.default_rng(p)
    values, positive = rng.standard_normal((300, p)), rng.random(300) < 0.4
    taken: tuple[list[float], list[float], list[float]] = ([], [], [])
    for i in range(rounds):
        taken[0].append(seconds(theirs, values, positive, iterations + 1, i)[0] / iterations)
        taken[1].append(seconds(ours, values, positive, iterations + 1, i)[0] / iterations)
        compiled, forest.COMPILED = forest.COMPILED, None
        try:
            taken[2].append(seconds(ours, values, positive, iterations + 1, i)[0] / iterations)
        finally:
            forest.COMPILED = compiled
    return taken


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Of the features that either confirms, the share that both do; 1 when neither confirms any."""
    either = (first | second).sum()
    return float((first & second).sum() / either) if either else 1.0


def decisions(p: int, effect: float, sets: int) -> dict[str, list[float]]:
    """Agreement, recall, precision and times over data sets: two seeds of BorutaPy, two of ours, in turn."""
    found: dict[str, list[float]] = {}

    def add(name: str, *values: float) -> None:
        found.setdefault(name, []).extend(values)

    for number in range(sets):
        values, positive = simulate(p, effect, number)
        confirmed: dict[str, list[np.ndarray]] = {"borutapy": [], "ours": []}
        for seed in (0, 1):
            for name, call in (("borutapy", theirs), ("ours", ours)):
                taken, result = seconds(call, values, positive, MAX_ITER, seed)
                confirmed[name].append(result)
                add(f"seconds {name}", taken)
                add(f"recall {name}", result[:RELEVANT].mean())
                if result.any():
                    add(f"precision {name}", result[:RELEVANT].sum() / result.sum())
        a, b = confirmed["borutapy"], confirmed["ours"]
        add("borutapy and itself", agreement(a[0], a[1]))
        add("ours and itself", agreement(b[0], b[1]))
        add("ours and borutapy", *(agreement(x, y) for x in a for y in b))
    return found


def measure(quick: bool) -> tuple[dict[str, float], dict[str, list[float]], list[str]]:
    """Figures, the spread of the ratios (smallest and largest over rounds), and lines for people."""
    figures: dict[str, float] = {}
    spread: dict[str, list[float]] = {}
    lines = ["" if forest.COMPILED else "The compiled forest is not there: NumPy takes its place.\n"]
    for p, rounds in ((3720, 2 if quick else 6), (93, 3 if quick else 10)):
        slow, fast, plain = per_iteration(p, 3, rounds)
        ratios = [a / b for a, b in zip(slow, fast, strict=True)]
        name = "borutapy_ratio" if p == 3720 else f"borutapy_ratio_{p}"
        figures[name], spread[name] = min(slow) / min(fast), [min(ratios), max(ratios)]
        if p == 3720:
            figures["plain_ratio"] = min(slow) / min(plain)
        lines.append(
            f"300 x {p}, per iteration: BorutaPy {1e3 * min(slow):.0f} ms, ours {1e3 * min(fast):.1f} ms, ratio "
            f"{figures[name]:.1f} ({min(ratios):.1f} to {max(ratios):.1f} in {rounds} rounds); ours without the "
            f"compiled forest {1e3 * min(plain):.0f} ms, ratio {min(slow) / min(plain):.1f}"
        )
    pooled: dict[str, list[float]] = {}
    for p, sets in ((300, 1 if quick else 10), (3720, 1 if quick else 5)):
        for effect in EFFECTS[:1] if quick else EFFECTS:
            found = decisions(p, effect, sets)
            for name, values in found.items():
                pooled.setdefault(name, []).extend(values)
            mean = {name: float(np.mean(values)) for name, values in found.items()}
            lines.append(
                f"{RELEVANT} of {p} relevant, {effect} sd apart, n = {ROWS}, {sets} data sets x 2 seeds, max_iter "
                f"{MAX_ITER}:"
            )
            for side, name in (("borutapy", "BorutaPy"), ("ours", "ours    ")):
                lines.append(
                    f"    {name} recall {mean[f'recall {side}']:.2f}, precision "
                    f"{mean.get(f'precision {side}', 1):.3f}, {mean[f'seconds {side}']:.2f} s a run"
                )
            lines.append(
                f"    share of confirmed features in common: ours and BorutaPy {mean['ours and borutapy']:.2f}, "
                f"BorutaPy and itself {mean['borutapy and itself']:.2f}, ours and itself "
                f"{mean['ours and itself']:.2f}"
            )
            if p == 3720 and effect == EFFECTS[0]:
                a, b = found["seconds borutapy"], found["seconds ours"]
                ratios = [x / y for x, y in zip(a, b, strict=True)]
                figures["run_ratio"], spread["run_ratio"] = min(a) / min(b), [min(ratios), max(ratios)]
    for figure, name in (
        ("decision_agreement", "ours and borutapy"), ("decision_agreement_borutapy", "borutapy and itself"),
        ("recall", "recall ours"), ("precision", "precision ours"),
        ("recall_borutapy", "recall borutapy"), ("precision_borutapy", "precision borutapy"),
    ):  # fmt: skip
        figures[figure] = float(np.mean(pooled[name]))
    lines.append(
        f"all: agreement with BorutaPy {figures['decision_agreement']:.3f}, BorutaPy's with itself "
        f"{figures['decision_agreement_borutapy']:.3f}; whole runs at 3720: ratio {figures['run_ratio']:.1f}"
    )
    return figures, spread, lines


def main() -> None:
    options = parser(__doc__, "fewer data sets and rounds").parse_args()
    with threadpool_limits(1):
        figures, spread, lines = measure(options.quick)
    about = environment(("numpy", "scikit-learn", "Boruta"), threads=1, compiled_forest=forest.COMPILED is not None)
    show(options.json, figures, spread, about, [line for line in lines if line])


if __name__ == "__main__":
    main()
