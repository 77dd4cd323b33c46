"""Area under the ROC curve, weighted, for many replicates at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


def auc(label: Array, score: Array) -> float:
    """Mann-Whitney AUC: the chance that a positive scores above a negative, ties counting half.

    Parameters
    ----------
    label : array (n,)
        Truthy for positives.
    score : array (n,)

    Returns
    -------
    float
        NaN when a class is missing.
    """
    positive = np.asarray(label).astype(bool)
    n_pos, n_neg = int(positive.sum()), int((~positive).sum())
    if n_pos == 0 or n_neg == 0:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[positive].sum() - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))


def weighted_auc(label: Array, score: Array, weights: Array) -> Floats:
    """AUC in every replicate.

    Parameters
    ----------
    label : array (n,)
    score : array (n,)
    weights : array (n, B)
        How much each row counts in each replicate.

    Returns
    -------
    float64 (B,)
        w_pos^T M w_neg over the product of the weight sums, with M 1 where the positive scores higher, 1/2 at a tie,
        0 otherwise; summed through the order of the scores instead of M itself. NaN where a class weighs nothing.
    """
    positive = np.asarray(label).astype(bool)
    score = np.asarray(score)
    if not positive.any() or positive.all():
        return np.full(np.shape(weights)[1], np.nan)
    negatives = score[~positive]
    order = np.argsort(negatives, kind="stable")
    negatives = negatives[order]
    w_pos = np.asarray(weights)[positive].astype(np.float64)
    w_neg = np.asarray(weights)[~positive].astype(np.float64)[order]
    below = np.concatenate([np.zeros((1, w_neg.shape[1])), np.cumsum(w_neg, axis=0)])
    left = np.searchsorted(negatives, score[positive], side="left")
    right = np.searchsorted(negatives, score[positive], side="right")
    won = 0.5 * (w_pos * (below[left] + below[right])).sum(axis=0)
    total = w_pos.sum(axis=0) * below[-1]
    return np.divide(won, total, out=np.full(len(total), np.nan), where=total > 0)
