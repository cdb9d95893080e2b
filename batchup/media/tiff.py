"""Image file directories: those of a TIFF, and the small one that EXIF is. Sources: TIFF 6.0; DNG 1.7, chapter 4."""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

Read = Callable[[int, int], bytes]
"""``read(offset, count)``: bytes of the file from *offset*; fewer at its end."""

NEW_SUBFILE_TYPE = 254
BITS_PER_SAMPLE = 258
PHOTOMETRIC = 262
ORIENTATION = 274
SUB_IFDS = 330
DNG_VERSION = 50706

_WANTED = frozenset({NEW_SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC, ORIENTATION, SUB_IFDS, DNG_VERSION})
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SENSOR = frozenset({32803, 34892})  # PhotometricInterpretation: CFA, LinearRaw
_REDUCED_OR_MASK = 0b101
_MAX_DIRECTORIES = 10_000
_MAX_ENTRIES = 4_096
_MAX_VALUES = 64
_BIG = 43

Tags = dict[int, tuple[int, ...]]


class Layout(NamedTuple):
    """How numbers are written in one file.

    Attributes:
        order: ``<`` or ``>``.
        big: BigTIFF, with offsets of eight bytes.
        first: Offset of the first directory.
    """

    order: str
    big: bool
    first: int


def layout(head: bytes) -> Layout:
    """Return how a file that begins with *head* is written.

    Raises:
        ValueError: It is no TIFF.
        struct.error: *head* is cut.
    """
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise ValueError("no byte order")
    big = struct.unpack_from(f"{order}H", head, 2)[0] == _BIG
    (first,) = struct.unpack_from(f"{order}Q", head, 8) if big else struct.unpack_from(f"{order}I", head, 4)
    return Layout(order, big, first)


def directory(read: Read, form: Layout, offset: int) -> tuple[Tags, int]:
    """Return the tags that matter here of the directory at *offset*, and the offset of the next (0: none).

    Raises:
        struct.error: The directory is cut.
        ValueError: It has an absurd number of entries.
    """
    order, big, _ = form
    count_format, entry_format, next_format = (
        (f"{order}Q", f"{order}HHQ8s", f"{order}Q") if big else (f"{order}H", f"{order}HHI4s", f"{order}I")
    )
    head = struct.calcsize(count_format)
    (count,) = struct.unpack(count_format, read(offset, head))
    if count > _MAX_ENTRIES:
        raise ValueError(f"{count} entries in one directory")
    size = struct.calcsize(entry_format) * count
    data = read(offset + head, size + struct.calcsize(next_format))
    tags: Tags = {}
    for tag, kind, number, value in struct.iter_unpack(entry_format, data[:size]):
        if tag in _WANTED and kind in _TYPES:
            tags[tag] = _values(read, form, _TYPES[kind], min(number, _MAX_VALUES), value)
    (following,) = struct.unpack_from(next_format, data, size)
    return tags, following


def _values(read: Read, form: Layout, code: str, count: int, value: bytes) -> tuple[int, ...]:
    """Return the numbers of one entry, which lie in it or, where they do not fit, at the offset in it."""
    wanted = f"{form.order}{count}{code}"
    size = struct.calcsize(wanted)
    if size > len(value):
        (offset,) = struct.unpack(f"{form.order}{'Q' if form.big else 'I'}", value)
        value = read(offset, size)
    return struct.unpack_from(wanted, value)


def directories(read: Read, form: Layout) -> Iterator[Tags]:
    """Yield the directories of the main chain; ends where it loops or breaks off."""
    seen: set[int] = set()
    offset = form.first
    while offset and offset not in seen and len(seen) < _MAX_DIRECTORIES:
        seen.add(offset)
        try:
            tags, offset = directory(read, form, offset)
        except (struct.error, ValueError):
            return
        yield tags


def is_page(tags: Tags) -> bool:
    """Return whether a directory is a picture of its own: no thumbnail, pyramid level or mask."""
    return not tags.get(NEW_SUBFILE_TYPE, (0,))[0] & _REDUCED_OR_MASK


def is_raw(read: Read, form: Layout, tags: Tags) -> bool:
    """Return whether the file of this first directory holds what a camera's sensor saw (DNG, NEF, ARW, ...)."""
    if DNG_VERSION in tags or tags.get(PHOTOMETRIC, (0,))[0] in _SENSOR:
        return True
    for offset in tags.get(SUB_IFDS, ()):
        try:
            below, _ = directory(read, form, offset)
        except (struct.error, ValueError):
            continue
        if below.get(PHOTOMETRIC, (0,))[0] in _SENSOR:
            return True
    return False


def orientation(exif: bytes) -> int:
    r"""Return the EXIF orientation, 1 to 8; 1 where there is none or it cannot be read.

    Args:
        exif: A whole EXIF block, with or without its ``Exif\0\0``.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        form = layout(exif[:16])
        tags, _ = directory(lambda offset, count: exif[offset : offset + count], form, form.first)
    except (struct.error, ValueError):
        return 1
    return upright(tags)


def upright(tags: Tags) -> int:
    """Return the orientation that *tags* give, 1 to 8; 1 where there is none or an impossible one."""
    value = (tags.get(ORIENTATION) or (1,))[0]
    return value if value in range(1, 9) else 1
