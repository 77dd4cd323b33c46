"""What can go wrong, as types. Every message names what was wrong, where, and what to do."""

from __future__ import annotations


class HarmbenchError(Exception):
    """Base of all errors that are shown to the user without a traceback."""


class UsageError(HarmbenchError):
    """The command or its arguments are wrong: an unknown name, a bad parameter."""


class DataError(HarmbenchError):
    """The data are wrong.

    Parameters
    ----------
    problem : str
        What is wrong, one sentence.
    file, row, column : optional
        Where. `row` is the line as a spreadsheet counts it (the header is row 1).
    remedy : str
        What to do about it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        row: int | None = None,
        column: str | None = None,
        remedy: str = "",
    ) -> None:
        self.problem, self.file, self.row, self.column, self.remedy = problem, file, row, column, remedy
        where = ", ".join(
            part
            for part in (
                str(file) if file is not None else "",
                f"row {row}" if row is not None else "",
                f"column '{column}'" if column is not None else "",
            )
            if part
        )
        text = f"{where}: {problem}" if where else problem
        super().__init__(f"{text} {remedy}".strip())

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process boundaries; keyword-only arguments need help to be rebuilt.
        return (_rebuild_data_error, (self.problem, self.file, self.row, self.column, self.remedy))


def _rebuild_data_error(problem: str, file: object, row: int | None, column: str | None, remedy: str) -> DataError:
    return DataError(problem, file=file, row=row, column=column, remedy=remedy)


class NotApplicable(HarmbenchError):
    """The method cannot be used here by its nature (not a failure): recorded as `not_applicable`."""


class UnseenManufacturer(NotApplicable):
    """A row to transform comes from a manufacturer that the fit has not seen."""


class PluginError(HarmbenchError):
    """A plugin is broken or does not keep to its contract; names the plugin and its distribution."""


def suggestion(name: str, known: object) -> str:
    """`" Did you mean 'x'?"` for the closest of `known`, else the list of what there is."""
    import difflib

    names = sorted(str(k) for k in known)  # type: ignore[attr-defined]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Known: {', '.join(names)}." if names else ""
