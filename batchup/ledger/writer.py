"""The one thread that writes to the ledger: all that waits goes into one group, with one write and one sync."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

from batchup.errors import FatalError
from batchup.ledger import disk
from batchup.ledger.disk import Sync
from batchup.ledger.format import encode

PAUSE_S = 0.001
_COPIED_BYTES = 1 << 20
SMALL_LINES = 32
"""A group of fewer lines waits so long after the one before it for others to join: while much goes on at once, half the
groups take half the time of the interpreter, and what comes alone is written at once."""


class Entry(NamedTuple):
    """Lines that belong together, and who waits for them."""

    lines: list[bytes]
    durable: asyncio.Future[int]
    loop: asyncio.AbstractEventLoop


class Part(NamedTuple):
    """A file that holds what a ledger has from an offset on.

    Attributes:
        start: That offset, as everybody knows it who was told of a line.
        fd: The open file.
        shift: What to take from an offset to have it in this file.
    """

    start: int
    fd: int
    shift: int = 0


class Writer:
    """Appends groups to an open file, from a thread of its own.

    An offset stays what it was when another file takes the place of the first: the first stays open.

    Attributes:
        end: Offset behind the last group that is durable.
        parts: Where what was written lies; the last one is written to.
        lost: Why lines could not be written whose sender had stopped waiting; None if there are none.
    """

    def __init__(self, path: Path, fd: int, end: int, sync: Sync) -> None:
        self.end = end
        self.lost: FatalError | None = None
        self._path = path
        self.parts: tuple[Part, ...] = (Part(0, fd),)
        self._sync = sync
        self._broken: str | None = None
        self._written_s = 0.0
        self._writing = threading.Lock()
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        # A daemon: an interpreter that is torn down without closing the ledger must not hang; nothing unacknowledged
        # was promised to anybody.
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
        self._thread.start()

    async def write(self, lines: list[bytes]) -> int:
        """Return when *lines* are durable, together in one group; the offset at which the first of them stands.

        They are written even if the caller is cancelled while it waits.

        Args:
            lines: At least one.

        Raises:
            FatalError: They are not known to be on disk. After a full disk they are not in the file, and a later call
                may succeed; after a failed sync none will.
        """
        loop = asyncio.get_running_loop()
        entry = Entry(lines, loop.create_future(), loop)
        self._queue.put(entry)
        try:
            return await entry.durable
        except asyncio.CancelledError:
            # Answered and cancelled at once: the answer reaches nobody.
            if not entry.durable.cancelled() and (error := entry.durable.exception()):
                self.lost = FatalError(str(error), stopped="disk")
            raise

    def close(self) -> None:
        """Write everything that waits, and close the files. Blocks."""
        self._queue.put(None)
        self._thread.join()
        for part in self.parts:
            os.close(part.fd)

    def _work(self) -> None:
        open_ = True
        while open_:
            entries, open_ = self._gather()
            if not entries:
                continue
            start = self.end
            with self._writing:
                error = self._commit([line for entry in entries for line in entry.lines])
            self._written_s = time.monotonic()
            # A loop that is gone has nobody left who waits.
            with suppress(RuntimeError):
                entries[0].loop.call_soon_threadsafe(self._settle, entries, start, error)

    def _gather(self) -> tuple[list[Entry], bool]:
        """Wait for work. Returns all that waits, and whether there may come more."""
        entries: list[Entry] = []
        entry = self._queue.get()
        while entry is not None:
            entries.append(entry)
            try:
                entry = self._queue.get_nowait()
            except Empty:
                if not self._pause(entries):
                    return entries, True
                entry = self._queue.get_nowait()
        return entries, False

    def _pause(self, entries: list[Entry]) -> bool:
        """Wait for others to join a small group, if the last was just written; return whether any came."""
        pause_s = self._written_s + PAUSE_S - time.monotonic()
        if pause_s <= 0 or sum(len(entry.lines) for entry in entries) >= SMALL_LINES:
            return False
        time.sleep(pause_s)
        return not self._queue.empty()

    def _commit(self, lines: list[bytes]) -> str | None:
        """Write one group. Returns why that failed, or None."""
        if self._broken:
            return self._broken
        data, part = encode(lines), self.parts[-1]
        try:
            disk.write(part.fd, data, self.end - part.shift)
        except OSError as error:
            return self._take_back(error)
        try:
            self._sync(part.fd)
        except OSError as error:
            if error.errno in disk.FULL:
                return self._take_back(error)
            # After a failed sync the system may call pages clean that never reached the disk, so that a later sync
            # says nothing. Source: https://wiki.postgresql.org/wiki/Fsync_Errors, read 2026-11.
            self._broken = (
                f"{self._path}: the disk failed while the ledger was synced ({error.strerror}); nothing more is written"
                " to it. Check the disk, then run again: what was acknowledged before is kept"
            )
            return self._broken
        self.end += len(data)
        return None

    def _take_back(self, error: OSError) -> str:
        """Cut off what a failed write has left, so that the next one begins behind the last whole group."""
        part = self.parts[-1]
        try:
            os.ftruncate(part.fd, self.end - part.shift)
        except OSError as second:
            self._broken = str(disk.explain(second, self._path))
        return str(disk.explain(error, self._path))

    def move(self, fd: int, start: int, rename: Callable[[], object], folder: Path) -> None:
        """Go on in another file. Blocks: call it in a thread.

        Args:
            fd: The file, open to read and write; holds all that the first *start* bytes said.
            start: End of a group.
            rename: Gives it the ledger's name.
            folder: In which it lies.

        Raises:
            OSError: Nothing was changed.
        """
        done = self._copy(fd, start, self.end)
        self._sync(fd)  # the most of it, while others go on
        with self._writing:
            self._copy(fd, done, self.end)
            self._sync(fd)
            other = os.dup(fd)
            try:
                rename()
            except OSError:
                os.close(other)
                raise
            self.parts += (Part(self.end, other, self.end - os.fstat(other).st_size),)
            try:
                disk.sync_folder(folder)
            except OSError as error:
                # After a power cut the old file may be back under the name, without what comes now.
                self._broken = str(disk.explain(error, self._path))

    def _copy(self, fd: int, start: int, end: int) -> int:
        """Append what was written from *start* to *end* to the file *fd*; return *end*."""
        source, target = self.parts[-1].fd, os.fstat(fd).st_size
        while start < end:
            piece = os.pread(source, min(_COPIED_BYTES, end - start), start)
            disk.write(fd, piece, target)
            start, target = start + len(piece), target + len(piece)
        return end

    def _settle(self, entries: list[Entry], offset: int, error: str | None) -> None:
        """Wake who waits; the first line stands at *offset*. Runs on the event loop."""
        for entry in entries:
            if entry.durable.done():
                if error:
                    self.lost = FatalError(error, stopped="disk")
            elif error:
                entry.durable.set_exception(FatalError(error, stopped="disk"))
            else:
                entry.durable.set_result(offset)
            offset += sum(len(line) + 1 for line in entry.lines)
