"""Who is held out when. Patients never part; folds are stratified by manufacturer x label."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harmbench.data import Integers, Sample
from harmbench.errors import DataError
from harmbench.results import Protocol_
from harmbench.seeding import rng


@dataclass(frozen=True)
class Fold:
    """Positions of the rows to fit on and of those held out.

    Parameters
    ----------
    name : str
        "cv-0", ..., "holdout", or "lomo-<manufacturer>".
    protocol : {"cross-validation", "leave-one-manufacturer-out"}
    train, test : int arrays
        Positions among the scored samples.
    held_out : str
        The manufacturer that is left out; "" in cross-validation.
    """

    name: str
    protocol: Protocol_
    train: Integers
    test: Integers
    held_out: str = ""


def patient_folds(samples: Sequence[Sample], folds: int, seed: int, repeat: int = 0) -> Integers:
    """The fold number of every sample.

    Patients are grouped by stratum (the manufacturers that imaged them x their label), shuffled inside it, and dealt
    to the folds in turn; the next stratum goes on where the last one stopped, so folds differ by at most one patient
    in every stratum and in all.

    Returns
    -------
    int array (n,)

    Raises
    ------
    DataError
        If there are fewer patients of a label than folds.
    """
    stratum: dict[str, tuple[str, ...]] = {}
    manufacturers: dict[str, set[str]] = defaultdict(set)
    label: dict[str, str] = {}
    for sample in samples:
        manufacturers[sample.patient].add(sample.manufacturer)
        label[sample.patient] = sample.label
    for patient, seen in manufacturers.items():
        stratum[patient] = (label[patient], *sorted(seen))
    members: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for patient in sorted(stratum):  # sorted: the split must not depend on the order of the rows
        members[stratum[patient]].append(patient)
    for name in set(label.values()):
        count = sum(1 for patient in label if label[patient] == name)
        if count < folds:
            raise DataError(
                f"label '{name}' has {count} patients, too few for {folds} folds.",
                remedy=f"Use --set splits.folds={max(2, count)} or add patients.",
            )
    fold: dict[str, int] = {}
    start = 0
    for key in sorted(members):
        order = rng(seed, split="cross-validation", repeat=repeat, stratum="|".join(key)).permutation(len(members[key]))
        for position, index in enumerate(order):
            fold[members[key][index]] = (start + position) % folds
        start += len(order)
    return np.array([fold[sample.patient] for sample in samples])


def make_folds(
    samples: Sequence[Sample], *, folds: int, repeat: int, seed: int, leave_one_manufacturer_out: bool
) -> list[Fold]:
    """All folds of one repeat.

    With samples marked `split="test"` there is a single hold-out instead of cross-validation: the others are fitted
    on. Samples marked `split="paired"` must not be handed in.

    Raises
    ------
    DataError
        If a training part would lack a class.
    """
    test = np.array([sample.split == "test" for sample in samples])
    result: list[Fold] = []
    if test.any():
        train_patients = {s.patient for s in samples if s.split != "test"}
        for sample in samples:
            if sample.split == "test" and sample.patient in train_patients:
                raise DataError(
                    f"patient '{sample.patient}' is in both the train and the test split.",
                    column="split",
                    remedy="Put all images of a patient on one side.",
                )
        result.append(Fold("holdout", "cross-validation", np.flatnonzero(~test), np.flatnonzero(test)))
    else:
        number = patient_folds(samples, folds, seed, repeat)
        result += [
            Fold(f"cv-{k}", "cross-validation", np.flatnonzero(number != k), np.flatnonzero(number == k))
            for k in range(folds)
        ]
    for fold in result:
        _require_two_classes(samples, fold)
    if leave_one_manufacturer_out:
        for manufacturer in sorted({sample.manufacturer for sample in samples}):
            held = np.array([sample.manufacturer == manufacturer for sample in samples])
            # A patient imaged on several scanners must not sit on both sides.
            patients = {sample.patient for sample, out in zip(samples, held, strict=True) if out}
            kept = np.array([sample.patient not in patients for sample in samples])
            fitted, scored = ~held & kept, held
            if test.any():  # a given hold-out holds here too: test rows are never fitted on, train rows never scored
                fitted, scored = fitted & ~test, scored & test
            fold = Fold(
                f"lomo-{manufacturer}",
                "leave-one-manufacturer-out",
                np.flatnonzero(fitted),
                np.flatnonzero(scored),
                manufacturer,
            )
            if len({samples[int(i)].label for i in fold.train}) == 2 and len(fold.test):
                result.append(fold)
    return result


def _require_two_classes(samples: Sequence[Sample], fold: Fold) -> None:
    labels = {samples[int(i)].label for i in fold.train}
    if len(labels) < 2:
        raise DataError(
            f"the training part of fold '{fold.name}' holds only label {', '.join(labels) or '(nothing)'}.",
            remedy="Use fewer folds (--set splits.folds=...) or another split.",
        )


def held_out_digest(columns: Mapping[str, Any]) -> str:
    """A hash of who is held out when; figures of different digests are not comparable.

    Samples count by their place in the sorted ids, so that ids may be replaced by others of the same order.

    Parameters
    ----------
    columns : mapping of column to sequence
        `repeat`, `fold` and `sample`, one row per held-out sample.
    """
    place = {name: i for i, name in enumerate(sorted({str(s) for s in columns["sample"]}))}
    content: dict[tuple[int, str], list[int]] = defaultdict(list)
    for repeat, fold, sample in zip(columns["repeat"], columns["fold"], columns["sample"], strict=True):
        content[int(repeat), str(fold)].append(place[str(sample)])
    text = json.dumps([[*fold, sorted(content[fold])] for fold in sorted(content)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
