"""TIFF directories: read with every value as it stands, and written elsewhere in another byte order.

A directory says what a TIFF's page is, and an EXIF block is nothing else. Pillow's writer loses or retypes some entries
(and, for compressed pages, the whole EXIF directory), so they are carried over here.

Source: TIFF 6.0, section 2; "The BigTIFF File Format", https://www.awaresystems.be/imaging/tiff/bigtiff.html, read 2026-11.
"""

import struct
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import BinaryIO, NamedTuple

EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD = 0x8769, 0x8825, 0xA005
_BELOW = frozenset({EXIF_IFD, GPS_IFD, INTEROPERABILITY_IFD})
_LONG = 4

# Bytes of one number of each type; types of two numbers (rationals) count as two of four bytes.
_WIDTH = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 4,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_NUMBERS = {5: 2, 10: 2}
_MAX_VALUE_BYTES = 256 << 20
_MAX_DIRECTORIES = 65_536


class Entry(NamedTuple):
    """One value of a directory.

    Attributes:
        kind: TIFF's type: 2 is text, 3 are 16 bits, 4 are 32 bits, 7 are bytes, ...
        data: The numbers, one after another, the least significant byte first.
        below: The directory that the entry points to; its *data* is then empty.
    """

    kind: int
    data: bytes
    below: "Directory | None" = None

    @property
    def first(self) -> int:
        """The first number, of an entry of 16 or 32 bits."""
        return int.from_bytes(self.data[: _WIDTH[self.kind]], "little")


Directory = Mapping[int, Entry]
"""Tag -> entry."""


def number(value: int) -> Entry:
    """Return an entry of one 32-bit number."""
    return Entry(_LONG, value.to_bytes(4, "little"))


def directories(file: BinaryIO) -> list[Directory]:
    """Return the directories of a TIFF's main chain, less entries that cannot be read. Loops end.

    Raises:
        ValueError: It is no TIFF.
    """
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:  # noqa: PLR2004 - a header's length
        raise ValueError("no TIFF header")
    big = struct.unpack_from(f"{order}H", head, 2)[0] == 43  # noqa: PLR2004 - BigTIFF's version
    reader = _Reader(file, order, big=big)
    offset = (
        struct.unpack_from(f"{order}Q", head, 8)[0] if big else struct.unpack_from(f"{order}I", head, 4)[0]
    )
    found: list[Directory] = []
    while offset and offset not in reader.seen and len(found) < _MAX_DIRECTORIES:
        try:
            directory, offset = reader.directory(offset)
        except (struct.error, OSError):
            break
        found.append(directory)
    return found


def parsed(block: bytes) -> Directory:
    """Return the first directory of an EXIF block, empty if it has none."""
    try:
        found = directories(BytesIO(block))
    except ValueError:
        return {}
    return found[0] if found else {}


class _Reader:
    def __init__(self, file: BinaryIO, order: str, *, big: bool) -> None:
        self.file, self.order, self.big = file, order, big
        self.seen: set[int] = set()

    def directory(self, offset: int) -> tuple[Directory, int]:
        """Return the directory at *offset*, and where the next one is."""
        self.seen.add(offset)
        self.file.seek(offset)
        count, next_form, size = ("Q", "Q", 20) if self.big else ("H", "I", 12)
        (entries,) = self._unpack(count, self.file.read(struct.calcsize(count)))
        block = self.file.read(entries * size)
        (following,) = self._unpack(next_form, self.file.read(struct.calcsize(next_form)).ljust(8, b"\0"))
        return dict(self._entries(block, size)), following

    def _entries(self, block: bytes, size: int) -> Iterator[tuple[int, Entry]]:
        inline = 8 if self.big else 4
        for at in range(0, len(block) - size + 1, size):
            tag, kind = struct.unpack_from(f"{self.order}HH", block, at)
            (values,) = struct.unpack_from(f"{self.order}{'Q' if self.big else 'I'}", block, at + 4)
            if kind not in _WIDTH:
                continue
            length = values * _WIDTH[kind] * _NUMBERS.get(kind, 1)
            place = block[at + size - inline : at + size]
            data = place[:length] if length <= inline else self._far(place, length)
            if data is None:
                continue
            if tag in _BELOW:
                below = self._below(data)
                if below:
                    yield tag, Entry(_LONG, b"", below)
            else:
                yield tag, Entry(kind, _swapped(data, _WIDTH[kind]) if self.order == ">" else data)

    def _far(self, place: bytes, length: int) -> bytes | None:
        (offset,) = self._unpack("Q" if self.big else "I", place)
        if length > _MAX_VALUE_BYTES:
            return None
        self.file.seek(offset)
        data = self.file.read(length)
        return data if len(data) == length else None

    def _below(self, data: bytes) -> Directory | None:
        offset = int.from_bytes(data, "little" if self.order == "<" else "big")
        if offset in self.seen:
            return None
        try:
            return self.directory(offset)[0]
        except struct.error:
            return None

    def _unpack(self, form: str, data: bytes) -> tuple[int, ...]:
        return struct.unpack_from(f"{self.order}{form}", data)


def _swapped(data: bytes, width: int) -> bytes:
    """Return numbers of *width* bytes in the other byte order."""
    if width == 1:
        return data
    swapped = bytearray(len(data))
    for index in range(width):
        swapped[index::width] = data[width - 1 - index :: width]
    return bytes(swapped)


def packed(directory: Directory, at: int, order: str, following: int = 0) -> bytes:
    """Return *directory* as it stands from the offset *at* of a classic TIFF, with what lies below it.

    Args:
        directory: What to write.
        at: Even.
        order: ``<`` or ``>``.
        following: Offset of the next directory of the chain, 0 for none.
    """
    heads: list[bytes] = []
    tail = bytearray()
    tail_at = at + 2 + 12 * len(directory) + 4
    for tag, entry in sorted(directory.items()):
        if entry.below is not None:
            data = packed(entry.below, tail_at + len(tail), order)
            place, far = struct.pack(f"{order}I", tail_at + len(tail)), data
            kind, values = _LONG, 1
        else:
            kind = entry.kind
            values = len(entry.data) // (_WIDTH[kind] * _NUMBERS.get(kind, 1))
            data = _swapped(entry.data, _WIDTH[kind]) if order == ">" else entry.data
            inline = len(data) <= 4  # noqa: PLR2004 - room in an entry
            place = data.ljust(4, b"\0") if inline else struct.pack(f"{order}I", tail_at + len(tail))
            far = b"" if inline else data
        heads.append(struct.pack(f"{order}HHI", tag, kind, values) + place)
        tail += far + b"\0" * (len(far) % 2)
    head = struct.pack(f"{order}H", len(heads)) + b"".join(heads) + struct.pack(f"{order}I", following)
    return head + bytes(tail)


def exif_block(directory: Directory) -> bytes:
    """Return *directory* as an EXIF block without its prefix, empty if there is nothing in it."""
    return b"II*\0\x08\0\0\0" + packed(directory, 8, "<") if directory else b""


def append(file: BinaryIO, pages: list[Directory]) -> None:
    """Put *pages* at the end of a classic TIFF as its only chain of directories.

    Their strips' offsets must hold in this file already.

    Args:
        file: Open for reading and writing.
        pages: One directory a page.
    """
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    link = 4
    for page in pages:
        end = file.seek(0, 2)
        file.write(b"\0" * (end % 2))
        at = end + end % 2
        block = packed(page, at, order)
        file.write(block)
        file.seek(link)
        file.write(struct.pack(f"{order}I", at))
        link = at + 2 + 12 * len(page)
