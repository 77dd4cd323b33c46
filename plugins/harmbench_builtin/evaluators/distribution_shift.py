"""The evaluator `distribution-shift`: companions of the JSD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, rankdata

from harmbench.components import EvaluationContext
from harmbench.results import CellResult, Evaluation, MetricValue, StoredCell
from harmbench.stats.bootstrap import centred
from harmbench.stats.permutation import benjamini_hochberg, p_value, permute_manufacturer
from harmbench_builtin.evaluators.classifier import filled
from harmbench_builtin.evaluators.parts import where_folds_agree

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class DistributionShift:
    """Energy distance, share of features that differ, and variance explained by the manufacturer.

    The table `feature_scales` keeps each fold's mean and standard deviation of its training rows: the energy distance
    is taken between rows on these scales.
    """

    level = 0.05

    def evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation:
        scales = _scales(result)
        return replace(self._of(result, context, scales), tables={"feature_scales": scales})

    def recompute(self, stored: StoredCell, context: EvaluationContext) -> Evaluation:
        """The same from the stored features and scales."""
        scales = stored.tables["feature_scales"]
        return replace(self._of(stored.result, context, scales), tables={"feature_scales": scales})

    def _of(self, result: CellResult, context: EvaluationContext, scales: Mapping[str, Array]) -> Evaluation:
        return where_folds_agree(partial(self._evaluate, scales=scales), result, context)

    def _evaluate(self, result: CellResult, context: EvaluationContext, scales: Mapping[str, Array]) -> Evaluation:
        table = result.scored
        makers = table.manufacturers
        code = np.searchsorted(np.array(makers), table.manufacturer)
        n = len(table)
        repeated = len(np.unique(table.patient)) < n
        note = "rows of one patient are taken as independent" if repeated else ""

        distance = distances(_scaled(result, scales))
        one_hot = (np.arange(len(makers))[:, None] == code).astype(float)[:, :, None]  # (L, n, 1)
        energy = float(energy_distance(distance, one_hot)[0])
        replicates = None
        if context.resamples.size:
            replicates = centred(energy_distance(distance, one_hot * context.resamples[None]), energy)
        label = np.zeros(n) if table.label is None else table.label
        seed = context.derive(evaluator="distribution-shift").seed
        draws = permute_manufacturer(table.patient, table.manufacturer, label, context.permutations, seed)
        null = energy_distance(distance, np.arange(len(makers))[:, None, None] == draws.T[None])
        p = float(p_value(energy, null))

        values = filled(table.values)[0]
        h, epsilon = kruskal_wallis(values, code)
        q = benjamini_hochberg(chi2.sf(h, len(makers) - 1))
        # A constant feature has no p-value; it does not differ, and has no variance to explain.
        different = float((q < self.level).mean()) if len(q) else float("nan")
        explained = float(np.nan_to_num(epsilon).mean()) if len(epsilon) else float("nan")
        return Evaluation((
            MetricValue("energy_distance", energy, n=n, replicates=replicates, p_value=p),
            MetricValue("share_different", different, n=n, note=note),
            MetricValue("variance_explained", explained, n=n, note=note),
        ))  # fmt: skip


def _scales(result: CellResult) -> dict[str, Array]:
    """Mean, standard deviation, and what stands for a missing value (the median), of each fold's training rows."""
    columns: dict[str, list[Array]] = {name: [] for name in ("fold", "feature", "mean", "sd", "median")}
    for fold in result.of("cross-validation"):
        width = len(fold.test.features)
        train, median = filled(fold.train.values)[0], np.zeros((1, width))
        if not np.isfinite(fold.test.values).all():
            median = filled(fold.train.values, np.full((1, width), np.nan))[1]
        names = np.array(fold.test.features, dtype=str)
        parts = (np.full(width, fold.name), names, train.mean(axis=0), train.std(axis=0), median[0])
        for column, part in zip(columns.values(), parts, strict=True):
            column.append(part)
    return {name: np.concatenate(column) if column else np.array([]) for name, column in columns.items()}


