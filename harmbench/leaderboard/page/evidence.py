"""What the page shows besides the board: read from run folders, typed."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from harmbench.leaderboard.interpretation import Interpretation

SCHEMA = 1
"""Of `evidence.json`."""
BINS = 24
"""Bins of a feature's histogram."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Names(_Model):
    """Feature names, short: every map with every suffix where that is what they are, else one by one."""

    maps: list[str] = Field(default_factory=list)
    suffixes: list[str] = Field(default_factory=list)
    names: list[str] = Field(default_factory=list)


class Histograms(_Model):
    """How the values of every feature of one table lie, by manufacturer.

    `BINS` bins of equal width between two quantiles (1 % and 99 % of the rows of all manufacturers); what lies outside
    is in the outer bins.
    """

    names: int = Field(description="which of `Evidence.names`")
    low: list[float | None] = Field(description="per feature; null where it has no finite value")
    high: list[float | None]
    shares: dict[str, str] = Field(
        description="manufacturer -> base64 of one byte per feature and bin: share of its rows, 255 for all"
    )
    jsd: list[float | None] | None = Field(None, description="class-conditional corrected JSD per feature")


class Stage(_Model):
    """One step of what a method does to the features."""

    title: str
    table: str = Field(description="key of `Evidence.tables`")


class Bin(_Model):
    """A point of a reliability diagram: rows whose predicted probabilities are neighbours."""

    predicted: float
    observed: float
    low: float = Field(description="Wilson 95 % interval of the observed share")
    high: float
    n: int


class MethodEvidence(_Model):
    """What one method's cell of the first repeat shows."""

    classes: dict[str, dict[str, float | None]] = Field(
        default_factory=dict, description="pair 'A|B' -> feature class -> class-conditional corrected JSD"
    )
    stages: list[Stage] = Field(default_factory=list)
    reliability: dict[str, list[Bin]] = Field(default_factory=dict, description="'' for all rows, and manufacturers")


class KernelPicture(_Model):
    """The kernels of a method as one picture."""

    picture: str = Field(description="data URI")
    count: int
    shape: tuple[int, int]


class Example(_Model):
    """One image before or after the image stage of a method."""

    manufacturer: str
    map: str
    picture: str = Field(description="data URI")
    note: str = ""


class Evidence(_Model):
    """All of it; whatever is missing has its reason in `absent`."""

    names: list[Names] = Field(default_factory=list)
    tables: dict[str, Histograms] = Field(default_factory=dict)
    methods: dict[str, MethodEvidence] = Field(default_factory=dict)
    kernels: dict[str, KernelPicture] = Field(default_factory=dict)
    examples: dict[str, list[Example]] = Field(default_factory=dict, description="method, '' for the image as it is")
    interpretation: Interpretation | None = None
    absent: dict[str, str] = Field(default_factory=dict, description="part of the page -> why it is not there")


class Numbers(_Model):
    """`evidence.json`: the figures of the page that no board holds. Of the first repeat."""

    schema_: int = Field(SCHEMA, alias="schema")
    classes: dict[str, dict[str, dict[str, float | None]]] = Field(
        description="method -> pair 'A|B' -> feature class -> class-conditional corrected JSD"
    )
    reliability: dict[str, dict[str, list[Bin]]] = Field(
        description="method -> '' for all rows, and manufacturers -> points of the reliability diagram"
    )


def numbers(evidence: Evidence) -> Numbers:
    """The figures of the evidence, without histograms and pictures."""
    return Numbers(
        schema=SCHEMA,
        classes={name: m.classes for name, m in evidence.methods.items()},
        reliability={name: m.reliability for name, m in evidence.methods.items()},
    )
