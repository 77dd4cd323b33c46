"""`harmbench data validate` names everything that is wrong, not only what is met first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from harmbench.cli import run_command

HEADER = "image,mask,manufacturer,patient,label,split,covariate_age"


def rows(count: int = 16) -> list[str]:
    """Both classes and makers alike, one patient per image."""
    return [
        f"i/{k}.png,m/{k}.png,{('GE', 'Philips')[k % 2]},p{k},{('HCM', 'HHD')[k // 2 % 2]},,{30 + 7 * k % 31}"
        for k in range(count)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "i").mkdir()
    (tmp_path / "m").mkdir()
    for k in range(16):
        mask = np.zeros((8, 6), dtype=np.uint8)
        mask[2:6, 1:4] = 255
        Pillow.fromarray(np.full((8, 6), 10 * k, dtype=np.uint8)).save(tmp_path / f"i/{k}.png")
        Pillow.fromarray(mask).save(tmp_path / f"m/{k}.png")
    return tmp_path


def validate(folder: Path, lines: list[str], capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict]:
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join([HEADER, *lines]) + "\n")
    code = run_command(["data", "validate", "--data", str(manifest), "--json", *more])
    return code, json.loads(capsys.readouterr().out)


def places(document: dict) -> list[tuple[str, int | None, str | None]]:
    return [(p["file"], p["row"], p["column"]) for p in document["problems"]]


def test_a_sound_folder_is_fit_to_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = validate(folder, rows(), capsys)
    assert (code, document["ok"], document["images"], document["problems"]) == (0, True, 16, [])


def test_cells_files_design_and_pixels_are_named_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = rows()
    lines[1] = lines[1].replace("p1,", ",")  # row 3: no patient
    lines[4] = lines[4].replace(",,", ",tset,")  # row 6: no such split
    lines[6] = lines[6].replace("p6,", "p0,")  # row 8: p0 is HCM in row 2, HHD here
    (folder / "m/8.png").unlink()  # row 10
    (folder / "i/9.png").unlink()  # row 11
    Pillow.fromarray(np.zeros((8, 6), dtype=np.uint8)).save(folder / "m/10.png")
    line = np.zeros((8, 6), dtype=np.uint8)
    line[3, 1:5] = 255
    Pillow.fromarray(line).save(folder / "m/4.png")  # the image of the row with the wrong split is looked at too
    code, document = validate(folder, lines, capsys)
    assert code == 3
    assert places(document) == [
        ("manifest.csv", 3, "patient"),
        ("manifest.csv", 6, "split"),
        ("manifest.csv", 10, "mask"),
        ("manifest.csv", 11, "image"),
        ("manifest.csv", 8, "label"),
        ("m/4.png", None, None),
        ("m/10.png", None, None),
    ]
    assert "1 x 4 pixels" in document["problems"][5]["message"]
    assert document["notes"] == ["classes, manufacturers and hold-out are checked once the manifest is right"]


def test_missing_files_do_not_hide_the_design(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "m/8.png").unlink()
    lines = [*rows()[:14], "i/14.png,m/14.png,Siemens,p14,HCM,,40", "i/15.png,m/15.png,Siemens,p15,HHD,,41"]
    code, document = validate(folder, lines, capsys)
    assert code == 3
    assert places(document) == [("manifest.csv", 10, "mask"), ("manifest.csv", 16, "manufacturer")]
    assert '--set image-folder.exclude="Siemens"' in document["problems"][1]["remedy"]


def test_the_command_of_the_remedy_mends_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*rows()[:15], "i/15.png,m/15.png,Siemens,p15,HHD,,41"]
    code, document = validate(folder, lines, capsys, "--set", "image-folder.exclude=Siemens")
    assert (code, document["images"]) == (0, 15)


def test_a_wrong_number_of_classes_does_not_hide_the_pixels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "i/3.png").write_bytes(b"no image")
    code, document = validate(folder, [*rows()[:15], rows()[15].replace("HHD", "healthy")], capsys)
    assert code == 3
    assert places(document) == [("manifest.csv", None, "label"), ("i/3.png", None, None)]


def test_a_manifest_that_cannot_be_read_is_one_problem(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(["data", "validate", "--data", str(folder / "gone.csv")])
    out = capsys.readouterr().out
    assert code == 3
    assert out.startswith("PROBLEM: gone.csv: the manifest does not exist.")
    assert out.endswith("\n1 problem.\n")


def test_describe_stops_with_the_first_problem_and_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join([HEADER, *(line.replace(",HCM,", ",,") for line in rows())]))
    assert run_command(["data", "describe", "--data", str(manifest)]) == 3
    text = capsys.readouterr().err
    assert "manifest.csv, row 2, column 'label'" in text
    assert f"And 7 more: harmbench data validate --data {manifest}" in text