def _scaled(result: CellResult, scales: Mapping[str, Array]) -> Floats:
    """Scored rows, each scaled by the mean and standard deviation of the training rows of the fold that held it out."""
    table = result.scored
    scaled = np.zeros(table.values.shape)
    position = {s: i for i, s in enumerate(table.samples.tolist())}
    for fold in result.of("cross-validation"):
        own = scales["fold"] == fold.name
        mean, sd = scales["mean"][own], scales["sd"][own]
        test = np.where(np.isfinite(fold.test.values), fold.test.values, scales["median"][own])
        sd = np.where(sd > 1e-12 * np.maximum(1.0, np.abs(mean)), sd, np.inf)  # constant features become 0
        scaled[[position[s] for s in fold.test.samples.tolist()]] = (test - mean) / sd
    return scaled


def distances(values: Floats) -> Floats:
    """Euclidean distances between rows, float64 (n, n), through one matrix product."""
    square = (values**2).sum(axis=1)
    squared = square[:, None] + square[None] - 2.0 * (values @ values.T)
    np.maximum(squared, 0.0, out=squared)
    # What is left of equal rows is rounding of the product.
    squared[squared < 1e-12 * (square[:, None] + square[None] + 1e-300)] = 0.0
    return np.sqrt(squared)


def energy_distance(distance: Floats, weights: Array) -> Floats:
    """(2 E|X-Y| - E|X-X'| - E|Y-Y'|) / (2 E|X-Y|), averaged over the pairs of manufacturers.

    Parameters
    ----------
    distance : float64 (n, n)
    weights : array (L, n, B)
        How much each row counts for each manufacturer in each replicate.

    Returns
    -------
    float64 (B,)
        0 for equal distributions, 1 for two different points. A row is never paired with itself, so identical
        distributions average to 0 whatever the group sizes; a value may thus lie a little below 0.
    """
    weights = np.asarray(weights, dtype=np.float64)
    reach = np.einsum("nm,lmb->lnb", distance, weights, optimize=True)
    total = weights.sum(axis=1)
    pairs_within = total**2 - (weights**2).sum(axis=1)
    within = (weights * reach).sum(axis=1)
    within = np.divide(within, pairs_within, out=np.zeros_like(within), where=pairs_within > 0)
    found = []
    for i in range(len(weights)):
        for j in range(i + 1, len(weights)):
            # NaN in a resample that holds no row of one of the two.
            with np.errstate(invalid="ignore"):
                between = 2.0 * (weights[i] * reach[j]).sum(axis=0) / (total[i] * total[j])
            gap = between - within[i] - within[j]
            found.append(np.divide(gap, between, out=np.zeros_like(gap), where=between > 0))
    return np.mean(found, axis=0)


def kruskal_wallis(values: Floats, code: Array) -> tuple[Floats, Floats]:
    """Kruskal-Wallis H with tie correction, and epsilon squared, of every feature at once.

    Parameters
    ----------
    values : float64 (n, p)
        Finite.
    code : int array (n,)
        Manufacturers 0..L-1.

    Returns
    -------
    H : float64 (p,)
        (n - 1) times the share of the ranks' variance between groups; equals `scipy.stats.kruskal`. NaN for a
        constant feature.
    epsilon_squared : float64 (p,)
        1 - (n - 1) / (n - L) (1 - share) (Kelley 1935): averages to 0 when the manufacturer does nothing.
    """
    n, groups = len(values), int(code.max()) + 1
    ranks = rankdata(values, axis=0) - (n + 1) / 2.0
    total = (ranks**2).sum(axis=0)
    between = np.zeros(values.shape[1])
    for g in range(groups):
        own = ranks[code == g]
        between += own.sum(axis=0) ** 2 / len(own)
    share = np.divide(between, total, out=np.full(len(total), np.nan), where=total > 0)
    return (n - 1) * share, 1.0 - (n - 1) / (n - groups) * (1.0 - share)
