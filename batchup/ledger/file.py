"""The ledger's file: opened by one run at a time, appended to in synced groups, replayed."""

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import CancelScope, to_thread
from filelock import FileLock

from batchup.errors import FatalError, LedgerError
from batchup.events import Event, Run, encode
from batchup.ledger import disk
from batchup.ledger.beside import Beside
from batchup.ledger.compact import Superseded
from batchup.ledger.disk import Sync, explained
from batchup.ledger.format import Damage, Read, pack, whole
from batchup.ledger.lock import acquire, release
from batchup.ledger.view import check, damaged, lines, opened, placed, read_ledger, reader
from batchup.ledger.writer import Writer

__all__ = ["Ledger", "open_ledger", "read_ledger"]

Fold = Callable[[Iterator[tuple[int, bytes]]], object]
"""Takes in events: the offset and line of each."""

_LINE_BYTES = 4096

_log = logging.getLogger(__name__)


class Ledger:
    """An open ledger. Made by :func:`open_ledger` only.

    Attributes:
        path: As it was named.
        dropped_bytes: Size of the torn tail that was dropped when it was opened.
    """

    def __init__(self, path: Path, fd: int, end: int, dropped_bytes: int, sync: Sync) -> None:
        self.path = path
        self.dropped_bytes = dropped_bytes
        self._has_run = end > 0
        self._writer = Writer(path, fd, end, sync)
        self._beside: Beside | None = None

    @property
    def size_bytes(self) -> int:
        """Size of what is durable. 0 for a new ledger."""
        return self._writer.end

    async def append(self, *events: Event) -> list[tuple[int, bytes]]:
        """Return when *events* are durable: the offset and line of each. Those of one call are in one group: after a crash all are there or none.

        They are written even if the caller is cancelled while it waits. Many calls that wait at once share one write
        and one sync. More than :data:`~batchup.ledger.format.GROUP_LINES` make several groups, each durable before
        the next.

        Raises:
            FatalError: They could not be written; nothing that was written before is harmed. After a full disk a
                later append may succeed.
            ValueError: The first event of a ledger is no :class:`~batchup.events.Run`.
        """
        placed: list[tuple[int, bytes]] = []
        for group in pack(self._encoded(events)):
            offset = await self._writer.write(group)
            for line in group:
                placed.append((offset, line))
                offset += len(line) + 1
        return placed

    def _encoded(self, events: Iterable[Event]) -> Iterator[bytes]:
        for event in events:
            if not self._has_run:
                if not isinstance(event, Run):
                    raise ValueError(f"the first event of a ledger is a run, not {type(event).__name__}")
                self._has_run = True
            yield encode(event)

    def replay(self) -> Iterator[tuple[int, bytes]]:
        """Yield the offset and line of every event that is durable now, in order. Holds one group at a time. Blocks.

        Raises:
            LedgerError: The file was damaged since it was opened.
        """
        end = self._writer.end  # before the parts: another one may begin just now
        parts = self._writer.parts
        stops = [min(end, part.start) for part in parts[1:]] + [end]
        for (start, fd, shift), stop in zip(parts, stops, strict=True):
            if start < stop:
                yield from lines(self.path, reader(fd, stop - shift, start - shift), start)

    def read_line(self, offset: int) -> bytes:
        """Return the line, without its newline, that begins at *offset*, as :meth:`replay` gives it."""
        part = next(part for part in reversed(self._writer.parts) if part.start <= offset)
        line = b""
        while b"\n" not in line:
            piece = os.pread(part.fd, max(_LINE_BYTES, len(line)), offset - part.shift + len(line))
            if not piece:
                raise LedgerError(f"{self.path}: somebody cut the ledger while it was in use")
            line += piece
        return line.partition(b"\n")[0]

    @property
    def lost(self) -> FatalError | None:
        """Why events could not be written whose sender had stopped waiting; None if there are none."""
        return self._writer.lost

    def close(self) -> None:
        """Write what waits, and close the file. Blocks."""
        if self._beside is not None:
            self._beside.close()
        self._writer.close()

    def compact(self, real: Path) -> None:
        """Begin to compact what is there now, the file *real*, while others append."""
        self._beside = Beside(self.path, real, self._writer)


