"""Files of older schemas are read for ever; files of newer ones are refused with the version to install."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harmbench import __version__
from harmbench.errors import DataError, UsageError

Document = dict[str, Any]
Step = Callable[[Document], Document]
"""upgrade_N_to_M: the document of schema N as one of schema M = N + 1. It gets a copy of its own."""


def upgraded(document: Mapping[str, Any], current: int, steps: Mapping[int, Step], where: object) -> Document:
    """A document as the current schema has it.

    Parameters
    ----------
    document : mapping
        With its number under "schema", and the version that wrote it under "harmbench".
    current : int
        The schema of this harmbench.
    steps : mapping of schema to the step that leads from it to the next one
    where : object
        What messages call the file.

    Raises
    ------
    UsageError
        A newer harmbench wrote it; names the version to install.
    DataError
        Not an object, not what its schema holds, no schema number, or not one there has ever been.
    """
    if not isinstance(document, Mapping):
        problem = f"it holds {type(document).__name__} where an object belongs."
        raise DataError(problem, file=where, remedy="Copy it again, or write it again.")
    number = document.get("schema")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise DataError(f"its schema is {number!r}, which is no schema number.", file=where, remedy="Write it again.")
    if number > current:
        writer = str(document.get("harmbench") or "")
        install = f"'harmbench>={writer}'" if writer else "--upgrade harmbench"
        raise UsageError(
            f"{where} was written by harmbench {writer or 'of a later version'} (schema {number}); this is "
            f"{__version__} (schema {current}). Install the newer one: pip install {install}"
        )
    result = dict(document)
    for step in range(number, current):
        try:
            result = steps[step](result)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"not what a file of schema {number} holds ({type(error).__name__}: {error})."
            raise DataError(problem, file=where, remedy="Copy it again, or write it again.") from None
        result["schema"] = step + 1
    return result
