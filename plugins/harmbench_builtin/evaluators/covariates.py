"""What features go with: their rank correlation with covariates, inside manufacturers, and inside labels too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.data import FeatureTable
from harmbench.stats.correlation import combine, spearman
from harmbench.stats.permutation import benjamini_hochberg

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
MANUFACTURER, LABEL = "manufacturer", "manufacturer and label"
MOST_CATEGORIES = 6
COLUMNS: Mapping[str, type] = {
    "feature": str, "covariate": str, "within": str, "group": str, "rho": float, "low": float, "high": float,
    "p_value": float, "q_value": float, "heterogeneity_p": float, "groups": int, "patients": int,
}  # fmt: skip


def correlation_columns(
    table: FeatureTable, features: Sequence[str], classes: tuple[str, str], least: int
) -> tuple[dict[str, Array], list[str]]:
    """Spearman correlations of features with covariates, as a long table.

    Two forms. *Within manufacturer*: scanner differences cannot make it, but the label can: a feature that tells the
    classes apart goes with everything in which they differ. *Within manufacturer and label*: what is left among
    patients of one label and scanner. In both, the mean of a patient's rows counts, groups are correlated apart and put
    together by Fisher's z (`harmbench.stats.correlation.combine`).

    Parameters
    ----------
    table : FeatureTable
        Out-of-fold harmonized features.
    features : sequence of str
        Which of them.
    classes : (str, str)
        What 0 and 1 are called.
    least : int
        Groups with fewer patients are left out.

    Returns
    -------
    dict
        A row with an empty `group` for each feature, covariate and form, with its q-value (Benjamini-Hochberg over all
        such rows of the form), then one for each group ("GE", "GE|HCM").
    list of str
        What could not be done, and why.
    """
    parts: list[dict[str, Array]] = []
    known, notes = _numeric(table)
    if features and known:
        place = {name: j for j, name in enumerate(table.features)}
        values = table.values[:, [place[name] for name in features]]
        for within, strata in _strata(table, classes):
            found, more = _within(values, features, known, table.patient, strata, least)
            parts.append({**found, "within": np.full(len(found["rho"]), within)})
            notes += [note for note in more if note not in notes]
    columns = {
        name: np.concatenate([part[name] for part in parts]) if parts else np.array([], dtype=kind)
        for name, kind in COLUMNS.items()
    }
    return columns, notes


def _numeric(table: FeatureTable) -> tuple[dict[str, Floats], list[str]]:
    """Covariates as numbers, NaN where unknown: categories become 0 and 1, each against the others."""
    known: dict[str, Floats] = {}
    notes = []
    if not table.covariates:
        notes.append("the data set has no covariates: nothing to correlate features with")
    for name, column in table.covariates.items():
        if np.asarray(column).dtype.kind in "fiub":
            known[name] = np.asarray(column, dtype=np.float64)
            continue
        texts = np.array([str(value) for value in column], dtype=str)
        there = texts != ""
        categories = sorted(set(texts[there].tolist()))
        if len(categories) > MOST_CATEGORIES:
            notes.append(f"covariate '{name}' has {len(categories)} categories and no order: left out")
            continue
        # Of two categories one says it all.
        for category in categories[1:] if len(categories) == 2 else categories:
            known[f"{name}={category}"] = np.where(there, (texts == category).astype(float), np.nan)
    notes += [f"covariate '{name}' is the same everywhere" for name, x in known.items() if _constant(x)]
    return {name: x for name, x in known.items() if not _constant(x)}, notes


def _constant(values: Floats) -> bool:
    finite = values[np.isfinite(values)]
    return len(finite) == 0 or bool((finite == finite[0]).all())


def _strata(table: FeatureTable, classes: tuple[str, str]) -> Iterator[tuple[str, Array]]:
    yield MANUFACTURER, table.manufacturer
    if table.label is not None:
        named = [f"{m}|{classes[int(y)]}" for m, y in zip(table.manufacturer.tolist(), table.label, strict=True)]
        yield LABEL, np.array(named, dtype=str)


def _within(
    values: Floats, features: Sequence[str], covariates: Mapping[str, Floats], patient: Array, strata: Array, least: int
) -> tuple[dict[str, Array], list[str]]:
    """The long table of one form, without the column `within`."""
    groups = sorted(set(strata.tolist()))
    p, c = len(features), len(covariates)
    rho, n = np.full((len(groups), p * c), np.nan), np.zeros((len(groups), p * c), dtype=int)
    notes = []
    for g, group in enumerate(groups):
        rows = strata == group
        mean = _patient_means(np.column_stack([values[rows], *(x[rows] for x in covariates.values())]), patient[rows])
        if len(mean) < least:
            notes.append(f"'{group}' has {len(mean)} patients, fewer than {least}: left out of the correlations")
        for i, name in enumerate(covariates):
            part = slice(i * p, (i + 1) * p)
            rho[g, part], n[g, part] = spearman(mean[:, :p], mean[:, p + i])
            if len(mean) >= least and _constant(mean[:, p + i]):
                notes.append(f"covariate '{name}' is the same in all patients of '{group}': no correlation there")
    rows_of: list[dict[str, Array]] = []
    for g in (None, *range(len(groups))):
        some = slice(None) if g is None else slice(g, g + 1)
        found = combine(rho[some], n[some], least)
        q = benjamini_hochberg(found.p_value) if g is None else np.full(p * c, np.nan)
        rows_of.append(
            {
                "feature": np.tile(np.array(features, dtype=str), c),
                "covariate": np.repeat(np.array(list(covariates), dtype=str), p),
                "group": np.full(p * c, "" if g is None else groups[g]),
                # A group's own correlation is shown as it is; the average of several went through z.
                "rho": found.rho if g is None else np.where(found.groups > 0, rho[g], np.nan),
                "low": found.low,
                "high": found.high,
                "p_value": found.p_value,
                "q_value": q,
                "heterogeneity_p": found.heterogeneity,
                "groups": found.groups,
                "patients": found.n,
            }
        )
    return {name: np.concatenate([r[name] for r in rows_of]) for name in COLUMNS if name != "within"}, notes


def _patient_means(values: Floats, patient: Array) -> Floats:
    """Mean of each patient's known values, a row per patient; NaN where none is known."""
    names, of_row = np.unique(patient, return_inverse=True)
    known = np.isfinite(values)
    total, count = np.zeros((len(names), values.shape[1])), np.zeros((len(names), values.shape[1]))
    np.add.at(total, of_row, np.where(known, values, 0.0))
    np.add.at(count, of_row, known)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
