"""BUS-BRA: a small folder of the published layout, and the real one where it is there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from harmbench.components import DatasetContext
from harmbench.data import ImageSet
from harmbench.design import check_design
from harmbench.errors import DataError, UsageError
from harmbench.image_checks import check_images
from harmbench.problems import DataErrors
from harmbench.specs import load_target
from harmbench_builtin.datasets.bus_bra import BusBra, device_name
from harmbench_builtin.datasets.specs import DATASETS

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "bus-bra"
HEADER = "ID,Case,Histology,Pathology,BIRADS,Device,Width,Height,Side,BBOX"
ROWS = [
    'bus_0001-l,1,fibroadenoma,benign,3,GE Logiq 7 @10-14MHz,9,7,left,"[2,2,4,3]"',
    'bus_0001-r,1,fibroadenoma,benign,3,GE Logiq 7 @10-14MHz,9,7,right,"[2,2,4,3]"',
    'bus_0002-l,2,carcinoma,malignant,5,GE Logiq 5 @10-12MHz,9,7,left,"[2,2,4,3]"',
    'bus_0003-s,3,cyst,benign,2,Toshiba Aplio 300 @12-14 MHz,9,7,single,"[2,2,4,3]"',
    'bus_0004-r,4,carcinoma,malignant,4,U-Systems @10-14MHz,9,7,right,"[2,2,4,3]"',
]


def load(folder: Path, **params: str) -> ImageSet:
    return BusBra(**params).load(DatasetContext(data=str(folder)))


def write(folder: Path, rows: list[str]) -> None:
    (folder / "bus_data.csv").write_text("\n".join([HEADER, *rows]) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Images").mkdir()
    (tmp_path / "Masks").mkdir()
    for k, row in enumerate(ROWS):
        name = row.split(",")[0]
        mask = np.zeros((7, 9), dtype=bool)
        mask[2:5, 2:6] = True
        Pillow.fromarray(np.full((7, 9), k, dtype=np.uint8)).save(tmp_path / "Images" / f"{name}.png")
        Pillow.fromarray(mask).save(tmp_path / "Masks" / f"{name.replace('bus_', 'mask_')}.png")
    write(tmp_path, ROWS)
    return tmp_path


def test_the_table_becomes_samples(folder: Path) -> None:
    images = load(folder)
    first = images.samples[0]
    assert (first.id, first.image, first.mask) == ("bus_0001-l", "Images/bus_0001-l.png", "Masks/mask_0001-l.png")
    assert (first.manufacturer, first.patient, first.label) == ("GE Logiq 7", "1", "benign")
    assert first.covariates == {"birads": 3.0, "side": "left"}  # Histology would tell the label
    assert first.spacing is None
    assert images.classes == ("benign", "malignant")
    assert (images.file, images.rows) == ("bus_data.csv", (2, 3, 4, 5, 6))
    assert check_images(images) == []


def test_the_batch_is_the_device_or_its_maker(folder: Path) -> None:
    assert [s.manufacturer for s in load(folder).samples] == [
        "GE Logiq 7", "GE Logiq 7", "GE Logiq 5", "Toshiba Aplio 300", "U-Systems",
    ]  # fmt: skip
    assert [s.manufacturer for s in load(folder, batch="maker").samples] == ["GE", "GE", "GE", "Toshiba", "U-Systems"]


@pytest.mark.parametrize(
    ("text", "name"),
    [("GE Logiq 7 @10-14MHz", "GE Logiq 7"), ("U-Systems @10-14MHz", "U-Systems"), (" GE  Logiq 5", "GE Logiq 5")],
)
def test_a_device_is_what_stands_before_the_probe(text: str, name: str) -> None:
    assert device_name(text) == name


def test_a_maker_that_is_not_known_is_never_guessed(folder: Path) -> None:
    write(folder, [*ROWS[:4], ROWS[4].replace("U-Systems", "GEneric One")])
    assert load(folder).samples[4].manufacturer == "GEneric One"
    with pytest.raises(DataError, match="the maker of 'GEneric One' is not known") as caught:
        load(folder, batch="maker")
    assert (caught.value.file, caught.value.row, caught.value.column) == ("bus_data.csv", 6, "device")


def test_devices_can_be_left_out(folder: Path) -> None:
    images = load(folder, exclude="U-Systems, Toshiba Aplio 300")
    assert len(images) == 3
    assert "manufacturer 'U-Systems' left out (1 images)" in images.notes
    with pytest.raises(UsageError, match="Did you mean 'U-Systems'"):
        load(folder, exclude="USystems")


def test_an_image_of_another_size_than_the_table_says_is_noted(folder: Path) -> None:
    write(folder, [ROWS[0].replace(",9,7,", ",9,8,"), *ROWS[1:]])
    assert "bus_0001-l is 9 x 7 pixels (width x height); bus_data.csv says 9 x 8" in load(folder).notes


def test_what_is_missing_is_named(folder: Path) -> None:
    (folder / "Masks/mask_0002-l.png").unlink()
    with pytest.raises(DataError, match=r"bus_data.csv, row 4, column 'mask': 'Masks/mask_0002-l.png'"):
        load(folder)
    (folder / "bus_data.csv").unlink()
    with pytest.raises(DataError, match=r"lacks bus_data\.csv"):
        load(folder)
    with pytest.raises(DataError, match="does not exist"):
        load(folder / "gone")
    with pytest.raises(DataError, match="needs its folder"):
        BusBra().load(DatasetContext())


@pytest.mark.parametrize(
    ("old", "new", "column"), [("benign", "bening", "pathology"), (",3,", ",three,", "birads"), ("bus_", "", "id")]
)
def test_wrong_cells_are_named(folder: Path, old: str, new: str, column: str) -> None:
    write(folder, [ROWS[0], ROWS[1].replace(old, new, 1), *ROWS[2:]])
    with pytest.raises(DataError) as caught:
        load(folder)
    assert (caught.value.row, caught.value.column) == (3, column)


def test_a_broken_image_is_named(folder: Path) -> None:
    (folder / "Images/bus_0002-l.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"row 4, .*'Images/bus_0002-l\.png': the image cannot be decoded"):
        load(folder)


def test_all_that_is_wrong_is_collected_with_its_rows(folder: Path) -> None:
    write(folder, [ROWS[0], ROWS[1].replace("benign", "bening"), ROWS[2], "short,row", ROWS[3], ROWS[4]])
    (folder / "Masks/mask_0002-l.png").unlink()
    (folder / "Images/bus_0003-s.png").write_bytes(b"none")
    with pytest.raises(DataErrors, match=r"And 3 more: harmbench data validate bus-bra --data ") as caught:
        load(folder)
    assert [(p.row, p.column) for p in caught.value.problems] == [
        (3, "pathology"), (4, "mask"), (5, None), (6, "image"),
    ]  # fmt: skip
    assert caught.value.images is not None
    assert caught.value.images.rows == (2, 4, 6, 7)
    assert caught.value.images.file == "bus_data.csv"


def test_a_wrong_batch_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="Did you mean 'device'"):
        BusBra(batch="devise")


def test_the_spec_names_this_class_and_its_defaults() -> None:
    (spec,) = (s for s in DATASETS if s.name == "bus-bra")
    assert vars(load_target(spec.target)(**spec.params)) == vars(BusBra())


real = pytest.mark.skipif(
    not REAL.is_dir(), reason="the BUS-BRA share is not beside this checkout (shared/data/bus-bra)"
)


@real
def test_the_real_folder_has_the_counts_of_its_source_note() -> None:
    images = load(REAL)
    assert len(images) == 492
    assert len({s.patient for s in images.samples}) == 275
    assert Counter(s.manufacturer for s in images.samples) == {
        "GE Logiq 5": 204, "GE Logiq 7": 217, "Toshiba Aplio 300": 61, "U-Systems": 10,
    }  # fmt: skip
    assert Counter(s.manufacturer for s in load(REAL, batch="maker").samples) == {
        "GE": 421, "Toshiba": 61, "U-Systems": 10,
    }  # fmt: skip


@real
def test_the_real_folder_is_sound_and_every_image_can_be_read() -> None:
    images = load(REAL)
    assert check_design(images.samples, images.classes) == [
        "manufacturer 'U-Systems' has 6 patients: its figures carry little"
    ]
    assert check_images(images) == []
    assert [note for note in images.notes if "pixels" in note] == [
        "bus_0856-l is 387 x 353 pixels (width x height); bus_data.csv says 387 x 405"
    ]
