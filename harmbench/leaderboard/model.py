"""What a leaderboard is, as typed data: the source of `leaderboard.json`, of its schema and of every rendering."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = 3
"""2: draws, rank groups, Pareto front, weight sweep, runs; which figures were rebuilt.
3: over which ids resamples were drawn; in what the settings deviate from the shipped benchmark of that name."""

Section = Literal[
    "ranked", "below the gate", "transductive", "confounded", "not ranked", "control", "not run"
]  # fmt: skip


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Figure(_Model):
    """A value with its 95 % patient-bootstrap interval (None where there is none)."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    p_value: float | None = None
    note: str = ""


class Pareto(_Model):
    """Where a method lies between the two goals."""

    on_front: bool = Field(description="by the point values")
    probability: float = Field(description="share of bootstrap replicates in which it is on the front")
    dominates: float = Field(description="share of replicates in which it dominates `none`")


class Row(_Model):
    """One method."""

    method: str
    role: str
    section: Section
    status: str
    reason: str = Field("", description="why it is not ranked, or did not run")
    apart: Section | None = Field(None, description="where it stands whoever is beside it; null: ranked with others")
    apart_reason: str = ""
    rank: tuple[int, int] | None = Field(None, description="best and worst rank that the data allow")
    group: int | None = Field(None, description="neighbours of one group cannot be told apart")
    difference: tuple[float, float | None, float | None] | None = Field(
        None, description="gate metric minus that of `none`, turned so that more is better: point, lower, upper"
    )
    pareto: Pareto | None = None
    flags: list[str] = Field(default_factory=list)
    overall: dict[str, Figure] = Field(default_factory=dict)
    manufacturer: dict[str, dict[str, Figure]] = Field(default_factory=dict, description="metric -> manufacturer")
    pair: dict[str, dict[str, Figure]] = Field(default_factory=dict, description="metric -> 'A|B'")
    other: dict[str, dict[str, Figure]] = Field(default_factory=dict, description="metric -> map, class or feature")
    worst: dict[str, str] = Field(default_factory=dict, description="metric -> the manufacturer with the worst value")
    draws: dict[str, str] = Field(
        default_factory=dict,
        description="gate and goal metric -> bootstrap replicates of the overall figure, little-endian float32 in "
        "base64; the same resamples for every row",
    )
    features: int = 0
    seconds: float = 0.0
    stages: list[dict[str, Any]] = Field(default_factory=list)
    audit: dict[str, bool] = Field(default_factory=dict)
    pretraining: list[dict[str, Any]] = Field(
        default_factory=list, description="stages with weights: what they were trained on, test patients seen"
    )
    not_applicable: dict[str, str] = Field(default_factory=dict)
    cells: list[str] = Field(default_factory=list, description="keys of its cells, one per repeat")


class Definition(_Model):
    """What a metric is."""

    name: str
    label: str
    goal: str
    direction: str
    version: int
    definition: str
    unit: str = ""
    bounds: tuple[float | None, float | None] = Field((None, None), description="null: none")
    recorded: str = Field("", description="why its figures are as they were recorded; empty: they were rebuilt")

    @property
    def least(self) -> float:
        """The value below which nothing is gained; minus infinity where there is none.

        A divergence corrected for chance may read below 0, but no scanners are more alike than equal ones: quantiles
        matched fold by fold do so because the held-out rows of a fold complement its training rows. Such a value shows
        that the correction does not fit, not a better method, so in ranks, front, sweep and comparisons it counts as 0.
        """
        return 0.0 if self.goal == "harmonization" and self.direction == "min" else -math.inf


class Sweep(_Model):
    """Ranks as the weight moves from harmonization to signal; for display, ranks do not rest on it.

    Both goals are scaled by named rows: harmonization 0 at `none` and 1 at `collapse`, signal 0 at `shuffle` and 1 at
    `none`.
    """

    weights: list[float] = Field(description="weight of harmonization; signal has the rest")
    rank: dict[str, list[int]] = Field(description="method -> rank at each weight, 1 is best")
    first: dict[str, list[float]] = Field(description="method -> share of bootstrap replicates in which it is first")
    wins: dict[str, tuple[float, float] | None] = Field(description="between which weights it is first")


class Run(_Model):
    """A run folder that figures come from."""

    harmbench: str
    finished: str = Field(description="when its last cell ended")
    code: dict[str, str] = Field(description="package -> digest of its code")
    requires: dict[str, str] = Field(description="module -> distribution and version that evaluators or data needed")
    environment: list[dict[str, Any]] = Field(description="one entry per call of `harmbench run`")
    methods: list[str]


class Board(_Model):
    """A leaderboard."""

    schema_: int = Field(SCHEMA, alias="schema")
    harmbench: str
    benchmark: str
    benchmark_version: str
    title: str
    synthetic: bool
    data: dict[str, Any]
    split_digest: str
    seed: int
    ranking: dict[str, Any]
    settings: dict[str, Any]
    definitions: dict[str, Definition]
    rebuilt: bool = Field(
        False, description="whether figures were worked out anew from stored predictions and features"
    )
    deviations: list[str] | None = Field(
        None,
        description="in what its settings differ from the shipped benchmark of this name and version; null: none ships",
    )
    rebuildable: bool = Field(False, description="whether the runs hold what that takes; resamples differ if not")
    warnings: list[str]
    rows: list[Row]
    sweep: Sweep | None = None
    runs: list[Run] = Field(default_factory=list)
    built: str

    def of(self, *sections: Section) -> list[Row]:
        """The rows of these sections, in order."""
        return [row for row in self.rows if row.section in sections]

    def row(self, method: str) -> Row | None:
        """The row of a method, if there is one."""
        return next((row for row in self.rows if row.method == method), None)
