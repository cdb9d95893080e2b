"""Transparency that would be lost: looked for before anything is uploaded or paid. Run by a worker process."""

import os

import msgspec
from PIL import Image

from batchup.models.formats import by_ending
from batchup.providers.local.picture.reading import decode
from batchup.task import Task

FUNCTION = f"{__name__}:look"
"""What a pool calls, with a :class:`Looked`."""

_MODES = frozenset({"RGBA", "LA", "PA", "P"})
"""Of pictures that may have transparency, as their headers tell. Many are opaque all the same: every screenshot."""

PIXEL_BYTES = 8
"""Peak memory a pixel of decoding, with its transparency apart."""


class Looked(msgspec.Struct, frozen=True):
    """A picture to be looked at."""

    file: str


class Found(msgspec.Struct, frozen=True):
    """What was found."""

    is_transparent: bool


def is_at_risk(task: Task) -> bool:
    """Return whether a task's input may have transparency, and its output can have none."""
    media, form = task.source.media, by_ending(os.path.splitext(task.output)[1].lower())  # noqa: PTH122 - of a path text
    return media is not None and media.mode in _MODES and form is not None and not form.alpha


def look(looked: Looked) -> Found:
    """Return whether any pixel of a picture is transparent.

    Raises:
        RejectedError: It cannot be read.
    """
    with Image.open(looked.file) as image:
        decode(image)
        if not image.has_transparency_data:
            return Found(False)
        alpha = image.convert("RGBA").getchannel("A")
        return Found(alpha.histogram()[255] < alpha.width * alpha.height)
