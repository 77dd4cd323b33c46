"""Designs that cannot answer the benchmark's questions are refused, with rows and the table that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from harmbench.data import Image, ImageSet, Sample
from harmbench.design import (
    check_design,
    check_images,
    confounded,
    crosstab,
    design_problems,
    two_classes,
)
from harmbench.errors import DataError, UsageError

CLASSES = ("HCM", "HHD")


def sample(number: int, manufacturer: str = "GE", label: str = "HCM", **more: object) -> Sample:
    values = {
        "id": f"s{number}", "image": f"i/{number}.png", "mask": f"m/{number}.png", "manufacturer": manufacturer,
        "patient": f"p{number}", "label": label,
    }  # fmt: skip
    return Sample(**(values | more))  # type: ignore[arg-type]


def good() -> list[Sample]:
    """Two makers, both classes, two patients each."""
    return [
        sample(i, manufacturer, label)
        for i, (manufacturer, label) in enumerate((m, c) for m in ("GE", "Philips") for c in CLASSES for _ in range(2))
    ]


def problems(samples: Sequence[Sample]) -> list[str]:
    rows = range(2, 2 + len(samples))
    return [str(p) for p in design_problems(samples, CLASSES, file="manifest.csv", rows=rows)]


def only(samples: Sequence[Sample]) -> str:
    (problem,) = problems(samples)
    return problem


def test_a_sound_design_has_no_problem_and_no_note() -> None:
    assert problems(good()) == []
    assert check_design(good(), CLASSES) == []


def test_one_manufacturer() -> None:
    samples = [replace(s, manufacturer="GE") for s in good()]
    assert "only one manufacturer: GE (8 images)" in only(samples)


def test_one_class() -> None:
    samples = [replace(s, label="HCM") for s in good()]
    assert "only one class: HCM (8 images)" in only(samples)


def test_more_than_two_classes_are_counted() -> None:
    samples = good()
    samples[0] = replace(samples[0], label="healthy")
    assert "HCM (3), HHD (4), healthy (1)" in only(samples)


def test_a_manufacturer_with_one_patient() -> None:
    samples = [*good(), sample(9, "Siemens"), sample(10, "Siemens", patient="p9")]
    text = only(samples)
    assert "'Siemens' has one patient only ('p9')" in text
    assert "exclude='Siemens'" in text


def test_a_patient_under_two_labels_is_named_with_rows() -> None:
    samples = good()
    samples[2] = replace(samples[2], patient="p0")  # HHD; p0 is HCM
    text = only(samples)
    assert text.startswith(
        "manifest.csv, row 4, column 'label': patient 'p0' has 2 labels: HCM in row 2; HHD in row 4."
    )


def test_duplicate_ids_and_images() -> None:
    samples = good()
    samples[3] = replace(samples[3], id="s0")
    assert "manifest.csv, row 5, column 'id': the id 's0' is used 2 times (rows 2, 5)." in only(samples)
    samples = good()
    samples[3] = replace(samples[3], image="i/../i/0.png")
    assert "column 'image': the image 'i/0.png' is listed 2 times (rows 2, 5)." in only(samples)


def test_without_rows_samples_are_named() -> None:
    samples = good()
    samples[3] = replace(samples[3], image="i/0.png")
    with pytest.raises(DataError, match=r"listed 2 times \(samples 's0', 's3'\)"):
        check_design(samples, CLASSES)


def perfectly_confounded() -> list[Sample]:
    return [replace(s, label="HCM" if s.manufacturer == "GE" else "HHD") for s in good()]


def test_perfect_confounding_is_refused_with_the_crosstab() -> None:
    text = only(perfectly_confounded())
    assert "manufacturer    HCM    HHD\nGE                4      0\nPhilips           0      4" in text


def test_perfect_confounding_becomes_a_note_when_insisted_on() -> None:
    notes = check_design(perfectly_confounded(), CLASSES, allow_confounded=True)
    assert len(notes) == 1
    assert notes[0].startswith("CONFOUNDED")
    assert "Philips           0      4" in notes[0]


def test_three_manufacturers_of_one_class_each_are_confounded_too() -> None:
    extra = [sample(20, "Siemens"), sample(21, "Siemens")]
    assert confounded([*perfectly_confounded(), *extra])
    assert not confounded([*good(), *extra])


def test_a_manufacturer_of_one_class_is_noted_when_others_have_both() -> None:
    notes = check_design([*good(), sample(20, "Siemens"), sample(21, "Siemens")], CLASSES)
    assert notes == ["manufacturer 'Siemens' has only class 'HCM': it has no within-manufacturer AUC"]


def test_the_crosstab_counts_images() -> None:
    assert crosstab(good()).splitlines() == [
        "manufacturer    HCM    HHD",
        "GE                2      2",
        "Philips           2      2",
    ]


def paired(patients: tuple[str, str] = ("p0", "p0"), makers: tuple[str, str] = ("GE", "Philips")) -> list[Sample]:
    samples = good()
    samples[0] = replace(samples[0], pair="k", patient=patients[0])
    return [*samples, sample(9, makers[1], patient=patients[1], pair="k", split="paired")]


def test_a_pair_of_one_patient_on_two_scanners_is_fine() -> None:
    assert problems(paired()) == []


def test_a_pair_of_one_image_is_refused() -> None:
    samples = paired()[:-1]
    assert "pair 'k' has one image only (row 2)" in only(samples)


def test_a_pair_across_patients_is_refused() -> None:
    assert "pair 'k' joins 2 patients (p0, p9; rows 2, 10)" in only(paired(("p0", "p9")))


def test_a_pair_on_one_manufacturer_is_refused() -> None:
    assert "pair 'k' is of one manufacturer only" in only(paired(makers=("GE", "GE")))


def test_a_paired_image_without_a_key_is_refused() -> None:
    assert "split is 'paired' but no pair is named (row 10)" in only([*good(), sample(9, split="paired")])


def test_paired_images_do_not_make_up_for_a_missing_manufacturer() -> None:
    samples = [replace(s, manufacturer="GE", pair="k" if s.id == "s0" else "") for s in good()]
    samples.append(sample(9, "Philips", patient="p0", pair="k", split="paired"))
    assert "only one manufacturer: GE" in only(samples)


def held_out() -> list[Sample]:
    return [replace(s, split="train" if i % 2 else "test") for i, s in enumerate(good())]


def test_a_hold_out_is_fine() -> None:
    assert problems(held_out()) == []


def test_a_hold_out_must_be_complete() -> None:
    assert "'train' is used without 'test'" in only([replace(s, split="train") for s in good()])
    samples = held_out()
    samples[4] = replace(samples[4], split="")
    assert "not for all images (row 6 have none)" in only(samples)


def test_a_patient_on_both_sides_of_a_hold_out_is_refused() -> None:
    samples = held_out()
    samples[1] = replace(samples[1], patient="p0")
    assert "patient 'p0' is in train and in test (rows 2, 3; 1 such patients)" in only(samples)


def test_a_covariate_that_determines_the_label_is_noted() -> None:
    samples = [replace(s, covariates={"histology": s.label.lower(), "sex": "fm"[i % 2]}) for i, s in enumerate(good())]
    assert check_design(samples, CLASSES) == [
        "covariate 'histology' determines the label: a method that keeps it has been told the label"
    ]


def test_spacing_for_some_images_only_is_noted() -> None:
    samples = good()
    samples[0] = replace(samples[0], spacing=(1.0, 1.0))
    assert check_design(samples, CLASSES) == [
        "pixel spacing is given for 1 of 8 images; shape features mix mm and pixels"
    ]


def test_all_problems_come_together() -> None:
    samples = [replace(s, manufacturer="GE", label="HCM", id="same") for s in good()]
    assert len(problems(samples)) == 3


def test_the_positive_class_is_the_second_unless_named() -> None:
    assert two_classes(["b", "a", "b"]) == ("a", "b")
    assert two_classes(["b", "a", "b"], "a") == ("b", "a")
    with pytest.raises(UsageError, match="Did you mean 'HCM'"):
        two_classes(["HCM", "HHD"], "HCN")
    with pytest.raises(DataError, match=r"3 classes: a \(2\), b \(1\), c \(1\)"):
        two_classes(["a", "b", "c", "a"])
    with pytest.raises(DataError, match=r"only one class: a \(2\)"):
        two_classes(["a", "a"])


@dataclass(frozen=True)
class _Reader:
    bad: tuple[str, ...]
    same: tuple[str, ...] = ()

    def read(self, sample: Sample) -> Image:
        if sample.id in self.bad:
            raise DataError("broken", file=sample.image)
        return Image(sample.id, np.zeros((2, 2), np.float32), np.ones((2, 2), bool))

    def digest(self, sample: Sample) -> str:
        return "same" if sample.id in self.same else sample.id


def test_every_unreadable_image_is_reported_not_only_the_first() -> None:
    seen: list[tuple[int, int]] = []
    images = ImageSet("test", tuple(good()), _Reader(("s1", "s6"), ("s2", "s5")), CLASSES)
    found = check_images(images, lambda stage, done, total: seen.append((done, total)))
    assert [p.file for p in found] == ["i/1.png", "i/5.png", "i/6.png"]
    assert "very pixels and mask of sample 's2'" in str(found[1])
    assert seen[-1] == (8, 8)
