"""What a plugin says about its components, without importing them.

A spec is data. Its `target` is the text "package.module:Class"; the module is imported when the component first runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Role = Literal["method", "control", "canary"]
Scope = Literal["overall", "manufacturer", "pair", "feature", "map", "class"]
Goal = Literal["harmonization", "signal", "integrity", "cost"]
API = 1

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _check(spec: Any, kind: str) -> None:
    if not _NAME.fullmatch(spec.name):
        raise ValueError(f"{kind} name {spec.name!r} must be kebab-case, such as 'my-method'")
    if not re.fullmatch(r"[\w.]+:\w+", spec.target):
        raise ValueError(f"{kind} '{spec.name}': target {spec.target!r} must read 'package.module:Class'")
    if not spec.version:
        raise ValueError(f"{kind} '{spec.name}' needs a version; bump it whenever its results change")
    if spec.api != API:
        raise ValueError(f"{kind} '{spec.name}' is written for plugin API {spec.api}; this harmbench speaks {API}")
    object.__setattr__(spec, "params", MappingProxyType(dict(spec.params)))


@dataclass(frozen=True, kw_only=True)
class HarmonizerSpec:
    """A harmonization method.

    Parameters
    ----------
    name : str
        Kebab-case; what `--method` takes.
    target : str
        "package.module:Class". The class is called with `params` as keywords.
    version : str
        Bumped whenever the numbers it gives change.
    stage : {"image", "feature"}
        Before or after feature extraction.
    summary : str
        One line.
    params : mapping
        Every parameter with its default; nothing else is accepted by `--set`.
    reference : str
        DOI or arXiv number.
    role : {"method", "control", "canary"}
        Controls and canaries are run beside the methods and never ranked.
    uses_manufacturer : {"no", "fit", "fit+transform"}
    uses_label : {"no", "fit", "oracle"}
        "oracle" (the label is handed over at transform too) is reserved for controls.
    inductive : bool
        False: `fit` needs all rows at once; runs, is marked, and is not ranked beside the others.
    fits : bool
        Image stage: False for a fixed filter, which is then extracted once for all folds.
    handles_unseen_manufacturer : bool
    drops_features : bool
        Feature stage: `transform` may leave columns out, others in each fold; those it keeps stay in their order.
    deterministic : bool
    device : {"cpu", "gpu", "any"}
    pretrained_on : tuple of str
        Data sets whose images shaped the method.
    requires : tuple of str
        Distributions that must be importable, as "module" or "module (remedy)".
    """

    name: str
    target: str
    version: str
    stage: Literal["image", "feature"]
    summary: str
    params: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    role: Role = "method"
    uses_manufacturer: Literal["no", "fit", "fit+transform"] = "no"
    uses_label: Literal["no", "fit", "oracle"] = "no"
    inductive: bool = True
    fits: bool = True
    handles_unseen_manufacturer: bool = False
    drops_features: bool = False
    deterministic: bool = True
    device: Literal["cpu", "gpu", "any"] = "cpu"
    pretrained_on: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    api: int = API

    def __post_init__(self) -> None:
        _check(self, "harmonizer")
        if self.uses_label == "oracle" and self.role != "control":
            raise ValueError(f"harmonizer '{self.name}': only a control may see labels at transform")


@dataclass(frozen=True, kw_only=True)
class ExtractorSpec:
    """A feature extractor: `FilteredImage`s in, one row of named features each out."""

    name: str
    target: str
    version: str
    summary: str
    params: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    requires: tuple[str, ...] = ()
    api: int = API

    def __post_init__(self) -> None:
        _check(self, "extractor")


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """One number that an evaluator gives.

    Parameters
    ----------
    name : str
        Unique over all evaluators, snake_case; the key in every result file.
    label : str
        Column heading for people.
    goal : {"harmonization", "signal", "integrity", "cost"}
    direction : {"min", "max"}
        Which way is better.
    bounds : (float, float)
        Smallest and largest possible value (a bias-corrected metric may lie a little outside).
    version : int
        Bumped whenever the definition changes; figures of different versions are never compared.
    definition : str
        What it is, in a sentence or two, printed beside every figure.
    scopes : tuple of {"overall", "manufacturer", "pair", "feature", "map", "class"}
        The levels at which values are given.
    """

    name: str
    label: str
    goal: Goal
    direction: Literal["min", "max"]
    bounds: tuple[float, float]
    version: int
    definition: str
    unit: str = ""
    scopes: tuple[Scope, ...] = ("overall",)


@dataclass(frozen=True, kw_only=True)
class EvaluatorSpec:
    """An evaluator and the metrics it gives (declared here, so that listing imports nothing)."""

    name: str
    target: str
    version: str
    summary: str
    metrics: tuple[MetricSpec, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    requires: tuple[str, ...] = ()
    api: int = API

    def __post_init__(self) -> None:
        _check(self, "evaluator")


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """A data set.

    Parameters
    ----------
    synthetic : bool
        True: shown in every table and plot.
    needs_data : str
        What `--data` must point to ("" when nothing is needed), in words.
    batch_unit : {"manufacturer", "device", "site", "dataset"}
        What the column called manufacturer really holds.
    licence : str
    """

    name: str
    target: str
    version: str
    summary: str
    params: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    synthetic: bool = False
    needs_data: str = ""
    batch_unit: Literal["manufacturer", "device", "site", "dataset"] = "manufacturer"
    licence: str = ""
    requires: tuple[str, ...] = ()
    api: int = API

    def __post_init__(self) -> None:
        _check(self, "data set")


Spec = HarmonizerSpec | ExtractorSpec | EvaluatorSpec | DatasetSpec


def load_target(target: str) -> Any:
    """Import what "package.module:Class" names."""
    import importlib

    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)
