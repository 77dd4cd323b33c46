"""What methods ask that treat each manufacturer's rows by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from harmbench.data import FeatureTable
from harmbench.errors import DataError, NotApplicable, UnseenManufacturer, UsageError, suggestion

UNSEEN = ("error", "pooled")
Positions = npt.NDArray[np.intp]


def check_choice(method: str, parameter: str, value: object, choices: Sequence[str]) -> str:
    """The value, or `UsageError` unless it is one of the choices."""
    if value not in choices:
        raise UsageError(f"{method}.{parameter} is {value!r}.{suggestion(str(value), choices)}")
    return str(value)


def check_number(method: str, parameter: str, value: object, low: float, high: float, *, whole: bool = False) -> float:
    """The value, or `UsageError` unless it is a number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not low <= value <= high:
        kind = "whole number" if whole else "number"
        raise UsageError(f"{method}.{parameter} must be a {kind} from {low:g} to {high:g}, not {value!r}.")
    return float(value)


def check_flag(method: str, parameter: str, value: object) -> bool:
    """The value, or `UsageError` unless it is a bool."""
    if not isinstance(value, bool):
        raise UsageError(f"{method}.{parameter} must be true or false, not {value!r}.")
    return value


def check_text(method: str, parameter: str, value: object) -> str:
    """The value, or `UsageError` unless it is text."""
    if not isinstance(value, str):
        raise UsageError(f"{method}.{parameter} must be text, not {value!r}.")
    return value


def training_groups(
    table: FeatureTable, method: str, *, least: int = 2, reference: str = "", several: bool = False
) -> dict[str, Positions]:
    """The training rows of each manufacturer, in the order of their names.

    Parameters
    ----------
    table : FeatureTable
    method : str
        Who asks; named in messages.
    least : int, default 2
        Rows that each manufacturer must have.
    reference : str, default ""
        A manufacturer that must be among them; "" for none.
    several : bool, default False
        Whether one manufacturer alone is too few.

    Raises
    ------
    DataError
        A manufacturer has fewer than `least` rows.
    NotApplicable
        The reference is not among the training rows (it may be the one that is left out), or there is a single
        manufacturer where `several` are needed.
    """
    groups = {name: np.flatnonzero(table.manufacturer == name) for name in table.manufacturers}
    if several and len(groups) < 2:
        raise NotApplicable(
            f"{method} needs at least two manufacturers; the training rows hold only {', '.join(groups)}"
        )
    if reference and reference not in groups:
        raise NotApplicable(
            f"{method}: the reference manufacturer '{reference}' is not among the training rows."
            f"{suggestion(reference, groups)}"
        )
    for name, rows in groups.items():
        if len(rows) < least:
            raise DataError(
                f"{method} needs at least {least} training rows of each manufacturer, but '{name}' has {len(rows)}.",
                remedy="Add rows, or drop that manufacturer.",
            )
    return groups


def known_groups(
    table: FeatureTable, known: Sequence[str], method: str, unseen: str
) -> Iterator[tuple[str | None, Positions]]:
    """The rows to transform by manufacturer; None for those that the fit has not seen.

    Raises
    ------
    UnseenManufacturer
        There are such rows, and `unseen` is "error".
    """
    for name in table.manufacturers:
        if name not in known:
            if unseen == "error":
                raise UnseenManufacturer(
                    f"{method} cannot transform manufacturer '{name}': the training rows hold only {', '.join(known)}. "
                    "With unseen=pooled it can."
                )
            yield None, np.flatnonzero(table.manufacturer == name)
        else:
            yield name, np.flatnonzero(table.manufacturer == name)
