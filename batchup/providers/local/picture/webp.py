"""Animated WebP: stills that Pillow has written, put into one file.

Source: RFC 9649, section 2.7.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from batchup.providers.local.picture import chunks
from batchup.providers.local.picture.animation import Patch, Timing
from batchup.providers.local.picture.metadata import Metadata
from batchup.source import Size

_PICTURE = frozenset({b"ALPH", b"VP8 ", b"VP8L"})
_REPLACE = 0b10
_MAX_DELAY_MS = (1 << 24) - 1
_ICC, _ALPHA, _EXIF, _XMP, _MOVES = 0x20, 0x10, 0x08, 0x04, 0x02

Encode = Callable[[Image.Image, BinaryIO], None]
"""Writes a still WebP without metadata."""


def write(
    file: BinaryIO, size: Size, how: Timing, patches: Iterable[Patch], meta: Metadata, encode: Encode
) -> None:
    """Write an animation.

    Args:
        file: Open for writing and seeking.
        size: Of the whole.
        how: Its timing.
        patches: Its frames.
        meta: What goes with it.
        encode: How each frame is written.
    """
    file.write(b"RIFF\0\0\0\0WEBP")
    file.write(chunks.webp_chunk(b"VP8X", bytes(10)))
    if meta.icc:
        file.write(chunks.webp_chunk(b"ICCP", meta.icc))
    file.write(chunks.webp_chunk(b"ANIM", bytes(4) + min(how.plays, 65_535).to_bytes(2, "little")))
    alpha = False
    for patch in patches:
        alpha = alpha or "A" in patch.image.getbands()
        file.write(chunks.webp_chunk(b"ANMF", _frame(patch, encode)))
    if meta.exif:
        file.write(chunks.webp_chunk(b"EXIF", meta.exif))
    if meta.xmp:
        file.write(chunks.webp_chunk(b"XMP ", meta.xmp))
    _finish(file, _header(size, meta, alpha=alpha))


def _frame(patch: Patch, encode: Encode) -> bytes:
    buffer = BytesIO()
    encode(patch.image, buffer)
    width, height = patch.image.size
    delay_ms = min(round(patch.delay_s * 1000), _MAX_DELAY_MS)
    numbers = (patch.left_px // 2, patch.top_px // 2, width - 1, height - 1, delay_ms)
    head = b"".join(number.to_bytes(3, "little") for number in numbers) + bytes([_REPLACE])
    picture = (chunks.webp_chunk(name, data) for name, data in chunks.webp(buffer) if name in _PICTURE)
    return head + b"".join(picture)


def _header(size: Size, meta: Metadata, *, alpha: bool) -> bytes:
    present = ((_ICC, meta.icc), (_ALPHA, alpha), (_EXIF, meta.exif), (_XMP, meta.xmp), (_MOVES, True))
    flags = sum(flag for flag, there in present if there)
    return bytes([flags, 0, 0, 0]) + b"".join((side - 1).to_bytes(3, "little") for side in size)


def _finish(file: BinaryIO, header: bytes) -> None:
    """Fill in what is known only at the end: the length of the whole, and what it holds."""
    end = file.seek(0, 2)
    file.seek(4)
    file.write((end - 8).to_bytes(4, "little"))
    file.seek(12)
    file.write(chunks.webp_chunk(b"VP8X", header))
    file.seek(end)
