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
from harmbench_builtin.evaluators.contrasts import among_present, contrasts
from harmbench_builtin.evaluators.divergence import bias
from harmbench_builtin.evaluators.divergence_blocks import Replicates, Stratum, blocks, per_stratum

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Form = Literal["marginal", "conditional"]
BIAS_DRAWS = 200  # enough for a mean; a p-value takes what the run asks for


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


def _runs(absent: Array | None, features: int) -> list[tuple[npt.NDArray[np.intp], Array | None]]:
    """Runs of neighbouring features that the same rows have: their positions, and which rows (None: all)."""
    if absent is None or not features:
        return [(np.arange(features), None)]
    starts = np.flatnonzero(np.append(True, (absent[:, 1:] != absent[:, :-1]).any(axis=0)))
    return [(run, ~absent[:, run[0]]) for run in np.split(np.arange(features), starts[1:])]


def _alike(absent: Array) -> npt.NDArray[np.intp]:
    """A number for each row, the same for rows that lack the same features."""
    _, code = np.unique(np.packbits(absent, axis=1), axis=0, return_inverse=True)
    return np.asarray(code, dtype=np.intp).reshape(-1)


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
    n_jobs : int
        Threads; any number gives the same bits.
    """

    def __init__(
        self,
        table: FeatureTable,
        bins: int = 10,
        small_group: int = 50,
        draws: int = 999,
        seed: int = 0,
        absent: Array | None = None,
        n_jobs: int = 1,
    ) -> None:
        if table.label is None:
            raise DataError("class-conditional JSD needs labels, and the table has none.")
        if len(table.manufacturers) < 2:
            raise DataError(
                f"JSD compares manufacturers, and the table has only {', '.join(table.manufacturers) or 'none'}.",
                remedy="Add images of a second manufacturer.",
            )
        self.table, self.bins, self.draws, self.seed, self.n_jobs = table, bins, draws, seed, n_jobs
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
        self.runs = _runs(absent, table.values.shape[1])
        # Rows that lack the same features are permuted among themselves: every feature's groups keep their sizes.
        alike = np.zeros(len(table), dtype=np.intp) if absent is None else _alike(absent)
        self.permuted: dict[Form, npt.NDArray[np.intp]] = {"marginal": alike, "conditional": 2 * alike + self.label}
        repeated = len(np.unique(table.patient)) < len(table)
        counts = np.array([self._counts(_within(self.strata["conditional"], rows)) for _, rows in self.runs])
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

    def replicates_of(self, codes: Array, counts: Array | None = None) -> Replicates:
        """Manufacturer codes (n,) or (n, B), and counts (n, B), for `blocks`."""
        return Replicates(
            np.ascontiguousarray(codes, dtype=np.int16),
            None if counts is None else np.ascontiguousarray(counts, dtype=np.int32),
            len(self.manufacturers),
        )

    def strata_of(self, form: Form, present: Array | None, which: Sequence[int] | None = None) -> list[Stratum]:
        """The strata of a form among the rows that are present, with contrasts as each can make them.

        `which` are the positions of the contrasts; all by default.
        """
        mixtures = self.mixtures if which is None else self.mixtures[list(which)]
        rows = _within(self.strata[form], present)
        made = [among_present(mixtures, counts > 0) for counts in self._counts(rows)]
        used = np.array([possible for _, possible in made], dtype=np.float64)  # (S, C)
        shares = used / np.maximum(used.sum(axis=0), 1.0)
        return [Stratum(own, mixture, share) for own, (mixture, _), share in zip(rows, made, shares, strict=True)]

    def sweep(
        self, form: Form, draws: Replicates, which: Sequence[int] | None = None, columns: Array | None = None
    ) -> Iterator[tuple[npt.NDArray[np.intp], Floats]]:
        """Raw divergence, block of features by block of features, averaged over the strata.

        Parameters
        ----------
        form : {"marginal", "conditional"}
        draws : Replicates
        which : positions of contrasts, optional
            Those wanted; all by default.
        columns : positions of features, optional

        Yields
        ------
        features : int array (f,)
        raw : float64 (f, C, B)
        """
        for features, present in self.runs:
            inside = features if columns is None else columns[np.isin(columns, features)]
            strata = self.strata_of(form, present, which)
            for part, raw in blocks(self.table.values[:, inside], strata, draws, self.bins, self.n_jobs):
                yield inside[part], raw

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
        raw, effective, correction = self._once(form)
        own_null = form == "conditional"  # its null also gives its bias
        p = mean_p = None
        if p_values or (self.permutation_bias and own_null):
            draws = self.draws if p_values else BIAS_DRAWS
            mean_null, p, mean_p = self._null(form, raw, self._permuted("conditional", draws), chosen)
            if self.permutation_bias and own_null:
                correction = mean_null
        if self.permutation_bias and not own_null:
            correction = self._null(form, raw, self._permuted(form, BIAS_DRAWS), chosen)[0]
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
        weights = np.asarray(masks, dtype=np.float64)
        total = np.zeros((len(self.headline), len(weights), np.shape(resamples)[1]))
        size = np.zeros_like(total)
        needed = np.flatnonzero(weights.any(axis=0))
        drawn = self.replicates_of(self.code, resamples)
        for features, raw in self.sweep(form, drawn, self.headline, needed):
            known = ~np.isnan(raw)
            whole = bool(known.all())
            for i, weight in enumerate(weights[:, features]):
                total[:, i] += np.tensordot(weight, raw if whole else np.where(known, raw, 0.0), 1)
                size[:, i] += weight.sum() if whole else np.tensordot(weight, known.astype(np.float64), 1)
        return np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0)

    def _once(self, form: Form) -> tuple[Floats, Floats, Floats]:
        """Raw divergence, K_effective and the formula's bias of the table as it is, each (C, p)."""
        raw, effective, correction = (np.zeros((len(self.contrasts), self.table.values.shape[1])) for _ in range(3))
        draws = self.replicates_of(self.code)
        for features, present in self.runs:
            strata = self.strata_of(form, present)
            for stratum, counts in zip(strata, self._counts([s.rows for s in strata]), strict=True):
                d, k = per_stratum(self.table.values[:, features], stratum, draws, self.bins)
                share = np.broadcast_to(stratum.share[:, None], (len(self.contrasts), len(features)))
                used = share > 0
                for total, part in zip(
                    (raw, effective, correction),
                    (d[:, :, 0].T, k[:, :, 0].T, bias(k[:, :, 0].T, counts, stratum.mixtures)),
                    strict=True,
                ):
                    total[:, features] += np.where(used, share * part, 0.0)
            never = ~np.any([stratum.share > 0 for stratum in strata], axis=0)
            for total in (raw, effective, correction):
                total[np.ix_(never, features)] = np.nan
        return raw, effective, correction

    def _counts(self, strata: Sequence[Array]) -> npt.NDArray[np.int64]:
        """Rows of every manufacturer in every stratum (S, L)."""
        return np.array([np.bincount(self.code[s], minlength=len(self.manufacturers)) for s in strata])

    def _permuted(self, form: Form, draws: int) -> npt.NDArray[np.int16]:
        """Manufacturers drawn anew, among all patients or (conditional) within labels."""
        return permute_manufacturer(self.table.patient, self.table.manufacturer, self.permuted[form], draws, self.seed)

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
            for features, null in self.sweep(form, self.replicates_of(drawn.T), which):
                here = np.ix_(np.array(which), features)
                total[here] += null.sum(axis=2).T
                at_least[here] += (null >= raw[here].T[:, :, None] - 1e-12).sum(axis=2).T
                inside = tested[features]
                sums += np.tensordot(chosen[features][inside], null[inside], 1)
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
