"""What a bundle tells when its data are of patients: what is needed to rebuild and judge its figures, and no free text.

Every function gives back what it was given when there is nothing left to take away: the check of a bundle applies them
again and compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from harmbench.data import Sample
from harmbench.design import design_notes
from harmbench.run.execute import unseen
from harmbench.run.stored import RunData

NOTES = "Other notes on the data are left out: they may quote the list that describes the samples."
WORDS = "its words are left out: they may quote samples"
SOURCE = f"what it was trained on was told by the method ({WORDS})"
PROBLEM = f"it failed; {WORDS}"
NOT_HERE = f"the method does not apply ({WORDS})"
NOT_LOADED = f"a plugin could not be loaded ({WORDS})"
LOOSE = "unpackaged file"
_SAID = {
    "timeout": "stopped at the time limit",
    "out_of_memory": "ran out of memory",
    "not_installed": "needs something that is not installed",
    "not_applicable": NOT_HERE,
    "skipped": "skipped",
}
_FILE = re.compile(r".+@([0-9a-f]{8})", re.DOTALL)


def known_notes(data: RunData) -> set[str]:
    """Notes that follow from the counts of manufacturers and classes alone."""
    columns, classes = data.samples, data.plan["data"]["classes"]
    rows = zip(*(columns[n].tolist() for n in ("sample", "patient", "manufacturer", "label", "split")), strict=True)
    samples = [
        Sample(id=s, image="", mask="", manufacturer=maker, patient=p, label=classes[int(label)], split=split)
        for s, p, maker, label, split in rows
    ]
    return {NOTES, *design_notes(samples, classes)}


def loose_plugins(environment: Iterable[Mapping[str, Any]]) -> set[str]:
    """Names of plugins that are loose files, and so names of files."""
    return {p["name"] for entry in environment for p in entry["plugins"] if p["distribution"].startswith(LOOSE)}


def plan_of(plan: Mapping[str, Any], known: set[str], loose: set[str]) -> dict[str, Any]:
    """A plan whose notes on the data are those known (see `known_notes`), without names of files."""
    notes = list(plan["data"]["notes"])
    kept = [note for note in notes if note in known]
    if len(kept) < len(notes):
        kept.append(NOTES)
    parts = {name: _component(plan[name]) for name in ("dataset", "extractor")}
    return {
        **plan,
        **parts,
        "code": {f"{LOOSE} {code}" if name in loose else name: code for name, code in plan["code"].items()},
        "evaluators": [_component(part) for part in plan["evaluators"]],
        "data": {**plan["data"], "notes": kept},
    }


def _component(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {**facts, "params": {name: _nameless(value) for name, value in facts["params"].items()}}


def _nameless(value: Any) -> Any:
    """A file without its name; the hash of its contents says which it is."""
    match = _FILE.fullmatch(value) if isinstance(value, str) else None
    return f"file@{match.group(1)}" if match else value


def _origin(text: str) -> str:
    """A distribution and its version, without the name of a loose file."""
    return f"{LOOSE} {text.rpartition(' ')[2]}" if text.startswith(f"{LOOSE} ") else text


def record_of(record: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """A record that says of a failure its status, type and place, and of a reason no more than our own code wrote."""
    method = record["method"]
    for stage in record["stages"]:
        for value in stage["params"].values():
            if isinstance(value, str):
                method = method.replace(value, _nameless(value))
    stages = [{**_component(s), "distribution": _origin(s["distribution"])} for s in record["stages"]]
    places = {*(s["name"] for s in stages), *(e["name"] for e in plan["evaluators"]), plan["extractor"]["name"]}
    folds = {"holdout", *(f"cv-{k}" for k in range(plan["splits"]["folds"]))}
    folds |= {f"lomo-{maker}" for maker in plan["data"]["counts"]}
    told = {
        **record,
        "method": method,
        "stages": stages,
        "exception": record["exception"] if record["exception"].isidentifier() else "",
        "stage": record["stage"] if record["stage"] in places else "",
        "fold": record["fold"] if record["fold"] in folds else "",
        "pretraining": [_pretraining(p, stages, plan) for p in record["pretraining"]],
        "not_applicable": {
            (where if where in folds else "paired images"): _reason(reason, stages)
            for where, reason in record["not_applicable"].items()
        },
    }
    return {**told, "error": _error(told)}


def _error(record: Mapping[str, Any]) -> str:
    if record["status"] == "ok":
        return ""
    if record["status"] != "failed":
        return _SAID[record["status"]]
    place = f" in {record['stage']}" if record["stage"] else ""
    place += f", fold {record['fold']}" if record["fold"] else ""
    return f"{record['exception'] or 'an error'}{place} ({WORDS})"


def _reason(reason: str, stages: list[dict[str, Any]]) -> str:
    return reason if reason in {unseen(stage["name"]) for stage in stages} else NOT_HERE


def _pretraining(facts: Mapping[str, Any], stages: list[dict[str, Any]], plan: Mapping[str, Any]) -> dict[str, Any]:
    declared = {"", plan["dataset"]["name"], plan["data"]["name"], SOURCE}
    for stage in stages:
        declared |= {*stage["pretrained_on"], ", ".join(stage["pretrained_on"])}
    return {
        **facts,
        "source": facts["source"] if facts["source"] in declared else SOURCE,
        "problem": PROBLEM if facts["problem"] else "",
    }


def environment_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of `environment.json` without what plugins add, and without names of loose files."""
    facts = {name: _origin(value) for name, value in entry.get("facts", {}).get("components", {}).items()}
    loose = {"name": "unpackaged", "distribution": LOOSE}
    return {
        **entry,
        "plugins": [p | loose if p["distribution"].startswith(LOOSE) else p for p in entry["plugins"]],
        "plugin_failures": [NOT_LOADED] * len(entry["plugin_failures"]),
        "threads": {name: value for name, value in entry["threads"].items() if value.isdecimal()},
        "facts": {"components": facts} if facts else {},
    }
