"""The JSON files of a run folder as typed data: the source of their schemas (`harmbench/schemas`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from harmbench.benchmark import Ranking, Splits, Uncertainty
from harmbench.run.upgrade import SCHEMA

Status = Literal["ok", "failed", "timeout", "out_of_memory", "not_applicable", "skipped", "not_installed"]


Ids = Literal["original", "revision", "key"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NameAndVersion(_Model):
    name: str
    version: str


class ComponentFacts(NameAndVersion):
    """A data set, extractor or evaluator: everything that determines what it computes."""

    params: dict[str, Any]
    code: str = Field(description="digest of the files beside its module")
    requires: dict[str, str] = Field(description="module -> distribution and version")


class DataFacts(_Model):
    """The data that were scored."""

    name: str
    revision: str = Field(description="digest of the contents")
    ids: Ids = Field(
        description="what resamples are drawn over: the ids themselves (schema 1), ids hashed with the revision "
        "(schema 2), or ids hashed with a key that is not published"
    )
    synthetic: bool
    classes: tuple[str, str] = Field(description="negative, positive")
    images: int
    paired_images: int = Field(description="images that only serve paired agreement")
    patients: int
    counts: dict[str, dict[str, int]] = Field(description="manufacturer -> label -> images")
    batch_unit: str
    licence: str
    confounded: bool
    notes: list[str]


class MetricFacts(_Model):
    """A metric as the evaluator declared it when the run was made."""

    evaluator: str
    name: str
    label: str
    goal: str
    direction: Literal["min", "max"]
    bounds: tuple[float | None, float | None] = Field(description="null: none")
    version: int
    definition: str
    unit: str
    scopes: list[str]


class Plan(_Model):
    """`plan.json`: what is compared."""

    schema_: int = Field(SCHEMA, alias="schema")
    harmbench: str = Field(description="the version that made the folder")
    rebuildable: bool = Field(description="whether the folder holds what its figures can be rebuilt from")
    benchmark: NameAndVersion
    id_key: str = Field(
        description="what ids are hashed with: a digest of the contents; empty in bundles, which do not tell it, and "
        "in folders of schema 1 and 2"
    )
    title: str
    dataset: ComponentFacts
    extractor: ComponentFacts
    evaluators: list[ComponentFacts]
    splits: Splits
    uncertainty: Uncertainty
    ranking: Ranking
    seed: int
    code: dict[str, str] = Field(description="package -> digest of its code")
    data: DataFacts
    split_digest: str
    metrics: list[MetricFacts]
    files: dict[str, str] | None = Field(
        description="samples.parquet and splits.parquet -> SHA-256; null: not kept (before schema 3)"
    )


class StageFacts(_Model):
    """One stage of a method."""

    name: str
    version: str
    stage: Literal["image", "feature"]
    params: dict[str, Any]
    code: str = Field(description="digest of the files beside its module; empty where none was kept")
    requires: dict[str, str] | None = Field(
        description="module -> distribution and version; null: not kept (before schema 3)"
    )
    package: dict[str, str] | None = Field(
        description="its package -> digest of its code; null: not kept (before schema 3)"
    )
    distribution: str
    pretrained_on: list[str]


class PretrainingFacts(_Model):
    """What one stage with weights was trained on, and which test patients were among it."""

    stage: str
    source: str
    listed: bool
    problem: str
    test_patients: int
    seen_patients: int
    seen_images: int


class Record(_Model):
    """A line of `records.jsonl`: what came of one cell."""

    schema_: int = Field(SCHEMA, alias="schema")
    key: str
    method: str
    role: Literal["method", "control", "canary"]
    inductive: bool
    uses_label: bool
    stages: list[StageFacts]
    pretraining: list[PretrainingFacts]
    repeat: int
    seed: int
    finished: str
    status: Status
    error: str
    details: str
    exception: str = Field(description="the type of what was raised; empty: nothing, or not known (schema 2)")
    stage: str = Field(description="the stage or evaluator that raised it; empty: not known")
    fold: str = Field(description="the fold in which it did; empty: in none, or not known")
    seconds: float
    audit: dict[str, bool]
    not_applicable: dict[str, str] = Field(description="fold, or what else could not be done -> reason")
    tables: list[str] | None = Field(
        description="tables that evaluators and stages gave, by name; null: not written down (schema 2)"
    )
    n: int
    features: int
    raw: str = Field(description="raw/<this>.parquet holds the features before the feature stages")
    files: dict[str, str] | None = Field(
        description="each file of cells/<key> -> SHA-256; null: not tied to the record (before schema 3)"
    )


class Distribution(_Model):
    name: str
    distribution: str
    version: str


class Environment(_Model):
    """One entry of `environment.json`: a call of `harmbench run`."""

    schema_: int = Field(SCHEMA, alias="schema")
    harmbench: str
    git: dict[str, Any]
    python: str
    platform: str
    processor: str
    cores: int | None
    memory_gib: float | None
    threads: dict[str, str]
    command: list[str]
    plugins: list[Distribution]
    plugin_failures: list[str]
    distributions: dict[str, str]
    started: str
    facts: dict[str, dict[str, Any]] = Field(default_factory=dict, description="plugin -> what it adds")
