"""Which lines of a ledger later ones have made needless, and the ledger without them."""

import os
import re
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from batchup.ledger import disk
from batchup.ledger.disk import explained
from batchup.ledger.format import encode, pack
from batchup.ledger.lock import locked
from batchup.ledger.view import check, lines, opened, reader

_KIND = re.compile(rb'\{"event":"(\w+)"(?:,"(?:id|sha256)":"([^"\\]*)")?')
_SAMPLED_KIND = re.compile(rb'\{"event":"(\w+)"(?:,"(?:id|sha256)":"(0[^"\\]*)")')

# The parts of a ``task`` line that an id does not fix, and that are looked up: no name that was ever given to an output,
# and no contents, are forgotten.
_NAMED_BY = re.compile(rb'"(?:output|content)":"(?:[^"\\]|\\.)*"')

_AMOUNT = re.compile(rb'"charged_usd":(?!"0"[,}])')

_EXACT_BYTES = 32 << 20

# What is remembered of each task: whether anything about it was paid for, a hash of what its ``task`` line names, and the
# numbers of its latest lines.
_PAID, _NAMED, _SEEN, _ORPHANED, _RETRIED, _FAILED, _DONE = range(7)
_NEW = array("q", [0, 0, -1, -1, -1, -1, -1])


class Compaction(NamedTuple):
    """What compacting a ledger did. Lines are events; those of checksums are not counted."""

    lines_before: int
    lines_after: int
    bytes_before: int
    bytes_after: int


class Superseded:
    """The fold that tells which lines no longer say anything.

    Kept of each task: its latest ``task`` line (and ``orphaned``, if that came later), what its state rests on, every
    line that holds a request or an amount (``submitting``, ``submitted``, ``result``, ``held``, ``audited``, ``done``
    with an amount), and all ends of attempts after the first of those, since they tell what became of the amount.
    Superseded are:

    - ``task`` by a later one with the same output and contents, ``orphaned`` by a later ``task`` or ``orphaned``;
    - ``retried``, ``failed`` and ``done`` without an amount, by a later ``done``; the first two by a later ``failed``,
      ``retried`` by a later one;
    - ``uploaded`` by a later one of the same contents, ``stopped`` by a later one, and every ``run`` between the first
      and the last.

    What it does not know, it keeps.

    Attributes:
        flags: One byte a line that was added, 1 if it is superseded. A superseded line may have any number of lines
            behind it.
    """

    def __init__(self, *, sampled: bool = False) -> None:
        """Begin with no lines.

        Args:
            sampled: Whether to look only at tasks whose id begins with 0: the same share of lines is superseded
                among them, for a sixteenth of the time and memory.
        """
        self.flags = bytearray()
        self._pattern = _SAMPLED_KIND if sampled else _KIND
        self._counted = 0
        self._slots: dict[bytes, int] = {}
        self._tasks = array("q")
        self._uploads: dict[bytes, int] = {}
        self._latest: dict[bytes, int] = {}

    @classmethod
    def of_file(cls, size_bytes: int) -> "Superseded":
        """Return a fold that is good enough to decide about a ledger of that size."""
        return cls(sampled=size_bytes > _EXACT_BYTES)

    @property
    def count(self) -> int:
        """How many lines are superseded."""
        return self.flags.count(1)

    @property
    def is_most(self) -> bool:
        """Whether more than half of the lines are superseded, so that a ledger is compacted."""
        return 2 * self.count > self._counted

    def add(self, lines: list[bytes]) -> None:
        """Take the ledger's next *lines*."""
        first = len(self.flags)
        self.flags.extend(bytes(len(lines)))
        match = self._pattern.match
        for number, line in enumerate(lines, first):
            if found := match(line):
                self._counted += 1
                self._take(number, found[1], found[2], line)

    def _take(self, number: int, kind: bytes, key: bytes | None, line: bytes) -> None:
        if kind in {b"run", b"stopped"}:
            self._take_mark(number, kind)
        elif key is None:
            return
        elif kind == b"uploaded":
            self._drop(self._uploads.get(key, -1))
            self._uploads[key] = number
        else:
            self._take_task(number, kind, self._slot(key), line)

    def _take_mark(self, number: int, kind: bytes) -> None:
        # The file must go on beginning with a run.
        self._drop(self._latest.get(kind, -1) or -1)
        self._latest[kind] = number

    def _take_task(self, number: int, kind: bytes, slot: int, line: bytes) -> None:
        task = self._tasks
        if kind in {b"submitting", b"submitted", b"result", b"held"}:
            task[slot + _PAID] = 1
        elif kind == b"task":
            named = hash(tuple(_NAMED_BY.findall(line)))
            if task[slot + _NAMED] != named:
                task[slot + _NAMED], task[slot + _SEEN] = named, -1
            self._renew(slot, _SEEN, number, over=(_ORPHANED,))
        elif kind == b"orphaned":
            self._renew(slot, _ORPHANED, number)
        elif kind == b"done":
            stays = task[slot + _PAID] or _AMOUNT.search(line)
            self._renew(slot, _DONE, -1 if stays else number, over=(_RETRIED, _FAILED))
        elif task[slot + _PAID]:
            return
        elif kind == b"failed":
            self._renew(slot, _FAILED, number, over=(_RETRIED,))
        elif kind == b"retried":
            self._renew(slot, _RETRIED, number)

    def _renew(self, slot: int, what: int, number: int, *, over: tuple[int, ...] = ()) -> None:
        for old in (what, *over):
            self._drop(self._tasks[slot + old])
            self._tasks[slot + old] = -1
        self._tasks[slot + what] = number

    def _slot(self, key: bytes) -> int:
        slot = self._slots.setdefault(key, len(self._tasks))
        if slot == len(self._tasks):
            self._tasks.extend(_NEW)
        return slot

    def _drop(self, number: int) -> None:
        if number >= 0:
            self.flags[number] = 1


