"""Telling all that is wrong with some data at once, instead of the first thing only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harmbench.errors import DataError

if TYPE_CHECKING:
    from harmbench.data import ImageSet

VALIDATE = "harmbench data validate"


class DataErrors(DataError):
    """Several problems of one data set. Reads as the first, and says how to see the others.

    Parameters
    ----------
    problems : sequence of DataError
        At least one.
    command : str, default "harmbench data validate"
        The command that names all of them.
    images : ImageSet, optional
        What could be made out in spite of them, so that the rest can be checked too.
    partial : bool, default True
        Whether `images` lacks samples (or has wrong ones), so that counting them says nothing of the data set.
    """

    def __init__(
        self,
        problems: Sequence[DataError],
        command: str = VALIDATE,
        images: ImageSet | None = None,
        partial: bool = True,
    ) -> None:
        first = problems[0]
        super().__init__(first.problem, file=first.file, row=first.row, column=first.column, remedy=first.remedy)
        self.problems, self.command, self.images, self.partial = tuple(problems), command, images, partial

    def __str__(self) -> str:
        more = len(self.problems) - 1
        return f"{self.problems[0]}" + (f"\nAnd {more} more: {self.command}" if more else "")

    def __reduce__(self) -> tuple[object, ...]:
        return (DataErrors, (self.problems, self.command, self.images, self.partial))


class Problems:
    """Collects data errors.

    Parameters
    ----------
    found : iterable of DataError, default ()
        To begin with.
    """

    def __init__(self, found: Iterable[DataError] = ()) -> None:
        self.found = list(found)

    def __bool__(self) -> bool:
        return bool(self.found)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the data error that the block raises, and go on after the block."""
        try:
            yield
        except DataErrors as error:
            self.found += error.problems
        except DataError as error:
            self.found.append(error)

    def add(self, problems: Iterable[DataError]) -> None:
        self.found += problems

    def raise_any(self, command: str = VALIDATE, images: ImageSet | None = None, partial: bool = True) -> None:
        """Raise what was found, in the order of the rows; see `DataErrors`."""
        if self.found:
            raise DataErrors(sorted(self.found, key=lambda e: e.row or 0), command, images, partial)
