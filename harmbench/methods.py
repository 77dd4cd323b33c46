"""Method expressions: `combat`, `ssl-kernel[reduce=l2]`, `ssl-kernel+combat[mean_only=true]`.

A method is an optional image stage followed by any number of feature stages, joined by `+`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harmbench.errors import UsageError, suggestion
from harmbench.plugins import Registry
from harmbench.specs import HarmonizerSpec, Role, Spec, load_target


@dataclass(frozen=True)
class Component:
    """A spec with all its parameters."""

    spec: Any
    params: Mapping[str, Any]

    @property
    def changed(self) -> dict[str, Any]:
        """The parameters that differ from the spec's defaults."""
        return {k: v for k, v in self.params.items() if v != self.spec.params[k]}

    def key(self) -> dict[str, Any]:
        """What determines its results: name, version, parameters, code, versions of what it requires."""
        from harmbench.run.keys import component_key

        return component_key(self.spec, self.params)

    def build(self) -> Any:
        """Import the target and construct it with the parameters."""
        return load_target(self.spec.target)(**self.params)

    def __str__(self) -> str:
        if not self.changed:
            return str(self.spec.name)
        return f"{self.spec.name}[{','.join(f'{k}={_show(v)}' for k, v in self.changed.items())}]"


@dataclass(frozen=True)
class Method:
    """What one row of the leaderboard is."""

    image: Component | None
    features: tuple[Component, ...]

    @property
    def stages(self) -> tuple[Component, ...]:
        return ((self.image,) if self.image else ()) + self.features

    @property
    def name(self) -> str:
        return "+".join(str(stage) for stage in self.stages)

    @property
    def role(self) -> Role:
        roles = {stage.spec.role for stage in self.stages}
        return "canary" if "canary" in roles else "control" if "control" in roles else "method"

    @property
    def inductive(self) -> bool:
        return all(stage.spec.inductive for stage in self.stages)

    @property
    def uses_label(self) -> bool:
        return any(stage.spec.uses_label != "no" for stage in self.stages)

    def key(self) -> list[dict[str, Any]]:
        return [stage.key() for stage in self.stages]


def _show(value: Any) -> str:
    from harmbench.run.keys import named_by_content

    return str(named_by_content(value)) if isinstance(value, str) else json.dumps(value)


def convert(text: Any, default: Any, where: str) -> Any:
    """A parameter's text as the type of its default.

    Raises
    ------
    UsageError
        Naming the parameter and the type it wants.
    """
    if isinstance(default, str):
        return str(text)
    value: Any = text
    if isinstance(text, str):
        try:
            value = json.loads(text.lower() if text.lower() in ("true", "false", "null") else text)
        except json.JSONDecodeError:
            value = text
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(default, float):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        value = float(value) if fits else value
    else:
        fits = default is None or isinstance(value, type(default))
    if not fits:
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}.get(
            type(default), type(default).__name__
        )
        raise UsageError(f"{where} takes {wanted}, not {text!r}.")
    return value


def component(spec: Spec, given: Mapping[str, Any]) -> Component:
    """A component with its defaults overridden by `given`; an unknown parameter is an error."""
    params = dict(spec.params)
    for name, text in given.items():
        if name not in params:
            hint = suggestion(name, params) if params else " It takes none."
            raise UsageError(f"'{spec.name}' has no parameter '{name}'.{hint}")
        params[name] = convert(text, spec.params[name], f"{spec.name}.{name}")
    return Component(spec, params)


_STAGE = re.compile(r"\s*([A-Za-z0-9_-]+)\s*(?:\[([^\]]*)\])?\s*")


def parse_method(text: str, registry: Registry, settings: Mapping[str, Mapping[str, Any]] | None = None) -> Method:
    """Read a method expression.

    Parameters
    ----------
    text : str
        Such as "ssl-kernel[reduce=l2]+combat".
    registry : Registry
    settings : mapping of method name to parameters, optional
        What `--set name.parameter=value` gave; brackets win over it.

    Raises
    ------
    UsageError
    """
    stages: list[Component] = []
    position = 0
    while True:
        match = _STAGE.match(text, position)
        if match is None:
            raise UsageError(f"Cannot read method {text!r}; write such as 'ssl-kernel[reduce=l2]+combat'.")
        name, brackets = match[1], match[2]
        spec: HarmonizerSpec = registry.harmonizers.get(name)
        given = dict((settings or {}).get(name, {}))
        for part in split_parameters(brackets or ""):
            key, equals, value = part.partition("=")
            if not equals:
                raise UsageError(f"In method {text!r}: '{part}' must read parameter=value.")
            given[key.strip()] = value.strip()
        stages.append(component(spec, given))
        position = match.end()
        if position == len(text):
            break
        if text[position] != "+":
            raise UsageError(f"Cannot read method {text!r} at '{text[position:]}'; stages are joined by '+'.")
        position += 1
    images = [s for s in stages if s.spec.stage == "image"]
    if len(images) > 1 or (images and stages[0] is not images[0]):
        raise UsageError(f"Method {text!r}: one image stage at most, and it comes first (features come of its maps).")
    return Method(images[0] if images else None, tuple(s for s in stages if s.spec.stage == "feature"))


def split_parameters(text: str) -> Iterable[str]:
    """Split at commas that start a new `name=`; a value may hold commas itself (`select=0,3,7`)."""
    return (part.strip() for part in re.split(r",(?=\s*\w+\s*=)", text) if part.strip())
