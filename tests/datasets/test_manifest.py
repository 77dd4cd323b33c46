"""A manifest is read as people save it; what is wrong with it is said with file, row, column and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmbench.errors import DataError
from harmbench.problems import DataErrors
from harmbench_builtin.datasets.csv_table import number, read_table
from harmbench_builtin.datasets.manifest import EXAMPLE, Manifest, inspect_manifest, read_manifest

HEADER = "image,mask,manufacturer,patient,label"
ROWS = ("i/a.png,m/a.png,GE,p1,HCM", "i/b.png,m/b.png,Philips,p2,HHD", "i/c.png,m/c.png,GE,p3,HHD")


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "manifest.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def manifest(tmp_path: Path, *lines: str) -> Manifest:
    return read_manifest(written(tmp_path, "\n".join(lines) + "\n"))


def with_column(name: str, *values: str) -> list[str]:
    """The three rows with one more column."""
    return [f"{HEADER},{name}", *(f"{row},{value}" for row, value in zip(ROWS, values, strict=True))]


def refused(
    tmp_path: Path, *lines: str, row: int | None = None, column: str | None = None, match: str | None = None
) -> None:
    with pytest.raises(DataError, match=match) as caught:
        manifest(tmp_path, *lines)
    error = caught.value
    assert (error.file, error.row, error.column) == ("manifest.csv", row, column)
    assert error.remedy


def test_the_required_columns_make_samples(tmp_path: Path) -> None:
    found = manifest(tmp_path, HEADER, *ROWS)
    first = found.samples[0]
    assert (first.image, first.mask, first.manufacturer, first.patient, first.label) == (
        "i/a.png", "m/a.png", "GE", "p1", "HCM",
    )  # fmt: skip
    assert (first.id, first.pair, first.split, first.spacing, dict(first.covariates)) == ("i/a", "", "", None, {})
    assert found.rows == (2, 3, 4)
    assert found.notes == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: b"\xef\xbb\xbf" + t,
        lambda t: t.replace(b",", b";"),
        lambda t: t.replace(b",", b"\t"),
        lambda t: t.replace(b"\n", b"\r\n"),
        lambda t: t.replace(b"\n", b"\r"),
        lambda t: t.replace(b",", b" , "),
        lambda t: t.replace(b"GE", b'"GE"').replace(b"label", b'"label"'),
        lambda t: t.replace(HEADER.encode(), b"Image, MASK ,Manufacturer,Patient,Label"),
        lambda t: t.replace(b"\n", b",,\n"),
        lambda t: b"\xef\xbb\xbf" + t.replace(b",", b";").replace(b"\n", b"\r\n"),
        lambda t: t.decode().encode("utf-16"),
    ],
    ids=[
        "bom", "semicolons", "tabs", "crlf", "cr", "spaces", "quotes", "header case", "commas", "excel", "utf16",
    ],
)  # fmt: skip
def test_habits_of_spreadsheets_change_nothing(tmp_path: Path, change: object) -> None:
    plain = "\n".join([HEADER, *ROWS]) + "\n"
    expected = read_manifest(written(tmp_path, plain))
    assert read_manifest(written(tmp_path, change(plain.encode()))) == expected  # type: ignore[operator]


def test_separators_inside_quotes_belong_to_the_value(tmp_path: Path) -> None:
    found = manifest(tmp_path, HEADER, '"i/a,1.png",m/a.png,"GE, Vivid",p1,HCM', *ROWS[1:])
    assert (found.samples[0].image, found.samples[0].manufacturer) == ("i/a,1.png", "GE, Vivid")


def test_blank_lines_are_skipped_but_counted(tmp_path: Path) -> None:
    found = manifest(tmp_path, HEADER, ROWS[0], "", ",,,,", ROWS[1])
    assert found.rows == (2, 5)


def test_a_missing_column_is_named_with_what_is_there(tmp_path: Path) -> None:
    refused(tmp_path, "image,mask,manufactuer,patient,label", *ROWS, row=1, match="Did you mean 'manufactuer'")


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, *with_column("Label", "x", "y", "z"), row=1, match="'label' is there 2 times")


def test_a_row_with_too_few_or_too_many_cells_is_named(tmp_path: Path) -> None:
    refused(tmp_path, HEADER, ROWS[0], "i/b.png,m/b.png,GE,p2", row=3, match="4 cells, the header 5")
    refused(tmp_path, HEADER, ROWS[0] + ",more", row=2, match="6 cells, the header 5")


def test_every_problem_is_collected_in_the_order_of_the_rows(tmp_path: Path) -> None:
    lines = [
        f"{HEADER},id,split,spacing,covariate_age",
        "i/a.png,m/a.png,GE,p1,HCM,1,,0.2,50",
        "i/b.png,,GE,,HHD,2,tets,0,old",
        "i/c.png,m/c.png,GE",
        "i/d.png,m/d.png,ge,p4,HHD,4,,0.2,51",
        "i/e.png,m/e.png,GE,p5,HHD,1,,0.2,52",
        "i/f.png,m/f.png,GE,p6,HHD,6,,-1,53",
        "i/g.png,m/g.png,GE,p7,HHD,7,,,54",
        "i/h.png,m/h.png,GE,p8,HHD,8,,,55",
    ]
    found = inspect_manifest(written(tmp_path, "\n".join(lines)))
    assert [(p.row, p.column) for p in found.problems] == [
        (3, "mask"), (3, "patient"), (3, "split"), (3, "covariate_age"), (3, "spacing"),
        (4, None), (5, "manufacturer"), (6, "id"), (7, "spacing"),
    ]  # fmt: skip
    assert (found.rows, found.partial) == ((2, 5, 7, 8, 9), True)
    assert [s.id for s in found.samples] == ["1", "4", "6", "7", "8"]


def test_a_wrong_spacing_or_covariate_leaves_the_samples_whole(tmp_path: Path) -> None:
    found = inspect_manifest(written(tmp_path, "\n".join(with_column("spacing,covariate_age", "0,50", "0.1,", "1,52"))))
    assert [(p.row, p.column) for p in found.problems] == [(2, "spacing"), (3, "covariate_age")]
    assert not found.partial
    assert [(s.spacing, dict(s.covariates)) for s in found.samples] == [
        (None, {"age": 50.0}), ((0.1, 0.1), {}), ((1.0, 1.0), {"age": 52.0}),
    ]  # fmt: skip


def test_all_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataErrors) as caught:
        manifest(tmp_path, "image,manufacturer,label", "a,b,c")
    assert ["'mask'" in str(p) or "'patient'" in str(p) for p in caught.value.problems] == [True, True]


def test_broken_quotes_are_named(tmp_path: Path) -> None:
    refused(tmp_path, HEADER, ROWS[0], 'i/b.png,"m/b.png,GE,p2,HCM', row=3, match="cannot be taken apart")


@pytest.mark.parametrize(("text", "match"), [("", "empty"), ("\n\n", "empty"), (HEADER + "\n", "no row below")])
def test_nothing_in_the_file(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_manifest(written(tmp_path, text))


def test_text_in_another_encoding_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not UTF-8") as caught:
        read_manifest(written(tmp_path, f"{HEADER}\n{ROWS[0]}\ni/b.png,m/b.png,Günther,p2,HCM\n".encode("cp1252")))
    assert caught.value.row == 3


def test_an_excel_file_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file is not text"):
        read_manifest(written(tmp_path, b"PK\x03\x04\x00\x00\x00"))


@pytest.mark.parametrize("text", ["", "  ", "#N/A", "NaN", "n/a", "NULL"])
@pytest.mark.parametrize("position", range(5))
def test_required_cells_must_be_filled(tmp_path: Path, text: str, position: int) -> None:
    cells = ROWS[1].split(",")
    cells[position] = text
    refused(tmp_path, HEADER, ROWS[0], ",".join(cells), row=3, column=HEADER.split(",")[position])


@pytest.mark.parametrize(("column", "position", "other"), [("manufacturer", 2, "ge "), ("label", 4, "hcm")])
def test_two_spellings_are_refused_with_both_and_their_rows(
    tmp_path: Path, column: str, position: int, other: str
) -> None:
    cells = ROWS[2].split(",")
    cells[position] = other
    first = ROWS[0].split(",")[position]
    match = rf"'{first}' \(row 2\) and '{other.strip()}' \(row 4\)"
    refused(tmp_path, HEADER, *ROWS[:2], ",".join(cells), row=4, column=column, match=match)


def test_patients_that_look_alike_are_reported_and_not_merged(tmp_path: Path) -> None:
    found = manifest(tmp_path, HEADER, ROWS[0], ROWS[1].replace("p2", "P1"))
    assert [s.patient for s in found.samples] == ["p1", "P1"]
    assert any("'P1' and 'p1'" in note for note in found.notes)


def test_ids_come_from_the_column_or_from_the_image_path(tmp_path: Path) -> None:
    assert [s.id for s in manifest(tmp_path, *with_column("id", "1", "2", "3")).samples] == ["1", "2", "3"]
    found = manifest(tmp_path, HEADER, "i/a.nii.gz,m/a.png,GE,p1,HCM", "i/b.v2.png,m/b.png,GE,p2,HHD")
    assert [s.id for s in found.samples] == ["i/a", "i/b.v2"]


def test_duplicate_ids_are_refused_with_both_rows(tmp_path: Path) -> None:
    refused(tmp_path, *with_column("id", "1", "2", "1"), row=4, column="id", match="already used in row 2")
    twice = ROWS[0].replace("i/a.png", "i/a.tif")
    refused(tmp_path, HEADER, ROWS[0], twice, row=3, column="image", match="no column 'id'")


def test_splits_are_read_and_others_refused(tmp_path: Path) -> None:
    found = manifest(tmp_path, *with_column("split", "Train", "test", "paired"))
    assert [s.split for s in found.samples] == ["train", "test", "paired"]
    refused(tmp_path, *with_column("split", "", "tets", ""), row=3, column="split", match="Did you mean 'test'")


def test_spacing_is_one_number_or_rows_and_columns(tmp_path: Path) -> None:
    found = manifest(tmp_path, *with_column("spacing", "0.2", "", "1e-1"))
    assert [s.spacing for s in found.samples] == [(0.2, 0.2), None, (0.1, 0.1)]
    found = manifest(tmp_path, *with_column("spacing_row,spacing_col", "0.2,0.3", ",", "1,2"))
    assert [s.spacing for s in found.samples] == [(0.2, 0.3), None, (1.0, 2.0)]


@pytest.mark.parametrize("text", ["0", "-0.2", "0.2 mm", "inf", "nan", '"0,2"'])
def test_a_spacing_that_is_no_positive_number_is_refused(tmp_path: Path, text: str) -> None:
    refused(tmp_path, *with_column("spacing", "0.2", text, "0.2"), row=3, column="spacing")


def test_half_a_spacing_is_refused(tmp_path: Path) -> None:
    lines = with_column("spacing_row,spacing_col", "0.2,0.3", "0.2,", "1,2")
    refused(tmp_path, *lines, row=3, column="spacing_col", match="the other is not")
    refused(tmp_path, *with_column("spacing_row", "1", "1", "1"), row=1, match="'spacing_col' is missing")
    refused(tmp_path, *with_column("spacing,spacing_row", "1,1", "1,1", "1,1"), row=1, match="also 'spacing_row'")


def test_covariates_are_numbers_when_all_values_are(tmp_path: Path) -> None:
    found = manifest(tmp_path, *with_column("covariate_age,covariate_sex", "54,f", "61.5,m", "70,f"))
    assert [dict(s.covariates) for s in found.samples] == [
        {"age": 54.0, "sex": "f"}, {"age": 61.5, "sex": "m"}, {"age": 70.0, "sex": "f"},
    ]  # fmt: skip


def long_column(tmp_path: Path, *values: str) -> tuple[str, ...]:
    rows = (f'i/{i}.png,m/{i}.png,GE,p{i},HCM,"{value}"' for i, value in enumerate(values))
    return (f"{HEADER},covariate_age", *rows)


@pytest.mark.parametrize("text", ["#NAME?", "n/a", "unknown", "54,5", "nan", "inf"])
def test_a_stray_text_in_a_column_of_numbers_is_named(tmp_path: Path, text: str) -> None:
    lines = long_column(tmp_path, "1", "2", "3", text, "5")
    refused(tmp_path, *lines, row=5, column="covariate_age")


def test_a_column_of_decimal_commas_is_not_taken_for_categories(tmp_path: Path) -> None:
    refused(tmp_path, *long_column(tmp_path, "1,5", "2,5", "3,1"), row=2, column="covariate_age", match="'1,5'")


def test_mostly_text_is_a_category(tmp_path: Path) -> None:
    found = manifest(tmp_path, *long_column(tmp_path, "I", "II", "3", "IV"))
    assert [s.covariates["age"] for s in found.samples] == ["I", "II", "3", "IV"]


def test_an_empty_covariate_is_refused_unless_the_whole_column_is_empty(tmp_path: Path) -> None:
    refused(tmp_path, *long_column(tmp_path, "1", "", "3"), row=3, column="covariate_age", match="empty")
    found = manifest(tmp_path, *long_column(tmp_path, "", "", ""))
    assert all(not s.covariates for s in found.samples)
    assert any("'covariate_age' is empty" in note for note in found.notes)


def test_columns_that_are_not_known_are_listed_as_ignored(tmp_path: Path) -> None:
    found = manifest(tmp_path, *with_column("comment,age", "x,1", "y,2", "z,3"))
    assert any("comment, age" in note and "covariate_<name>" in note for note in found.notes)


def test_the_example_shown_in_errors_is_a_manifest(tmp_path: Path) -> None:
    assert len(read_manifest(written(tmp_path, EXAMPLE)).samples) == 2


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1.0), ("-2.5e3", -2500.0), (".5", 0.5), ("1_0", None), ("0x1", None), ("1e999", None)]
)
def test_numbers(text: str, value: float | None) -> None:
    assert number(text) == value


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: the file does not exist"):
        read_table(tmp_path / "gone.csv")
