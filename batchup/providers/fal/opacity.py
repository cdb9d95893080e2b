"""Transparency that would be lost: looked for before anything is uploaded or paid. Run by a worker process."""

import msgspec
from PIL import Image

from batchup.providers.local.picture.reading import decode

FUNCTION = f"{__name__}:look"
"""What a pool calls, with a :class:`Looked`."""

PIXEL_BYTES = 8
"""Peak memory a pixel of decoding, with its transparency apart."""


class Looked(msgspec.Struct, frozen=True):
    """A picture to be looked at."""

    file: str


class Found(msgspec.Struct, frozen=True):
    """What was found."""

    is_transparent: bool


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
