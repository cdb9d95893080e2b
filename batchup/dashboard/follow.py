"""A ledger that is followed: what was appended since the last look, without a lock."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

from batchup.errors import LedgerError
from batchup.ledger.format import Damage, Read, whole
from batchup.ledger.view import check, damaged, opened

_LINE_BYTES = 4096


class Follower:
    """Reads a ledger that a run appends to, and notices when it was replaced.

    Attributes:
        path: Of the ledger; there need not be one yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()
        self._file: FileIO | None = None
        self._end, self._number = 0, 1
        self._again = False

    def close(self) -> None:
        """Let the file go."""
        self._stack.close()
        self._file = None

    def turned(self) -> bool:
        """Look at the file; return whether it is another than before, and all that was read of it means nothing.

        Raises:
            LedgerError: It is no ledger, of a newer format, or cannot be read.
        """
        try:
            there = os.stat(self.path)  # noqa: PTH116 - twice a second
        except (FileNotFoundError, NotADirectoryError):
            gone = self._file is not None
            self._reset()
            return gone
        except OSError as error:
            raise LedgerError(f"{self.path}: the ledger cannot be read: {error.strerror}") from error
        if self._file is not None:
            mine = os.fstat(self._file.fileno())
            # Our open file keeps its number from being given to another. What was whole is never cut off in place.
            if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino) and there.st_size >= self._end:
                return False
        self._reset()
        self._file = self._stack.enter_context(opened(self.path))
        check(self.path, self._file)
        return True

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the offset and line of each event that was not yielded before, up to the torn tail.

        Raises:
            LedgerError: A line is damaged.
        """
        if self._file is None:
            return
        try:
            for group in whole(_reader(self._file.fileno(), self._end), self._end, self._number):
                offset = group.offset
                for line in group.lines:
                    yield offset, line
                    offset += len(line) + 1
                self._end, self._number = group.end, group.line + len(group.lines) + 1
                self._again = False
        except Damage as damage:
            # A run that began meanwhile may have dropped the torn tail and appended, right under our eyes.
            if self._again:
                raise damaged(self.path, damage.line) from damage
            self._again = True

    def read_line(self, offset: int) -> bytes:
        """Return the line, without its newline, that begins at *offset*, as :meth:`lines` gives it.

        Raises:
            LedgerError: There is none any more.
        """
        line = b""
        while b"\n" not in line:
            piece = b""
            if self._file is not None:
                piece = os.pread(self._file.fileno(), _LINE_BYTES, offset + len(line))
            if not piece:
                raise LedgerError(f"{self.path}: somebody cut the ledger while it was read")
            line += piece
        return line.partition(b"\n")[0]

    def _reset(self) -> None:
        self.close()
        self._end, self._number, self._again = 0, 1, False


def _reader(fd: int, offset: int) -> Read:
    """Return what reads *fd* from *offset* to where it ends now: who is appended to all the time is not chased."""
    end = os.fstat(fd).st_size

    def read(size_bytes: int) -> bytes:
        nonlocal offset
        piece = os.pread(fd, max(0, min(size_bytes, end - offset)), offset)
        offset += len(piece)
        return piece

    return read
