"""Words and tables for people: names made harmless, numbers with units."""

import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

MIN_COLUMN = 8

_HARMLESS = frozenset({"Zs", "Co"})
"""Categories of characters that are printed although they are neither letters nor marks nor signs."""


def escape(text: str) -> str:
    r"""Return *text* with everything that could move a cursor or turn the reading direction shown escaped.

    A path text's NUL and two digits, a byte that is not UTF-8, becomes ``\xff``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(c) for c in text.replace("\0", "\\x"))


def _escaped(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] not in "CZ" or category in _HARMLESS:
        return character
    return character.encode("unicode_escape").decode()


def count(number: int, noun: str) -> str:
    """Return ``1 task`` or ``1,000 tasks``."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def width() -> int:
    """Return the columns of the terminal, or of a page where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def columns() -> int | None:
    """Return the columns that standard output has; None where it is no terminal and a line may be of any length."""
    return width() if sys.stdout.isatty() else None


def program() -> str:
    """Return how this program was called, as a person may type it again."""
    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        return "python -m batchup"
    found = shutil.which("batchup")
    return "batchup" if found and Path(called).exists() and Path(found).samefile(called) else called


def row(head: str, text: str) -> str:
    """Return a line of a summary: a word, and what there is to say of it. Escaped here."""
    return f"  {head:<9} {escape(text)}"


def prose(head: str, text: str) -> str:
    """Return such a line of a summary for words: on a terminal it goes on below its own beginning, not below *head*.

    Nothing that is to be copied, as a command, may be told so. Blanks before *text* set it in further.
    """
    line, room = row(head, text), columns()
    begin = len(row(head, "")) + len(text) - len(text.lstrip())
    if room is None or display_width(line) < room:
        return line
    lines = [line[:begin]]
    # Two blanks, as after a number, are no place to go on below.
    for word in re.split("(?<! ) (?! )", line[begin:]):
        is_first = len(lines[-1]) == begin
        if is_first or display_width(f"{lines[-1]} {word}") < room:
            lines[-1] += word if is_first else f" {word}"
        else:
            lines.append(" " * begin + word)
    return "\n".join(lines)


def table(rows: Iterable[Sequence[str]], heads: Sequence[str], columns: int | None) -> list[str]:
    """Return lines that fit into *columns*, None for any number; what is too long loses its middle.

    Cells are escaped here.
    """
    cells = [[escape(cell) for cell in row] for row in rows]
    widths = [max(map(display_width, column)) for column in zip(heads, *cells, strict=True)]
    room = sum(widths) if columns is None else columns - 2 * (len(heads) - 1)
    while sum(widths) > room and max(widths) > MIN_COLUMN:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    lines = []
    for row in [heads, *cells]:
        fitted = (pad(shorten(cell, size), size) for cell, size in zip(row, widths, strict=True))
        lines.append("  ".join(fitted).rstrip())
    return lines


def display_width(text: str) -> int:
    """Return the columns that *text* takes in a terminal: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def pad(text: str, columns: int) -> str:
    """Return *text* followed by as many spaces as make it *columns* wide."""
    return text + " " * (columns - display_width(text))


def shorten(text: str, columns: int) -> str:
    """Return *text* in at most *columns*, its middle replaced by an ellipsis: names differ at both ends."""
    if display_width(text) <= columns:
        return text
    head, tail = "", ""
    for left, right in zip(text, reversed(text), strict=True):
        if display_width(head + left + tail) >= columns:
            break
        head += left
        if display_width(head + right + tail) >= columns:
            break
        tail = right + tail
    return head + "…" + tail
