"""What is known of samples, splits and features, as columns of the Parquet files of a run folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harmbench.data import FeatureTable, ImageSet
from harmbench.run.ids import Pseudonyms
from harmbench.splits import Fold, held_out_digest

COVARIATE = "covariate "
"""Columns of `samples.parquet` that hold a covariate begin with this."""


def feature_columns(table: FeatureTable) -> dict[str, Any]:
    """A feature table as it is stored: what is known of each row, then a column per feature."""
    columns: dict[str, Any] = {"sample": table.samples, "patient": table.patient}
    columns |= {"manufacturer": table.manufacturer, "label": table.label}
    return columns | {name: table.values[:, j] for j, name in enumerate(table.features)}


def table_digest(table: FeatureTable) -> str:
    """A hash of a feature table's values, feature names and rows."""
    hasher = hashlib.sha256(json.dumps([table.samples.tolist(), list(table.features)]).encode())
    hasher.update(np.ascontiguousarray(table.values, dtype="<f8").tobytes())
    return hasher.hexdigest()[:16]


def stacked(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Long tables one after the other; NaN where one of them lacks a column."""
    names = dict.fromkeys(name for part in parts for name in part)
    rows = [len(part["sample"]) for part in parts]
    blank = [np.full(n, np.nan) for n in rows]
    return {
        name: np.concatenate([np.asarray(part.get(name, empty)) for part, empty in zip(parts, blank, strict=True)])
        for name in names
    }


def sample_columns(images: ImageSet) -> dict[str, Any]:
    """What is known of each sample: the file `samples.parquet`, before ids are hashed."""
    samples = images.samples
    columns: dict[str, Any] = {"sample": [s.id for s in samples], "patient": [s.patient for s in samples]}
    columns["manufacturer"] = [s.manufacturer for s in samples]
    columns["label"] = [images.classes.index(s.label) for s in samples]
    columns["pair"] = [s.pair for s in samples]
    columns["split"] = [s.split for s in samples]
    for name in sorted({name for s in samples for name in s.covariates}):
        columns[f"{COVARIATE}{name}"] = [s.covariates[name] for s in samples]
    return columns


def split_columns(images: ImageSet, folds: Mapping[int, Sequence[Fold]]) -> dict[str, Any]:
    """Who is held out when: one row per repeat, fold and held-out sample."""
    samples = [s for s in images.samples if s.split != "paired"]
    rows = [
        (repeat, fold.name, fold.protocol, samples[int(i)].id, samples[int(i)].patient)
        for repeat, many in folds.items()
        for fold in many
        for i in fold.test
    ]
    names = ("repeat", "fold", "protocol", "sample", "patient")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def split_digest(images: ImageSet, folds: Mapping[int, Sequence[Fold]], hidden: Pseudonyms) -> str:
    """The digest of a run's splits (see `held_out_digest`); ids hashed, as they are stored."""
    return held_out_digest(hidden.columns(split_columns(images, folds)))
