"""EXIF as JPEG, PNG, WebP, AVIF and HEIC hold it: made to fit the enlarged picture, in place.

Every byte that need not change stays where it is. Maker notes point into the block by absolute offsets that only the
camera's maker knows, so writing the block anew would break them.

Source: CIPA DC-008 (Exif 2.32), 4.5 and 4.6; TIFF 6.0, section 2.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

PREFIX = b"Exif\0\0"

_ORIENTATION = 0x0112
_EXIF_IFD = 0x8769
_WIDTHS = {0x0100, 0xA002}
_HEIGHTS = {0x0101, 0xA003}
_THUMBNAIL_OFFSET = 0x0201
_THUMBNAIL_BYTES = 0x0202
_SHORT, _LONG = 3, 4
_SHORT_MAX = 0xFFFF


class _Entry(NamedTuple):
    at: int
    tag: int
    kind: int
    values: int


def fitted(exif: bytes, width: int, height: int) -> bytes:
    """Return *exif* for an upright picture of *width* x *height* pixels.

    The orientation becomes 1, where one is given; sizes in pixels become the new ones; the thumbnail, which shows the
    old picture, is taken out. A block that cannot be understood is returned as it is.

    Args:
        exif: A TIFF structure, with or without :data:`PREFIX`, which is left away.
        width: Pixels.
        height: Pixels.
    """
    block = bytearray(exif.removeprefix(PREFIX))
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(block[:4]))
    if order is None:
        return bytes(block)
    try:
        (first,) = struct.unpack_from(f"{order}I", block, 4)
        next_at = _fit_directory(block, order, first, width, height)
        _drop_thumbnail(block, order, next_at)
    except struct.error:  # an offset that leads out of the block: nothing behind it can be known
        return bytes(block)
    return bytes(block)


def _entries(block: bytearray, order: str, offset: int) -> Iterator[_Entry]:
    (count,) = struct.unpack_from(f"{order}H", block, offset)
    for index in range(count):
        at = offset + 2 + 12 * index
        yield _Entry(at, *struct.unpack_from(f"{order}HHI", block, at))


def _fit_directory(block: bytearray, order: str, offset: int, width: int, height: int) -> int:
    """Fit the directory at *offset* and the EXIF directory below it; return where its successor is told."""
    end = offset + 2
    for entry in _entries(block, order, offset):
        end = entry.at + 12
        if entry.tag == _ORIENTATION:
            _put(block, order, entry, 1)
        elif entry.tag in _WIDTHS:
            _put(block, order, entry, width)
        elif entry.tag in _HEIGHTS:
            _put(block, order, entry, height)
        elif entry.tag == _EXIF_IFD and entry.kind == _LONG:
            (below,) = struct.unpack_from(f"{order}I", block, entry.at + 8)
            if below > offset:  # never backwards, so a loop ends
                _fit_directory(block, order, below, width, height)
    return end


def _put(block: bytearray, order: str, entry: _Entry, value: int) -> None:
    """Write *value* into an entry that holds one number, widening it from 16 to 32 bits where it must be."""
    if entry.values != 1 or entry.kind not in {_SHORT, _LONG}:
        return
    if entry.kind == _SHORT and value <= _SHORT_MAX:
        struct.pack_into(f"{order}H", block, entry.at + 8, value)
    else:
        struct.pack_into(f"{order}HII", block, entry.at + 2, _LONG, 1, value)


def _drop_thumbnail(block: bytearray, order: str, next_at: int) -> None:
    """Unlink the thumbnail's directory; cut its picture off where it ends the block, else blank it."""
    (second,) = struct.unpack_from(f"{order}I", block, next_at)
    if not second:
        return
    struct.pack_into(f"{order}I", block, next_at, 0)
    values = {
        entry.tag: struct.unpack_from(f"{order}I", block, entry.at + 8)[0]
        for entry in _entries(block, order, second)
    }
    start, length = values.get(_THUMBNAIL_OFFSET, 0), values.get(_THUMBNAIL_BYTES, 0)
    if not start or start + length > len(block) or block[start : start + 2] != b"\xff\xd8":
        return
    if start + length >= len(block) - 1:  # a last byte may only fill up to an even length
        del block[start:]
    else:
        block[start : start + length] = bytes(length)
