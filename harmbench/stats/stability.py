"""How much the folds agree on what they keep, and on how important it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

LEAST_SHARED = 3
"""Features that two folds must both have kept for their importances to be put in order."""


def nogueira(kept: npt.ArrayLike) -> float:
    """Stability of feature selection, corrected for chance.

    With M folds, d features, p_f the share of folds that kept feature f, s_f^2 = M/(M-1) p_f (1 - p_f), and k the mean
    number of features kept:

        1 - mean_f(s_f^2) / (k/d (1 - k/d))

    1 when every fold keeps the same features, 0 on average when each keeps random ones (however many), at least
    -1/(M-1). Nogueira, Sechidis and Brown (2018), Journal of Machine Learning Research 18(174), definition 4. With two
    possible outcomes it is Fleiss' kappa with folds as raters.

    Parameters
    ----------
    kept : bool (M, d)
        A row per fold.

    Returns
    -------
    float
        NaN with fewer than two folds or features, and when all folds keep nothing or all of them everything: there is
        then nothing that chance could have done otherwise.
    """
    z = np.asarray(kept, dtype=np.float64)
    if z.ndim != 2 or min(z.shape) < 2:
        return float("nan")
    share = z.mean(axis=0)
    mean = share.mean()
    if mean in (0.0, 1.0):
        return float("nan")
    variance = len(z) / (len(z) - 1.0) * (share * (1.0 - share)).mean()
    return float(1.0 - variance / (mean * (1.0 - mean)))


def rank_agreement(importance: npt.ArrayLike, kept: npt.ArrayLike, least: int = LEAST_SHARED) -> tuple[float, int]:
    """Mean Spearman correlation between two folds' importances of the features that both kept.

    Features that one of them did not keep are left to `nogueira`: counted as 0 here, they would make folds that share
    few features look as if they disagreed on the order of those they share.

    Parameters
    ----------
    importance : float (M, d)
    kept : bool (M, d)
    least : int
        Pairs of folds that share fewer features are left out.

    Returns
    -------
    (float, int)
        The mean, and over how many pairs; (NaN, 0) when no pair shares enough.
    """
    values, z = np.asarray(importance, dtype=np.float64), np.asarray(kept, dtype=bool)
    found = []
    for i in range(len(z)):
        for j in range(i + 1, len(z)):
            both = z[i] & z[j]
            if both.sum() < least:
                continue
            one, other = rankdata(values[i, both]), rankdata(values[j, both])
            if np.ptp(one) > 0 and np.ptp(other) > 0:
                found.append(float(np.corrcoef(one, other)[0, 1]))
    return (float(np.mean(found)), len(found)) if found else (float("nan"), 0)
