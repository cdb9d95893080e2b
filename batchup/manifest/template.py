"""Template of an output's name, taken apart: ``{dir}/{stem}-{scale}{ext}``."""

import re
from dataclasses import dataclass

from batchup.manifest.wording import found

FIELDS = ("root", "dir", "stem", "source_ext", "ext", "model", "index", "hash", "width", "height")
"""Fields that every template may use; a model's parameters and ``row.`` with a column's name come on top."""

ROW = "row."

_PIECE = re.compile(r"(?P<literal>(?:[^{}]|\{\{|\}\})+)|\{(?P<field>[^{}]*)\}|(?P<stray>[{}])")


@dataclass(frozen=True, slots=True)
class Part:
    """A literal, or where *field* is true, the name in braces: one of :data:`FIELDS`, a parameter, ``row.column``."""

    text: str
    field: bool = False


def parse(text: str) -> tuple[Part, ...]:
    """Return the literals and fields that *text* is made of, in order. ``{{`` and ``}}`` are braces themselves.

    Raises:
        ValueError: A brace is not closed or not opened, or a field has no name; said to a person.
    """
    parts: list[Part] = []
    for piece in _PIECE.finditer(text):
        if piece["stray"]:
            what = "is not closed" if piece["stray"] == "{" else "has no { before it"
            raise ValueError(f"{found(text)}: the {piece['stray']} at character {piece.start() + 1} {what}")
        if piece["literal"] is not None:
            parts.append(Part(piece["literal"].replace("{{", "{").replace("}}", "}")))
        elif not piece["field"].strip() or piece["field"] == ROW:
            raise ValueError(
                f"{found(text)}: {{{piece['field']}}} names nothing; write a name such as {{stem}}"
            )
        else:
            parts.append(Part(piece["field"], field=True))
    return tuple(parts)
