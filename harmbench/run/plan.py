"""What is to be run: a pure function from a benchmark and methods to cells. Nothing is loaded or computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harmbench.benchmark import SECTIONS, Benchmark
from harmbench.errors import UsageError, suggestion
from harmbench.methods import Component, Method, component, parse_method
from harmbench.plugins import Registry
from harmbench.run.axes import multiply, read_axis
from harmbench.run.keys import core_code, package_code
from harmbench.run.tied import cell_key


@dataclass(frozen=True)
class Cell:
    """One method on one data set, one extractor, one repeat."""

    key: str
    method: Method
    repeat: int


@dataclass(frozen=True)
class Plan:
    """A whole run.

    Parameters
    ----------
    benchmark : Benchmark
        With all settings applied.
    dataset, extractor : Component
    evaluators : tuple of Component
    cells : tuple of Cell
    seed : int
    """

    benchmark: Benchmark
    dataset: Component
    extractor: Component
    evaluators: tuple[Component, ...]
    cells: tuple[Cell, ...]
    seed: int

    def identity(self) -> dict[str, Any]:
        """What all cells of a run folder share (code digests included: edited code starts a new folder)."""
        parts = (self.dataset, self.extractor, *self.evaluators)
        return {
            "benchmark": {"name": self.benchmark.name, "version": self.benchmark.version},
            "dataset": self.dataset.key(),
            "extractor": self.extractor.key(),
            "evaluators": [e.key() for e in self.evaluators],
            "splits": self.benchmark.splits.model_dump(),
            "uncertainty": self.benchmark.uncertainty.model_dump(),
            "seed": self.seed,
            "code": {"harmbench": core_code(), **{k: v for p in parts for k, v in package_code(p.spec.target).items()}},
        }


Settings = Mapping[str, Mapping[str, str]]


def read_settings(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """`--set name.parameter=value` texts as nested mappings.

    Raises
    ------
    UsageError
    """
    settings: dict[str, dict[str, str]] = {}
    for text in texts:
        left, equals, value = text.partition("=")
        name, dot, parameter = left.strip().rpartition(".")
        if not (equals and dot and name and parameter):
            raise UsageError(f"--set {text!r} must read name.parameter=value, such as combat.mean_only=true.")
        settings.setdefault(name, {})[parameter] = value.strip()
    return settings


def make_plan(
    benchmark: Benchmark,
    registry: Registry,
    methods: Sequence[str] = (),
    settings: Settings | None = None,
    seed: int = 0,
    extractor: str | None = None,
    controls: bool = True,
    pre_transforms: Sequence[str] = (),
) -> Plan:
    """Work out the cells of a run.

    Parameters
    ----------
    benchmark : Benchmark
    registry : Registry
    methods : sequence of str
        Method expressions; the benchmark's default when empty. Reference methods and controls are always added.
    settings : mapping of name to parameters
        Names are methods, the extractor, the data set, evaluators, or `splits`, `ranking`, `uncertainty`.
    seed : int
    extractor : str, optional
        Instead of the benchmark's.
    controls : bool
        False leaves the controls out (a quick look; the result is then marked incomplete).
    pre_transforms : sequence of str
        Instead of the benchmark's: each stands before the feature stages of each method (see `axes.multiply`), and
        `none` for the method without one. Reference methods always run without one, too.

    Raises
    ------
    UsageError
        A name or parameter is unknown.
    """
    settings = dict(settings or {})
    for section in SECTIONS:
        for name, value in settings.get(section, {}).items():
            benchmark = benchmark.with_setting(section, name, value)
    chosen = benchmark.extractor
    if extractor and extractor != chosen.name:
        chosen = chosen.model_copy(update={"name": extractor, "params": {}})
    reference = benchmark.methods.reference
    wanted = [*reference, *(methods or benchmark.methods.default)]
    wanted += benchmark.methods.controls if controls else []
    axis = read_axis(pre_transforms or benchmark.methods.pre_transforms, registry, settings)

    dataset = registry.datasets.get(benchmark.dataset.name)
    features = registry.extractors.get(chosen.name)
    evaluators = [(registry.evaluators.get(e.name), e.params) for e in benchmark.evaluators]
    _reject_unknown(settings, registry, [dataset.name, features.name, *(s.name for s, _ in evaluators)])

    def build(spec: Any, params: Mapping[str, Any]) -> Component:
        return component(spec, {**params, **settings.get(spec.name, {})})

    found: dict[str, Method] = {}
    for text in wanted:
        method = parse_method(text, registry, settings)
        for one in ((method,) if text in reference else ()) + tuple(multiply(method, axis)):
            found.setdefault(one.name, one)
    plan = Plan(
        benchmark=benchmark,
        dataset=build(dataset, benchmark.dataset.params),
        extractor=build(features, chosen.params),
        evaluators=tuple(build(spec, params) for spec, params in evaluators),
        cells=(),
        seed=seed,
    )
    _check_metrics(benchmark, plan.evaluators)
    shared = plan.identity()
    cells = tuple(
        Cell(cell_key(shared, _method_key(method), repeat), method, repeat)
        for repeat in range(benchmark.splits.repeats)
        for method in found.values()
    )
    return Plan(**{**plan.__dict__, "cells": cells})


def _method_key(method: Method) -> list[Any]:
    return [[stage.key(), package_code(stage.spec.target)] for stage in method.stages]


def _check_metrics(benchmark: Benchmark, evaluators: Sequence[Component]) -> None:
    """Every metric has one owner, and what ranks is among them."""
    owner: dict[str, str] = {}
    for evaluator in evaluators:
        for metric in evaluator.spec.metrics:
            if metric.name in owner:
                raise UsageError(
                    f"Metric '{metric.name}' is given by both '{owner[metric.name]}' and '{evaluator.spec.name}'; "
                    "leave one of them out of the benchmark."
                )
            owner[metric.name] = evaluator.spec.name
    for role in ("gate", "goal"):
        wanted = getattr(benchmark.ranking, role)
        if wanted not in owner:
            raise UsageError(f"ranking.{role}: no evaluator gives a metric '{wanted}'.{suggestion(wanted, owner)}")


def _reject_unknown(settings: Settings, registry: Registry, others: Sequence[str]) -> None:
    known = {*SECTIONS, *others, *registry.harmonizers.entries}
    for name, given in settings.items():
        if name not in known:
            raise UsageError(
                f"--set {name}.{next(iter(given))}: '{name}' is neither a method nor a part of this benchmark."
                f"{suggestion(name, known)}"
            )
        if name in registry.harmonizers.entries:
            component(registry.harmonizers.get(name), given)  # check the parameters even if the method does not run
