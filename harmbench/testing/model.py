"""What a check is, and what can come of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harmbench.testing.subjects import Subject

Status = Literal["passed", "failed", "expected failure", "unexpected pass", "not applicable"]


class CheckFailed(AssertionError):
    """The component does not do what it should; the message says what was seen."""


class Inapplicable(Exception):
    """The check does not concern this component, by what it declares; the message says why."""


@dataclass(frozen=True)
class Check:
    """One question about a component.

    Parameters
    ----------
    id : str
        Such as "H08". Never reused for another question.
    title : str
        What is true when the check passes.
    function : callable
        Takes the subject; returns nothing, or raises `CheckFailed` or `Inapplicable`. Its docstring says what a
        failure means and how to mend it.
    leak : bool
        Whether a failure means that the method learns what it must not see. A canary is expected to fail some of these.
    """

    id: str
    title: str
    function: Callable[[Subject], None]
    leak: bool = False

    @property
    def help(self) -> str:
        """What a failure means and how to mend it."""
        return inspect.getdoc(self.function) or ""


@dataclass(frozen=True)
class Result:
    """What came of one check of one component.

    Parameters
    ----------
    subject, check, title : str
    status : {"passed", "failed", "expected failure", "unexpected pass", "not applicable"}
    reason : str
        "" when passed; else what was seen, or why the check does not apply or was expected to fail.
    seconds : float
        Wall time.
    """

    subject: str
    check: str
    title: str
    status: Status
    reason: str = ""
    seconds: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether it counts against the component."""
        return self.status in ("failed", "unexpected pass")


def require(condition: object, message: str) -> None:
    """Raise `CheckFailed` unless the condition holds."""
    if not condition:
        raise CheckFailed(message)
