"""What the statistical checks measure, with the spread that it has by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from harmbench.data import FeatureTable, Floats, Integers
from harmbench.stats.auc import auc

Harmonize = Callable[[FeatureTable, FeatureTable], tuple[FeatureTable, FeatureTable]]
"""harmonize(train, test): both after harmonization, labels given back."""


def folds_of(table: FeatureTable, folds: int) -> Iterator[tuple[Integers, Integers]]:
    """Train and test rows of each fold, stratified by manufacturer x label, in the order of the rows."""
    assert table.label is not None
    fold = np.empty(len(table), dtype=int)
    stratum = np.char.add(table.manufacturer, table.label.astype(str))
    for name in np.unique(stratum):
        members = np.flatnonzero(stratum == name)
        fold[members] = np.arange(len(members)) % folds
    for k in range(folds):
        yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)


def ridge_scores(train: Floats, label: Integers, test: Floats, penalty: float = 1.0) -> Floats:
    """Scores of a ridge regression on standardised features, in its dual form (cheap where features outnumber rows).

    Parameters
    ----------
    train : float64 (n, p)
    label : int (n,)
    test : float64 (m, p)
    penalty : float, default 1.0
        In units of p.
    """
    mean, sd = train.mean(axis=0), train.std(axis=0)
    sd = np.where(sd > 1e-12 * np.maximum(np.abs(mean), 1e-300), sd, np.inf)  # a constant feature says nothing
    a, b = (train - mean) / sd, (test - mean) / sd
    kernel = a @ a.T
    kernel[np.diag_indices_from(kernel)] += penalty * train.shape[1]
    return np.asarray(b @ (a.T @ np.linalg.solve(kernel, label - label.mean())), dtype=np.float64)


@dataclass(frozen=True)
class Separation:
    """A mean AUC and the standard deviation that it has when nothing separates the classes."""

    value: float
    null_sd: float


def within_manufacturer(tables: list[FeatureTable], harmonize: Harmonize, folds: int = 4) -> Separation:
    """Cross-validated AUC inside each manufacturer, averaged over folds, manufacturers and tables.

    Scores of one fold are compared with each other only, so differences between folds count for nothing. The null
    variance of each AUC is (a + b + 1) / (12 a b) for a positives and b negatives (Mann and Whitney, 1947); the AUCs
    are taken as independent, which rows held out by different folds nearly are.
    """
    values: list[float] = []
    variances: list[float] = []
    for table in tables:
        for train_rows, test_rows in folds_of(table, folds):
            train, test = harmonize(table.rows(train_rows), table.rows(test_rows))
            assert train.label is not None and test.label is not None
            score = ridge_scores(train.values, train.label, test.values)
            for maker in test.manufacturers:
                rows = test.manufacturer == maker
                label = test.label[rows]
                a, b = int(label.sum()), int((1 - label).sum())
                if a and b:
                    values.append(auc(label, score[rows]))
                    variances.append((a + b + 1) / (12 * a * b))
    return Separation(float(np.mean(values)), float(np.sqrt(np.sum(variances)) / len(values)))


def shift_between(table: FeatureTable) -> float:
    """Difference between manufacturers' means: root mean square over features and pairs, in standard deviations.

    The standard deviation is that within manufacturers, pooled. Does not change when a feature is moved or rescaled.
    """
    makers = table.manufacturers
    groups = [table.values[table.manufacturer == m] for m in makers]
    within = np.sqrt(sum(((g - g.mean(axis=0)) ** 2).sum(axis=0) for g in groups) / max(1, len(table) - len(groups)))
    means = np.array([g.mean(axis=0) for g in groups])
    within = np.where(within > 0, within, np.inf)
    pairs = [(means[i] - means[j]) / within for i in range(len(makers)) for j in range(i)]
    return float(np.sqrt(np.mean(np.square(pairs))))


def shift_by_chance(*tables: FeatureTable) -> float:
    """What `shift_between` is expected to be without any effect, when means of each of these tables contribute."""
    total = 0.0
    for table in tables:
        sizes = [int((table.manufacturer == m).sum()) for m in table.manufacturers]
        total += float(np.mean([1 / sizes[i] + 1 / sizes[j] for i in range(len(sizes)) for j in range(i)]))
    return float(np.sqrt(total))


def rank_agreement(before: Floats, after: Floats) -> float:
    """Median over features of the rank correlation (Spearman) of a feature before and after."""
    from scipy.stats import rankdata

    a, b = (rankdata(v, axis=0) for v in (before, after))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norm = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
    return float(np.median(np.divide((a * b).sum(axis=0), norm, out=np.zeros(len(norm)), where=norm > 0)))


def differs(a: Floats, b: Floats, tolerance: float = 1e-9) -> str:
    """ "" where two arrays agree to `tolerance` of each column's largest magnitude; else what differs, in words."""
    if a.shape != b.shape:
        return f"shapes {a.shape} and {b.shape}"
    if not a.size:
        return ""
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return "one has non-finite values where the other has none"
    flat_a, flat_b = np.nan_to_num(a).reshape(len(a), -1), np.nan_to_num(b).reshape(len(b), -1)
    scale = np.maximum(np.abs(flat_a).max(axis=0), 1e-300)
    gap = np.abs(flat_a - flat_b) / scale
    if gap.max() <= tolerance:
        return ""
    row, column = np.unravel_index(int(gap.argmax()), gap.shape)
    return f"up to {gap.max():.2g} of the column's magnitude (row {row}, column {column})"
