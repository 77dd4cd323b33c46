"""The evaluator `jsd`: Jensen-Shannon divergence between manufacturers, definition 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harmbench.components import EvaluationContext
from harmbench.data import FEATURE_CLASSES, SHAPE_PREFIX, FeatureTable, Integers, map_of
from harmbench.results import CellResult, Evaluation, MetricValue, StoredCell
from harmbench.specs import Scope
from harmbench.stats.bootstrap import centred
from harmbench.stats.permutation import benjamini_hochberg
from harmbench_builtin.evaluators.divergence import DEFINITION
from harmbench_builtin.evaluators.kernel_density import kde_divergence
from harmbench_builtin.evaluators.manufacturer_divergence import Estimate, Form, ManufacturerDivergence
from harmbench_builtin.evaluators.parameters import require

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
_CALIBRATED = 400
"""Features before the feature stage that attenuation is measured on, at most."""
_ALWAYS = 1 << 30
"""As `small_group`: the permutation mean is subtracted whatever the design."""
_NOTHING, _LEAST = 0.01, 0.2
RAW: dict[Form, str] = {"marginal": "jsd_raw", "conditional": "jsd_conditional_raw"}
CORRECTED: dict[Form, str] = {"marginal": "jsd_corrected", "conditional": "jsd_conditional"}


class Jsd:
    """JSD of the out-of-fold features: raw, corrected and class-conditional; overall, per manufacturer and per pair.

    Overall is the mean over features (shape2D apart) of the mean over manufacturers of each one against the balanced
    mixture of the others. Where folds keep other features, each one is compared on the rows of the folds that use it,
    counts as often as there are such folds, and is brought to the scale of all rows (`attenuation`).

    Resampling adds a second copy of the bias. Where the first-order formula is the correction, bootstrap replicates
    hold the resample's raw value minus twice the formula. Where groups are too small for it (the permutation mean is
    the correction), the second copy is not what permutation says either, most of all for features that tell
    manufacturers apart: it is measured instead, as the mean of the resamples' raw values minus the raw value, which
    centres the replicates on the corrected value. Percentiles of the replicates are the interval (docs/metrics.md has
    its coverage).

    Parameters
    ----------
    bins : int
        K of the definition, at least 2 (one bin tells nothing apart).
    small_group : int
        A manufacturer with fewer rows in a label stratum switches the correction to the permutation mean; at least 0.
    paper : bool
        Also give `jsd_paper` (Gaussian KDE on a common grid), which is never ranked.

    Raises
    ------
    UsageError
        A parameter outside its range.
    """

    def __init__(self, bins: int = 10, small_group: int = 50, paper: bool = False) -> None:
        require("jsd.bins", bins, least=2)
        require("jsd.small_group", small_group, least=0)
        self.bins, self.small_group, self.paper = bins, small_group, paper

    def evaluate(self, result: CellResult, context: EvaluationContext) -> Evaluation:
        table = result.scored
        seed = context.derive(evaluator="jsd").seed
        engine = ManufacturerDivergence(
            table, self.bins, self.small_group, context.permutations, seed, result.absent, context.n_jobs
        )
        using, factors, unknown = _comparable(engine, result)
        ranked = ~np.char.startswith(np.array(table.features, dtype=str), SHAPE_PREFIX)
        kept = selected_features(context.earlier, table.features, len(result.of("cross-validation"))) & ranked
        note = "; ".join([f"definition {DEFINITION}, K={self.bins}", engine.correction, *engine.left_out, *unknown])
        headline = engine.headline

        values: list[MetricValue] = []
        estimates: dict[Form, Estimate] = {}
        forms: tuple[Form, Form] = ("marginal", "conditional")
        for form in forms:
            estimate = engine.estimate(form, ranked * using, p_values=form == "conditional")
            if factors is not None:
                estimate = replace(estimate, raw=estimate.bias + estimate.corrected / factors)
            estimates[form] = estimate
            parts = _feature_classes(table.features, ranked)
            sets = [ranked, kept, *parts.values()] if form == "conditional" else [ranked]
            masks = np.array(sets) * using
            drawn = _replicates(engine, form, context.resamples, masks, factors) if context.resamples.size else None
            values += _by_contrast(engine, estimate, form, ranked * using, drawn, note)
            if form == "conditional":
                per_feature = estimate.corrected[headline].mean(axis=0)
                subtracted = estimate.bias[headline].mean(axis=0)
                replicates = None
                if drawn is not None and kept.any():
                    replicates = corrected_replicates(
                        engine,
                        drawn[:, 1].mean(axis=0),
                        _mean(per_feature, kept * using),
                        _mean(subtracted, kept * using),
                    )
                values += _over_features(per_feature, ranked * using, kept * using, replicates, len(table), note)
                values += _by_map(per_feature, table, ranked, using, note)
                for i, (name, inside) in enumerate(parts.items(), start=2):
                    value, less = (_mean(figure, inside * using) for figure in (per_feature, subtracted))
                    own = None
                    if drawn is not None and np.isfinite(value):
                        own = corrected_replicates(engine, drawn[:, i].mean(axis=0), value, less)
                    values.append(MetricValue("jsd_conditional", value, "class", name, len(table), own, note=note))
        if self.paper:
            values.append(_paper(engine, ranked, result.absent))
        return Evaluation(tuple(values), {"jsd_features": _feature_table(engine, estimates, self.small_group)})

    def recompute(self, stored: StoredCell, context: EvaluationContext) -> Evaluation:
        """The same from the stored out-of-fold features, and from what selection kept."""
        return self.evaluate(stored.result, context)


def _comparable(engine: ManufacturerDivergence, result: CellResult) -> tuple[Integers, Floats | None, list[str]]:
    """How often each feature counts, its attenuation (None: none anywhere), and a note where folds differ.

    A feature that few folds use may have too few rows for any figure; it is left out of all means then.
    """
    using = result.folds_using
    if result.absent is None:
        return using, None, []
    factors = attenuation(engine, result.raw, result.absent)
    for features, raw in engine.sweep("conditional", engine.replicates_of(engine.code), engine.headline):
        factors[features] = np.where(np.isnan(raw).any(axis=(1, 2)), np.nan, factors[features])
    impossible = np.isnan(factors)
    note = f"folds use different features: divided by {np.nanmin(factors):.2f} to 1 for the rows that lack a feature"
    if impossible.all():
        return using, factors, [f"{note}; too few rows for any of them"]
    if impossible.any():
        note += f"; {int(impossible.sum())} features left out (too few rows)"
    return np.where(impossible, 0, using), factors, [note]


def attenuation(engine: ManufacturerDivergence, raw: FeatureTable, absent: Bools) -> Floats:
    """What share of a divergence is left when it is measured on those rows only that have the feature, float64 (p,).

    Corrected for sample size, the divergence of equal distributions averages to 0 on any number of rows. A true
    divergence does not keep its size: ten bins cannot show it in a handful of rows. (Two manufacturers, 4:1, shifted by
    1 sd: .157 on 1920 rows, .150 on 240, .12 on 120, .08 on 48.) A method that uses a feature in one fold of five would
    seem to have halved it. How much is lost is a matter of the rows, not of the method, and it is measured on features
    that nobody chose: those before the feature stage, on the same rows and on all, by least squares through the origin.

    Parameters
    ----------
    engine : ManufacturerDivergence
        Of the method's features.
    raw : FeatureTable
        Before the feature stages, the same rows.
    absent : bool array (n, p)

    Returns
    -------
    float64 (p,)
        At most 1; NaN below 0.2, where what is left says nothing. 1 where the features before differ by less than
        0.01 between manufacturers: then there is nothing to lose.
    """
    names = np.array(raw.features, dtype=str)
    texture = np.flatnonzero(~np.char.startswith(names, SHAPE_PREFIX))
    sample = raw.columns(texture[:: max(1, len(texture) // _CALIBRATED)])

    def corrected(missing: Bools | None) -> Floats:
        like = ManufacturerDivergence(
            sample, engine.bins, _ALWAYS, seed=engine.seed, absent=missing, n_jobs=engine.n_jobs
        )
        return np.asarray(like.estimate("conditional", p_values=False).corrected[like.headline].mean(axis=0))

    whole = corrected(None)
    known: dict[bytes, float] = {}
    factors = np.ones(absent.shape[1])
    if not whole.mean() > _NOTHING:
        return factors
    for column, missing in enumerate(absent.T):
        if not missing.any():
            continue
        pattern = missing.tobytes()
        if pattern not in known:
            part = corrected(np.repeat(missing[:, None], len(sample.features), axis=1))
            usable = ~np.isnan(part)
            slope = float(part[usable] @ whole[usable] / (whole[usable] @ whole[usable])) if usable.any() else 0.0
            known[pattern] = min(slope, 1.0) if slope >= _LEAST else float("nan")
        factors[column] = known[pattern]
    return factors


def _replicates(
    engine: ManufacturerDivergence,
    form: Form,
    resamples: npt.NDArray[np.float32],
    masks: Integers,
    factors: Floats | None,
) -> Floats:
    """Means over sets of features in every resample, each feature's in units of what it would be on all rows."""
    if factors is None:
        return engine.replicates(form, resamples, masks)
    weights = np.where(masks > 0, masks / factors, 0.0)
    scale = weights.sum(axis=1) / np.maximum(masks.sum(axis=1), 1)
    return engine.replicates(form, resamples, weights) * scale[:, None]


