"""Patient bootstrap: whole patients, within strata of manufacturer and label."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def patient_resamples(
    patient: Array, manufacturer: Array, label: Array, replicates: int, seed: int
) -> npt.NDArray[np.float32]:
    """How often each row counts in each bootstrap replicate.

    Whole patients are drawn with replacement within strata of (the set of the patient's manufacturers) x label, so
    images of one patient stay together and every replicate has as many patients per stratum as the data.

    Parameters
    ----------
    patient, manufacturer, label : arrays (n,)
    replicates : int
        B, the number of replicates.
    seed : int

    Returns
    -------
    float32 (n, B)
        Small integers: how often the row's patient was drawn. Depends on the ids, not on the order of the rows.
    """
    patients, of_row = np.unique(patient, return_inverse=True)
    strata = _strata(of_row, len(patients), manufacturer, label)
    counts = np.empty((len(patients), replicates), dtype=np.float32)
    rng = np.random.default_rng(seed)
    for stratum in range(strata.max(initial=-1) + 1):
        members = np.flatnonzero(strata == stratum)
        share = np.full(len(members), 1.0 / len(members))
        counts[members] = rng.multinomial(len(members), share, size=replicates).T
    return counts[of_row]


def interval(
    replicates: npt.ArrayLike, level: float = 0.95, axis: int = -1
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Percentile interval over replicates, those that are NaN left out.

    Parameters
    ----------
    replicates : array
        Replicates along `axis`.
    level : float
        Nominal coverage, 0.95 by default.

    Returns
    -------
    (low, high)
        Zero-dimensional for a one-dimensional input; NaN where every replicate is.
    """
    values = np.asarray(replicates, dtype=np.float64)
    tail = (1.0 - level) / 2.0
    if values.shape[axis] == 0 or np.isnan(values).all():
        empty = np.full(values.sum(axis=axis).shape, np.nan)
        return empty, empty.copy()
    known = ~np.isnan(values).all(axis=axis, keepdims=True)
    # A slice without any number would make numpy warn; it is filled, and blanked again below.
    low, high = np.nanquantile(np.where(known, values, 0.0), (tail, 1.0 - tail), axis=axis)
    blank = ~np.squeeze(known, axis=axis)
    return np.where(blank, np.nan, low), np.where(blank, np.nan, high)


def centred(replicates: npt.NDArray[np.float64], value: float) -> npt.NDArray[np.float64]:
    """Replicates moved so that their mean is the value itself.

    A resample holds some rows twice and others never, which pulls functions of pairs of rows (variances, distances,
    concordance) to one side by about 1/n. Averaged over thousands of features the spread is smaller than that, and an
    interval that is not moved back would miss its own estimate.
    """
    known = replicates[~np.isnan(replicates)]
    return replicates - (known.mean() - value) if len(known) else replicates


def _strata(of_row: Array, patients: int, manufacturer: Array, label: Array) -> npt.NDArray[np.intp]:
    """A stratum number per patient."""
    makers: list[set[str]] = [set() for _ in range(patients)]
    labels: list[set[str]] = [set() for _ in range(patients)]
    for who, maker, value in zip(of_row.tolist(), manufacturer.tolist(), label.tolist(), strict=True):
        makers[who].add(str(maker))
        labels[who].add(str(value))
    keys = [(tuple(sorted(m)), tuple(sorted(v))) for m, v in zip(makers, labels, strict=True)]
    number = {key: i for i, key in enumerate(sorted(set(keys)))}
    return np.array([number[key] for key in keys], dtype=np.intp)
