"""JSD between the manufacturers of one feature table: contrasts, label strata, bias, null, bootstrap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from harmbench.data import FeatureTable
from harmbench.errors import DataError
from harmbench.stats.permutation import p_value, permute_manufacturer
from harmbench_builtin.evaluators.divergence import bias, divergences

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Form = Literal["marginal", "conditional"]
BIAS_DRAWS = 200  # enough for a mean; a p-value takes what the run asks for


@dataclass(frozen=True)
class Contrast:
    """Two groups to tell apart: a manufacturer and the balanced mixture of the others, or two manufacturers.

    `name` is the manufacturer, or "A|B". With two manufacturers there is one contrast, and it stands for both of them
    and for the pair.
    """

    name: str
    kind: Literal["rest", "pair"]
    mixture: tuple[tuple[float, ...], tuple[float, ...]]


def contrasts(manufacturers: Sequence[str]) -> tuple[Contrast, ...]:
    """One-against-the-rest for each manufacturer, then every pair; for two manufacturers the pair only."""
    count = len(manufacturers)
    unit = np.eye(count)
    pairs = [
        Contrast(f"{manufacturers[i]}|{manufacturers[j]}", "pair", (tuple(unit[i]), tuple(unit[j])))
        for i in range(count)
        for j in range(i + 1, count)
    ]
    if count == 2:
        return tuple(pairs)
    rest = [
        Contrast(name, "rest", (tuple(unit[i]), tuple((1.0 - unit[i]) / (count - 1))))
        for i, name in enumerate(manufacturers)
    ]
    return (*rest, *pairs)


def among_present(mixtures: Floats, present: Array) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """The same contrasts where some manufacturers have no rows.

    A group keeps those of its manufacturers that are present, in their proportions: "the rest" is then the balanced
    mixture of the others that are there. A contrast with an empty group cannot be made.

    Parameters
    ----------
    mixtures : float64 (C, G, L)
    present : bool array (L,)

    Returns
    -------
    mixtures : float64 (C, G, L)
        Rows sum to 1; a contrast that cannot be made is returned as it was.
    possible : bool (C,)
    """
    if present.all():
        return mixtures, np.ones(len(mixtures), dtype=bool)
    kept = mixtures * present
    total = kept.sum(axis=2, keepdims=True)
    possible = (total > 0).all(axis=(1, 2))
    return np.divide(kept, total, out=mixtures.copy(), where=possible[:, None, None]), possible


@dataclass(frozen=True)
class Estimate:
    """Per-feature divergences of all contrasts.

    Parameters
    ----------
    raw : float64 (C, p)
    effective : float64 (C, p)
        K_effective, mean over the label strata that were used.
    bias : float64 (C, p)
        What is subtracted: the formula's value, or the mean under permutation.
    p_value : float64 (C, p) or None
        From the permutation of manufacturers within label strata; NaN for pairs among three or more manufacturers.
    mean_p_value : float64 (C + 1,) or None
        The same for the mean over the chosen features: of each contrast, then of the mean over the headline contrasts.
    """

    raw: Floats
    effective: Floats
    bias: Floats
    p_value: Floats | None = None
    mean_p_value: Floats | None = None

    @property
    def corrected(self) -> Floats:
        return self.raw - self.bias


def _blocks(absent: Array | None, features: int) -> list[tuple[npt.NDArray[np.intp], Array | None]]:
    """Runs of neighbouring features that the same rows have: their positions, and which rows (None: all)."""
    if absent is None or not features:
        return [(np.arange(features), None)]
    starts = np.flatnonzero(np.append(True, (absent[:, 1:] != absent[:, :-1]).any(axis=0)))
    return [(run, ~absent[:, run[0]]) for run in np.split(np.arange(features), starts[1:])]


def _within(strata: Sequence[Array], present: Array | None) -> list[npt.NDArray[np.intp]]:
    """The rows of each stratum that are present."""
    return [s if present is None else s[present[s]] for s in strata]


class ManufacturerDivergence:
    """Definition 1 on one table of out-of-fold features.

    Where a manufacturer has no rows with a label, the others are compared there without it (`among_present`), and the
    label is left out of its own contrasts.

    The correction for sample size is chosen from the design alone, once for both forms and hence alike for every
    method: the formula when each patient has one row and every manufacturer at least `small_group` rows in every label
    stratum; otherwise the mean under permutation of whole patients. For the marginal form this mean comes from
    permuting among all patients (identical distributions of these sample sizes, what the formula estimates); for the
    conditional one, and for p-values, from permuting within label strata.

    Parameters
    ----------
    table : FeatureTable
        With labels.
    bins, small_group : int
    draws : int
        Permutations for p-values.
    seed : int
    absent : bool array (n, p), optional
        Where a row has no value of a feature, because its fold dropped that feature: the feature is compared on the
        other rows. A manufacturer is then small if any feature leaves it fewer than `small_group` rows.
    """

    def __init__(
        self,
        table: FeatureTable,
        bins: int = 10,
        small_group: int = 50,
        draws: int = 999,
        seed: int = 0,
        absent: Array | None = None,
    ) -> None:
        if table.label is None:
            raise DataError("class-conditional JSD needs labels, and the table has none.")
        if len(table.manufacturers) < 2:
            raise DataError(
                f"JSD compares manufacturers, and the table has only {', '.join(table.manufacturers) or 'none'}.",
                remedy="Add images of a second manufacturer.",
            )
        self.table, self.bins, self.draws, self.seed = table, bins, draws, seed
        self.label = np.asarray(table.label)
        self.manufacturers = table.manufacturers
        self.contrasts = contrasts(self.manufacturers)
        self.mixtures = np.array([c.mixture for c in self.contrasts])
        self.code = np.searchsorted(np.array(self.manufacturers), table.manufacturer)
        self.headline = [i for i, c in enumerate(self.contrasts) if c.kind == "rest" or len(self.contrasts) == 1]
        """Contrasts whose mean is the overall figure: each manufacturer against the others."""

        self.strata: dict[Form, list[npt.NDArray[np.intp]]] = {
            "marginal": [np.arange(len(table))],
            "conditional": [np.flatnonzero(self.label == value) for value in np.unique(self.label)],
        }
        self.rows_per_stratum = {form: self._counts(strata) for form, strata in self.strata.items()}
        self.blocks = _blocks(absent, table.values.shape[1])
        repeated = len(np.unique(table.patient)) < len(table)
        counts = np.array([self._counts(_within(self.strata["conditional"], rows)) for _, rows in self.blocks])
        small = bool((counts[counts > 0] < small_group).any())
        self.permutation_bias = repeated or small
        self.correction = (
            f"mean of {BIAS_DRAWS} or more permutations of whole patients subtracted ("
            + " and ".join(
                ["a patient has several rows"] * repeated
                + [f"a manufacturer has fewer than {small_group} rows under a label"] * small
            )
            + ")"
            if self.permutation_bias
            else "first-order bias formula subtracted"
        )

    @property
    def left_out(self) -> list[str]:
        """Labels that are left out of a manufacturer's contrasts, and why, in words."""
        found = []
        for value, counts in zip(np.unique(self.label), self.rows_per_stratum["conditional"], strict=True):
            without = [name for name, count in zip(self.manufacturers, counts, strict=True) if count == 0]
            if not without:
                continue
            having = [name for name in self.manufacturers if name not in without]
            alone = len(having) == 1
            more = "" if alone else "; the others are compared there without it"
            found.append(f"label {value} left out for {', '.join(without)} (no such rows{more})")
            if alone:
                found.append(f"label {value} left out for {having[0]} (no other manufacturer has such rows)")
        return found

    def one_hot(self, codes: Array) -> npt.NDArray[np.int16]:
        """(draws, n) manufacturer codes as weights (L, n, draws)."""
        return (np.arange(len(self.manufacturers))[:, None, None] == codes.T[None]).astype(np.int16)

    def sweep(
        self, form: Form, weights: Array, which: Sequence[int] | None = None, columns: Array | None = None
    ) -> Iterator[tuple[Floats, Floats, Floats]]:
        """Raw divergence, K_effective and formula bias (C, B), feature by feature, averaged over the strata.

        Parameters
        ----------
        form : {"marginal", "conditional"}
        weights : array (L, n, B)
        which : positions of contrasts, optional
            Those wanted; all by default.
        columns : positions or mask of features, optional
        """
        mixtures = self.mixtures if which is None else self.mixtures[list(which)]
        wanted = np.arange(self.table.values.shape[1])
        wanted = wanted if columns is None else wanted[columns]
        for features, present in self.blocks:
            inside = wanted[np.isin(wanted, features)] if len(self.blocks) > 1 else wanted
            if len(inside):
                yield from self._sweep_block(_within(self.strata[form], present), weights, mixtures, inside)

    def _sweep_block(
        self, rows: Sequence[Array], weights: Array, mixtures: Floats, columns: Array
    ) -> Iterator[tuple[Floats, Floats, Floats]]:
        """`sweep` for features that the same rows have; `rows` are those of each stratum."""
        values = self.table.values[:, columns]
        counts = self._counts(rows)
        made = [among_present(mixtures, row > 0) for row in counts]
        used = np.array([possible for _, possible in made])  # (S, C)
        shares = used / np.where(used.any(axis=0), used.sum(axis=0), np.nan)
        streams = [divergences(values[s], weights[:, s], m, self.bins) for s, (m, _) in zip(rows, made, strict=True)]
        for parts in zip(*streams, strict=True):
            raw = effective = correction = np.zeros(())
            for (d, k), share, (mixture, keep), count in zip(parts, shares, made, counts, strict=True):
                weight = share[:, None]
                raw = raw + weight * np.where(keep[:, None], d, 0.0)
                effective = effective + weight * k
                first_order = bias(k, count, mixture)
                correction = correction + weight * np.where(keep[:, None], first_order, 0.0)
            yield raw, effective, correction

    def estimate(self, form: Form, chosen: Array | None = None, p_values: bool = True) -> Estimate:
        """Raw values, what to subtract, and p-values.

        Parameters
        ----------
        form : {"marginal", "conditional"}
        chosen : array (p,), optional
            How much each feature counts in the means that are tested (0: not at all); 1 for all by default.
        p_values : bool
            False: no null beyond what the correction needs.
        """
        parts = list(self.sweep(form, self.one_hot(self.code[None])))
        raw, effective, correction = (np.array([part[i][:, 0] for part in parts]).T for i in range(3))
        shape = (len(self.contrasts), self.table.values.shape[1])
        raw, effective, correction = (a.reshape(shape) for a in (raw, effective, correction))
        own_null = form == "conditional"  # its null also gives its bias
        p = mean_p = None
        if p_values or (self.permutation_bias and own_null):
            draws = self.draws if p_values else BIAS_DRAWS
            mean_null, p, mean_p = self._null(form, raw, self._within_label(draws), chosen)
            if self.permutation_bias and own_null:
                correction = mean_null
        if self.permutation_bias and not own_null:
            codes = permute_manufacturer(
                self.table.patient, self.table.manufacturer, np.zeros(len(self.table)), BIAS_DRAWS, self.seed
            )
            correction = self._null(form, raw, codes, chosen)[0]
        return Estimate(raw, effective, correction, p if p_values else None, mean_p if p_values else None)

    def replicates(self, form: Form, resamples: Array, masks: Array) -> Floats:
        """Mean raw divergence over sets of features in every bootstrap replicate.

        Parameters
        ----------
        resamples : array (n, B)
            How often each row counts.
        masks : array (M, p)
            Sets of features: how much each one counts, or whether it does.

        Returns
        -------
        float64 (H, M, B)
            For each headline contrast; NaN for an empty set. A feature for which a resample left a manufacturer
            without rows (few rows have it) is left out there.
        """
        resamples = np.asarray(resamples)
        masks = np.asarray(masks, dtype=np.float64)
        needed = np.flatnonzero(masks.any(axis=0))
        weights = self.one_hot(self.code[None]) * resamples[None].astype(np.int16)
        total = np.zeros((len(self.headline), len(masks), resamples.shape[1]))
        size = np.zeros_like(total)
        sweep = self.sweep(form, weights, self.headline, needed)
        for counts, (raw, _, _) in zip(masks[:, needed].T, sweep, strict=True):
            used = np.flatnonzero(counts)
            weight = counts[used, None] * ~np.isnan(raw[:, None])
            total[:, used] += weight * np.nan_to_num(raw[:, None])
            size[:, used] += weight
        return np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0)

    def _counts(self, strata: Sequence[Array]) -> npt.NDArray[np.int64]:
        """Rows of every manufacturer in every stratum (S, L)."""
        return np.array([np.bincount(self.code[s], minlength=len(self.manufacturers)) for s in strata])

    def _within_label(self, draws: int) -> npt.NDArray[np.int16]:
        return permute_manufacturer(self.table.patient, self.table.manufacturer, self.label, draws, self.seed)

    def _null(self, form: Form, raw: Floats, codes: Array, chosen: Array | None) -> tuple[Floats, Floats, Floats]:
        """Mean under permutation (C, p), p-value of each feature (C, p) and of the means (C + 1,).

        Of contrasts that are not in the headline only the first `BIAS_DRAWS` are made: their mean is needed, and they
        get no p-value.
        """
        chosen = np.asarray(np.ones(raw.shape[1]) if chosen is None else chosen, dtype=np.float64)
        tested = chosen > 0
        everything = list(range(len(self.contrasts)))
        if self.headline == everything:
            parts = [(everything, codes)]
        else:
            parts = [(everything, codes[:BIAS_DRAWS]), (self.headline, codes[BIAS_DRAWS:])]
        total = np.zeros_like(raw)
        at_least = np.zeros_like(raw)
        made = np.zeros(len(raw))
        means = []  # of the headline contrasts over the chosen features, one row per draw
        for which, drawn in parts:
            if not len(drawn):
                continue
            made[which] += len(drawn)
            sums = np.zeros((len(which), len(drawn)))
            for j, (null, _, _) in enumerate(self.sweep(form, self.one_hot(drawn), which)):
                total[which, j] += null.sum(axis=1)
                at_least[which, j] += (null >= raw[which, j, None] - 1e-12).sum(axis=1)
                if tested[j]:
                    sums += chosen[j] * null
            means.append(sums[[which.index(c) for c in self.headline]].T)
        null_means = np.concatenate(means).T
        observed = (raw[self.headline][:, tested] * chosen[tested]).sum(axis=1)

        p = np.full(raw.shape, np.nan)
        p[self.headline] = (1.0 + at_least[self.headline]) / (1.0 + len(codes))
        p[np.isnan(raw)] = np.nan
        mean_p = np.full(len(raw) + 1, np.nan)
        mean_p[self.headline] = p_value(observed, null_means)
        mean_p[-1] = p_value(observed.mean(), null_means.mean(axis=0))
        return total / made[:, None], p, mean_p