def corrected_replicates(engine: ManufacturerDivergence, raw: Floats, value: float, subtracted: float) -> Floats:
    """Bootstrap replicates of a corrected value from those of the raw one (see `Jsd`)."""
    measured = engine.permutation_bias or len(engine.runs) > 1
    return centred(raw, value) if measured else raw - 2.0 * subtracted


def selected_features(earlier: Mapping[str, Mapping[str, Any]], features: Sequence[str], folds: int) -> Bools:
    """Features that selection kept in at least half of the cross-validation folds; none when there was no selection."""
    selection = earlier.get("selection")
    if selection is None or not folds:
        return np.zeros(len(features), dtype=bool)
    names, kept = np.asarray(selection["feature"]), np.asarray(selection["folds_kept"])
    return np.isin(np.array(features, dtype=str), names[2 * kept >= folds].astype(str))


def _each(values: Floats, times: Integers) -> Floats:
    """Every value as often as it counts."""
    return np.repeat(values, times)


def _mean(values: Floats, times: Integers) -> float:
    return float(_each(values, times).mean()) if times.any() else float("nan")


def _by_contrast(
    engine: ManufacturerDivergence, estimate: Estimate, form: Form, times: Integers, drawn: Floats | None, note: str
) -> list[MetricValue]:
    """Raw and corrected means: overall, per manufacturer, per pair."""
    n = len(engine.table)
    if not times.any():
        note = "no feature besides shape2D"
    raw = np.array([_mean(row, times) for row in estimate.raw])
    subtracted = np.array([_mean(row, times) for row in estimate.bias])
    p = estimate.mean_p_value if times.any() else None
    of_contrast = None
    if drawn is not None:
        of_contrast = np.array(
            [
                corrected_replicates(engine, own, raw[i] - subtracted[i], subtracted[i])
                for own, i in zip(drawn[:, 0], engine.headline, strict=True)
            ]
        )

    def pair(scope: Scope, name: str, where: Any, replicates: Floats | None, p_value: float | None) -> None:
        low, high = float(np.mean(raw[where])), float(np.mean(raw[where] - subtracted[where]))
        rows = n if scope == "overall" else _rows(engine, name)
        why = note
        if times.any() and np.isnan(low):
            without = [engine.contrasts[i].name for i in np.atleast_1d(where) if np.isnan(raw[i])]
            why = f"{', '.join(without)}: no label with rows on both sides; {note}"
        values.append(MetricValue(RAW[form], low, scope, name, rows, note=why))
        values.append(MetricValue(CORRECTED[form], high, scope, name, rows, replicates, p_value, why))

    values: list[MetricValue] = []
    overall = None if of_contrast is None else of_contrast.mean(axis=0)
    pair("overall", "", engine.headline, overall, None if p is None else float(p[-1]))
    for i, contrast in enumerate(engine.contrasts):
        own = None if of_contrast is None or i not in engine.headline else of_contrast[engine.headline.index(i)]
        p_own = None if p is None or np.isnan(p[i]) else float(p[i])
        if len(engine.contrasts) == 1:
            for name in engine.manufacturers:
                pair("manufacturer", name, i, own, p_own)
        pair("manufacturer" if contrast.kind == "rest" else "pair", contrast.name, i, own, p_own)
    return values


