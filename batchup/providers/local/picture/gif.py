"""GIF: written frame by frame, and walked block by block for what Pillow does not tell.

Source: GIF89a, https://www.w3.org/Graphics/GIF/spec-gif89a.txt.
"""

import struct
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from batchup.providers.local.picture.animation import Patch, Timing
from batchup.source import Size

_COLOURS = 256
_TRANSPARENT = _COLOURS - 1
_OPAQUE_FROM = 128
_KEEP, _CLEAR = 1, 2
_MAX_DELAY = 65_535
_LOOP_BLOCKS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_CONTROL, _COMMENT, _APPLICATION = 0xF9, 0xFE, 0xFF


def extensions(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield label and whole bytes of a GIF's comments and applications' blocks, those of loops left out.

    XMP is such a block (XMP Specification Part 3, 1.1.2), and so is an ICC profile.
    """
    file.seek(10)
    _skip_table(file, file.read(3)[0])
    while (kind := file.read(1)) and kind in b"!,":
        if kind == b",":
            _skip_table(file, file.read(9)[8:][0])
            file.seek(1, 1)
            _blocks(file)
            continue
        label = file.read(1)[0]
        blocks = _blocks(file)
        if label == _COMMENT or (label == _APPLICATION and blocks[1:12] not in _LOOP_BLOCKS):
            yield label, bytes([0x21, label]) + blocks


def is_profile(label: int, block: bytes) -> bool:
    """Return whether a block from :func:`extensions` holds an ICC profile (ICC.1, annex B.6)."""
    return label == _APPLICATION and block[3:14] == b"ICCRGBG1012"


def _skip_table(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << ((flags & 7) + 1), 1)


def _blocks(file: BinaryIO) -> bytes:
    """Return sub-blocks as they stand, with the empty one that ends them."""
    found = bytearray()
    while size := file.read(1):
        found += size + file.read(size[0])
        if size == b"\0":
            break
    return bytes(found)


def comment(text: bytes) -> bytes:
    """Return the block of a comment."""
    parts = (text[at : at + 255] for at in range(0, len(text), 255))
    return b"!\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def write(file: BinaryIO, size: Size, how: Timing, patches: Iterable[Patch], kept: Iterable[bytes]) -> None:
    """Write an animation, or a still of one frame.

    Args:
        file: Open for writing.
        size: Of the whole.
        how: Its timing.
        patches: Its frames.
        kept: Whole extension blocks.
    """
    file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0))
    if how.plays != 1:
        times = min(max(how.plays - 1, 0), 65_535)
        file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", times) + b"\0")
    file.writelines(kept)
    for patch in patches:
        _write_frame(file, patch)
    file.write(b";")


def _write_frame(file: BinaryIO, patch: Patch) -> None:
    holes = "A" in patch.image.getbands()
    # A frame with holes is whole, and must find nothing below: every frame before it clears itself.
    disposal = _CLEAR if holes else _KEEP
    delay = min(round(patch.delay_s * 100), _MAX_DELAY)
    flags = disposal << 2 | holes
    file.write(struct.pack("<BBBBHBB", 0x21, _CONTROL, 4, flags, delay, _TRANSPARENT if holes else 0, 0))
    table, data = _compressed(_indexed(patch.image))
    bits = (len(table) // 3 - 1).bit_length() - 1
    width, height = patch.image.size
    file.write(struct.pack("<BHHHHB", 0x2C, patch.left_px, patch.top_px, width, height, 0x80 | bits))
    file.write(table + data)


def _indexed(image: Image.Image) -> Image.Image:
    """Return *image* with a palette of its own; what is less than half opaque has the last index."""
    if image.mode == "L":
        return image
    if "A" not in image.getbands():
        return image.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    indexed = image.convert("RGB").quantize(_COLOURS - 1, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = indexed.getpalette("RGB") or []
    indexed.putpalette(palette + [0] * (3 * _COLOURS - len(palette)))
    indexed.paste(_TRANSPARENT, mask=image.getchannel("A").point(lambda alpha: 255 * (alpha < _OPAQUE_FROM)))
    return indexed


def _compressed(indexed: Image.Image) -> tuple[bytes, bytes]:
    """Return colour table and picture data of a GIF of this one picture, as Pillow writes it."""
    buffer = BytesIO()
    indexed.save(buffer, "GIF", optimize=False, interlace=0)
    single = buffer.getbuffer()
    at = 13
    table = b""
    if single[10] & 0x80:
        table = bytes(single[at : at + (3 << ((single[10] & 7) + 1))])
        at += len(table)
    buffer.seek(at)
    while buffer.read(1) == b"!":
        buffer.seek(1, 1)
        _blocks(buffer)
    at = buffer.tell() - 1
    flags = single[at + 9]
    at += 10
    if flags & 0x80:
        table = bytes(single[at : at + (3 << ((flags & 7) + 1))])
        at += len(table)
    return table, bytes(single[at:-1])
