"""What a run writes down of its data, metrics and methods."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from harmbench.data import ImageSet
from harmbench.design import confounded
from harmbench.methods import Component, Method
from harmbench.plugins import Catalogue, Registry
from harmbench.run.keys import package_code
from harmbench.run.plan import Plan
from harmbench.run.pretraining import PretrainingCheck
from harmbench.run.provenance import now
from harmbench.specs import MetricSpec


def metric_facts(evaluator: str, metric: MetricSpec) -> dict[str, Any]:
    """A metric as its evaluator declares it."""
    bounds = [b if math.isfinite(b) else None for b in metric.bounds]  # JSON knows no infinity
    return {"evaluator": evaluator, **dataclasses.asdict(metric), "bounds": bounds}


def data_facts(images: ImageSet, revision: str, notes: Sequence[str], plan: Plan) -> dict[str, Any]:
    """The data that are scored: where from, how many, whose, and what a reader must know of them."""
    scored = [s for s in images.samples if s.split != "paired"]
    counts: dict[str, dict[str, int]] = {}
    for sample in scored:
        by_label = counts.setdefault(sample.manufacturer, dict.fromkeys(images.classes, 0))
        by_label[sample.label] += 1
    return {
        "name": images.name,
        "revision": revision,
        "ids": "key",
        "synthetic": images.synthetic,
        "classes": list(images.classes),
        "images": len(scored),
        "paired_images": len(images) - len(scored),
        "patients": len({s.patient for s in scored}),
        "counts": counts,
        "batch_unit": plan.dataset.spec.batch_unit,
        "licence": plan.dataset.spec.licence,
        "confounded": confounded(scored),
        "notes": list(notes),
    }


def origins(plan: Plan, registry: Registry) -> dict[str, str]:
    """Which distribution the data set, the extractor and the evaluators came from; methods say it in their records."""
    parts: list[tuple[str, Catalogue[Any], Component]] = [
        ("data set", registry.datasets, plan.dataset),
        ("extractor", registry.extractors, plan.extractor),
        *(("evaluator", registry.evaluators, e) for e in plan.evaluators),
    ]
    return {f"{kind} {part.spec.name}": str(found.origin(part.spec.name)) for kind, found, part in parts}


def cell_facts(
    cell_method: Method, plan: Plan, repeat: int, registry: Registry, pretraining: PretrainingCheck
) -> dict[str, Any]:
    """What the plan knows of a cell: method, stages with versions and code, test patients seen in pretraining."""
    stages = [
        {
            "name": s.spec.name,
            "version": s.spec.version,
            "stage": s.spec.stage,
            "params": s.key()["params"],
            "code": s.key()["code"],
            "requires": s.key()["requires"],
            "package": package_code(s.spec.target),
            "distribution": str(registry.harmonizers.origin(s.spec.name)),
            "pretrained_on": list(_pretrained_on(s)),
        }
        for s in cell_method.stages
    ]
    return {
        "method": cell_method.name,
        "role": cell_method.role,
        "inductive": cell_method.inductive,
        "uses_label": cell_method.uses_label,
        "stages": stages,
        "pretraining": pretraining.of(cell_method, repeat),
        "repeat": repeat,
        "seed": plan.seed,
        "finished": now(),
    }


def _pretrained_on(stage: Component) -> tuple[str, ...]:
    """What the component says of the very weights it was given, else what its spec says."""
    try:
        return tuple(getattr(stage.build(), "pretrained_on", stage.spec.pretrained_on))
    except Exception:  # it cannot be built, which its cell reports
        return tuple(stage.spec.pretrained_on)