@asynccontextmanager
async def open_ledger(
    path: Path, *, create: bool = True, sync: Sync = disk.sync, fold: Fold = lambda _: None
) -> AsyncIterator[Ledger]:
    """Open the ledger *path* for this process alone; drop its torn tail, and compact it beside, if that is due.

    Every line is checked. Links are followed, missing folders made. When the block ends, all that was appended is
    durable and the lock is free.

    Args:
        path: Need not exist.
        create: Whether to begin a ledger where there is none.
        sync: Makes an open file's contents durable.
        fold: Is given the offset and line of every event, some thousands at a time, as they are checked; in a thread,
            before the block begins. What is to be known of the whole ledger is told in one pass. Where the ledger
            turns out to be damaged, what it was given means nothing.

    Raises:
        LedgerError: It is in use, damaged, some other file, of a newer format, or (without *create*) missing.
            Nothing was changed.
        FatalError: Its disk is full or cannot be written.
    """
    ledger, lock = await to_thread.run_sync(_open, path, create, sync, fold)
    failed = True
    try:
        yield ledger
        failed = False
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(_close, ledger, lock)
        # Asked only now: the writer's last answers come over the event loop.
        if ledger.lost and not failed:
            raise ledger.lost


def _open(path: Path, create: bool, sync: Sync, fold: Fold) -> tuple[Ledger, FileLock]:  # noqa: FBT001 - to_thread.run_sync passes no keywords
    real = Path(os.path.realpath(path))
    with explained(path):
        # Before a lock's file is made beside something that is not ours.
        _look(path, real, create=create)
        disk.make_folders(real.parent)
    lock = acquire(real)
    try:
        with explained(path):
            _look(path, real, create=create)
            dropped_bytes, is_worn = _prepare(path, real, sync, fold)
            fd = os.open(real, os.O_RDWR)
        ledger = Ledger(path, fd, os.fstat(fd).st_size, dropped_bytes, sync)
    except BaseException:
        release(lock)
        raise
    if is_worn:
        ledger.compact(real)
    return ledger, lock


def _look(path: Path, real: Path, *, create: bool) -> None:
    if create and not real.exists():
        return
    with opened(real) as file:
        check(path, file)


def _prepare(path: Path, real: Path, sync: Sync, fold: Fold) -> tuple[int, bool]:
    """Make *real* a file of whole groups, which may be none.

    Returns:
        The size of the torn tail that it had, and whether most of its lines are superseded.
    """
    if not real.exists():
        os.close(os.open(real, os.O_WRONLY | os.O_CREAT, 0o666))
        disk.sync_folder(real.parent)
        return 0, False
    disk.replacement(real).unlink(missing_ok=True)
    fd = os.open(real, os.O_RDWR)
    try:
        size_bytes = os.fstat(fd).st_size
        superseded = Superseded.of_file(size_bytes)
        end = _scan(path, reader(fd, size_bytes), superseded, fold)
        if end < size_bytes:
            os.ftruncate(fd, end)
            sync(fd)
            _log.warning(
                "ledger %s: dropped %d bytes that a crash had left unfinished", path, size_bytes - end
            )
    finally:
        os.close(fd)
    return size_bytes - end, superseded.is_most


def _scan(path: Path, read: Read, superseded: Superseded, fold: Fold) -> int:
    """Check every line. Returns the offset of the torn tail, or of the end."""
    end = 0
    try:
        for group in whole(read):
            superseded.add(group.lines)
            fold(placed(group.lines, group.offset))
            end = group.end
    except Damage as damage:
        raise damaged(path, damage.line) from damage
    return end


def _close(ledger: Ledger, lock: FileLock) -> None:
    try:
        ledger.close()
    finally:
        release(lock)
