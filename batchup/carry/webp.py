"""WebP: chunks exchanged, and the extended header that they need. Source: RFC 9649, section 2.7."""

import struct
from typing import BinaryIO, NamedTuple

from batchup.carry.gift import Gift
from batchup.carry.pieces import Piece, Span, Spliced
from batchup.providers.local.picture.chunks import webp_chunk

_ICC, _ALPHA, _EXIF, _XMP = 0x20, 0x10, 0x08, 0x04
_PICTURE = frozenset({b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"})
_HEAD_BYTES = 10
_MAX_BYTES = (1 << 32) - 2


class _Chunk(NamedTuple):
    """A chunk of the file.

    Attributes:
        head: Its first bytes.
        span: With its name, length and filling.
    """

    name: bytes
    head: bytes
    span: Span


def spliced(file: BinaryIO, gift: Gift) -> Spliced:
    """Return the WebP *file* with *gift* in it, still or moving.

    Raises:
        ValueError: It is not built as it should be.
    """
    own = _parsed(file)
    picture = [chunk.span for chunk in own if chunk.name in _PICTURE]
    if not picture:
        raise ValueError("there is no picture in it")
    meta, keep = gift.meta, gift.keep
    icc = _one(own, b"ICCP", keep=True) or _new(b"ICCP", meta.icc)
    exif = _new(b"EXIF", meta.exif) or _one(own, b"EXIF", keep=keep)
    xmp = _new(b"XMP ", meta.xmp) or _one(own, b"XMP ", keep=keep)
    known = _PICTURE | {b"VP8X", b"ICCP", b"EXIF", b"XMP "}
    others = [chunk.span for chunk in own if keep and chunk.name not in known]
    flags = _ICC * bool(icc) + _EXIF * bool(exif) + _XMP * bool(xmp)
    header = _header(own, flags, needed=bool(flags or others))
    body: list[Piece] = [*header, *icc, *picture, *exif, *xmp, *others]
    length = 4 + sum(piece.stop - piece.start if isinstance(piece, Span) else len(piece) for piece in body)
    if length > _MAX_BYTES:
        raise ValueError("it would become larger than a WebP can be")
    return Spliced([b"RIFF" + struct.pack("<I", length) + b"WEBP", *body])


def _parsed(file: BinaryIO) -> list[_Chunk]:
    size = file.seek(0, 2)
    file.seek(0)
    first = file.read(12)
    if first[:4] != b"RIFF" or first[8:] != b"WEBP":
        raise ValueError("it does not begin like a WebP")
    end, at = 8 + int.from_bytes(first[4:8], "little"), 12
    if end > size:
        raise ValueError("it is cut")
    found: list[_Chunk] = []
    while at + 8 <= end:
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        stop = at + 8 + length + length % 2
        if stop > end:
            raise ValueError("a chunk in it is cut")
        found.append(_Chunk(name, file.read(min(length, _HEAD_BYTES)), Span(at, stop)))
        at = stop
    return found


def _one(own: list[_Chunk], name: bytes, *, keep: bool) -> list[Piece]:
    found: list[Piece] = [chunk.span for chunk in own if chunk.name == name]
    return found[:1] if keep else []


def _new(name: bytes, data: bytes) -> list[Piece]:
    return [webp_chunk(name, data)] if data else []


def _header(own: list[_Chunk], flags: int, *, needed: bool) -> list[Piece]:
    """Return the extended header, if there must be one or was one: what it said of alpha and motion, and *flags*."""
    first = own[0]
    if first.name == b"VP8X":
        if len(first.head) < _HEAD_BYTES:
            raise ValueError("its header is cut")
        before = first.head[0] & ~(_ICC | _EXIF | _XMP)
        return [webp_chunk(b"VP8X", bytes([before | flags]) + first.head[1:])]
    if not needed:
        return []
    width, height, alpha = _measured(first)
    sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    return [webp_chunk(b"VP8X", bytes([flags | _ALPHA * alpha, 0, 0, 0]) + sides)]


def _measured(chunk: _Chunk) -> tuple[int, int, bool]:
    """Return width, height, and whether there is an alpha channel. Source: RFC 9649, 2.6 and 3.4; RFC 6386, 9.1."""
    if chunk.name == b"VP8L" and len(chunk.head) >= 5:  # noqa: PLR2004 - signature and sizes
        packed = int.from_bytes(chunk.head[1:5], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF), bool(packed >> 28 & 1)
    if chunk.name == b"VP8 " and len(chunk.head) == _HEAD_BYTES:
        width, height = struct.unpack_from("<HH", chunk.head, 6)
        return width & 0x3FFF, height & 0x3FFF, False
    raise ValueError("its first chunk is no picture")
