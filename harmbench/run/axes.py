"""Axes that multiply methods: today the pre-transform, a transform of single features before a feature harmonizer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harmbench.errors import UsageError
from harmbench.methods import Component, Method, parse_method
from harmbench.plugins import Registry

AS_IS = "none"
"""On the axis: the method without a transform. As a method: features left as they are."""


def split_names(texts: Sequence[str]) -> list[str]:
    """Names from texts that may each hold several, separated by commas outside brackets."""
    return [part.strip() for text in texts for part in re.split(r",(?![^\[]*\])", text) if part.strip()]


def read_axis(
    names: Sequence[str], registry: Registry, settings: Mapping[str, Mapping[str, Any]]
) -> tuple[Component | None, ...]:
    """The pre-transforms of an axis; None stands for `none`.

    Raises
    ------
    UsageError
        A name is unknown, or names something that is no pre-transform: it must be a feature harmonizer that looks at
        neither manufacturer nor label, is fitted on training rows, and is no control.
    """
    found: dict[str, Component | None] = {}
    for name in split_names(names):
        if name == AS_IS:
            found[AS_IS] = None
            continue
        method = parse_method(name, registry, settings)
        if len(method.stages) != 1:
            raise UsageError(f"--pre-transform takes single transforms, not '{name}'; separate several by commas.")
        (stage,) = method.stages
        spec = stage.spec
        reasons = {
            "it works on images": spec.stage != "feature",
            "it looks at the manufacturer": spec.uses_manufacturer != "no",
            "it looks at the label": spec.uses_label != "no",
            "it needs all rows at once": not spec.inductive,
            f"it is a {spec.role}": spec.role != "method",
        }
        if any(reasons.values()):
            why = next(reason for reason, holds in reasons.items() if holds)
            raise UsageError(f"'{spec.name}' cannot be a pre-transform: {why}. As a method: --method {spec.name}.")
        found[str(stage)] = stage
    return tuple(found.values())


def multiply(method: Method, axis: Sequence[Component | None]) -> Iterator[Method]:
    """The method with each pre-transform of the axis before its feature stages.

    Left as they are: controls and canaries, whose answers are known; methods without a feature stage; and chains that
    hold a transform of the axis already. `none` stands for features left alone, so with a transform it becomes the
    transform by itself.
    """
    names = {stage.spec.name for stage in axis if stage is not None}
    if not axis or method.role != "method" or not method.features or names & {s.spec.name for s in method.features}:
        yield method
        return
    for stage in axis:
        rest = tuple(s for s in method.features if s.spec.name != AS_IS)
        yield method if stage is None else Method(method.image, (stage, *rest))
