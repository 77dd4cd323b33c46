"""Reading a CSV file as people really save it, and saying exactly where it is wrong.

Accepted: UTF-8 with or without a byte order mark, UTF-16 with one, commas, semicolons or tabs, any line ends, spaces
around cells, quoted cells, blank lines. Everything else is an error with its row: nothing is repaired by guessing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harmbench.errors import DataError, suggestion
from harmbench.problems import Problems

SPREADSHEET_ERRORS = frozenset(
    {"#name?", "#ref!", "#value!", "#div/0!", "#num!", "#n/a", "#null!", "#spill!", "#calc!"}
)
MISSING_WORDS = frozenset({"nan", "na", "n/a", "null", "<na>"}) | SPREADSHEET_ERRORS
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Row:
    """One record: its number as a spreadsheet counts (the header is row 1) and its cells by column."""

    number: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


@dataclass(frozen=True)
class Table:
    """A header and its rows.

    Parameters
    ----------
    file : str
        What errors call the file: its name without folders, which may be private.
    columns : tuple of str
    rows : tuple of Row
        Blank lines are left out, but counted in `Row.number`.
    problems : tuple of DataError
        Rows that could not be taken apart, and are therefore not among `rows`.
    """

    file: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[DataError, ...] = ()

    def require(self, columns: tuple[str, ...]) -> None:
        """Raise `DataErrors` that name all of `columns` that are missing."""
        Problems(
            DataError(
                f"the column '{column}' is missing; found: {', '.join(self.columns)}.",
                file=self.file,
                row=1,
                remedy=f"Add it to the header.{suggestion(column, self.columns)}",
            )
            for column in columns
            if column not in self.columns
        ).raise_any()

    def error(self, problem: str, row: Row, column: str, remedy: str) -> DataError:
        """An error about one cell."""
        return DataError(problem, file=self.file, row=row.number, column=column, remedy=remedy)

    def filled(self, row: Row, column: str) -> str:
        """The cell's text; a `DataError` when it is empty or a word for "missing"."""
        text = row[column]
        if not text or text.casefold() in MISSING_WORDS:
            what = "the cell is empty." if not text else f"the cell holds '{text}', which stands for a missing value."
            raise self.error(what, row, column, "Fill it in, or delete the row.")
        return text


def read_table(path: Path) -> Table:
    """Read a CSV file; header names are stripped and compared in lower case, the rest of the text is kept as it is.

    Rows with more or fewer cells than the header, or with broken quotes (where reading ends), become
    `Table.problems`.

    Raises
    ------
    DataError
        Missing, unreadable or not text; no header or no rows; a column twice.
    """
    file = path.name
    text = _text(path)
    first = text.lstrip("\r\n").splitlines()[0] if text.strip() else ""
    if not first:
        raise DataError("the file is empty.", file=file, remedy="The first row must name the columns.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first), skipinitialspace=True, strict=True)
    columns: tuple[str, ...] = ()
    rows: list[Row] = []
    problems = Problems()
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if not columns:
                columns = _header(cells, file, number)
                continue
            while len(cells) > len(columns) and not cells[-1]:
                cells.pop()
            if len(cells) != len(columns):
                problem = f"the row has {len(cells)} cells, the header {len(columns)}."
                remedy = "Text that contains the separator must stand in double quotes."
                problems.add([DataError(problem, file=file, row=number, remedy=remedy)])
                continue
            rows.append(Row(number, dict(zip(columns, cells, strict=True))))
    except csv.Error as error:
        problem = f"the row cannot be taken apart ({error}); nothing below it was read."
        problems.add([DataError(problem, file=file, row=number + 1, remedy="Check its quotes.")])
    if not rows:
        problems.raise_any()
        raise DataError("there is a header but no row below it.", file=file, remedy="Add one row per image.")
    return Table(file, columns, tuple(rows), tuple(problems.found))


def number(text: str) -> float | None:
    """The finite number a cell holds, or None; a point is the only decimal mark."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if abs(value) != float("inf") else None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError("the file does not exist.", file=path.name, remedy="Check the path given as --data.") from None
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror}).", file=path.name) from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            "the file is not UTF-8 text.", file=path.name, row=line, remedy="Save it as 'CSV UTF-8'."
        ) from error
    if "\0" in text:
        raise DataError("the file is not text.", file=path.name, remedy="Save it as 'CSV UTF-8'.")
    return text


def _delimiter(header: str) -> str:
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max((",", ";", "\t"), key=unquoted.count)


def _header(cells: list[str], file: str, row: int) -> tuple[str, ...]:
    while cells and not cells[-1]:
        cells.pop()
    names = [_column_name(cell) or f"(column {position})" for position, cell in enumerate(cells, start=1)]
    for name in names:
        if names.count(name) > 1:
            raise DataError(
                f"the column '{name}' is there {names.count(name)} times.",
                file=file,
                row=row,
                remedy="Keep one of them.",
            )
    return tuple(names)


def _column_name(cell: str) -> str:
    return re.sub(r"\s+", "_", cell.strip()).lower()