def superseded(lines: Iterable[bytes]) -> bytearray:
    """Return one byte for each of *lines*, a ledger's events: 1 if it is superseded."""
    fold = Superseded()
    for group in pack(lines):
        fold.add(group)
    return fold.flags


def compact(path: Path) -> Compaction:
    """Compact the ledger *path* now. Blocks.

    Whenever the machine stops, the ledger is either the old one or the whole new one.

    Raises:
        LedgerError: As by :func:`~batchup.ledger.file.open_ledger`.
        FatalError: There is no room for the new one; the old one stays.
    """
    real = Path(os.path.realpath(path))
    with opened(real) as file:
        check(path, file)
    with locked(real), explained(path):
        return rewrite(real)


def rewrite(real: Path) -> Compaction:
    """Do what :func:`compact` does, for one who holds the lock of *real*. Raises OSError instead of FatalError."""
    with real.open("rb", buffering=0) as source, disk.anew(real) as (new, fd):
        bytes_before = os.fstat(source.fileno()).st_size
        before, after = write(real, source.fileno(), bytes_before, fd)
        disk.sync(fd)
        bytes_after = os.fstat(fd).st_size
        new.replace(real)
    disk.sync_folder(real.parent)
    return Compaction(before, after, bytes_before, bytes_after)


def write(path: Path, source: int, end: int, target: int) -> tuple[int, int]:
    """Write what the first *end* bytes of a ledger come to, not synced. Returns the number of lines before and after.

    Args:
        path: Of the ledger, as it is named in errors.
        source: An open file, whose position is left alone; likewise *target*, which is empty.
        end: Where a group ends, or the torn tail.
        target: Where to write.

    Raises:
        LedgerError: A line is damaged.
        OSError: There is no room.
    """
    flags = superseded(line for _, line in lines(path, reader(source, end)))
    kept = (line for (_, line), flag in zip(lines(path, reader(source, end)), flags, strict=True) if not flag)
    offset = 0
    for group in pack(kept):
        data = encode(group)
        disk.write(target, data, offset)
        offset += len(data)
    return len(flags), len(flags) - flags.count(1)
