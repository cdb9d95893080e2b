"""What an output inherits from its input, where the model that made it hands back pixels and nothing else.

Metadata, a colour profile, sound: all of it is put into the finished file, whose pixels are never touched.
"""

from pathlib import Path
from typing import Literal

import msgspec

from batchup.carry.film import carry as _carry_film
from batchup.carry.picture import carry as _carry_picture

__all__ = ["FUNCTION", "Carried", "Carrying", "carry"]

FUNCTION = f"{__name__}:carry"
"""What a pool calls, with a :class:`Carrying`."""


class Carrying(msgspec.Struct, frozen=True):
    """An output, and what it inherits from.

    Attributes:
        source: The input; empty where it is not on this machine.
        part: The output, complete. Its name tells nothing of its format.
        keep_metadata: False to carry only what it takes to show the picture as it is meant (ICC profile, resolution, and a
            video's sound), and to take out what the model has written of itself.
        kind: What the model makes.
    """

    source: str
    part: str
    keep_metadata: bool
    kind: Literal["image", "video"]


class Carried(msgspec.Struct, frozen=True):
    """What became of it.

    Attributes:
        notes: What could not be carried, and why: a sentence each, about this output.
    """

    notes: tuple[str, ...]


def carry(files: Carrying) -> Carried:
    """Put what the input holds besides its pixels into the output. Runs in a worker process; may be called twice.

    The output is replaced whole or stays as it is, and its pixels, and how they are shown, stay what they are. No metadata is
    worth a paid output: what cannot be read, or has no place in the output, is left out with a note.

    Raises:
        OSError: The output's disk failed; the output is as it was.
    """
    part = Path(files.part)
    beside = part.with_suffix(".carried")
    beside.unlink(missing_ok=True)  # left by a run that was killed
    carried = _carry_picture if files.kind == "image" else _carry_film
    try:
        return Carried(carried(files.source, part, beside, keep=files.keep_metadata))
    finally:
        beside.unlink(missing_ok=True)
