"""Mistakes: what pydantic finds, said in sentences for the person who wrote the manifest, at its place in the file."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from batchup.errors import Fault
from batchup.manifest import schema
from batchup.manifest.inputs import INPUT_KEYS
from batchup.manifest.syntax import Document, Loc
from batchup.manifest.wording import found, meant, nearest

Details = Mapping[str, Any]
"""One of ``ValidationError.errors()``."""

_EXPECTED = re.compile(r"'((?:[^'\\]|\\.)*)'|([^\s,']+)")


def faults(document: Document, error: ValidationError) -> Iterator[Fault]:
    """Yield a fault for everything that *error* found in *document*."""
    errors = [(_loc(one), one) for one in error.errors(include_url=False) if not _counted_short(one)]
    instead = {(*loc[:-1], near) for loc, one in errors if _unknown(one) and (near := _misspelt(loc))}
    for loc, details in errors:
        if _unknown(details):
            yield document.fault(loc, _no_such_key(loc), at_key=True)
        elif details["type"] == "missing":
            # Whoever wrote "input:" is told of that, not of "inputs" as well.
            if loc not in instead:
                yield document.fault(loc, _missing(document, loc))
        elif loc and loc[-1] == "[key]":
            yield document.fault(loc[:-1], sentence(details), at_key=True)
        else:
            # A short form ("22:00-07:00") is checked as the long one that it stands for.
            yield document.fault(document.written(loc), sentence(details))


def sentence(details: Details) -> str:
    """Return what is wrong with a value, and what is allowed, without its place.

    Args:
        details: One of ``ValidationError.errors()``, of a manifest's or of a model's own class.
    """
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    if kind in {"literal_error", "enum"}:
        return f"{found(value)} is not allowed{_one_of(value, context['expected'])}"
    if kind in {"string_type", "string_sub_type"} and isinstance(value, int | float):
        return f"{found(value)} is {_what(value)}, where text is wanted; put it in quotes"
    if kind in _SENTENCES:
        return f"{found(value)} {_SENTENCES[kind](context)}"
    # A class of our own or of a model's: its message is its author's.
    return str(details["msg"]) if kind not in _FOREIGN else f"{found(value)} is not allowed here"


def _bound(word: str, key: str, rest: str) -> Callable[[Details], str]:
    def said(context: Details) -> str:
        bound = context[key]
        whole = isinstance(bound, float) and bound.is_integer()
        return f"is {word} {int(bound) if whole else bound}{rest}"

    return said


_SENTENCES: Mapping[str, Callable[[Details], str]] = {
    "bool_type": lambda _: "is neither true nor false",
    "int_type": lambda _: "is no whole number",
    "int_from_float": lambda _: "is no whole number",
    "float_type": lambda _: "is no number",
    "finite_number": lambda _: "is no number",
    "string_type": lambda _: "is no text",
    "tuple_type": lambda _: "is no list; write [one, another], or a line with - for each",
    "list_type": lambda _: "is no list; write [one, another], or a line with - for each",
    "dict_type": lambda _: "is no mapping; write {key: value}, or indented lines of key: value",
    "model_type": lambda _: "is no mapping; write {key: value}, or indented lines of key: value",
    "greater_than": _bound("not above", "gt", ""),
    "greater_than_equal": _bound("below", "ge", ", the least allowed"),
    "less_than": _bound("not below", "lt", ""),
    "less_than_equal": _bound("above", "le", ", the most allowed"),
    "multiple_of": _bound("no multiple of", "multiple_of", ""),
    "too_short": lambda _: "with nothing in it; write at least one item",
    "too_long": lambda context: (
        f"has {context['actual_length']} items; {context['max_length']} are the most allowed"
    ),
    "string_too_short": lambda context: f"is too short; it needs {context['min_length']} or more characters",
    "string_too_long": lambda context: f"is too long; at most {context['max_length']} characters are allowed",
    "string_pattern_mismatch": lambda context: f"has not the form {context['pattern']}",
}

# What pydantic may also report of a model's parameters, in words that help nobody.
_FOREIGN = frozenset(
    {"none_required", "decimal_type", "model_attributes_type", "union_tag_invalid", "is_instance_of"}
)


def _loc(details: Details) -> Loc:
    """Return the key path, without the tags by which inputs are told apart."""
    return tuple(part for part in details["loc"] if not (isinstance(part, str) and _is_tag(part)))


def _is_tag(part: str) -> bool:
    return part in {f"<{key}>" for key in INPUT_KEYS}


def _counted_short(details: Details) -> bool:
    """Tell a list that is called too short only because items of it are wrong, each of which is a fault itself."""
    return details["type"] == "too_short" and bool(details["input"])


def _unknown(details: Details) -> bool:
    return str(details["type"]) == "extra_forbidden"


def _misspelt(loc: Loc) -> str | None:
    return nearest(str(loc[-1]), schema.keys_at(loc[:-1]))


def _no_such_key(loc: Loc) -> str:
    return f"no such key{meant(str(loc[-1]), schema.keys_at(loc[:-1]))}"


def _missing(document: Document, loc: Loc) -> str:
    what = "is empty" if document.written(loc) == loc else "is missing"
    example = schema.example_at(loc)
    return f"{what}; write {loc[-1]}: {example}" if example else what


def _one_of(value: Any, expected: str) -> str:
    names = [quoted or bare for quoted, bare in _EXPECTED.findall(expected) if bare != "or"]
    if isinstance(value, str) and (near := nearest(value, names)):
        return f"; did you mean {near}?" + (f" (one of {', '.join(names)})" if len(names) > 1 else "")
    return f"; write {' or '.join(names)}"


def _what(value: float) -> str:
    return "a truth value" if isinstance(value, bool) else "a number"
