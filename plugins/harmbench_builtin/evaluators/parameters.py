"""Ranges of parameters: a number that a formula cannot use is refused by name, before anything is computed."""

from __future__ import annotations

from harmbench.errors import UsageError


def require(
    name: str,
    value: float,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    hint: str = "",
) -> None:
    """Refuse a parameter outside its range.

    Parameters
    ----------
    name : str
        "<evaluator>.<parameter>", as the user writes it.
    value : int or float
    least, above, most : int or float, optional
        Allowed is value >= least, value > above and value <= most, of those that are given.
    hint : str
        What else there is to know about the range.

    Raises
    ------
    UsageError
        Outside the range, or NaN.
    """
    bounds = (
        (least, "at least", lambda limit: value >= limit),
        (above, "above", lambda limit: value > limit),
        (most, "at most", lambda limit: value <= limit),
    )
    given = [(words, limit, holds(limit)) for limit, words, holds in bounds if limit is not None]
    if not all(fits for _, _, fits in given):
        allowed = " and ".join(f"{words} {limit:g}" for words, limit, _ in given)
        raise UsageError(f"{name} is {value}; it must be {allowed}{f' ({hint})' if hint else ''}.")
