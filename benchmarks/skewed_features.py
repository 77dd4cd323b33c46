"""Does ComBat create a difference between manufacturers where there is none? A simulation, printed as a table.

    python benchmarks/skewed_features.py [--seeds 4] [--trees 200]

Features are drawn from one distribution for all rows: there is no manufacturer effect. Harmonizers are fitted on the
training folds. A random forest then names the manufacturer of the held-out rows; its AUC should be about 0.5.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.methods import parse_method
from harmbench.plugins import build_registry
from harmbench.run.feature_stage import harmonize
from harmbench.seeding import rng

Floats = npt.NDArray[np.float64]

DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, tuple[int, int]], Floats]] = {
    "normal": lambda r, size: r.normal(size=size),
    "exponential": lambda r, size: r.exponential(size=size),
    "lognormal, sigma 1.5": lambda r, size: np.exp(1.5 * r.normal(size=size)),
    "3 - lognormal, sigma 1": lambda r, size: 3 - np.exp(r.normal(size=size)),
}
METHODS = ("none", "combat", "signed-log+combat", "yeo-johnson+combat", "rank-gauss+combat")


def table(distribution: str, sizes: tuple[int, int], features: int, seed: int) -> FeatureTable:
    """Rows of two manufacturers, alike in everything."""
    n = sum(sizes)
    values = DISTRIBUTIONS[distribution](rng(seed, distribution=distribution), (n, features))
    names = np.array([f"{i}" for i in range(n)])
    return FeatureTable(
        values=values,
        features=tuple(f"f{j}" for j in range(features)),
        samples=names,
        manufacturer=np.repeat(["A", "B"], sizes),
        patient=names,
    )


def forest_auc(rows: FeatureTable, expression: str, seed: int, trees: int) -> float:
    """Out-of-fold manufacturer AUC of a random forest after a method that is fitted on the training folds."""
    stages = parse_method(expression, build_registry()).features
    second = rows.manufacturer == "B"
    score = np.empty(len(rows))
    for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(rows.values, second):
        done = harmonize(stages, rows.rows(train), rows.rows(test), None, Context(seed=seed))
        forest = RandomForestClassifier(trees, random_state=seed, n_jobs=1)
        forest.fit(done.train.values, second[train])
        score[test] = forest.predict_proba(done.test.values)[:, 1]
    return float(roc_auc_score(second, score))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--features", type=int, default=89)
    parser.add_argument("--sizes", type=int, nargs=2, default=(139, 52), metavar=("A", "B"))
    given = parser.parse_args(arguments)
    sizes = (given.sizes[0], given.sizes[1])
    print(
        f"Manufacturer AUC of a forest; {sizes[0]} + {sizes[1]} rows, {given.features} features, {given.seeds} seeds\n"
    )
    print(f"| features | {' | '.join(METHODS)} |")
    print(f"|---|{'---|' * len(METHODS)}")
    for name in DISTRIBUTIONS:
        drawn = [table(name, sizes, given.features, seed) for seed in range(given.seeds)]
        means = [
            np.mean([forest_auc(rows, method, seed, given.trees) for seed, rows in enumerate(drawn)])
            for method in METHODS
        ]
        print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |", flush=True)


if __name__ == "__main__":
    main()