def _rows(engine: ManufacturerDivergence, name: str) -> int:
    return int(np.isin(engine.table.manufacturer, name.split("|") if "|" in name else [name]).sum())


def _over_features(
    per_feature: Floats, times: Integers, kept: Integers, replicates: Floats | None, n: int, note: str
) -> list[MetricValue]:
    """Median, 90th percentile, and the mean over selected features."""
    values = _each(per_feature, times) if times.any() else np.array([np.nan])
    none_kept = "" if kept.any() else "no feature was kept in at least half of the folds; "
    return [
        MetricValue("jsd_conditional_median", float(np.median(values)), n=n, note=note),
        MetricValue("jsd_conditional_p90", float(np.quantile(values, 0.9)), n=n, note=note),
        MetricValue(
            "jsd_conditional_selected",
            _mean(per_feature, kept),
            n=n,
            replicates=replicates,
            note=f"{none_kept}{int((kept > 0).sum())} features; {note}",
        ),
    ]


def _feature_classes(features: Sequence[str], ranked: Bools) -> dict[str, Bools]:
    """Which features each class has, those that occur, shape2D last."""
    parts = {name: np.array([f"_{name}_" in feature for feature in features]) for name in FEATURE_CLASSES}
    parts[SHAPE_PREFIX.rstrip("_")] = ~ranked
    return {name: inside for name, inside in parts.items() if inside.any()}


