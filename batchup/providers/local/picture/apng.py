"""Animated PNG: stills that Pillow has written, put into one file.

Source: PNG, third edition, sections 11.3.6 (acTL, fcTL, fdAT).
"""

import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from batchup.providers.local.picture import chunks
from batchup.providers.local.picture.animation import Patch, Timing

_MAX = 65_535
_KEEP, _REPLACE = 0, 0

Encode = Callable[[Image.Image, BinaryIO, bool], None]
"""Writes a still PNG; with the metadata if the flag is set."""


def write(file: BinaryIO, how: Timing, patches: Iterable[Patch], encode: Encode) -> None:
    """Write an animation.

    Args:
        file: Open for writing.
        how: Its timing.
        patches: Its frames.
        encode: How each frame is written; what stands around the first one's picture stands around the whole.
    """
    sequence = 0
    ending: list[bytes] = []
    moving = how.frames - how.default_image
    file.write(chunks.PNG_SIGNATURE)
    for index, patch in enumerate(patches):
        before, data, after = _still(patch.image, encode, first=index == 0)
        if index == 0:
            ending = after
            file.write(b"".join(before))
            file.write(chunks.png_chunk(b"acTL", struct.pack(">II", moving, how.plays)))
        if index > 0 or not how.default_image:
            file.write(chunks.png_chunk(b"fcTL", struct.pack(">I", sequence) + _control(patch)))
            sequence += 1
        for part in data:
            if index == 0:
                file.write(chunks.png_chunk(b"IDAT", part))
            else:
                file.write(chunks.png_chunk(b"fdAT", struct.pack(">I", sequence) + part))
                sequence += 1
    file.write(b"".join(ending))


def _still(
    image: Image.Image, encode: Encode, *, first: bool
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the chunks before a picture's data, the data, and the chunks behind it."""
    buffer = BytesIO()
    encode(image, buffer, first)
    before: list[bytes] = []
    data: list[bytes] = []
    after: list[bytes] = []
    for name, contents in chunks.png(buffer):
        if name == b"IDAT":
            data.append(contents)
        else:
            (after if data else before).append(chunks.png_chunk(name, contents))
    return before, data, after


def _control(patch: Patch) -> bytes:
    delay = patch.delay_s
    if delay.numerator > _MAX:  # seconds, where the fraction has no room
        delay = Fraction(min(round(delay), _MAX))
    width, height = patch.image.size
    place = struct.pack(">IIII", width, height, patch.left_px, patch.top_px)
    return place + struct.pack(">HHBB", delay.numerator, delay.denominator, _KEEP, _REPLACE)
