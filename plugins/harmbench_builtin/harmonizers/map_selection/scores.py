"""What one map is worth on training rows: how far it tells manufacturers apart, and how well it tells the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.special import xlogy
from scipy.stats import rankdata

from harmbench.data import FeatureTable, Floats, Sample
from harmbench.splits import patient_folds
from harmbench.stats.auc import auc
from harmbench_builtin.evaluators.contrasts import among_present, contrasts
from harmbench_builtin.evaluators.divergence import TOLERANCE, bias

Array = npt.NDArray[Any]


def divergence(table: FeatureTable, bins: int) -> Floats:
    """Class-conditional divergence between manufacturers of every feature, float64 (p,).

    The JSD that ranks methods (definition 1), each manufacturer against the others, with the first-order bias formula:
    maps of one table have the same rows, so what the formula gets wrong in small groups is nearly the same for all of
    them and does not change their order. 0 everywhere when there is one manufacturer, or no label that two share.

    One replicate of all features at once, where the engine of the evaluators does all replicates of one feature.
    """
    assert table.label is not None  # the caller has looked
    makers = table.manufacturers
    code = np.searchsorted(np.array(makers), table.manufacturer)
    found: dict[str, list[Floats]] = {}
    for contrast in contrasts(makers) if len(makers) > 1 else ():
        if contrast.kind == "pair" and len(makers) > 2:
            continue
        for value in np.unique(table.label):
            rows = table.label == value
            counts = np.bincount(code[rows], minlength=len(makers))
            (mixture,), (possible,) = among_present(np.array([contrast.mixture]), counts > 0)
            if possible:
                share = mixture / np.where(counts > 0, counts, 1)  # (2, L): what one row adds to each group
                raw, effective = _jsd(table.values[rows], share[:, code[rows]], bins)
                found.setdefault(contrast.name, []).append(raw - bias(effective[None], counts, mixture[None])[0])
    if not found:
        return np.zeros(len(table.features))
    return np.asarray(np.mean([np.mean(of_labels, axis=0) for of_labels in found.values()], axis=0))


def _jsd(values: Floats, share: Floats, bins: int) -> tuple[Floats, Floats]:
    """JSD of two groups and the number of bins that hold mass, for every column.

    Parameters
    ----------
    values : float64 (n, p)
    share : float64 (2, n)
        The mass of each row in each group; each group's is 1.
    bins : int
    """
    n, p = values.shape
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    mass = share.mean(axis=0)[order]
    below = np.cumsum(mass, axis=0) - mass
    tied = np.zeros((n, p), dtype=bool)
    tied[1:] = ordered[1:] == ordered[:-1]
    # Equal values have the mass below the first of them. What grows along a column may be carried on by a maximum.
    below = np.maximum.accumulate(np.where(tied, 0.0, below), axis=0)
    # Edge k is the smallest value with a mass of at least k / K: it lies below v when the mass below v is that large.
    place = np.minimum((bins * (below + TOLERANCE)).astype(np.int64), bins - 1) * p + np.arange(p)
    held = [np.bincount(place.ravel(), own[order].ravel(), bins * p).reshape(bins, p) for own in share]
    middle = (held[0] + held[1]) / 2.0
    raw = (xlogy(held[0], held[0]) + xlogy(held[1], held[1])).sum(axis=0) / 2.0 - xlogy(middle, middle).sum(axis=0)
    return raw / np.log(2.0), (middle > 0).sum(axis=0).astype(np.float64)


def inner_folds(table: FeatureTable, folds: int, repeats: int, seed: int) -> list[Array]:
    """Fold numbers (n,) of every repeat: grouped by patient, stratified by manufacturer and label.

    Fewer folds where a class has fewer patients than asked for; at least 2.

    Raises
    ------
    DataError
        A class has one patient only.
    """
    assert table.label is not None  # the caller has looked
    rows = zip(table.samples.tolist(), table.manufacturer.tolist(), table.patient.tolist(), table.label.tolist(),
               strict=True)  # fmt: skip
    samples = [
        Sample(id=id_, image="", mask="", manufacturer=maker, patient=patient, label=str(label))
        for id_, maker, patient, label in rows
    ]
    fewest = min(len(np.unique(table.patient[table.label == value])) for value in np.unique(table.label))
    return [patient_folds(samples, max(2, min(folds, fewest)), seed, repeat) for repeat in range(repeats)]


def signal(table: FeatureTable, columns: Sequence[Array], folds: Sequence[Array]) -> tuple[Floats, float]:
    """Held-out AUC within manufacturers of a linear classifier on each map's features, and its standard error.

    In every inner fold a linear discriminant with Ledoit-Wolf shrinkage is fitted to the ranks of the features (ranks,
    because the divergence too counts the order only) after each manufacturer's mean has been taken away, so that the
    manufacturer cannot stand in for the label. The AUCs inside the manufacturers are combined with van Elteren's
    weights w = n1 n0 / (n1 + n0 + 1). Because the variance of an uninformative AUC is 1 / (12 w), these are the weights
    of least variance, and the standard error of the combined AUC is 1 / sqrt(12 sum of w).

    Parameters
    ----------
    table : FeatureTable
        With labels.
    columns : sequence of int arrays
        The columns of each map.
    folds : sequence of int arrays (n,)
        One fold number per row for every repeat; the AUC is averaged over repeats.

    Returns
    -------
    auc : float64 (number of maps,)
        0.5 where no manufacturer has both classes.
    error : float
        Infinite in that case.
    """
    assert table.label is not None  # the caller has looked
    label = table.label
    groups = [np.flatnonzero(table.manufacturer == name) for name in table.manufacturers]
    pairs = [(int(label[g].sum()), int((1 - label[g]).sum())) for g in groups]
    weights = np.array([a * b / (a + b + 1.0) for a, b in pairs])
    if not weights.any():
        return np.full(len(columns), 0.5), float("inf")
    ranks = rankdata(table.values, axis=0)
    found = np.zeros(len(columns))
    for number in folds:
        for k, chosen in enumerate(columns):
            score = _held_out(ranks[:, chosen], table.manufacturer, label, number)
            each = [auc(label[g], score[g]) if w else 0.0 for g, w in zip(groups, weights, strict=True)]
            found[k] += float(np.dot(weights, each) / weights.sum())
    return found / len(folds), float(1.0 / np.sqrt(12.0 * weights.sum()))


def _held_out(ranks: Floats, manufacturer: Array, label: Array, number: Array) -> Floats:
    """Out-of-fold scores of the discriminant, each fold's in units of its own spread."""
    score = np.zeros(len(label))
    for fold in np.unique(number):
        held = number == fold
        direction = discriminant(ranks[~held], manufacturer[~held], label[~held])
        # Folds are pooled into one AUC: a direction's length must not matter. Its training spread is 1.
        score[held] = (ranks[held] - ranks[~held].mean(axis=0)) @ direction
    return score


