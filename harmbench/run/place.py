"""Where in a cell something went wrong, kept on the exception: known without reading its text."""

from __future__ import annotations

import contextlib
from types import TracebackType

_STAGE, _FOLD = "_harmbench_stage", "_harmbench_fold"


class At:
    """What is raised inside gets this stage and fold, where it has none yet: the innermost one tells most.

    A class and not a generator, so that tracebacks stay those of the method.
    """

    def __init__(self, stage: str = "", fold: str = "") -> None:
        self.stage, self.fold = stage, fold

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        with contextlib.suppress(AttributeError):  # an exception may forbid it
            for name, value in ((_STAGE, self.stage), (_FOLD, self.fold)):
                if value and not getattr(error, name, ""):
                    setattr(error, name, value)


def place_of(error: BaseException) -> tuple[str, str]:
    """Stage and fold of an exception; "" where they are not known."""
    return getattr(error, _STAGE, ""), getattr(error, _FOLD, "")
