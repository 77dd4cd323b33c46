"""What a board says about the pretraining of methods that come with weights: flags, reasons and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harmbench.leaderboard.model import Row


def worst(repeats: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One answer per stage of a method: that of the repeat in which most test patients were seen."""
    found: dict[str, dict[str, Any]] = {}
    for answers in repeats:
        for answer in answers:
            other = found.get(answer["stage"])
            if other is None or answer["seen_patients"] > other["seen_patients"]:
                found[answer["stage"]] = answer
    return list(found.values())


def leak(row: Row) -> str:
    """Why a method is not ranked: test patients were in its pretraining. "" when none is known to have been."""
    for facts in row.pretraining:
        if facts["seen_patients"]:
            return f"leaks: {_seen(facts)} were in the pretraining of {facts['stage']} ({_source(facts)})"
    return ""


def flags(row: Row, dataset: str) -> list[str]:
    """What stands beside the method's name: an overlap always; else only that the data set itself was trained on."""
    found, told = [], set()
    for facts in row.pretraining:
        told.add(facts["stage"])
        if facts["seen_patients"]:
            found.append(f"{_seen(facts)} were in its pretraining!")
        elif facts["source"] == dataset:
            found.append(f"pretrained on {dataset}; {_seen(facts)} seen" if facts["listed"] else _unlisted(dataset))
    for stage in row.stages:
        if dataset in stage["pretrained_on"] and stage["name"] not in told:
            found.append(_unlisted(dataset))
    return list(dict.fromkeys(found))


def notes(rows: Sequence[Row]) -> list[str]:
    """One sentence per different answer, with the methods that it is about."""
    methods: dict[str, list[str]] = {}
    for row in rows:
        for facts in row.pretraining:
            methods.setdefault(_sentence(facts), []).append(f"'{row.method}'")
    return [f"Pretraining of {', '.join(names)}: {sentence}" for sentence, names in methods.items()]


def _sentence(facts: dict[str, Any]) -> str:
    if facts["problem"]:
        return f"whether test patients were in it could not be found out ({facts['problem']})."
    if not facts["listed"]:
        return f"{_source(facts)}; its images are not listed, so whether test patients were among them is not known."
    if facts["seen_patients"]:
        images = facts["seen_images"]
        how = f"{images} of their images" if images else "by patient id only, none of their images"
        return f"LEAK: {_source(facts)}; {_seen(facts)} were in it ({how})."
    return f"{_source(facts)}; {_seen(facts)} seen."


def _seen(facts: dict[str, Any]) -> str:
    return f"{facts['seen_patients']} of {facts['test_patients']} test patients"


def _source(facts: dict[str, Any]) -> str:
    return facts["source"] or "data that nobody wrote down"


def _unlisted(dataset: str) -> str:
    return f"pretrained on {dataset}; test patients seen: not known"
