"""What a run or board says of its metrics, data and benchmark, held against what is installed and shipped here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harmbench.benchmark import ComponentChoice, load_benchmark
from harmbench.benchmark_files import benchmark_files
from harmbench.leaderboard.model import Board
from harmbench.leaderboard.same import unequal
from harmbench.methods import component
from harmbench.plugins import Catalogue, Registry, build_registry
from harmbench.run.facts import metric_facts
from harmbench.run.keys import named_by_content, package_digest
from harmbench.run.stored import RunData

WORDS = ("label", "definition")
"""Facts of a metric for people: code that was edited may say them in other words."""
SETTINGS = ("splits", "uncertainty", "ranking")


def plan_problems(data: RunData, registry: Registry) -> list[str]:
    """What `plan.json` says and does not follow from the evaluators, the samples or the data set."""
    return metric_owners(data.plan) + metric_problems(data.plan, registry)[0] + data_problems(data, registry)


def ranking_problems(plan: Mapping[str, Any]) -> list[str]:
    """Gate and goal that are none of the plan's metrics."""
    names = [m["name"] for m in plan["metrics"]]
    return [
        f"ranking.{role} is '{plan['ranking'][role]}', and no evaluator gives such a metric"
        for role in ("gate", "goal")
        if plan["ranking"][role] not in names
    ]


def metric_owners(plan: Mapping[str, Any]) -> list[str]:
    """Metrics that are there twice, or of no evaluator that scored the run."""
    names = [m["name"] for m in plan["metrics"]]
    evaluators = {e["name"] for e in plan["evaluators"]}
    found = [
        f"the metric '{name}' is there more than once" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    strange = [m for m in plan["metrics"] if m["evaluator"] not in evaluators]
    return found + [f"the metric '{m['name']}' is of '{m['evaluator']}', which did not score the run" for m in strange]


def metric_problems(plan: Mapping[str, Any], registry: Registry) -> tuple[list[str], list[str]]:
    """Where facts of metrics are not those of the installed evaluator of that name and version.

    Returns
    -------
    problems, unchecked : list of str
        The latter: what could not be looked up here, or is only said in other words by code that changed since.
    """
    problems: list[str] = []
    unchecked: list[str] = []
    for evaluator in plan["evaluators"]:
        name, version = evaluator["name"], evaluator["version"]
        entries = registry.evaluators.entries
        if name not in entries or registry.evaluators.get(name).version != version:
            unchecked.append(
                f"what the metrics of '{name}' {version} are could not be checked: it is not installed here"
            )
            continue
        spec = registry.evaluators.get(name)
        said = {m["name"]: m for m in plan["metrics"] if m["evaluator"] == name}
        declared = {m.name: metric_facts(name, m) for m in spec.metrics}
        edited = package_digest(spec.target.partition(":")[0]) != evaluator["code"]
        for path, a, b in unequal(said, declared):
            text = f"metrics of '{name}' {version}: {path} is {a!r}, and the installed one says {b!r}"
            words = edited and path.rpartition(".")[2] in WORDS
            (unchecked if words else problems).append(text + (" (its code has changed since)" if edited else ""))
    return problems, unchecked


def data_problems(data: RunData, registry: Registry) -> list[str]:
    """Where what the plan says of its data does not follow from samples and data set."""
    plan, facts = data.plan, data.plan["data"]
    found = []
    if plan["rebuildable"]:
        columns = data.samples
        scored = columns["split"] != "paired"
        maker, label = columns["manufacturer"][scored], columns["label"][scored]
        apart = all(len(set(label[maker == m].tolist())) == 1 for m in np.unique(maker))
        confounded = apart and len(set(label.tolist())) > 1
        if facts["confounded"] is not confounded:
            found.append(f"plan.json says confounded {facts['confounded']}, and samples.parquet {confounded}")
    name, version = plan["dataset"]["name"], plan["dataset"]["version"]
    if name in registry.datasets.entries and (spec := registry.datasets.get(name)).version == version:
        if spec.synthetic and not facts["synthetic"]:
            found.append(f"plan.json says that the data are real, and '{name}' simulates them")
        if spec.batch_unit != facts["batch_unit"]:
            found.append(f"plan.json says batch_unit '{facts['batch_unit']}', and '{name}' {spec.batch_unit!r}")
    return found


def deviations(board: Board, registry: Registry | None) -> list[str] | None:
    """In what a run's settings differ from those of the shipped benchmark whose name and version it bears.

    None where no such benchmark ships with this harmbench, so that nothing can be said. Shipped benchmarks are made of
    what ships, so without a registry the installed plugins do.
    """
    if board.benchmark not in benchmark_files():
        return None
    shipped = load_benchmark(board.benchmark)
    if shipped.version != board.benchmark_version:
        return None
    registry = registry or build_registry()
    own = {"title": board.title, **{k: board.settings[k] for k in SETTINGS[:2]}, "ranking": board.ranking}
    wanted = {"title": shipped.title, **{k: getattr(shipped, k).model_dump() for k in SETTINGS}}
    parts: list[tuple[str, Mapping[str, Any], ComponentChoice, Catalogue[Any]]] = [
        ("dataset", board.settings["dataset"], shipped.dataset, registry.datasets),
        ("extractor", board.settings["extractor"], shipped.extractor, registry.extractors),
    ]
    names: Sequence[str] = [e["name"] for e in board.settings["evaluators"]]
    own["evaluators"], wanted["evaluators"] = ", ".join(names), ", ".join(e.name for e in shipped.evaluators)
    if own["evaluators"] == wanted["evaluators"]:
        both = zip(board.settings["evaluators"], shipped.evaluators, strict=True)
        parts += [(choice.name, facts, choice, registry.evaluators) for facts, choice in both]
    for part, facts, choice, catalogue in parts:
        own[part], wanted[part] = facts["name"], choice.name
        if facts["name"] == choice.name:
            params = _params(facts, choice, catalogue)
            own[part], wanted[part] = {k: facts["params"].get(k) for k in params}, params
    return [f"{path} is {a}, not {b}" for path, a, b in unequal(own, wanted)]


def _params(facts: Mapping[str, Any], choice: ComponentChoice, catalogue: Catalogue[Any]) -> Mapping[str, Any]:
    """The parameters that a shipped benchmark asks for: with defaults, where they are those of the same version."""
    params: Mapping[str, Any] = choice.params
    if choice.name in catalogue.entries and (spec := catalogue.get(choice.name)).version == facts["version"]:
        params = component(spec, choice.params).params
    return {name: named_by_content(value) for name, value in params.items()}
