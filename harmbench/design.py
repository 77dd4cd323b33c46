"""Checks on a whole set of samples: can the benchmark's questions be answered with this design at all?"""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from harmbench.data import ImageSet, Sample
from harmbench.errors import DataError, UsageError, suggestion
from harmbench.progress import ProgressFunction, no_progress

_SHOWN = 5


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
) -> list[str]:
    """Raise the first design problem of a set of samples; return what is worth a note.

    Parameters
    ----------
    samples : sequence of Sample
    classes : (str, str)
        Negative and positive class.
    allow_confounded : bool, default False
        Go on with a note when the manufacturer determines the label.
    file, rows : optional
        Where the samples come from, for the messages; `rows` has one row number per sample.

    Raises
    ------
    DataError
        See `design_problems`.
    """
    for problem in design_problems(samples, classes, allow_confounded=allow_confounded, file=file, rows=rows):
        raise problem
    return design_notes(samples, classes)


def design_problems(
    samples: Sequence[Sample],
    classes: tuple[str, str],
    *,
    allow_confounded: bool = False,
    file: str | None = None,
    rows: Sequence[int] | None = None,
) -> Iterator[DataError]:
    """All reasons for which these samples cannot be benchmarked, as errors that are not raised.

    Duplicate ids; an image file twice; a patient under two labels; one class only, or more than two; one manufacturer
    only; a manufacturer with one patient; manufacturer and label perfectly confounded; pairs of one image or of
    several patients; a hold-out that lacks a part or shares a patient between its parts. Images that only serve
    paired agreement (split "paired") count for ids, files, patients and pairs, not for the rest.
    """
    where = _Where(file, rows)
    yield from _twice(samples, where)
    yield from _patients(samples, where)
    yield from _pairs(samples, where)
    scored = [s for s in samples if s.split != "paired"]
    yield from _splits(samples, where)
    labels = Counter(s.label for s in scored)
    foreign = {label: n for label, n in sorted(labels.items()) if label not in classes}
    if foreign:
        shown = ", ".join(f"{label} ({n})" for label, n in sorted(labels.items()))
        yield where.error(
            f"labels other than '{classes[0]}' and '{classes[1]}': {shown}.",
            "label",
            "Leave out or rename all but two classes.",
        )
    elif len(labels) < 2:
        only = next(iter(labels), "none")
        yield where.error(
            f"there is only one class: {only} ({len(scored)} images); a diagnosis needs two.",
            "label",
            "Add samples of the other class.",
        )
    patients = defaultdict(set)
    for s in scored:
        patients[s.manufacturer].add(s.patient)
    if len(patients) < 2:
        yield where.error(
            f"there is only one manufacturer: {next(iter(patients), 'none')} ({len(scored)} images); harmonization "
            "needs at least two.",
            "manufacturer",
            "Add images of another manufacturer.",
        )
        return
    for name, members in sorted(patients.items()):
        if len(members) < 2:
            yield where.error(
                f"manufacturer '{name}' has one patient only ('{next(iter(members))}'); it cannot be in training and "
                "test data both.",
                "manufacturer",
                f"Add patients, or leave it out (--set <data set>.exclude='{name}').",
            )
    if confounded(scored) and not foreign and len(labels) == 2 and not allow_confounded:
        yield where.error(
            "the manufacturer determines the label, so what is scanner and what is disease cannot be told apart:\n"
            f"{crosstab(scored)}\n",
            "label",
            "Add images of the missing combinations. Insisting (--allow-confounded) flags every score.",
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
    for name in sorted({key for s in scored for key, value in s.covariates.items() if isinstance(value, str)}):
        levels = defaultdict(set)
        for s in scored:
            levels[s.covariates.get(name)].add(s.label)
        if 1 < len(levels) < len(scored) and all(len(labels) == 1 for labels in levels.values()):
            notes.append(f"covariate '{name}' determines the label: a method that keeps it has been told the label")
    known = sum(s.spacing is not None for s in samples)
    if 0 < known < len(samples):
        notes.append(f"pixel spacing is given for {known} of {len(samples)} images; shape features mix mm and pixels")
    return notes


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


def check_images(image_set: ImageSet, progress: ProgressFunction = no_progress) -> list[DataError]:
    """Read every image once and return every problem, in the order of the samples.

    Besides what the reader refuses, two samples whose image, mask and spacing are identical are reported.
    """
    problems: list[DataError] = []
    first: dict[str, str] = {}
    for done, sample in enumerate(image_set.samples):
        progress("read", done, len(image_set))
        try:
            image_set.reader.read(sample)
            digest = image_set.reader.digest(sample)
        except DataError as error:
            problems.append(error)
            continue
        if digest in first:
            problems.append(
                DataError(
                    f"sample '{sample.id}' has the very pixels and mask of sample '{first[digest]}'.",
                    file=sample.image,
                    remedy="Keep one of them.",
                )
            )
        first.setdefault(digest, sample.id)
    progress("read", len(image_set), len(image_set))
    return problems


class _Where:
    """Where samples come from, to put into messages."""

    def __init__(self, file: str | None, rows: Sequence[int] | None) -> None:
        self.file, self.rows = file, rows

    def error(self, problem: str, column: str, remedy: str, index: int | None = None) -> DataError:
        row = None if index is None or self.rows is None else self.rows[index]
        return DataError(problem, file=self.file, row=row, column=column, remedy=remedy)

    def of(self, samples: Sequence[Sample], indices: Sequence[int]) -> str:
        """ "rows 2, 7" where rows are known, else "samples 'a', 'b'"."""
        shown = [str(self.rows[i]) if self.rows is not None else f"'{samples[i].id}'" for i in indices[:_SHOWN]]
        more = ", ..." if len(indices) > _SHOWN else ""
        plural = "s" if len(indices) > 1 else ""
        return f"{'row' if self.rows is not None else 'sample'}{plural} {', '.join(shown)}{more}"


def _grouped(keys: Sequence[str]) -> Mapping[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    return groups


def _twice(samples: Sequence[Sample], where: _Where) -> Iterator[DataError]:
    for key, members in _grouped([s.id for s in samples]).items():
        if len(members) > 1:
            # Ids name nothing here, so fall back on the images.
            shown = (
                where.of(samples, members) if where.rows is not None else ", ".join(samples[i].image for i in members)
            )
            yield where.error(
                f"the id '{key}' is used {len(members)} times ({shown}).", "id", "Give every image its own.", members[1]
            )
    for key, members in _grouped([posixpath.normpath(s.image) for s in samples]).items():
        if len(members) > 1:
            yield where.error(
                f"the image '{key}' is listed {len(members)} times ({where.of(samples, members)}).",
                "image",
                "Keep one row per image.",
                members[1],
            )


def _patients(samples: Sequence[Sample], where: _Where) -> Iterator[DataError]:
    for patient, members in _grouped([s.patient for s in samples]).items():
        labels = _grouped([samples[i].label for i in members])
        if len(labels) > 1:
            shown = "; ".join(
                f"{label} in {where.of(samples, [members[k] for k in at])}" for label, at in sorted(labels.items())
            )
            second = min(members[at[0]] for at in labels.values() if 0 not in at)
            yield where.error(
                f"patient '{patient}' has {len(labels)} labels: {shown}.",
                "label",
                "Correct the label, or give different patients different ids.",
                second,
            )


def _pairs(samples: Sequence[Sample], where: _Where) -> Iterator[DataError]:
    for key, members in _grouped([s.pair for s in samples]).items():
        if not key:
            alone = [i for i in members if samples[i].split == "paired"]
            if alone:
                yield where.error(
                    f"split is 'paired' but no pair is named ({where.of(samples, alone)}).",
                    "pair",
                    "Give the images of one object the same pair key.",
                    alone[0],
                )
            continue
        patients = sorted({samples[i].patient for i in members})
        if len(members) == 1:
            yield where.error(
                f"pair '{key}' has one image only ({where.of(samples, members)}).",
                "pair",
                "Give the images of one object the same key, or leave the cell empty.",
                members[0],
            )
        elif len(patients) > 1:
            yield where.error(
                f"pair '{key}' joins {len(patients)} patients ({', '.join(patients[:_SHOWN])}; "
                f"{where.of(samples, members)}); one object belongs to one patient.",
                "pair",
                "Correct the pair key or the patient.",
                members[1],
            )
        elif len({samples[i].manufacturer for i in members}) == 1:
            yield where.error(
                f"pair '{key}' is of one manufacturer only ({where.of(samples, members)}); it can show no agreement.",
                "pair",
                "A pair is the same object on different scanners.",
                members[0],
            )


def _splits(samples: Sequence[Sample], where: _Where) -> Iterator[DataError]:
    groups = _grouped([s.split for s in samples])
    parts = [name for name in ("train", "test") if groups.get(name)]
    if not parts:
        return
    if len(parts) == 1 or groups.get(""):
        missing = "test" if parts[0] == "train" else "train"
        yield where.error(
            f"split '{parts[0]}' is used without '{missing}'."
            if len(parts) == 1
            else f"splits train and test are used, but not for all images ({where.of(samples, groups[''])} have none).",
            "split",
            "Give every image a split, or none for cross-validation.",
            None if len(parts) == 1 else groups[""][0],
        )
    shared = {samples[i].patient for i in groups.get("train", ())} & {
        samples[i].patient for i in groups.get("test", ())
    }
    for patient in sorted(shared)[:1]:
        members = [i for i, s in enumerate(samples) if s.patient == patient]
        yield where.error(
            f"patient '{patient}' is in train and in test ({where.of(samples, members)}; {len(shared)} such patients).",
            "split",
            "Put all images of a patient on one side.",
            members[0],
        )
