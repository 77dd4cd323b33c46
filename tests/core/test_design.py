"""Designs that cannot answer the benchmark's questions are refused, with rows and the table that shows it."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from harmbench.data import Image, ImageSet, Sample
from harmbench.design import (
    check_design,
    confounded,
    crosstab,
    design_problems,
    two_classes,
)
from harmbench.errors import DataError, UsageError
from harmbench.image_checks import check_images, too_small
from harmbench.problems import DataErrors

CLASSES = ("HCM", "HHD")


def sample(number: int, manufacturer: str = "GE", label: str = "HCM", **more: object) -> Sample:
    values = {
        "id": f"s{number}", "image": f"i/{number}.png", "mask": f"m/{number}.png", "manufacturer": manufacturer,
        "patient": f"p{number}", "label": label,
    }  # fmt: skip
    return Sample(**(values | more))  # type: ignore[arg-type]


def good() -> list[Sample]:
    """Two makers, both classes, two patients each: four patients of a maker, the fewest that are accepted."""
    return [
        sample(i, manufacturer, label)
        for i, (manufacturer, label) in enumerate((m, c) for m in ("GE", "Philips") for c in CLASSES for _ in range(2))
    ]


def notes(samples: Sequence[Sample], **more: bool) -> list[str]:
    """The notes, without those on manufacturers of few patients, which are on all of these small designs."""
    return [n for n in check_design(samples, CLASSES, **more) if "figures carry little" not in n]


def problems(samples: Sequence[Sample]) -> list[str]:
    rows = range(2, 2 + len(samples))
    return [str(p) for p in design_problems(samples, CLASSES, file="manifest.csv", rows=rows)]


def only(samples: Sequence[Sample]) -> str:
    (problem,) = problems(samples)
    return problem


def test_a_sound_design_has_no_problem_and_no_note() -> None:
    assert problems(good()) == []
    many = [
        replace(s, id=f"{s.id}-{k}", image=f"{s.image}-{k}", patient=f"{s.patient}-{k}")
        for k in range(5)
        for s in good()
    ]
    assert check_design(many, CLASSES) == []
    # 20 patients each; with one less it is noted.
    assert check_design(many[1:], CLASSES) == ["manufacturer 'GE' has 19 patients: its figures carry little"]


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


def siemens(patients: int, **more: object) -> list[Sample]:
    return [sample(20 + i, "Siemens", CLASSES[i % 2], **more) for i in range(patients)]


def test_a_manufacturer_with_one_patient() -> None:
    samples = [*good(), sample(20, "Siemens"), sample(21, "Siemens", patient="p20")]
    text = only(samples)
    assert text.startswith(
        "manifest.csv, row 10, column 'manufacturer': manufacturer 'Siemens' has one patient only ('p20')"
    )


def test_a_manufacturer_needs_four_patients_to_be_dealt_out_to_folds() -> None:
    assert "'Siemens' has 3 patients only ('p20', 'p21', 'p22'); fewer than 4" in only([*good(), *siemens(3)])
    assert problems([*good(), *siemens(4)]) == []


def test_the_remedy_is_a_command_where_the_data_set_has_one() -> None:
    samples = [*good(), *siemens(1)]
    (problem,) = design_problems(samples, CLASSES, dataset="image-folder")
    assert '(--set image-folder.exclude="Siemens")' in problem.remedy
    (problem,) = design_problems(samples, CLASSES)
    assert problem.remedy == "Add patients, or leave its images out."


def test_a_patient_under_two_labels_is_named_with_rows() -> None:
    samples = [*good(), sample(9)]
    samples[2] = replace(samples[2], patient="p0")  # HHD; p0 is HCM
    text = only(samples)
    assert text.startswith(
        "manifest.csv, row 4, column 'label': patient 'p0' has 2 labels: HCM in row 2; HHD in row 4."
    )


@pytest.mark.parametrize(("column", "name"), [("manufacturer", "GE|HCM"), ("manufacturer", "G\tE"), ("label", "HCM\n")])
def test_names_that_results_cannot_show_are_refused(column: str, name: str) -> None:
    samples = good()
    samples[3] = replace(samples[3], **{column: name})
    text = next(str(p) for p in design_problems(samples, CLASSES, file="manifest.csv", rows=range(2, 2 + len(samples))))
    assert text.startswith(f"manifest.csv, row 5, column '{column}': the {column} {name!r} holds")


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
    (note,) = notes(perfectly_confounded(), allow_confounded=True)
    assert note.startswith("CONFOUNDED")
    assert "Philips           0      4" in note


def test_three_manufacturers_of_one_class_each_are_confounded_too() -> None:
    extra = [sample(20, "Siemens"), sample(21, "Siemens")]
    assert confounded([*perfectly_confounded(), *extra])
    assert not confounded([*good(), *extra])


def test_a_manufacturer_of_one_class_is_noted_when_others_have_both() -> None:
    samples = [*good(), *(replace(s, label="HCM") for s in siemens(4))]
    assert notes(samples) == ["manufacturer 'Siemens' has only class 'HCM': it has no within-manufacturer AUC"]


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
    assert "patient 'p0' is in train and in test (rows 2, 3)" in only(samples)
    samples[3] = replace(samples[3], patient="p2")
    assert ["(rows 2, 3)" in p or "(rows 4, 5)" in p for p in problems(samples)] == [True, True]


def moved(to: str, *positions: int) -> list[Sample]:
    """The hold-out (each maker and class once on both sides) with some samples on another side."""
    return [replace(s, split=to) if i in positions else s for i, s in enumerate(held_out())]


def test_both_parts_of_a_hold_out_need_both_classes() -> None:
    assert "row 2, column 'split': the test part of the hold-out holds only class 'HCM' (2 images)" in only(
        moved("train", 2, 6)
    )
    assert "row 3, column 'split': the train part of the hold-out holds only class 'HCM' (2 images)" in only(
        moved("test", 3, 7)
    )


def test_the_test_part_of_a_hold_out_needs_two_manufacturers() -> None:
    assert "the test part of the hold-out holds only manufacturer 'GE' (2 images)" in only(moved("train", 4, 6))


def test_a_manufacturer_must_not_be_in_the_test_part_only() -> None:
    text = only(moved("test", 5, 7))
    assert "row 6, column 'split': manufacturer 'Philips' is in the test part of the hold-out only" in text
    assert "(rows 6, 7, 8, 9)" in text


def test_a_hold_out_is_not_dealt_out_so_two_patients_of_a_manufacturer_do() -> None:
    two = [replace(s, split=split) for s, split in zip(siemens(2), ("train", "test"), strict=True)]
    assert problems([*held_out(), *two]) == []
    assert "'Siemens' has one patient only" in only([*held_out(), *two[:1]])


def test_a_covariate_that_determines_the_label_is_noted() -> None:
    samples = [replace(s, covariates={"histology": s.label.lower(), "sex": "fm"[i % 2]}) for i, s in enumerate(good())]
    assert notes(samples) == [
        "covariate 'histology' determines the label: a method that keeps it has been told the label"
    ]


def with_numbers(values: Sequence[float]) -> list[Sample]:
    """The labels of the samples in turn: HCM, HCM, HHD, HHD, HCM, HCM, HHD, HHD."""
    return [replace(s, covariates={"x": value}) for s, value in zip(good(), values, strict=True)]


@pytest.mark.parametrize(
    "values",
    [
        (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0),  # a code
        (1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 2.0, 2.0),  # levels of one label each, in no order
        (7.1, 6.9, 3.2, 3.3, 7.5, 9.9, 6.8, 1.0),  # parted at 6.85
    ],
    ids=["code", "levels", "threshold"],
)
def test_numbers_that_determine_the_label_are_noted_too(values: tuple[float, ...]) -> None:
    assert notes(with_numbers(values)) == [
        "covariate 'x' determines the label: a method that keeps it has been told the label"
    ]


@pytest.mark.parametrize(
    "values",
    [
        (0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0),
        (61.0, 40.0, 52.0, 70.0, 33.0, 58.0, 47.0, 39.0),  # ages: all differ, no threshold
        (5.0,) * 8,
        (1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 2.0),  # parted but for one value on both sides
    ],
    ids=["code", "ages", "constant", "touching"],
)
def test_numbers_that_do_not_determine_the_label_are_not_noted(values: tuple[float, ...]) -> None:
    assert notes(with_numbers(values)) == []


def test_spacing_for_some_images_only_is_noted() -> None:
    samples = good()
    samples[0] = replace(samples[0], spacing=(1.0, 1.0))
    assert notes(samples) == ["pixel spacing is given for 1 of 8 images; shape features mix mm and pixels"]


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
        return Image(sample.id, np.zeros((4, 4), np.float32), np.ones((4, 4), bool))

    def digest(self, sample: Sample) -> str:
        return "same" if sample.id in self.same else sample.id


def test_every_unreadable_image_is_reported_not_only_the_first() -> None:
    seen: list[tuple[int, int]] = []
    images = ImageSet("test", tuple(good()), _Reader(("s1", "s6"), ("s2", "s5")), CLASSES)
    found = check_images(images, lambda stage, done, total: seen.append((done, total)))
    assert [p.file for p in found] == ["i/1.png", "i/5.png", "i/6.png"]
    assert "very pixels and mask of sample 's2'" in str(found[1])
    assert seen[-1] == (8, 8)


def box(height: int, width: int, *off: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((20, 20), bool)
    mask[3 : 3 + height, 4 : 4 + width] = True
    for at in off:
        mask[at] = False
    return mask


@pytest.mark.parametrize(
    ("mask", "problem"),
    [
        (box(1, 12), "1 x 12 pixels"),
        (box(12, 1), "12 x 1 pixels"),
        (box(3, 3), "9 pixels; at least 10"),
        (box(2, 5), ""),
        (box(4, 3, (4, 5), (5, 5)), ""),  # 12 pixels less a hole of 2
        (box(4, 3, (3, 4), (4, 5), (5, 5)), "9 pixels"),
    ],
)
def test_masks_that_carry_no_features_are_named(mask: np.ndarray, problem: str) -> None:
    assert problem in too_small(mask) if problem else too_small(mask) == ""


def test_small_masks_are_reported_with_the_file_of_the_mask() -> None:
    class Small(_Reader):
        def read(self, sample: Sample) -> Image:
            return replace(super().read(sample), mask=np.eye(4, dtype=bool))

    (found,) = check_images(ImageSet("test", tuple(good()[:1]), Small(()), CLASSES))
    assert str(found).startswith("m/0.png: the mask has 4 pixels; at least 10 are needed (sample 's0').")


def test_the_error_of_a_run_is_the_first_and_says_how_many_more_there_are() -> None:
    samples = [replace(s, label="HCM", manufacturer="GE") for s in good()]
    with pytest.raises(DataErrors, match=r"only one class(.|\n)*And 1 more: harmbench data validate") as caught:
        check_design(samples, CLASSES, file="manifest.csv", rows=range(2, 10))
    assert [p.column for p in caught.value.problems] == ["label", "manufacturer"]
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


def test_of_a_partial_set_only_what_more_samples_could_not_mend_is_a_problem() -> None:
    samples = [sample(0, pair="k"), sample(1, split="test"), sample(2), sample(3, label="HHD", patient="p2")]
    (problem,) = design_problems(samples, ("", ""), rows=(2, 3, 5, 8), partial=True)
    assert "patient 'p2' has 2 labels: HCM in row 5; HHD in row 8" in str(problem)


def test_a_subset_keeps_the_rows_of_its_samples() -> None:
    images = ImageSet("test", tuple(good()), _Reader(()), CLASSES, file="manifest.csv", rows=tuple(range(2, 10)))
    part = images.subset([5, 0])
    assert ([s.id for s in part.samples], part.rows, part.file) == (["s5", "s0"], (7, 2), "manifest.csv")
    assert replace(images, rows=()).subset([5, 0]).rows == ()
    with pytest.raises(ValueError, match="8 samples have 1 rows"):
        replace(images, rows=(2,))
