"""What video containers say of themselves in bytes: how the picture is turned, and where the file should end.

PyAV gives a display matrix only with a decoded frame, and no demuxer minds a file that is shorter than its own header
says. Sources: ISO/IEC 14496-12 (MP4, MOV, 3GP), RFC 9559 (Matroska, WebM), the RIFF specification (AVI).
"""

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

QUICKTIME = frozenset({"MP4", "MOV", "3GP"})
MATROSKA = frozenset({"MKV", "WEBM"})

_KNOWN = frozenset(b"ftyp moov mdat free skip wide uuid moof mfra sidx styp pnot meta".split())
_ROLL = re.compile(rb"\x76\x70[\x80-\xff].{0,60}?\x76\x75(?:\x84(.{4})|\x88(.{8}))", re.DOTALL)
_TRACKS_BYTES = 65_536
_SEGMENT = b"\x18\x53\x80\x67"


class Box(NamedTuple):
    """A box of an MP4: its kind, and where its contents begin and end."""

    kind: bytes
    start: int
    stop: int


def boxes(file: BinaryIO, start: int, stop: int) -> Iterator[Box]:
    """Yield the boxes between two offsets. The last one may end beyond *stop*, where the file is cut."""
    while start + 8 <= stop:
        file.seek(start)
        head = file.read(16)
        size, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        elif size == 0:
            size = stop - start
        if size < header:
            return
        yield Box(kind, start + header, start + size)
        start += size


def _within(file: BinaryIO, box: Box, kind: bytes) -> Iterator[Box]:
    stop = min(box.stop, file.seek(0, 2))
    return (below for below in boxes(file, box.start, stop) if below.kind == kind)


def has_index(file: BinaryIO) -> bool:
    """Return whether an MP4 holds the box without which it cannot be read."""
    return any(box.kind == b"moov" for box in boxes(file, 0, file.seek(0, 2)))


def is_cut(file: BinaryIO, found: str) -> bool:
    """Return whether the file is shorter than its own outermost elements say."""
    size = file.seek(0, 2)
    if found in QUICKTIME:
        return any(box.kind in _KNOWN and box.stop > size for box in boxes(file, 0, size))
    file.seek(0)
    if found in MATROSKA:
        return _segment_end(file, size) > size
    if found == "AVI":
        return 8 + int.from_bytes(file.read(8)[4:], "little") > size
    return False


def _segment_end(file: BinaryIO, stop: int) -> int:
    """Return where a Matroska's segment ends, 0 where it does not tell (a live recording).

    What stands before it must end before *stop*, too.
    """
    for _ in range(4):  # the EBML header, perhaps a Void
        first = file.read(1)
        if not first:
            return 0
        kind = first + file.read(_length(first[0]) - 1)
        size = _number(file)
        end = file.tell() + (size or 0)
        if kind == _SEGMENT:
            return 0 if size is None else end
        if end > stop:
            return end
        file.seek(end)
    return 0


def _length(first: int) -> int:
    """Return the length in bytes of an EBML number that begins with the byte *first*."""
    return 9 - max(1, first.bit_length())


def _number(file: BinaryIO) -> int | None:
    """Read an EBML size; None for the one that means unknown."""
    first = file.read(1)
    if not first:
        return None
    length = _length(first[0])
    value = int.from_bytes(first + file.read(length - 1), "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else value


def is_sideways(file: BinaryIO, found: str) -> bool:
    """Return whether a viewer turns the picture by a quarter. *file* stands at its start."""
    if found in QUICKTIME:
        return _turned(file)
    return found in MATROSKA and _rolled(file.read(_TRACKS_BYTES))


def _rolled(tracks: bytes) -> bool:
    """Return whether ProjectionPoseRoll, a float within Projection, is a quarter turn."""
    found = _ROLL.search(tracks)
    if found is None:
        return False
    degrees = struct.unpack(">f", found[1])[0] if found[1] else struct.unpack(">d", found[2])[0]
    return bool(abs(abs(degrees) % 180 - 90) < 1)


def _turned(file: BinaryIO) -> bool:
    """Return whether the first video track's matrix is a quarter turn."""
    whole = Box(b"", 0, file.seek(0, 2))
    for index in _within(file, whole, b"moov"):
        for track in _within(file, index, b"trak"):
            if _is_video(file, track):
                return any(_quarter(file, head) for head in _within(file, track, b"tkhd"))
    return False


def _quarter(file: BinaryIO, head: Box) -> bool:
    file.seek(head.start)
    data = file.read(96)
    at = 52 if data[:1] == b"\x01" else 40  # version 1 has times of eight bytes
    if len(data) < at + 20:
        return False
    a, b, _, c, d = struct.unpack_from(">5i", data, at)
    return bool(a == 0 and d == 0 and b != 0 and c != 0)


def _is_video(file: BinaryIO, track: Box) -> bool:
    for media in _within(file, track, b"mdia"):
        for handler in _within(file, media, b"hdlr"):
            file.seek(handler.start + 8)
            return file.read(4) == b"vide"
    return False
