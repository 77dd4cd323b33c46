"""What is checked: a component with its parameters, and where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harmbench.errors import UsageError, suggestion
from harmbench.specs import DatasetSpec, EvaluatorSpec, ExtractorSpec, HarmonizerSpec, Spec

if TYPE_CHECKING:
    from harmbench.methods import Component
    from harmbench.plugins import Origin, Registry

Kind = Literal["harmonizer", "extractor", "evaluator", "dataset"]
KINDS: dict[type, Kind] = {
    HarmonizerSpec: "harmonizer",
    ExtractorSpec: "extractor",
    EvaluatorSpec: "evaluator",
    DatasetSpec: "dataset",
}
EXPECTED = "expected_failed_checks"
"""A plugin module may hold a mapping of this name: component name to {check id: reason}."""


@dataclass(frozen=True)
class Subject:
    """A component under test.

    Parameters
    ----------
    spec : HarmonizerSpec, ExtractorSpec, EvaluatorSpec or DatasetSpec
    params : mapping
        All parameters.
    origin : Origin or None
        The plugin that registered it; None for a spec that was handed over directly.
    module : str
        The module of that plugin; "" when unknown.
    files : tuple of str
        Loose plugin files and source folders that a worker process must load.
    data : str or None
        For a data set: what `--data` gives.
    expected : mapping of check id to reason
        The failures that its plugin declares.
    """

    spec: Any
    params: Mapping[str, Any]
    origin: Origin | None = None
    module: str = ""
    files: tuple[str, ...] = ()
    data: str | None = None
    expected: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        return KINDS[type(self.spec)]

    @property
    def name(self) -> str:
        return str(self.component)

    @property
    def component(self) -> Component:
        from harmbench.methods import Component

        return Component(self.spec, self.params)

    @property
    def loose(self) -> bool:
        """Whether hook and code are one file, which is loaded only when it is named."""
        return self.origin is not None and self.origin.distribution.startswith("unpackaged file")

    def build(self) -> Any:
        """A new object of the component's class."""
        return self.component.build()


_NAME = re.compile(r"([\w-]+)(?:\[(.*)\])?")


def subject_of(
    target: str | Spec, registry: Registry | None, kinds: Sequence[str] = (), data: str | None = None
) -> Subject:
    """The component of this name (`combat`, `combat[mean_only=true]`) or of this spec.

    Raises
    ------
    UsageError
        Nothing registered is called so, or it has no such parameter.
    """
    from harmbench.methods import component, split_parameters

    if not isinstance(target, str):
        return Subject(target, dict(target.params), data=data)
    assert registry is not None
    match = _NAME.fullmatch(target.strip())
    if match is None:
        raise UsageError(f"Cannot read '{target}'; write such as 'combat' or 'combat[mean_only=true]'.")
    wanted = kinds or tuple(KINDS.values())
    known: list[str] = []
    for catalogue, kind in zip(registry.catalogues.values(), KINDS.values(), strict=True):
        if kind not in wanted:
            continue
        known += catalogue.entries
        if match[1] in catalogue.entries or match[1] in catalogue.clashes:
            spec = catalogue.get(match[1])
            given = dict(part.split("=", 1) for part in split_parameters(match[2] or "") if "=" in part)
            return _from_registry(spec, component(spec, given).params, catalogue.origin(spec.name), registry, data)
    broken = "".join(f" (Not loaded: {failure}.)" for failure in registry.failures)
    what = " or ".join(wanted) if kinds else "component"
    raise UsageError(f"There is no {what} '{match[1]}'.{suggestion(match[1], known)}{broken}")


def _from_registry(
    spec: Spec, params: Mapping[str, Any], origin: Origin, registry: Registry, data: str | None
) -> Subject:
    plugin = registry.manager.plugin_of(origin)
    declared = getattr(plugin, EXPECTED, {})
    return Subject(
        spec,
        params,
        origin,
        module=getattr(plugin, "__name__", ""),
        files=registry.files,
        data=data,
        expected=dict(declared.get(spec.name, {})),
    )


def find_subjects(
    targets: Iterable[str | Spec] = (),
    plugins: Sequence[str] = (),
    kinds: Sequence[str] = (),
    data: str | None = None,
) -> list[Subject]:
    """The components named; all that are registered when none is.

    Parameters
    ----------
    targets : iterable of str or spec
        Names, with parameters in brackets where wanted, or specs.
    plugins : sequence of str
        Loose plugin files and source folders; when only these are given, what they register is checked.
    kinds : sequence of {"harmonizer", "extractor", "evaluator", "dataset"}
        Empty: any.
    data : str, optional
        For data sets that need files of the user.
    """
    from harmbench.plugins import build_registry

    targets = list(targets)
    registry = build_registry(plugins) if plugins or not targets or any(isinstance(t, str) for t in targets) else None
    if targets:
        return [subject_of(target, registry, kinds, data) for target in targets]
    assert registry is not None
    found = []
    given = registry.manager.given
    for catalogue, kind in zip(registry.catalogues.values(), KINDS.values(), strict=True):
        for spec, origin in catalogue.entries.values():
            if (not kinds or kind in kinds) and (not plugins or origin in given):
                found.append(_from_registry(spec, dict(spec.params), origin, registry, data))
    return found
