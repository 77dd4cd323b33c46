"""Samples that contradict each other: ids, image files, patients, pairs, and the parts of a hold-out."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from harmbench.data import Sample
from harmbench.errors import DataError

_SHOWN = 5


class Where:
    """Where samples come from, to put into messages.

    Parameters
    ----------
    file : str, optional
    rows : sequence of int, optional
        One per sample. Without rows, samples are named by their ids.
    """

    def __init__(self, file: str | None = None, rows: Sequence[int] | None = None) -> None:
        self.file, self.rows = file or None, rows or None

    def error(self, problem: str, column: str, remedy: str, index: int | None = None) -> DataError:
        """An error about the sample at this position, or about the whole column."""
        row = None if index is None or self.rows is None else self.rows[index]
        return DataError(problem, file=self.file, row=row, column=column, remedy=remedy)

    def of(self, samples: Sequence[Sample], indices: Sequence[int]) -> str:
        """ "rows 2, 7" where rows are known, else "samples 'a', 'b'"."""
        shown = [str(self.rows[i]) if self.rows is not None else f"'{samples[i].id}'" for i in indices[:_SHOWN]]
        more = ", ..." if len(indices) > _SHOWN else ""
        plural = "s" if len(indices) > 1 else ""
        return f"{'row' if self.rows is not None else 'sample'}{plural} {', '.join(shown)}{more}"


def contradictions(samples: Sequence[Sample], where: Where, partial: bool = False) -> Iterator[DataError]:
    """Duplicate ids or images, a patient under two labels, bad pairs, broken hold-outs, names that tables cannot show.

    Parameters
    ----------
    samples : sequence of Sample
    where : Where
    partial : bool, default False
        Samples are missing: leave out what more samples could mend.
    """
    yield from _names(samples, where)
    yield from _twice(samples, where)
    yield from _patients(samples, where)
    yield from _pairs(samples, where, partial)
    yield from _hold_out(samples, where, partial)


def _grouped(keys: Sequence[str]) -> Mapping[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    return groups


def _names(samples: Sequence[Sample], where: Where) -> Iterator[DataError]:
    """Manufacturers and labels become names in results: `A|B` is a pair there, and a line is a line."""
    for column in ("manufacturer", "label"):
        for name, members in _grouped([getattr(s, column) for s in samples]).items():
            bad = [c for c in name if c == "|" or not c.isprintable()]
            if bad:
                yield where.error(
                    f"the {column} {name!r} holds {bad[0]!r} ({where.of(samples, members)}).",
                    column,
                    "Write it without '|', line breaks, tabs and invisible characters.",
                    members[0],
                )


def _twice(samples: Sequence[Sample], where: Where) -> Iterator[DataError]:
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


def _patients(samples: Sequence[Sample], where: Where) -> Iterator[DataError]:
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


def _pairs(samples: Sequence[Sample], where: Where, partial: bool) -> Iterator[DataError]:
    for key, members in _grouped([s.pair for s in samples]).items():
        if not key:
            alone = [i for i in members if samples[i].split == "paired"]
            if alone and not partial:
                yield where.error(
                    f"split is 'paired' but no pair is named ({where.of(samples, alone)}).",
                    "pair",
                    "Give the images of one object the same pair key.",
                    alone[0],
                )
            continue
        patients = sorted({samples[i].patient for i in members})
        if len(members) == 1:
            if partial:
                continue
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
        elif len({samples[i].manufacturer for i in members}) == 1 and not partial:
            yield where.error(
                f"pair '{key}' is of one manufacturer only ({where.of(samples, members)}); it can show no agreement.",
                "pair",
                "A pair is the same object on different scanners.",
                members[0],
            )


def _hold_out(samples: Sequence[Sample], where: Where, partial: bool) -> Iterator[DataError]:
    groups = _grouped([s.split for s in samples])
    parts = [name for name in ("train", "test") if groups.get(name)]
    if not parts:
        return
    if len(parts) == 1 and not partial:
        missing = "test" if parts[0] == "train" else "train"
        yield where.error(
            f"split '{parts[0]}' is used without '{missing}'.",
            "split",
            "Give every image a split, or none for cross-validation.",
        )
    elif groups.get("") and not partial:
        yield where.error(
            f"splits train and test are used, but not for all images ({where.of(samples, groups[''])} have none).",
            "split",
            "Give every image a split, or none for cross-validation.",
            groups[""][0],
        )
    # Every such patient is a problem of its own, with the rows to correct.
    for patient, members in _grouped([s.patient for s in samples]).items():
        if {"train", "test"} <= {samples[i].split for i in members}:
            yield where.error(
                f"patient '{patient}' is in train and in test ({where.of(samples, members)}).",
                "split",
                "Put all images of a patient on one side.",
                members[0],
            )
