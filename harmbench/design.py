"""Checks on a whole set of samples: can the benchmark's questions be answered with this design at all?"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from harmbench.consistency import Where, contradictions
from harmbench.data import Sample
from harmbench.errors import DataError, UsageError, suggestion
from harmbench.problems import Problems

FEWEST_PATIENTS = 4
"""Of a manufacturer, in cross-validation. With fewer, one fold's test part can hold all of them or all but one."""
FEW_PATIENTS = 20
"""Below this number the figures of a manufacturer are noted as weak."""
_FEW_LEVELS = 10


def two_classes(labels: Sequence[str], positive: str = "", *, file: str | None = None) -> tuple[str, str]:
    """Negative and positive class of these labels.

    Parameters
    ----------
    labels : sequence of str
        One per sample.
    positive : str, default ""
        The positive class; the second in alphabetical order when empty.

    Raises
    ------
    DataError
        Fewer or more than two classes.
    UsageError
        `positive` is not one of them.
    """
    counts = Counter(labels)
    if len(counts) != 2:
        shown = ", ".join(f"{label} ({n})" for label, n in sorted(counts.items()))
        what = "only one class" if len(counts) == 1 else f"{len(counts)} classes"
        raise DataError(
            f"the column holds {what}: {shown}; exactly two are needed.",
            file=file,
            column="label",
            remedy="Add samples of a second class." if len(counts) == 1 else "Leave out or rename all but two classes.",
        )
    first, second = sorted(counts)
    if positive and positive not in counts:
        raise UsageError(f"positive='{positive}' is not a class of the data.{suggestion(positive, counts)}")
    return (second, first) if positive == first else (first, second)


def check_design(
    samples: Sequence[Sample],
    classes: tuple[str, str],
    *,
    allow_confounded: bool = False,
    file: str | None = None,
    rows: Sequence[int] | None = None,
    dataset: str = "",
) -> list[str]:
    """Raise the design problems of a set of samples; return what is worth a note.

    Parameters
    ----------
    samples : sequence of Sample
    classes : (str, str)
        Negative and positive class.
    allow_confounded : bool, default False
        Go on with a note when the manufacturer determines the label.
    file, rows : optional
        Where the samples come from, for the messages; `rows` has one row number per sample.
    dataset : str, default ""
        The data set's name if it has a parameter `exclude`, for the command in a remedy.

    Raises
    ------
    DataErrors
        See `design_problems`.
    """
    found = design_problems(samples, classes, allow_confounded=allow_confounded, file=file, rows=rows, dataset=dataset)
    Problems(found).raise_any()
    return design_notes(samples, classes)


def design_problems(
    samples: Sequence[Sample],
    classes: tuple[str, str],
    *,
    allow_confounded: bool = False,
    file: str | None = None,
    rows: Sequence[int] | None = None,
    dataset: str = "",
    partial: bool = False,
) -> Iterator[DataError]:
    """All reasons for which these samples cannot be benchmarked, as errors that are not raised.

    A manufacturer or label whose name tables cannot show; duplicate ids; an image file twice; a patient under two
    labels; one class only, or more than two; one manufacturer
    only; a manufacturer with too few patients; manufacturer and label perfectly confounded; pairs of one image or of
    several patients; a hold-out that lacks a part, shares a patient between its parts, or has a part that cannot be
    fitted on or scored. Images that only serve paired agreement (split "paired") count for ids, files, patients and
    pairs, not for the rest.

    With `partial`, samples are missing or not final: only what more samples could not mend is looked for, and
    `classes` is not used. The other parameters are those of `check_design`.
    """
    where = Where(file, rows)
    yield from contradictions(samples, where, partial)
    if partial:
        return
    scored = [s for s in samples if s.split != "paired"]
    labels = Counter(s.label for s in scored)
    foreign = {label: n for label, n in sorted(labels.items()) if label not in classes}
    if foreign:
        shown = ", ".join(f"{label} ({n})" for label, n in sorted(labels.items()))
        yield where.error(
            f"labels other than '{classes[0]}' and '{classes[1]}': {shown}.",
            "label",
            "Leave out or rename all but two classes.",
            next(i for i, s in enumerate(samples) if s.label in foreign and s.split != "paired"),
        )
    elif len(labels) < 2:
        only = next(iter(labels), "none")
        yield where.error(
            f"there is only one class: {only} ({len(scored)} images); a diagnosis needs two.",
            "label",
            "Add samples of the other class.",
        )
    makers = {s.manufacturer for s in scored}
    if len(makers) < 2:
        yield where.error(
            f"there is only one manufacturer: {next(iter(makers), 'none')} ({len(scored)} images); harmonization "
            "needs at least two.",
            "manufacturer",
            "Add images of another manufacturer.",
        )
        return
    yield from _small_manufacturers(samples, where, dataset)
    if foreign or len(labels) < 2:
        return
    if confounded(scored) and not allow_confounded:
        yield where.error(
            "the manufacturer determines the label, so what is scanner and what is disease cannot be told apart:\n"
            f"{crosstab(scored)}\n",
            "label",
            "Add images of the missing combinations. Insisting (--allow-confounded) flags every score.",
        )
    yield from _parts(samples, where, dataset)


def _leave_out(dataset: str, manufacturer: str) -> str:
    return f'leave it out (--set {dataset}.exclude="{manufacturer}")' if dataset else "leave its images out"


