"""Time of the simple feature methods, and our Yeo-Johnson against scikit-learn's.

    python benchmarks/speed/feature_methods.py [--quick] [--json]

Everything runs in this process, in turn, on one thread; times are the processor's. Rows are lognormal, of two
manufacturers 4:1.

yeo_johnson_ratio
    Time that scikit-learn's PowerTransformer takes to fit / ours, on the same standardized columns; smallest of the
    rounds. 2000 rows, and as many features as time allows (printed); both sides take time in proportion to features.
yeo_johnson_gap
    Largest amount by which scikit-learn's exponent is more likely than ours (log likelihood, per feature).
NAME_fit, NAME_transform
    Seconds at 2000 x 3720 (500 x 3720 with --quick).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from common import environment, parser, seconds, show
from scipy import stats
from sklearn.preprocessing import PowerTransformer
from threadpoolctl import threadpool_limits

from harmbench.components import Context
from harmbench.data import FeatureTable
from harmbench.methods import parse_method
from harmbench.plugins import build_registry
from harmbench_builtin.harmonizers.pretransform import power
from harmbench_builtin.harmonizers.robust import centre_and_scale

METHODS = (
    "signed-log",
    "yeo-johnson",
    "rank-gauss",
    "pooled-zscore",
    "zscore",
    "robust-zscore",
    "quantile",
    "coral",
    "linear-ot",
)


def simulate(n: int, p: int) -> FeatureTable:
    """Lognormal features of various skewness."""
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(size=(n, p)) * rng.uniform(0.1, 2, p))
    names = np.array([str(i) for i in range(n)])
    makers = np.where(np.arange(n) % 5 == 0, "B", "A")
    return FeatureTable(values, tuple(f"f{j}" for j in range(p)), names, makers, names)


def against_scikit_learn(features: int, rounds: int) -> tuple[float, float]:
    """Ratio of times, and how much more likely scikit-learn's exponents are."""
    table = simulate(2000, features)
    centre, scale = centre_and_scale(table.values)
    values = (table.values - centre) / scale
    zero, one = np.zeros(features), np.ones(features)
    ratios, gap = [], 0.0
    for _ in range(rounds):
        ours, mine = seconds(lambda: power.exponents(values, zero, one))
        theirs, model = seconds(lambda: PowerTransformer(standardize=False).fit(values))
        ratios.append(theirs / ours)
        pairs = zip(model.lambdas_, mine, values.T, strict=True)
        gap = max(float(stats.yeojohnson_llf(a, x) - stats.yeojohnson_llf(b, x)) for a, b, x in pairs)
    return min(ratios), gap


def main() -> None:
    options = parser(__doc__, "fewer features, rounds and rows").parse_args()
    features, rounds, rows = (100, 2, 500) if options.quick else (400, 3, 2000)
    figures: dict[str, float] = {}
    registry = build_registry()
    with threadpool_limits(1):
        figures["yeo_johnson_ratio"], figures["yeo_johnson_gap"] = against_scikit_learn(features, rounds)
        table = simulate(rows, 3720)
        for name in METHODS:
            method = parse_method(name, registry).features[0].build()
            figures[f"{name}_fit"], _ = seconds(partial(method.fit, table, Context()))
            figures[f"{name}_transform"], _ = seconds(partial(method.transform, table))
    lines = [
        f"Yeo-Johnson at 2000 x {features}: scikit-learn takes {figures['yeo_johnson_ratio']:.1f} times as long;",
        f"its exponents are at most {figures['yeo_johnson_gap']:.1e} more likely (log likelihood).",
        "",
        f"| {rows} x 3720 | fit, s | transform, s |",
        "|---|---|---|",
        *(f"| `{name}` | {figures[f'{name}_fit']:.2f} | {figures[f'{name}_transform']:.2f} |" for name in METHODS),
    ]
    show(options.json, figures, {}, environment(("numpy", "scipy", "scikit-learn"), rows=rows), lines)


if __name__ == "__main__":
    main()
