"""A piece of a file, read from disk while it is sent, so that memory stays small whatever the file's size."""

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from batchup.digest import sha256
from batchup.errors import RejectedError

READ_BYTES = 1 << 18
"""Read at once; what one upload holds in memory is about twice this."""

SEND_BYTES = 1 << 16
"""Handed on at once: a stall is told from slowness by whether so much was sent."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a file is known to be the same as before.

    Attributes:
        size_bytes: Its size.
        key: Device, inode, time of the last change.
    """

    size_bytes: int
    key: tuple[int, int, int]


Opened = tuple[Stamp, bytes | None]
"""What :func:`opened` returns."""


def opened(file: Path) -> Opened:
    """Return *file*'s stamp, and its contents where these are so few that they are read at once. Blocks.

    Raises:
        OSError: It cannot be read.
    """
    with open(file, "rb", buffering=0) as reading:  # noqa: PTH123 - half the time of Path.open
        known = _stamp(os.fstat(reading.fileno()))
        small = known.size_bytes <= READ_BYTES
        return known, reading.read(READ_BYTES + 1) if small else None


def hashed(file: Path) -> tuple[str, Opened | None]:
    """Return *file*'s content hash, and what :func:`opened` returns if that holds its contents. Blocks.

    Raises:
        OSError: It cannot be read.
    """
    known, contents = opened(file)
    if contents is None:
        return sha256(file), None
    return hashlib.sha256(contents).hexdigest(), (known, contents)


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_size, (found.st_dev, found.st_ino, found.st_mtime_ns))


class Piece:
    """*size_bytes* of a file from *start* on, as an HTTP client iterates a body: any number of times.

    Attributes:
        error: What went wrong here while it was sent, and is no fault of the connection.
    """

    def __init__(self, file: Path, known: Stamp, start: int, size_bytes: int) -> None:
        self.file, self.known, self.start, self.size_bytes = file, known, start, size_bytes
        self.error: OSError | RejectedError | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        at, end = self.start, self.start + self.size_bytes
        while at < end:
            try:
                data = await to_thread.run_sync(self._read, at, min(READ_BYTES, end - at))
            except (OSError, RejectedError) as error:
                self.error = error
                raise
            for sent in range(0, len(data), SEND_BYTES):
                yield data[sent : sent + SEND_BYTES]
            at += len(data)

    def _read(self, at: int, size_bytes: int) -> bytes:
        # Opened anew for each chunk: nothing is left open, whenever a connection breaks.
        with open(self.file, "rb", buffering=0) as file:  # noqa: PTH123 - half the time of Path.open
            file.seek(at)
            data = file.read(size_bytes)
            if _stamp(os.fstat(file.fileno())) != self.known or len(data) < size_bytes:
                raise RejectedError(
                    f"{self.file.name} was changed while it was uploaded; run again", kind="source_changed"
                )
        return data
