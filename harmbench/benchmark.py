"""What is compared, as TOML: the models of `benchmarks/*.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harmbench.benchmark_files import benchmark_files
from harmbench.errors import DataError, UsageError, suggestion
from harmbench.upgrading import upgraded

SCHEMA = 1


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ComponentChoice(_Model):
    """A component by name, with the parameters that differ from its defaults."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class Splits(_Model):
    """How rows are held out. Always grouped by patient and stratified by manufacturer x label."""

    folds: int = Field(5, ge=2, description="cross-validation folds")
    repeats: int = Field(1, ge=1, description="how often the cross-validation is repeated with another split")
    leave_one_manufacturer_out: bool = True


class Methods(_Model):
    """What runs besides what the user names."""

    default: list[str] = Field(default_factory=list, description="run when no --method is given")
    reference: list[str] = Field(default_factory=lambda: ["none"], description="always run")
    controls: list[str] = Field(default_factory=list, description="always run, never ranked")
    pre_transforms: list[str] = Field(
        default_factory=list, description="each stands before the feature stages of every method; `none`: without"
    )


class Ranking(_Model):
    """Gate, then goal."""

    gate: str = Field("auc_within", description="metric that must not fall below that of `none`")
    delta: float = Field(0.02, ge=0, description="by how much the lower bound of the difference may lie below 0")
    goal: str = Field("jsd_conditional", description="metric that orders the methods that pass")


class Uncertainty(_Model):
    """Bootstrap and permutation."""

    replicates: int = Field(2000, ge=100, description="patient bootstrap replicates, the same for every method")
    permutations: int = Field(999, ge=99, description="draws of the manufacturer permutation null")


class Benchmark(_Model):
    """One benchmark file."""

    schema_: int = Field(SCHEMA, alias="schema")
    name: str
    version: str
    title: str
    description: str = ""
    dataset: ComponentChoice
    extractor: ComponentChoice
    evaluators: list[ComponentChoice]
    methods: Methods
    splits: Splits = Splits()
    ranking: Ranking = Ranking()
    uncertainty: Uncertainty = Uncertainty()

    def with_setting(self, section: str, name: str, value: Any) -> Benchmark:
        """A copy with `section.name` changed (`splits`, `ranking` or `uncertainty`)."""
        model = getattr(self, section)
        if name not in type(model).model_fields:
            raise UsageError(f"'{section}' has no setting '{name}'.{suggestion(name, type(model).model_fields)}")
        data = self.model_dump(by_alias=True)
        data[section][name] = value
        try:
            return type(self).model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"{section}.{name}={value}: {first['msg'].lower()}.") from None


SECTIONS = ("splits", "ranking", "uncertainty")


def load_benchmark(name: str) -> Benchmark:
    """Read a benchmark by name, or from the path of a TOML file.

    Raises
    ------
    UsageError
        No such benchmark (with a suggestion), or of a newer schema (names the version to install).
    DataError
        The file is not valid: names the file, the key and what is wrong.
    """
    files = benchmark_files()
    path = files.get(name)
    if path is None:
        path = Path(name)
        if path.suffix != ".toml":
            raise UsageError(
                f"There is no benchmark '{name}'.{suggestion(name, files)} Or give the path of a .toml file."
            )
        if not path.is_file():
            raise UsageError(f"There is no file '{name}'.")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not valid TOML: {error}.", file=path.name, remedy="Mend the file.") from None
    newest = upgraded({"schema": SCHEMA, **data}, SCHEMA, {}, path.name)
    try:
        return Benchmark.model_validate(newest)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}.",
            file=path.name,
            remedy="See docs/benchmarks.md for what a benchmark file holds.",
        ) from None
