"""Comparing two methods over repeated cross-validation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student


@dataclass(frozen=True)
class CorrectedT:
    """Nadeau and Bengio's corrected resampled t-test.

    Parameters
    ----------
    mean : float
        Of the differences.
    standard_error : float
        sqrt((1/J + n_test/n_train) s^2).
    low, high : float
        Interval, t with J - 1 degrees of freedom.
    p_value : float
        Two-sided.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    p_value: float


def corrected_t(differences: npt.ArrayLike, train: float, test: float, level: float = 0.95) -> CorrectedT:
    """Test whether two methods differ, from their differences in each fold of (repeated) cross-validation.

    The folds share training rows, so their differences are correlated and the naive t-test finds far too much
    (docs/statistics.md has the rates). Nadeau and Bengio (2003), Machine Learning 52:239, add n_test / n_train to 1/J.

    Parameters
    ----------
    differences : array (J,)
        One value per fold, all repeats together; J = repeats x folds, at least 2.
    train, test : float
        Patients (or rows, where each patient has one) that a fold trains on and tests on, on average.
    level : float
        Of the interval, 0.95 by default.

    Raises
    ------
    ValueError
        Fewer than two differences, or sizes that are not positive.
    """
    values = np.asarray(differences, dtype=np.float64).ravel()
    if len(values) < 2:
        raise ValueError(f"the corrected t-test needs two or more folds, and got {len(values)}.")
    if not (train > 0 and test > 0):
        raise ValueError(f"a fold must train and test on something, and train is {train}, test is {test}.")
    mean = float(values.mean())
    error = math.sqrt((1.0 / len(values) + test / train) * float(values.var(ddof=1)))
    free = len(values) - 1
    reach = float(student.ppf(0.5 + level / 2.0, free)) * error
    p = 2.0 * float(student.sf(abs(mean) / error, free)) if error > 0 else float(mean == 0)
    return CorrectedT(mean, error, mean - reach, mean + reach, p)
