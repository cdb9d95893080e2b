"""A read-only view of a ledger: needs no lock, changes nothing, and may be taken while a run appends to it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any

import msgspec

from batchup.errors import LedgerError
from batchup.events import FORMAT
from batchup.ledger.format import HEAD_BYTES, Damage, Read, checksums, cut, format_of, whole

_SAMPLE_BYTES = 8 << 20
_LINE_BYTES = 4096


def read_ledger(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each event's offset and line, in order, up to the torn tail. Holds one group at a time.

    Raises:
        LedgerError: There is no such file, it cannot be read, is no ledger, of a newer format, or damaged.
    """
    with opened(path) as file:
        yield from View(path, file).replay()


class View:
    """A ledger as it is now, for reading. Made by :func:`open_view`."""

    def __init__(self, path: Path, file: FileIO | None) -> None:
        self._path = path
        self._file = file

    def replay(self) -> Iterator[tuple[int, bytes]]:
        """Yield each event's offset and line, in order, up to the torn tail. Holds one group at a time.

        Raises:
            LedgerError: The file is no ledger, of a newer format, or damaged.
        """
        if self._file is not None:
            with _readable(self._path):
                yield from self._groups(self._path, self._file)

    @staticmethod
    def _groups(path: Path, file: FileIO) -> Iterator[tuple[int, bytes]]:
        check(path, file)
        offset, number, again = 0, 1, False
        while True:
            file.seek(offset)
            try:
                for group in whole(file.read, offset, number):
                    yield from placed(group.lines, offset)
                    offset, number, again = group.end, group.line + len(group.lines) + 1, False
            except Damage as damage:
                # A run that began meanwhile may have dropped the torn tail and appended, right under our eyes.
                if again:
                    raise damaged(path, damage.line) from damage
                again = True
            else:
                return

    def read_line(self, offset: int) -> bytes:
        """Return the line, without its newline, that begins at *offset*, as :meth:`replay` gives it."""
        assert self._file is not None
        self._file.seek(offset)
        line = b""
        while b"\n" not in line:
            piece = self._file.read(_LINE_BYTES)
            if not piece:
                raise LedgerError(f"{self._path}: somebody cut the ledger while it was read")
            line += piece
        return line.partition(b"\n")[0]


@contextmanager
def open_view(path: Path) -> Iterator[View]:
    """Give a view of the ledger *path* while the block lasts: empty where there is none. Needs no lock.

    Raises:
        LedgerError: It cannot be read.
    """
    if not path.exists():
        yield View(path, None)
        return
    with opened(path) as file:
        yield View(path, file)


def events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield each event as the JSON object that stands in the ledger. Raises as :func:`read_ledger`."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for _, line in read_ledger(path):
        yield decode(line)


def lines(path: Path, read: Read, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and line of each event that *read* gives of the ledger *path*, where *offset* is its first byte's.

    Raises:
        LedgerError: A line is damaged.
    """
    try:
        for group in whole(read, offset):
            yield from placed(group.lines, group.offset)
    except Damage as damage:
        raise damaged(path, damage.line) from damage


def reader(fd: int, end: int, offset: int = 0) -> Read:
    """Return a reader of *fd* from *offset* to *end* that leaves its position alone."""

    def read(size_bytes: int) -> bytes:
        nonlocal offset
        piece = os.pread(fd, min(size_bytes, end - offset), offset)
        offset += len(piece)
        return piece

    return read


def placed(group: list[bytes], offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield the offset and line of each event of a group whose first stands at *offset*."""
    for line in group:
        yield offset, line
        offset += len(line) + 1


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """Open the file *path* for reading, unbuffered.

    Raises:
        LedgerError: It is missing, no regular file, or cannot be read.
    """
    with _readable(path):
        # Looked at before it is opened: to open a named pipe would wait for somebody who writes to it.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise LedgerError(
                f"{path}: this is {what}, not a ledger; name a file by `ledger:` in the manifest"
            )
        file = FileIO(path)
    with file:
        yield file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what the system says of the ledger into what it means."""
    try:
        yield
    except FileNotFoundError:
        raise LedgerError(f"{path}: there is no ledger here; `batchup run` begins one") from None
    except OSError as error:
        raise LedgerError(f"{path}: the ledger cannot be read: {os.strerror(error.errno or 0)}") from error


def check(path: Path, file: FileIO) -> None:
    """Return if *file* begins as a ledger does, or is empty, or was cut in its first line.

    Raises:
        LedgerError: It is some other file, or of a newer format.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    number = format_of(head)
    if number is not None and number <= FORMAT:
        return
    if is_damaged_start(file):
        raise damaged(path, 1)
    if number is None:
        raise LedgerError(
            f"{path}: this is no batchup ledger: it does not begin with a run event, but with"
            f" {head[:24].decode('utf-8', 'replace')!a}. It was left as it is; set `ledger:` in the manifest"
            " to another file"
        )
    raise LedgerError(
        f"{path}: this ledger has format {number}, of a newer batchup; this one reads up to {FORMAT}."
        " Use that newer version. Nothing was changed"
    )


def is_damaged_start(file: FileIO) -> bool:
    """Return whether *file* begins with a group that is not whole: then it is a ledger, and damaged there."""
    file.seek(0)
    first = next(cut(BytesIO(file.read(_SAMPLE_BYTES)).read), None)
    return first is not None and first.sums is not None and first.sums != checksums(first.lines)


def damaged(path: Path, line: int) -> LedgerError:
    """Return the error for a ledger whose line number *line* is not what was written."""
    return LedgerError(
        f"{path}: line {line} is damaged, so the ledger is not used. `batchup ledger verify {path}` shows every"
        f" damaged line; `batchup ledger repair {path}` keeps this file under another name and goes on without them"
    )
