"""DeLong's covariance of AUCs on the same rows, and the paired test from it: a cross-check of the bootstrap.

DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837, through midranks as in Sun and Xu (2014), IEEE Signal
Processing Letters 21:1389. Rows of one patient are not independent; with `patient` their parts are summed first
(Obuchowski 1997, Biometrics 53:567), which changes nothing where each patient has one row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Aucs:
    """AUCs of k scores of the same rows.

    Parameters
    ----------
    auc : float64 (k,)
    covariance : float64 (k, k)
        Of the estimates. NaN where a class has fewer than two patients.
    """

    auc: Floats
    covariance: Floats


@dataclass(frozen=True)
class Difference:
    """A paired difference of two AUCs.

    Parameters
    ----------
    value : float
        First minus second.
    standard_error : float
    low, high : float
        Normal interval.
    p_value : float
        Two-sided; 1 where the scores order the rows alike and nothing can differ.
    """

    value: float
    standard_error: float
    low: float
    high: float
    p_value: float


def delong(label: Array, scores: Array, patient: Array | None = None) -> Aucs:
    """AUCs and their covariance.

    Parameters
    ----------
    label : array (n,)
        Truthy for positives.
    scores : array (n,) or (n, k)
        Higher means more likely positive.
    patient : array (n,), optional
        Whose rows they are; by default each row is a patient.

    Returns
    -------
    Aucs
        NaN throughout when a class is missing.
    """
    positive = np.asarray(label).astype(bool)
    columns = np.asarray(scores, dtype=np.float64).reshape(len(positive), -1)
    m, n = int(positive.sum()), int((~positive).sum())
    k = columns.shape[1]
    if m == 0 or n == 0:
        return Aucs(np.full(k, np.nan), np.full((k, k), np.nan))
    together = rankdata(columns, axis=0)
    # Share of the other class that each row beats, ties counting half: the structural components.
    won = np.empty_like(columns)
    won[positive] = (together[positive] - rankdata(columns[positive], axis=0)) / n
    won[~positive] = 1.0 - (together[~positive] - rankdata(columns[~positive], axis=0)) / m
    auc = won[positive].mean(axis=0)

    own = np.arange(len(positive)) if patient is None else np.unique(patient, return_inverse=True)[1]
    parts = []
    for rows in (positive, ~positive):
        summed = np.zeros((own.max() + 1, k))
        np.add.at(summed, own[rows], won[rows] - auc)
        parts.append((summed, len(np.unique(own[rows]))))
    (of_positives, patients_pos), (of_negatives, patients_neg) = parts
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = (
            _grown(patients_pos) * of_positives.T @ of_positives / m**2
            + _grown(patients_neg) * of_negatives.T @ of_negatives / n**2
        )
    cross = of_positives.T @ of_negatives
    if cross.any():  # patients with rows of both classes
        every = len(np.unique(own))
        covariance += _grown(every) * (cross + cross.T) / (m * n)
    return Aucs(auc, covariance)


def delong_within(label: Array, scores: Array, manufacturer: Array, patient: Array | None = None) -> Aucs:
    """AUCs inside each manufacturer, averaged over those that have both classes; manufacturers are independent.

    Parameters
    ----------
    label, manufacturer : arrays (n,)
    scores : array (n,) or (n, k)
    patient : array (n,), optional
        A patient with rows under several manufacturers makes these dependent, which is not accounted for here; the
        bootstrap does.

    Returns
    -------
    Aucs
        NaN when no manufacturer has both classes.
    """
    found = []
    for name in np.unique(manufacturer):
        rows = np.asarray(manufacturer) == name
        one = delong(np.asarray(label)[rows], np.asarray(scores)[rows], None if patient is None else patient[rows])
        if not np.isnan(one.auc).any():
            found.append(one)
    if not found:
        k = 1 if np.ndim(scores) == 1 else np.shape(scores)[1]
        return Aucs(np.full(k, np.nan), np.full((k, k), np.nan))
    count = len(found)
    return Aucs(
        np.mean([one.auc for one in found], axis=0), np.sum([one.covariance for one in found], axis=0) / count**2
    )


def difference(aucs: Aucs, first: int = 0, second: int = 1, level: float = 0.95) -> Difference:
    """Test whether two of the AUCs are equal.

    Parameters
    ----------
    aucs : Aucs
    first, second : int
        Positions of the scores.
    level : float
        Of the interval, 0.95 by default.
    """
    value = float(aucs.auc[first] - aucs.auc[second])
    c = aucs.covariance
    variance = float(c[first, first] + c[second, second] - 2.0 * c[first, second])
    error = math.sqrt(variance) if variance > 1e-18 else (0.0 if variance == variance else math.nan)
    reach = float(norm.ppf(0.5 + level / 2.0)) * error
    if error > 0:
        p = 2.0 * float(norm.sf(abs(value) / error))
    else:
        p = math.nan if math.isnan(error) else (1.0 if abs(value) < 1e-12 else 0.0)
    return Difference(value, error, value - reach, value + reach, p)


def _grown(count: int) -> float:
    """count / (count - 1): sums of squares about a mean that was estimated."""
    return count / (count - 1) if count > 1 else math.nan
