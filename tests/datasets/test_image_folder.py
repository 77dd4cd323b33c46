"""Somebody's own images, from a manifest."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from harmbench.components import DatasetContext
from harmbench.data import ImageSet
from harmbench.errors import DataError, UsageError
from harmbench.image_checks import check_images
from harmbench.problems import DataErrors
from harmbench.specs import load_target
from harmbench_builtin.datasets.image_folder import ImageFolder
from harmbench_builtin.datasets.specs import DATASETS

HEADER = "image,mask,manufacturer,patient,label,pair,split"
ROWS = [
    "i/0.png,m/0.png,GE,p0,HCM,k0,",
    "i/1.png,m/1.png,Philips,p0,HCM,k0,paired",
    "i/2.png,m/2.png,GE,p2,HHD,,",
    "i/3.png,m/3.png,Philips,p3,HHD,,",
    "i/4.png,m/4.png,Philips,p4,HCM,,",
    "i/5.png,m/5.png,Siemens,p5,HCM,,",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "i").mkdir()
    (tmp_path / "m").mkdir()
    for k in range(len(ROWS)):
        pixels = np.full((8, 6), 10 * k, dtype=np.uint8)
        mask = np.zeros((8, 6), dtype=np.uint8)
        mask[2:6, 1:4] = 255
        Pillow.fromarray(pixels).save(tmp_path / f"i/{k}.png")
        Pillow.fromarray(mask).save(tmp_path / f"m/{k}.png")
    write(tmp_path, ROWS)
    return tmp_path


def write(folder: Path, rows: list[str]) -> None:
    (folder / "manifest.csv").write_text("\n".join([HEADER, *rows]) + "\n")


def load(data: Path | str | None, **params: object) -> ImageSet:
    context = DatasetContext(data=None if data is None else str(data))
    return ImageFolder(**params).load(context)  # type: ignore[arg-type]


def test_the_manifest_or_its_folder_may_be_given(folder: Path) -> None:
    assert load(folder) == load(folder / "manifest.csv")


def test_samples_come_in_the_order_of_the_manifest_and_are_read_from_its_folder(folder: Path) -> None:
    images = load(folder)
    assert [s.id for s in images.samples] == [f"i/{k}" for k in range(6)]
    assert [float(image.pixels[0, 0]) for image in images] == [0, 10, 20, 30, 40, 50]
    assert all(image.mask.sum() == 12 for image in images)
    assert check_images(images) == []
    assert images.name == "image-folder"


def test_the_second_class_is_positive_and_that_is_noted(folder: Path) -> None:
    images = load(folder)
    assert images.classes == ("HCM", "HHD")
    assert any("positive class: 'HHD'" in note for note in images.notes)
    named = load(folder, positive="HCM")
    assert named.classes == ("HHD", "HCM")
    assert not any("positive class" in note for note in named.notes)


def test_an_unknown_positive_class_gets_a_suggestion(folder: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'HCM'"):
        load(folder, positive="HCMM")


def test_manufacturers_can_be_left_out_and_that_is_noted_with_counts(folder: Path) -> None:
    images = load(folder, exclude=" Siemens ")
    assert {s.manufacturer for s in images.samples} == {"GE", "Philips"}
    assert "manufacturer 'Siemens' left out (1 images)" in images.notes
    assert images.rows == (2, 3, 4, 5, 6)
    assert load(folder, exclude="Philips").rows == (2, 4, 7)


def test_leaving_out_a_manufacturer_dissolves_its_pairs(folder: Path) -> None:
    images = load(folder, exclude="GE")
    # p0's Philips image only served the pair, so it goes with its other half.
    assert [s.id for s in images.samples] == ["i/3", "i/4", "i/5"]
    assert all(s.pair == "" for s in images.samples)
    assert any("1 pairs had their other image left out" in note for note in images.notes)
    kept = load(folder, exclude="Philips")
    assert [(s.id, s.pair) for s in kept.samples] == [("i/0", ""), ("i/2", ""), ("i/5", "")]


def test_an_unknown_manufacturer_to_leave_out_gets_a_suggestion(folder: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'Siemens'"):
        load(folder, exclude="GE,Simens")


def test_generated_images_are_marked(folder: Path) -> None:
    assert load(folder).synthetic is False
    (folder / "SYNTHETIC.txt").touch()
    assert load(folder).synthetic is True


def test_missing_files_are_found_before_the_run_with_row_column_and_count(folder: Path) -> None:
    (folder / "m/2.png").unlink()
    (folder / "i/4.png").unlink()
    with pytest.raises(DataError, match=r"'m/2.png': the mask file does not exist(.|\n)*And 1 more: ") as caught:
        load(folder)
    assert (caught.value.file, caught.value.row, caught.value.column) == ("manifest.csv", 4, "mask")


def test_files_outside_the_folder_need_leave(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    write(inner, [row.replace("i/", "../i/").replace("m/", "../m/") for row in ROWS])
    with pytest.raises(DataError, match="outside the data folder") as caught:
        load(inner)
    assert "allow_outside=true" in caught.value.remedy
    assert len(load(inner, allow_outside=True)) == 6


def test_no_data_shows_an_example(tmp_path: Path) -> None:
    for data in (None, "", str(tmp_path / "gone.csv"), str(tmp_path)):
        with pytest.raises(DataError) as caught:
            load(data)
        assert "image,mask,manufacturer,patient,label\nimages/p001.png" in str(caught.value)


def test_a_folder_without_manifest_names_the_csv_files_it_has(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").touch()
    with pytest.raises(DataError, match=r"no manifest\.csv \(but cases\.csv\)"):
        load(tmp_path)


def test_three_classes_are_counted(folder: Path) -> None:
    write(folder, [*ROWS[:5], ROWS[5].replace("HCM", "healthy")])
    with pytest.raises(DataError, match=r"3 classes: HCM \(3\), HHD \(2\), healthy \(1\)"):
        load(folder)


def test_the_error_of_a_run_is_the_first_with_the_command_that_names_all(folder: Path) -> None:
    write(folder, [ROWS[0], ROWS[1].replace("HCM", ""), ROWS[2].replace("paired", "").replace(",GE,", ",,"), *ROWS[3:]])
    with pytest.raises(DataErrors) as caught:
        load(folder / "manifest.csv")
    assert str(caught.value) == (
        "manifest.csv, row 3, column 'label': the cell is empty. Fill it in, or delete the row.\n"
        f"And 1 more: harmbench data validate --data {folder}/manifest.csv"
    )


def test_one_problem_alone_reads_as_itself(folder: Path) -> None:
    write(folder, [ROWS[0], ROWS[1].replace("HCM", ""), *ROWS[2:]])
    with pytest.raises(DataError, match=r"or delete the row\.$"):
        load(folder)


def test_an_excluded_manufacturer_may_be_in_a_row_that_cannot_be_used(folder: Path) -> None:
    write(folder, [*ROWS[:5], ROWS[5].replace("HCM", "")])
    with pytest.raises(DataErrors) as caught:
        load(folder, exclude="Siemens")
    assert [p.row for p in caught.value.problems] == [7]


def test_a_wrong_switch_is_refused() -> None:
    with pytest.raises(UsageError, match="allow_outside"):
        ImageFolder(allow_outside="yes")  # type: ignore[arg-type]


def test_every_problem_of_the_images_is_reported(folder: Path) -> None:
    Pillow.fromarray(np.zeros((8, 6), dtype=np.uint8)).save(folder / "m/1.png")
    (folder / "i/3.png").write_bytes(b"no image")
    found = check_images(load(folder))
    assert [p.file for p in found] == ["m/1.png", "i/3.png"]


def test_the_image_set_survives_pickling(folder: Path) -> None:
    images = load(folder)
    assert pickle.loads(pickle.dumps(images)) == images


def test_the_spec_names_this_class_and_its_defaults() -> None:
    (spec,) = (s for s in DATASETS if s.name == "image-folder")
    made = load_target(spec.target)(**spec.params)
    assert isinstance(made, ImageFolder)
    assert vars(made) == vars(ImageFolder())
