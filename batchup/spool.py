"""Values on disk instead of in memory: a million tasks cost eight bytes each."""

import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from batchup.errors import FatalError

T = TypeVar("T", bound=msgspec.Struct)

IN_MEMORY_BYTES = 16_000_000
"""Up to here nothing touches the disk."""

AHEAD_BYTES = 1 << 16
"""Read at once where values are asked for one after the other."""


class Spool(Generic[T]):
    """A list of structs in an anonymous temporary file, which the system removes with the process."""

    def __init__(self, kind: type[T]) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 - lives as long as self
        weakref.finalize(self, self._file.close)
        self._ends = array("Q", [0])
        # What was read last, with where it stands, and the number of the value that would be next.
        self._read: tuple[int, bytes] = (0, b"")
        self._next = 0
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, value: T) -> None:
        """Add *value* at the end. Not while somebody iterates."""
        data = self._encode(value)
        try:
            self._file.write(data)
        except OSError as error:
            folder = tempfile.gettempdir()
            message = f"no room for temporary files in {folder} ({error.strerror}); free some, or set TMPDIR"
            raise FatalError(message, stopped="disk") from error
        self._ends.append(self._ends[-1] + len(data))

    def __getitem__(self, number: int) -> T:
        start, end = self._ends[number], self._ends[number + 1]
        at, data = self._read
        if start < at or end > at + len(data):
            at, data = self._read = start, self._bytes(start, end, follows=number == self._next)
        self._next = number + 1
        return self._decode(memoryview(data)[start - at : end - at])

    def _bytes(self, start: int, end: int, *, follows: bool) -> bytes:
        self._file.seek(start)
        data: bytes = self._file.read(max(end - start, AHEAD_BYTES if follows else 0))
        self._file.seek(self._ends[-1])
        return data

    def __iter__(self) -> Iterator[T]:
        return self.pick(range(len(self)))

    def pick(self, numbers: Iterable[int]) -> Iterator[T]:
        """Yield the values with these numbers, in this order."""
        return (self[number] for number in numbers)
