"""Chunks: how PNG and WebP files are cut into named pieces.

Sources: PNG, third edition, section 5; RFC 9649 (WebP), section 2.3.
"""

import struct
import zlib
from collections.abc import Iterator
from io import SEEK_CUR
from typing import BinaryIO

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(file: BinaryIO, *, wanted: frozenset[bytes] | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and contents of a PNG's chunks up to its end, whatever follows it, or up to a cut.

    Args:
        file: Read from its start.
        wanted: Names of the chunks to yield, None for all. The others are passed over unread.
    """
    file.seek(len(PNG_SIGNATURE))
    while len(head := file.read(8)) == 8:  # noqa: PLR2004 - length and name
        length, name = struct.unpack(">I4s", head)
        if wanted is None or name in wanted:
            data = file.read(length)
            if len(data) < length:
                return
            yield name, data
        else:
            file.seek(length, SEEK_CUR)
        if name == b"IEND":
            return
        file.seek(4, SEEK_CUR)


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Return a whole PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))


def webp(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and contents of a WebP's chunks; ends at a cut."""
    file.seek(12)
    while len(head := file.read(8)) == 8:  # noqa: PLR2004 - name and length
        name, length = struct.unpack("<4sI", head)
        yield name, file.read(length)
        file.seek(length % 2, SEEK_CUR)


def webp_chunk(name: bytes, data: bytes) -> bytes:
    """Return a whole WebP chunk, padded to an even length."""
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
