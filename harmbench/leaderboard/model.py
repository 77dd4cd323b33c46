"""What a leaderboard is, as typed data: the source of `leaderboard.json` and of every rendering."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = 1
Section = Literal["ranked", "below the gate", "transductive", "not ranked", "control", "not run"]


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


class Row(_Model):
    """One method."""

    method: str
    role: str
    section: Section
    status: str
    reason: str = Field("", description="why it is not ranked, or did not run")
    rank: tuple[int, int] | None = Field(None, description="best and worst rank that the data allow")
    difference: tuple[float, float, float] | None = Field(
        None, description="gate metric minus that of `none`: point, lower, upper"
    )
    flags: list[str] = Field(default_factory=list)
    overall: dict[str, Figure] = Field(default_factory=dict)
    manufacturer: dict[str, dict[str, Figure]] = Field(default_factory=dict, description="metric -> manufacturer")
    pair: dict[str, dict[str, Figure]] = Field(default_factory=dict, description="metric -> 'A|B'")
    other: dict[str, dict[str, Figure]] = Field(default_factory=dict, description="metric -> map, class or feature")
    worst: dict[str, str] = Field(default_factory=dict, description="metric -> the manufacturer with the worst value")
    features: int = 0
    seconds: float = 0.0
    stages: list[dict[str, Any]] = Field(default_factory=list)
    audit: dict[str, bool] = Field(default_factory=dict)
    pretraining: list[dict[str, Any]] = Field(
        default_factory=list, description="stages with weights: what they were trained on, test patients seen"
    )
    not_applicable: dict[str, str] = Field(default_factory=dict)


class Definition(_Model):
    """What a metric is."""

    name: str
    label: str
    goal: str
    direction: str
    version: int
    definition: str
    unit: str = ""


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
    warnings: list[str]
    rows: list[Row]
    built: str

    def of(self, *sections: Section) -> list[Row]:
        """The rows of these sections, in order."""
        return [row for row in self.rows if row.section in sections]