def _small_manufacturers(samples: Sequence[Sample], where: Where, dataset: str) -> Iterator[DataError]:
    held_out = any(s.split in ("train", "test") for s in samples)
    # The parts of a hold-out are given: there a manufacturer need not be dealt out to folds.
    fewest = 2 if held_out else FEWEST_PATIENTS
    patients: dict[str, dict[str, int]] = defaultdict(dict)
    for i, s in enumerate(samples):
        if s.split != "paired":
            patients[s.manufacturer].setdefault(s.patient, i)
    for name, members in sorted(patients.items()):
        if len(members) < fewest:
            shown = ", ".join(f"'{patient}'" for patient in members)
            count = "one patient" if len(members) == 1 else f"{len(members)} patients"
            yield where.error(
                f"manufacturer '{name}' has {count} only ({shown}); fewer than {fewest} cannot be shared out between "
                "training and test data.",
                "manufacturer",
                f"Add patients, or {_leave_out(dataset, name)}.",
                next(iter(members.values())),
            )


def _parts(samples: Sequence[Sample], where: Where, dataset: str) -> Iterator[DataError]:
    """What keeps a complete hold-out from being fitted on or scored."""
    parts = {name: [i for i, s in enumerate(samples) if s.split == name] for name in ("train", "test")}
    if not all(parts.values()):
        return
    for name, members in parts.items():
        labels = Counter(samples[i].label for i in members)
        if len(labels) < 2:
            yield where.error(
                f"the {name} part of the hold-out holds only class '{next(iter(labels))}' ({len(members)} images).",
                "split",
                f"Move patients of the other class to '{name}'.",
                members[0],
            )
    makers = {name: {samples[i].manufacturer for i in members} for name, members in parts.items()}
    if len(makers["test"]) < 2:
        yield where.error(
            f"the test part of the hold-out holds only manufacturer '{next(iter(makers['test']))}' "
            f"({len(parts['test'])} images); whether manufacturers agree cannot be measured on it.",
            "split",
            "Move patients of another manufacturer to 'test'.",
            parts["test"][0],
        )
    for name in sorted(makers["test"] - makers["train"]):
        members = [i for i in parts["test"] if samples[i].manufacturer == name]
        yield where.error(
            f"manufacturer '{name}' is in the test part of the hold-out only ({where.of(samples, members)}); nothing "
            "can be learned of it.",
            "split",
            f"Move some of its patients to 'train', or {_leave_out(dataset, name)}.",
            members[0],
        )


def design_notes(samples: Sequence[Sample], classes: tuple[str, str]) -> list[str]:
    """What a reader of the results must know of a design that can be used."""
    scored = [s for s in samples if s.split != "paired"]
    seen = defaultdict(set)
    for s in scored:
        seen[s.manufacturer].add(s.label)
    notes = []
    if confounded(scored):
        notes.append(f"CONFOUNDED: the manufacturer determines the label; no score can be trusted:\n{crosstab(scored)}")
    else:
        notes += [
            f"manufacturer '{name}' has only class '{next(iter(labels))}': it has no within-manufacturer AUC"
            for name, labels in sorted(seen.items())
            if len(labels) == 1
        ]
    notes += [
        f"covariate '{name}' determines the label: a method that keeps it has been told the label"
        for name in sorted({key for s in scored for key in s.covariates})
        if _tells_label(scored, name)
    ]
    patients = defaultdict(set)
    for s in scored:
        patients[s.manufacturer].add(s.patient)
    notes += [
        f"manufacturer '{name}' has {len(members)} patients: its figures carry little"
        for name, members in sorted(patients.items())
        if len(members) < FEW_PATIENTS
    ]
    known = sum(s.spacing is not None for s in samples)
    if 0 < known < len(samples):
        notes.append(f"pixel spacing is given for {known} of {len(samples)} images; shape features mix mm and pixels")
    return notes


def _tells_label(samples: Sequence[Sample], covariate: str) -> bool:
    """Whether the label follows from a covariate: every level has one label, or a threshold parts the labels.

    Numbers count as levels when they are few and each comes with two patients on average; the ages of a handful of
    patients differ without telling anything.
    """
    labels_of: dict[float | str | None, set[str]] = defaultdict(set)
    values_of: dict[str, list[float]] = defaultdict(list)
    for s in samples:
        value = s.covariates.get(covariate)
        labels_of[value].add(s.label)
        if isinstance(value, (int, float)) and math.isfinite(value):
            values_of[s.label].append(value)
    if len(labels_of) < 2:
        return False
    pure = all(len(labels) == 1 for labels in labels_of.values())
    if any(isinstance(value, str) for value in labels_of):
        return pure and len(labels_of) < len(samples)
    if pure and len(labels_of) <= min(_FEW_LEVELS, len({s.patient for s in samples}) / 2):
        return True
    if sum(map(len, values_of.values())) < len(samples) or len(values_of) != 2:
        return False
    first, second = values_of.values()
    return max(first) < min(second) or max(second) < min(first)


def confounded(samples: Sequence[Sample]) -> bool:
    """Whether every manufacturer has one class only (and there are two classes)."""
    seen = defaultdict(set)
    for s in samples:
        seen[s.manufacturer].add(s.label)
    return len({s.label for s in samples}) > 1 and all(len(labels) == 1 for labels in seen.values())


def crosstab(samples: Sequence[Sample]) -> str:
    """Images per manufacturer and label, as aligned text."""
    counts = Counter((s.manufacturer, s.label) for s in samples)
    labels = sorted({s.label for s in samples})
    names = sorted({s.manufacturer for s in samples})
    first = max(len("manufacturer"), *map(len, names))
    widths = [max(len(label), 5) for label in labels]
    lines = [["manufacturer".ljust(first), *(label.rjust(w) for label, w in zip(labels, widths, strict=True))]]
    for name in names:
        cells = (str(counts[name, label]).rjust(w) for label, w in zip(labels, widths, strict=True))
        lines.append([name.ljust(first), *cells])
    return "\n".join("  ".join(line) for line in lines)