def _by_map(per_feature: Floats, table: FeatureTable, ranked: Bools, using: Integers, note: str) -> list[MetricValue]:
    """Class-conditional corrected JSD per map, if there are several."""
    maps = np.array([map_of(name) for name in table.features], dtype=object)
    names = sorted(set(maps[ranked]))
    if len(names) < 2:
        return []
    means = {name: _mean(per_feature, ((maps == name) & ranked) * using) for name in names}
    return [MetricValue("jsd_conditional", mean, "map", name, len(table), note=note) for name, mean in means.items()]


def _paper(engine: ManufacturerDivergence, ranked: Bools, absent: Bools | None) -> MetricValue:
    table = engine.table
    note = "Gaussian KDE, Silverman bandwidth; never ranked"
    if absent is not None:
        note += "; not made where folds use different features"
        return MetricValue("jsd_paper", float("nan"), n=len(table), note=note)
    groups = [table.values[engine.code == i][:, ranked] for i in range(len(engine.manufacturers))]
    value = float(kde_divergence(groups, engine.mixtures[engine.headline]).mean()) if ranked.any() else float("nan")
    return MetricValue("jsd_paper", value, n=len(table), note=note)


def _feature_table(
    engine: ManufacturerDivergence, estimates: Mapping[Form, Estimate], small_group: int
) -> dict[str, Any]:
    """One row per feature and contrast; p and q (Benjamini-Hochberg over features) belong to the conditional form.

    `bins` and `small_group` say how the figures were made, for whoever compares others with them.
    """
    p_features, count = len(engine.table.features), len(engine.contrasts)
    marginal, conditional = estimates["marginal"], estimates["conditional"]
    p = np.full((count, p_features), np.nan) if conditional.p_value is None else conditional.p_value
    return {
        "feature": np.tile(np.array(engine.table.features, dtype=str), count),
        "contrast": np.repeat(np.array([c.name for c in engine.contrasts], dtype=str), p_features),
        "headline": np.repeat(np.isin(np.arange(count), engine.headline), p_features),
        "raw": marginal.raw.ravel(),
        "corrected": marginal.corrected.ravel(),
        "conditional_raw": conditional.raw.ravel(),
        "conditional": conditional.corrected.ravel(),
        "effective_bins": marginal.effective.ravel(),
        "bins": np.full(p.size, engine.bins),
        "small_group": np.full(p.size, small_group),
        "p": p.ravel(),
        "q": np.array([benjamini_hochberg(row) for row in p]).ravel(),
    }
