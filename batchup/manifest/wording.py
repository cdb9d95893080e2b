"""Wording: how a found value, a place and a nearest name are said to a person, on one line."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

_LONGEST = 60
_MOST = 12


def found(value: Any) -> str:
    """Return *value*, as a manifest holds it, the way a sentence can quote it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{printable(value)}"'
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return printable(str(value))


def printable(text: str) -> str:
    """Return *text* cut to a length that fits a line, with what cannot be seen escaped."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def dotted(loc: Sequence[str | int]) -> str:
    """Return a key path as it is written in messages: ``inputs.0.path``. List items count from 0."""
    return ".".join(printable(str(part)) for part in loc)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of *names* that *name* was probably meant to be, or None.

    Case does not count, and neither does a missing ``provider/`` before a model's name.
    """
    if len(name) > _LONGEST:
        return None
    forms: dict[str, str] = {}
    for known in names:
        forms.setdefault(known.casefold(), known)
        forms.setdefault(known.rpartition("/")[2].casefold(), known)
    close = difflib.get_close_matches(name.casefold(), forms, n=1)
    return forms[close[0]] if close else None


def meant(name: str, names: Iterable[str]) -> str:
    """Return the end of a sentence on an unknown *name*: the nearest of *names*, else what there is."""
    known = list(names)
    if near := nearest(name, known):
        return f"; did you mean {printable(near)}?"
    if not known:
        return ""
    more = f" and {len(known) - _MOST} more" if len(known) > _MOST else ""
    return f"; there is {', '.join(map(printable, known[:_MOST]))}{more}"
