"""`python -m harmbench_combat_backends`: how far the packages are from harmbench's own ComBat, in one table."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from dataclasses import dataclass

import numpy as np

from harmbench import Context, FeatureTable
from harmbench.plugins import build_registry, missing_requirements

SIZES = ((48, 12), (200, 50), (1600, 400))
FEATURES = 93


@dataclass(frozen=True)
class Row:
    """Distance of a package from `combat`, in standard deviations of a feature, for each pair of group sizes."""

    package: str
    version: str
    largest: tuple[float, ...]


def simulated(first: int, second: int, seed: int = 0) -> FeatureTable:
    """Normal features of two manufacturers that differ in location (SD 1) and scale (SD 0.3 of the logarithm)."""
    draw = np.random.default_rng(seed)
    maker = np.repeat(["GE", "Philips"], [first, second])
    values = draw.standard_normal((first + second, FEATURES))
    for name in ("GE", "Philips"):
        rows = maker == name
        values[rows] = values[rows] * np.exp(0.3 * draw.standard_normal(FEATURES)) + draw.standard_normal(FEATURES)
    ids = np.array([f"s{i}" for i in range(len(maker))])
    return FeatureTable(values, tuple(f"original_glcm_F{j}" for j in range(FEATURES)), ids, maker, ids)


def differences() -> list[Row]:
    """One row per package that is installed; one that cannot be imported is told on standard error."""
    harmonizers = build_registry().harmonizers
    tables = [simulated(*sizes) for sizes in SIZES]
    reference = [_harmonized("combat", t) for t in tables]
    rows = []
    for name in sorted(n for n in harmonizers.entries if harmonizers.get(n).target.startswith(__package__)):
        spec = harmonizers.get(name)
        if missing_requirements(spec):
            continue
        package = spec.requires[0].split(" ")[0]
        try:
            importlib.import_module(package)
        except ImportError as error:
            print(f"{package} is installed and cannot be imported: {error}", file=sys.stderr)
            continue
        found = tuple(
            float((np.abs(_harmonized(name, t) - own) / t.values.std(axis=0)).max())
            for t, own in zip(tables, reference, strict=True)
        )
        rows.append(Row(package, importlib.metadata.version(package), found))
    return rows


def _harmonized(name: str, table: FeatureTable) -> np.ndarray:
    from harmbench.methods import parse_method

    (component,) = parse_method(name, build_registry()).features
    values: np.ndarray = component.build().fit(table, Context()).transform(table).values
    return values


def main() -> None:
    """Print the table as Markdown."""
    print("| package | version | " + " | ".join(f"{a} and {b} rows" for a, b in SIZES) + " |")
    print("|---|---|" + "---|" * len(SIZES))
    for row in differences():
        print(f"| {row.package} | {row.version} | " + " | ".join(f"{v:.2g}" for v in row.largest) + " |")


if __name__ == "__main__":
    main()
