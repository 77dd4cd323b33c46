"""Permutation of the manufacturer among patients, and p-values from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def permute_manufacturer(
    patient: Array, manufacturer: Array, label: Array, draws: int, seed: int
) -> npt.NDArray[np.int16]:
    """Manufacturers as they could have been, had they nothing to do with the features.

    A patient seen by one manufacturer keeps all rows together and gets the manufacturer of another such patient with
    the same label. A patient with rows under several manufacturers (paired data) has these permuted among the own rows.

    Parameters
    ----------
    patient, manufacturer, label : arrays (n,)
        Pass a constant `label` to permute among all patients.
    draws : int
    seed : int

    Returns
    -------
    int16 (draws, n)
        Positions in the sorted list of manufacturers.
    """
    code = np.unique(manufacturer, return_inverse=True)[1].astype(np.int16)
    _, first, of_row = np.unique(patient, return_index=True, return_inverse=True)
    lowest = np.full(len(first), np.iinfo(np.int16).max, dtype=np.int16)
    highest = np.full(len(first), -1, dtype=np.int16)
    np.minimum.at(lowest, of_row, code)
    np.maximum.at(highest, of_row, code)
    single = lowest == highest

    rng = np.random.default_rng(seed)
    of_patient = np.broadcast_to(code[first], (draws, len(first))).copy()
    stratum = label[first]
    for value in np.unique(stratum):
        members = np.flatnonzero(single & (stratum == value))
        of_patient[:, members] = rng.permuted(of_patient[:, members], axis=1)
    result = of_patient[:, of_row]
    for who in np.flatnonzero(~single):
        own = np.flatnonzero(of_row == who)
        result[:, own] = rng.permuted(np.broadcast_to(code[own], (draws, len(own))), axis=1)
    return result


def p_value(observed: npt.ArrayLike, null: npt.ArrayLike, axis: int = -1) -> npt.NDArray[np.float64]:
    """(1 + number of draws at least as large) / (1 + draws), NaN where the observed value is.

    Parameters
    ----------
    observed : array (...)
    null : array (..., draws)
        Draws along `axis`. A draw that equals the observed value up to rounding (1e-12) counts.
    """
    seen = np.asarray(observed, dtype=np.float64)
    drawn = np.asarray(null, dtype=np.float64)
    at_least = (drawn >= np.expand_dims(seen, axis) - 1e-12).sum(axis=axis)
    return np.where(np.isnan(seen), np.nan, (1.0 + at_least) / (1.0 + drawn.shape[axis]))


def benjamini_hochberg(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """p-values adjusted for the false discovery rate (Benjamini and Hochberg 1995); NaN stays NaN, uncounted."""
    from scipy.stats import false_discovery_control

    values = np.asarray(p, dtype=np.float64)
    known = ~np.isnan(values)
    adjusted = np.full(values.shape, np.nan)
    if known.any():
        adjusted[known] = false_discovery_control(values[known], method="bh")
    return adjusted
