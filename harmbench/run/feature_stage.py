"""The feature stage of one fold, with what each method may see enforced here.

`fit` gets training rows whose label is gone unless the spec says that the method uses it; `transform` never sees a
label (controls that declare `uses_label="oracle"` excepted). Tables are handed over read-only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harmbench.components import Context
from harmbench.data import FeatureTable, concatenate
from harmbench.errors import NotApplicable, PluginError
from harmbench.methods import Component
from harmbench.run.place import At
from harmbench.specs import HarmonizerSpec


@dataclass(frozen=True)
class Harmonized:
    """One fold's tables after all feature stages, labels given back.

    `reports` holds what stages tell of their fit (see `FeatureHarmonizer`), by name of the method; `unpaired` says why
    `paired` is None although there were such rows.
    """

    train: FeatureTable
    test: FeatureTable
    paired: FeatureTable | None
    fit_seconds: float
    transform_seconds: float
    reports: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)
    unpaired: str = ""


def seen(table: FeatureTable, allowed: bool) -> FeatureTable:
    """The table as a method may see it: read-only, and without the label unless allowed."""
    values = table.values.copy()
    values.flags.writeable = False
    return replace(table, values=values, label=table.label if allowed else None)


def check_output(before: FeatureTable, after: object, spec: HarmonizerSpec) -> FeatureTable:
    """Refuse what breaks the contract: other rows, other columns (unless it may drop some), non-finite values.

    Raises
    ------
    PluginError
    """
    who = f"method '{spec.name}' (version {spec.version})"
    if not isinstance(after, FeatureTable):
        raise PluginError(f"{who}: transform returned a {type(after).__name__}, not a FeatureTable.")
    fewer = spec.drops_features and after.features != before.features
    if fewer and (not after.features or not _in_order(after.features, before.features)):
        raise PluginError(
            f"{who}: transform returned {len(after.features)} of {len(before.features)} features, or new ones, or in "
            "another order; it may leave features out, and must keep at least one."
        )
    if len(after.values) != len(before.values) or (not fewer and after.features != before.features):
        raise PluginError(
            f"{who}: transform got {before.values.shape[0]} rows x {before.values.shape[1]} features and returned "
            f"{after.values.shape[0]} x {after.values.shape[1]} (or other names); rows and columns must stay."
        )
    if not np.array_equal(after.samples, before.samples):
        raise PluginError(f"{who}: transform returned the rows in another order.")
    bad = np.argwhere(~np.isfinite(after.values))
    if len(bad):
        row, column = bad[0]
        raise PluginError(
            f"{who}: transform returned {len(bad)} non-finite values, first {after.values[row, column]} for feature "
            f"'{after.features[column]}' of sample '{after.samples[row]}'."
        )
    return after


def _in_order(some: Sequence[str], of: Sequence[str]) -> bool:
    """Whether `some` is what is left of `of` after leaving names out."""
    rest = iter(of)
    return all(name in rest for name in some)


def _apply(harmonizer: Any, spec: HarmonizerSpec, table: FeatureTable) -> FeatureTable:
    """The table as the method makes it, checked, with its label."""
    given = seen(table, spec.uses_label == "oracle")
    return check_output(table, harmonizer.transform(given), spec).with_label(table.label)


def harmonize(
    stages: Sequence[Component],
    train: FeatureTable,
    test: FeatureTable,
    paired: FeatureTable | None,
    context: Context,
) -> Harmonized:
    """Fit each stage on the training rows and apply it to all rows.

    A transductive stage (`inductive=False`) is fitted on training and test rows together; it is marked for that and
    never ranked beside the others. Rows that only serve paired agreement are never fitted on; where a transductive
    stage has no map for them there are none.
    """
    fit_seconds = transform_seconds = 0.0
    reports: dict[str, Mapping[str, Sequence[Any]]] = {}
    unpaired = ""
    for stage in stages:
        spec = stage.spec
        with At(stage=spec.name):
            rows = train if spec.inductive else concatenate([train, test])
            start = time.perf_counter()
            harmonizer = stage.build()
            harmonizer = (
                harmonizer.fit(seen(rows, spec.uses_label != "no"), context.derive(stage=spec.name)) or harmonizer
            )
            fitted = time.perf_counter()
            tables = [_apply(harmonizer, spec, table) for table in (train, test)]
            if paired is not None:
                try:
                    paired = _apply(harmonizer, spec, paired)
                    tables.append(paired)
                except NotApplicable as error:
                    if spec.inductive:
                        raise
                    # A transductive method may have no map for rows outside its fit; that costs paired agreement only.
                    paired, unpaired = None, str(error)
            transform_seconds += time.perf_counter() - fitted
            fit_seconds += fitted - start
            if hasattr(harmonizer, "report"):
                reports[spec.name] = harmonizer.report()
            if any(table.features != tables[0].features for table in tables):
                raise PluginError(f"method '{spec.name}': transform kept other features of some rows than of others.")
            train, test = tables[0], tables[1]
    return Harmonized(train, test, paired, fit_seconds, transform_seconds, reports, unpaired)