def discriminant(values: Floats, manufacturer: Array, label: Array) -> Floats:
    """Direction that separates the classes inside manufacturers; the training rows have spread 1 along it.

    Returns
    -------
    float64 (p,)
        0 when a class is missing or nothing varies.
    """
    sd = values.std(axis=0)
    scaled = np.where(sd > 0, (values - values.mean(axis=0)) / np.where(sd > 0, sd, 1.0), 0.0)
    difference, total = np.zeros(scaled.shape[1]), 0.0
    rest = scaled.copy()
    for name in np.unique(manufacturer):
        own = manufacturer == name
        ones, zeros = own & (label == 1), own & (label == 0)
        for part in (ones, zeros):
            if part.any():
                rest[part] -= scaled[part].mean(axis=0)
        if ones.any() and zeros.any():
            weight = ones.sum() * zeros.sum() / own.sum()
            difference += weight * (scaled[ones].mean(axis=0) - scaled[zeros].mean(axis=0))
            total += weight
    spread = float(np.einsum("ij,ij->", rest, rest))
    if total == 0 or spread == 0:
        return np.zeros(scaled.shape[1])
    covariance = shrunk_covariance(rest)
    # What does not vary has no place in the direction; the small term keeps the matrix regular where shrinkage is 0.
    covariance[np.diag_indices_from(covariance)] += 1e-6 * np.trace(covariance) / len(covariance)
    direction = cho_solve(cho_factor(covariance), difference / total)
    length = float((scaled @ direction).std())
    if length == 0:
        return np.zeros(scaled.shape[1])
    return np.where(sd > 0, direction / np.where(sd > 0, sd, 1.0), 0.0) / length


def shrunk_covariance(centred: Floats) -> Floats:
    """Covariance shrunk towards a multiple of the identity by the estimate of Ledoit and Wolf (2004).

    Parameters
    ----------
    centred : float64 (n, p)
        Rows whose mean has been taken away.

    Returns
    -------
    float64 (p, p)
        doi:10.1016/S0047-259X(03)00096-4; equals `sklearn.covariance.ledoit_wolf`.
    """
    n, p = centred.shape
    sample = centred.T @ centred / n
    middle = np.trace(sample) / p
    size = float((sample**2).sum())
    spread = size - p * middle**2
    error = (float(((centred**2).sum(axis=1) ** 2).sum()) / n - size) / n
    weight = min(max(error / spread, 0.0), 1.0) if spread > 0 else 0.0
    shrunk = (1.0 - weight) * sample
    shrunk[np.diag_indices(p)] += weight * middle
    return np.asarray(shrunk)
