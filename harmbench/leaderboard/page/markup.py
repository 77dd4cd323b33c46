"""HTML that cannot be broken out of: every text is escaped unless it was made here."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

from harmbench.leaderboard.render import breakable

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})


class Safe(str):
    """Markup that may stand as it is."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def text(child: Child) -> Safe:
    """A child as markup: a plain str is escaped, `Safe` is not, None is nothing, others are put together."""
    if child is None:
        return Safe("")
    if isinstance(child, Safe):
        return child
    if isinstance(child, str):
        return Safe(html.escape(child, quote=True))
    return Safe("".join(text(part) for part in child))


def el(tag: str, *children: Child, **attributes: str | int | bool | None) -> Safe:
    """An element.

    Parameters
    ----------
    tag : str
    *children : str, Safe, None or iterables of them
    **attributes
        `class_="x"` for `class`, `data_key` for `data-key`; None and False leave one out, True gives it no value.
    """
    parts = [tag]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        parts.append(name if value is True else f'{name}="{html.escape(str(value), quote=True)}"')
    opening = f"<{' '.join(parts)}>"
    return Safe(opening) if tag in _VOID else Safe(f"{opening}{text(children)}</{tag}>")


def name_of(method: str) -> Safe:
    """A method's name that may break where `breakable` lets it."""
    return Safe(el("wbr").join(text(part) for part in breakable(method)))


def embedded(value: Any) -> Safe:
    """JSON for a script element: nothing in it can end the element or start a comment.

    `<`, `>` and `&` are written as escapes, which JSON reads as the same characters, and so are the two line ends
    that JavaScript knows and JSON does not.
    """
    found = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        found = found.replace(character, f"\\u{ord(character):04x}")
    return Safe(found)
