"""Scalars: what a plain word of YAML means, by the core schema of YAML 1.2 rather than the guesses of 1.1.

Only ``true`` and ``false`` are booleans, so a folder may be called ``no``; ``12:30`` is text and ``1e3`` a number. Numbers
with a leading zero or an underscore, ``.inf`` and ``.nan`` are text too: where a number is wanted they are refused
with their own spelling, and nowhere are they silently something else.

Source: https://yaml.org/spec/1.2.2/#1032-tag-resolution, read 2026-11.
"""

import math
import re

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_STARTS = frozenset("0123456789+-.")
# No quantity has this many digits, and int() refuses some thousands of them.
_LONGEST = 40
# Above this, a float no longer holds every whole number, so that 1e3 may be taken for one only below.
_EXACT = 2**53


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of *text*, a plain (unquoted) scalar."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text[0] not in _STARTS or len(text) > _LONGEST:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    return _real(text) if _FLOAT.fullmatch(text) else text


def _real(text: str) -> str | int | float:
    number = float(text)
    if not math.isfinite(number):
        return text
    # 1e3 is how a person writes the whole number 1000; 2.0 is not.
    if "." not in text and number.is_integer() and abs(number) < _EXACT:
        return int(number)
    return number
