"""Benchmark files for runs that take seconds."""

from __future__ import annotations


def small_benchmark(name: str, dataset: str, methods: str, *, iterations: int, trees: int, more: str = "") -> str:
    """A benchmark with the evaluators that ship, three folds and few draws.

    Parameters
    ----------
    name : str
    dataset, methods : str
        What stands under `[dataset]` and `[methods]`.
    iterations, trees : int
        Of Boruta; trees also of the classifiers.
    more : str
        Further evaluators.
    """
    return f"""
schema = 1
name = "{name}"
version = "1"
title = "{name.capitalize()} (SYNTHETIC)"
[dataset]
{dataset}
[extractor]
name = "fast2d"
params = {{ bin_count = 16, shape = true }}
[[evaluators]]
name = "lvh-auc"
params = {{ boruta_iterations = {iterations}, boruta_trees = {trees}, trees = {trees} }}
[[evaluators]]
name = "jsd"
[[evaluators]]
name = "manufacturer-predictability"
params = {{ trees = {trees} }}
[[evaluators]]
name = "distribution-shift"
[[evaluators]]
name = "integrity"
[[evaluators]]
name = "paired-agreement"
{more}
[methods]
{methods}
[splits]
folds = 3
[uncertainty]
replicates = 100
permutations = 99
"""
