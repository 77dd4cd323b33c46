"""First-order statistics: of the values themselves, and of the histogram of grey levels."""

from __future__ import annotations

import numpy as np

from harmbench.data import Floats, Integers
from harmbench_builtin.extractors.fast2d.oracle.levels import entropy


def firstorder(values: Floats, levels: Integers, area: float) -> dict[str, float]:
    """The 18 first-order features.

    With x the N values, mu their mean, m_k = mean((x - mu)^k), p the share of each level:

    Energy = sum x^2; TotalEnergy = A Energy; RootMeanSquared = sqrt(Energy / N); Entropy = -sum p log2 p;
    Uniformity = sum p^2; Variance = m_2; Skewness = m_3 / m_2^1.5; Kurtosis = m_4 / m_2^2 (3 for a normal
    distribution, not the excess); both are 0 for a constant. MeanAbsoluteDeviation = mean |x - mu|;
    RobustMeanAbsoluteDeviation: the same of the values from the 10th to the 90th percentile. Percentiles interpolate
    linearly.

    Parameters
    ----------
    values : float64 (N,)
    levels : int (N,)
    area : float
        A, the area of a pixel.
    """
    low, q1, median, q3, high = np.percentile(values, [10, 25, 50, 75, 90])
    mean, minimum, maximum = values.mean(), values.min(), values.max()
    deviation = values - mean
    m2, m3, m4 = ((deviation**k).mean() for k in (2, 3, 4))
    # The mean of a constant may be rounded; what it leaves is no variance.
    flat = minimum == maximum or m2 == 0
    central = values[(values >= low) & (values <= high)]
    energy = (values**2).sum()
    p = np.unique(levels, return_counts=True)[1] / values.size
    return {
        "10Percentile": low,
        "90Percentile": high,
        "Energy": energy,
        "Entropy": entropy(p),
        "InterquartileRange": q3 - q1,
        "Kurtosis": 0.0 if flat else m4 / m2**2,
        "Maximum": maximum,
        "MeanAbsoluteDeviation": np.abs(deviation).mean(),
        "Mean": mean,
        "Median": median,
        "Minimum": minimum,
        "Range": maximum - minimum,
        "RobustMeanAbsoluteDeviation": np.abs(central - central.mean()).mean() if central.size else np.nan,
        "RootMeanSquared": np.sqrt(energy / values.size),
        "Skewness": 0.0 if flat else m3 / m2**1.5,
        "TotalEnergy": area * energy,
        "Uniformity": (p**2).sum(),
        "Variance": 0.0 if flat else m2,
    }
