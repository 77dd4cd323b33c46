"""The manifest: one CSV row per image, turned into samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harmbench.data import Sample
from harmbench.errors import DataError, suggestion
from harmbench.problems import Problems
from harmbench_builtin.datasets.csv_table import MISSING_WORDS, SPREADSHEET_ERRORS, Row, Table, number, read_table

REQUIRED = ("image", "mask", "manufacturer", "patient", "label")
OPTIONAL = ("id", "pair", "split", "spacing", "spacing_row", "spacing_col")
COVARIATE = "covariate_"
SPLITS = ("", "train", "test", "paired")

EXAMPLE = """image,mask,manufacturer,patient,label
images/p001.png,masks/p001.png,GE,p001,HCM
images/p002.png,masks/p002.png,Philips,p002,HHD"""
"""What errors show to somebody who has no manifest yet."""

_NUMERIC_SHARE = 0.8
"""From this share of numbers on, a text in a covariate column is taken for a mistake, not for a category."""


@dataclass(frozen=True)
class Manifest:
    """What a manifest says.

    Parameters
    ----------
    file : str
        Its name, for errors.
    samples : tuple of Sample
    rows : tuple of int
        The row of each sample (the header is row 1).
    notes : tuple of str
        Columns that were ignored, ids that look alike.
    problems : tuple of DataError
        What is wrong with it, all of it.
    partial : bool
        Because of the problems, rows made no sample, or a manufacturer, label, split or pair is not final.
    """

    file: str
    samples: tuple[Sample, ...]
    rows: tuple[int, ...]
    notes: tuple[str, ...]
    problems: tuple[DataError, ...] = ()
    partial: bool = False


def read_manifest(path: Path) -> Manifest:
    """Read a manifest CSV.

    Columns: `image`, `mask` (paths relative to the manifest's folder), `manufacturer`, `patient`, `label`; optional
    `id` (default: the image path without its ending), `pair`, `split` ("", "train", "test" or "paired"), `spacing` or
    `spacing_row` and `spacing_col` (mm), and any number of `covariate_<name>`. Header names are matched in lower
    case. A covariate is numeric when every value is a number, else categorical.

    Raises
    ------
    DataError
        With file, row, column and remedy; see `csv_table` for what is wrong with the file itself. `DataErrors` when
        several things are wrong.
    """
    manifest = inspect_manifest(path)
    Problems(manifest.problems).raise_any()
    return manifest


def inspect_manifest(path: Path) -> Manifest:
    """Read a manifest as `read_manifest` does, but go on after an error and return all of them.

    Raises
    ------
    DataError
        The file cannot be read at all, or a required column is missing.
    """
    table = read_table(path)
    table.require(REQUIRED)
    fatal, cells = Problems(table.problems), Problems()
    for column in ("manufacturer", "label"):
        fatal.add(_spellings(table, column))
    spacing: Callable[[Row], tuple[float, float] | None] = _no_spacing
    with cells.collected():
        spacing = _spacing_reader(table)
    covariates, notes = _covariates(table, cells)
    samples: list[Sample] = []
    rows: list[int] = []
    for row, values in zip(table.rows, covariates, strict=True):
        millimetres = None
        with cells.collected():
            millimetres = spacing(row)
        sample = _sample(table, row, millimetres, values, fatal)
        if sample is not None:
            samples.append(sample)
            rows.append(row.number)
    twice = list(_repeated_ids(table, samples, rows))
    fatal.add(twice)
    repeated = {error.row for error in twice}
    kept = [k for k, row in enumerate(rows) if row not in repeated]
    problems = sorted((*fatal.found, *cells.found), key=lambda error: error.row or 0)
    return Manifest(
        table.file,
        tuple(samples[k] for k in kept),
        tuple(rows[k] for k in kept),
        (*_ignored(table), *notes, *_alike(table)),
        tuple(problems),
        bool(fatal),
    )


def _sample(
    table: Table,
    row: Row,
    spacing: tuple[float, float] | None,
    covariates: dict[str, float | str],
    problems: Problems,
) -> Sample | None:
    """The sample of a row; None when a required cell is not filled. Wrong cells go to `problems`."""
    cells: dict[str, str] = {}
    for column in (*REQUIRED, *(["id"] if "id" in table.columns else [])):
        with problems.collected():
            cells[column] = table.filled(row, column)
    split = row.cells.get("split", "").lower()
    if split not in SPLITS:
        remedy = f"Use train, test, paired, or leave it empty.{suggestion(split, SPLITS[1:])}"
        problems.add([table.error(f"'{row['split']}' is no split.", row, "split", remedy)])
        split = ""
    pair = row.cells.get("pair", "")
    if pair.casefold() in SPREADSHEET_ERRORS:
        problems.add([table.error(f"the cell holds '{pair}'.", row, "pair", "Fill it in, or leave it empty.")])
        pair = ""
    if not cells.keys() >= set(REQUIRED):
        return None
    return Sample(
        id=cells.get("id") or without_suffix(cells["image"]),
        image=cells["image"],
        mask=cells["mask"],
        manufacturer=cells["manufacturer"],
        patient=cells["patient"],
        label=cells["label"],
        covariates=covariates,
        pair=pair,
        split=split,
        spacing=spacing,
    )


def without_suffix(image: str) -> str:
    """An image path without its ending (".nii.gz" counts as one)."""
    return image[:-7] if image.lower().endswith(".nii.gz") else str(PurePosixPath(image).with_suffix(""))


def _spellings(table: Table, column: str) -> Iterator[DataError]:
    """Values that differ only in letter case or in spaces: "GE" and "ge" are one maker, or a mistake."""
    spellings: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for row in table.rows:
        spellings[_folded(row[column])][row[column]].append(row.number)
    for variants in spellings.values():
        if len(variants) > 1:
            shown = " and ".join(f"'{text}' ({_rows(rows)})" for text, rows in variants.items())
            yield DataError(
                f"{shown} differ only in letter case or spaces.",
                file=table.file,
                row=min(rows[0] for rows in sorted(variants.values())[1:]),
                column=column,
                remedy="Write one name in all rows.",
            )


def _repeated_ids(table: Table, samples: Sequence[Sample], rows: Sequence[int]) -> Iterator[DataError]:
    first: dict[str, int] = {}
    column = "id" if "id" in table.columns else "image"
    made = "" if column == "id" else " (made from the image path, as there is no column 'id')"
    for row, sample in zip(rows, samples, strict=True):
        if sample.id in first:
            yield DataError(
                f"the id '{sample.id}'{made} is already used in row {first[sample.id]}.",
                file=table.file,
                row=row,
                column=column,
                remedy="Give every image an id of its own in the column 'id', and list no image twice.",
            )
        first.setdefault(sample.id, row)


def _no_spacing(row: Row) -> None:
    return None


def _spacing_reader(table: Table) -> Callable[[Row], tuple[float, float] | None]:
    if "spacing" in table.columns:
        columns = ("spacing", "spacing")
        extra = [c for c in ("spacing_row", "spacing_col") if c in table.columns]
        if extra:
            raise DataError(
                f"there is a column 'spacing' and also '{extra[0]}'.", file=table.file, row=1, remedy="Keep one kind."
            )
    elif "spacing_row" in table.columns or "spacing_col" in table.columns:
        columns = ("spacing_row", "spacing_col")
        table.require(columns)
    else:
        return _no_spacing

    def read(row: Row) -> tuple[float, float] | None:
        texts = [row[column] for column in columns]
        if not any(texts):
            return None
        values = []
        for text, column in zip(texts, columns, strict=True):
            value = number(text)
            if value is None or value <= 0:
                raise table.error(
                    f"'{text}' is no pixel spacing." if text else "one spacing is given and the other is not.",
                    row,
                    column,
                    "Give millimetres per pixel, above 0, with a point as decimal mark.",
                )
            values.append(value)
        return values[0], values[1]

    return read


def _covariates(table: Table, problems: Problems) -> tuple[list[dict[str, float | str]], list[str]]:
    """The covariates of every row, and notes on columns that hold nothing; wrong cells go to `problems`."""
    values: list[dict[str, float | str]] = [{} for _ in table.rows]
    notes = []
    for column in table.columns:
        name = column.removeprefix(COVARIATE)
        if column == name or not name:
            continue
        texts = [row[column] for row in table.rows]
        if not any(texts):
            notes.append(f"column '{column}' is empty and was ignored")
            continue
        numbers = [number(text) for text in texts]
        # A column of decimal commas is meant as numbers; taking it for categories would go unnoticed.
        meant = [
            value is not None or number(text.replace(",", ".", 1)) is not None
            for text, value in zip(texts, numbers, strict=True)
        ]
        numeric = sum(meant) >= _NUMERIC_SHARE * sum(bool(text) for text in texts)
        for row, text, value, store in zip(table.rows, texts, numbers, values, strict=True):
            if not text or text.casefold() in SPREADSHEET_ERRORS:
                problem = f"the cell holds '{text}'." if text else "the cell is empty."
                remedy = "Fill it in, delete the row, or drop the column."
                problems.add([table.error(problem, row, column, remedy)])
            elif numeric and value is None:
                missing = text.casefold() in MISSING_WORDS
                remedy = "Delete the row, or drop the column." if missing else "Write a number, with a decimal point."
                problems.add([table.error(f"'{text}' stands in a column of numbers.", row, column, remedy)])
            else:
                store[name] = text if value is None or not numeric else value
    return values, notes


def _ignored(table: Table) -> list[str]:
    known = {*REQUIRED, *OPTIONAL}
    ignored = [c for c in table.columns if c not in known and not (c.startswith(COVARIATE) and c != COVARIATE)]
    if not ignored:
        return []
    return [f"columns ignored: {', '.join(ignored)} (a covariate's column must be named {COVARIATE}<name>)"]


def _alike(table: Table) -> list[str]:
    """Patients and categories whose names differ only in letter case or spaces: reported, never merged."""
    notes = []
    for column in table.columns:
        if column != "patient" and not column.startswith(COVARIATE):
            continue
        spellings: dict[str, set[str]] = defaultdict(set)
        for row in table.rows:
            spellings[_folded(row[column])].add(row[column])
        notes += [
            f"column '{column}': {' and '.join(repr(text) for text in sorted(variants))} are taken as different, "
            "though they differ only in letter case or spaces"
            for variants in spellings.values()
            if len(variants) > 1
        ]
    return notes


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _rows(rows: Sequence[int], shown: int = 3) -> str:
    text = ", ".join(str(row) for row in rows[:shown]) + (", ..." if len(rows) > shown else "")
    return f"row {text}" if len(rows) == 1 else f"rows {text}"
