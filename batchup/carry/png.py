"""PNG: chunks exchanged, the pixels' chunks as they were. Source: PNG, third edition, sections 5.6 and 11.3."""

import struct
import zlib
from typing import BinaryIO, NamedTuple

from batchup.carry.gift import COLOUR_CHUNKS, TEXT_CHUNKS, XMP_KEYWORD, Gift
from batchup.carry.pieces import Piece, Span, Spliced
from batchup.providers.local.picture.chunks import PNG_SIGNATURE, png_chunk
from batchup.providers.local.picture.metadata import Metadata

_COLOURS = COLOUR_CHUNKS | {b"iCCP"}
_TOLD = TEXT_CHUNKS | {b"eXIf", b"tIME", b"caBX"}
"""What is not needed to show the picture; caBX is C2PA's."""
_METRES_AN_INCH = 0.0254
_LONGEST_KEYWORD = 80


class _Chunk(NamedTuple):
    """A chunk of the file.

    Attributes:
        keyword: Of a text.
        span: With its length, name and checksum.
    """

    name: bytes
    keyword: bytes
    span: Span


def spliced(file: BinaryIO, gift: Gift) -> Spliced:
    """Return the PNG *file* with *gift* in it, still or moving.

    Raises:
        ValueError: It is not built as it should be.
    """
    head, *own = _parsed(file)
    if head.name != b"IHDR":
        raise ValueError("its first chunk is no IHDR")
    colours = [chunk for chunk in own if chunk.name in _COLOURS]
    new = _offered(gift.meta, colours=not colours)
    replaced = {_identity(name, _keyword(name, data)) for name, data in new}
    rest = [
        chunk
        for chunk in own
        if chunk.name not in _COLOURS
        and _identity(chunk.name, chunk.keyword) not in replaced
        and (gift.keep or chunk.name not in _TOLD)
    ]
    pieces: list[Piece] = [PNG_SIGNATURE, head.span]
    # Colours come before a palette, everything else anywhere before the pixels.
    pieces += [chunk.span for chunk in colours]
    pieces += [png_chunk(name, data) for name, data in new]
    return Spliced(pieces + [chunk.span for chunk in rest])


def _parsed(file: BinaryIO) -> list[_Chunk]:
    size = file.seek(0, 2)
    at = len(PNG_SIGNATURE)
    found: list[_Chunk] = []
    while at < size:
        file.seek(at)
        first = file.read(8)
        if len(first) < 8:  # noqa: PLR2004 - length and name
            raise ValueError("a chunk in it is cut")
        length, name = struct.unpack(">I4s", first)
        stop = at + 12 + length
        if stop > size:
            raise ValueError("a chunk in it is cut")
        found.append(_Chunk(name, _keyword(name, file.read(min(length, _LONGEST_KEYWORD))), Span(at, stop)))
        if name == b"IEND":
            return found
        at = stop
    raise ValueError("it has no end")


def _keyword(name: bytes, data: bytes) -> bytes:
    return data.partition(b"\0")[0] if name in TEXT_CHUNKS else b""


def _identity(name: bytes, keyword: bytes) -> bytes:
    """Return what two chunks have in common of which one takes the place of the other: all texts of a keyword are one."""
    return b"text " + keyword if name in TEXT_CHUNKS else name


def _offered(meta: Metadata, *, colours: bool) -> list[tuple[bytes, bytes]]:
    """Return what is put in: names and contents."""
    new: list[tuple[bytes, bytes]] = []
    if colours and meta.icc:
        new.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(meta.icc)))
    elif colours:
        new += [(name, data) for name, data in meta.chunks if name in COLOUR_CHUNKS]
    if meta.dpi:
        across, down = (max(1, round(value / _METRES_AN_INCH)) for value in meta.dpi)
        new.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if meta.exif:
        new.append((b"eXIf", meta.exif))
    if meta.xmp:
        # Keyword, uncompressed, no language and no translation: XMP Specification Part 3, 1.1.5.
        new.append((b"iTXt", XMP_KEYWORD + bytes(5) + meta.xmp))
    texts = [(name, data) for name, data in meta.chunks if name not in COLOUR_CHUNKS]
    comments = [comment.decode("utf-8", "replace").encode() for comment in meta.comments]
    return new + texts + [(b"iTXt", b"Comment" + bytes(5) + comment) for comment in comments]
