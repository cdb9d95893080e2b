"""Looks after a ledger that has come to harm: tells what is wrong with it, and goes on without that."""

import os
import shutil
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import NamedTuple

from batchup.events import FORMAT, Run
from batchup.events import encode as encode_event
from batchup.ledger import disk
from batchup.ledger.disk import explained
from batchup.ledger.format import (
    Group,
    checksums,
    cut,
    encode,
    is_torn,
    pack,
    sort_out,
)
from batchup.ledger.lock import locked
from batchup.ledger.view import check, is_damaged_start, opened


class Report(NamedTuple):
    """The health of a ledger.

    Attributes:
        lines: Good events; lines of checksums are not counted.
        groups: Whole groups.
        kinds: Kind of event -> number of good ones.
        damaged: Numbers of all damaged lines, from 1, those of checksums included.
        torn_bytes: Size of the unfinished end that a crash has left; the next run drops it by itself.
        size_bytes: Of the file.
    """

    lines: int
    groups: int
    kinds: Mapping[str, int]
    damaged: tuple[int, ...]
    torn_bytes: int
    size_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing to repair."""
        return not self.damaged and not self.torn_bytes


class Piece(NamedTuple):
    """What there is in one group.

    Attributes:
        good: Its good lines.
        damaged: Numbers of its other lines.
        is_whole: Whether it is as it was written.
        torn_bytes: Its size, if it is the torn tail; then nothing in it counts.
    """

    good: list[bytes]
    damaged: list[int]
    is_whole: bool
    torn_bytes: int


def verify(path: Path) -> Report:
    """Read the whole ledger and report on it. Changes nothing, needs no lock. Blocks.

    Raises:
        LedgerError: There is no such file, it cannot be read, is no ledger, or of a newer format.
    """
    kinds: Counter[str] = Counter()
    damaged: list[int] = []
    groups = torn_bytes = 0
    with opened(path) as file:
        _check(path, file)
        for piece in _pieces(file):
            kinds.update(map(_kind, piece.good))
            damaged += piece.damaged
            groups += piece.is_whole
            torn_bytes += piece.torn_bytes
        size_bytes = os.fstat(file.fileno()).st_size
    return Report(kinds.total(), groups, dict(kinds), tuple(damaged), torn_bytes, size_bytes)


def repair(path: Path, at: datetime) -> tuple[Report, Path | None]:
    """Make the ledger *path* usable: leave out its damaged lines and its torn tail. Blocks.

    The old file is kept beside it as ``NAME.damaged-STAMP``. A whole ledger is left as it is. Where the first line, the
    ``run`` event, is lost, the next one stands in for it, and where there is none, one that says ``repaired``.

    Args:
        path: The ledger.
        at: The moment, aware, in UTC; names the old file.

    Returns:
        What was wrong, and the old file's new name, None where nothing was.

    Raises:
        LedgerError: As by :func:`verify`, or it is in use.
        FatalError: There is no room for the new file, or it cannot be written. The ledger is as it was.
    """
    real = Path(os.path.realpath(path))
    verify(real)
    with locked(real), explained(path):
        report = verify(real)
        if report.is_whole:
            return report, None
        kept = _keep(real, f"{real.name}.damaged-{at:%Y%m%dT%H%M%SZ}")
        disk.replace(real, map(encode, pack(_mended(real, at))))
        return report, kept


def _check(path: Path, file: FileIO) -> None:
    """As :func:`~batchup.ledger.view.check`, but a ledger may be damaged in its first line."""
    if not is_damaged_start(file):
        check(path, file)
    file.seek(0)


def _pieces(file: FileIO) -> Iterator[Piece]:
    """Judge every group of *file*, going on behind damage."""
    previous: Group | None = None
    for group in cut(file.read):
        if previous is not None:
            yield _judge(previous, is_last=False)
        previous = group
    if previous is not None:
        yield _judge(previous, is_last=True)


def _judge(group: Group, *, is_last: bool) -> Piece:
    if group.sums == checksums(group.lines):
        return Piece(group.lines, [], is_whole=True, torn_bytes=0)
    if is_last and is_torn(group):
        return Piece([], [], is_whole=False, torn_bytes=group.end - group.offset)
    good, damaged = sort_out(group)
    return Piece(good, damaged, is_whole=False, torn_bytes=0)


def _mended(path: Path, at: datetime) -> Iterator[bytes]:
    """Yield the good lines of the ledger *path*, a ``run`` first."""
    good = _good(path)
    first = next(good, b"")
    if _kind(first) != "run":
        found = next((line for line in _good(path) if _kind(line) == "run"), None)
        yield found or encode_event(
            Run(
                format=FORMAT,
                job="",
                manifest="",
                version="repaired",
                host=socket.gethostname(),
                pid=0,
                at=at,
            )
        )
    if first:
        yield first
    yield from good


def _good(path: Path) -> Iterator[bytes]:
    with opened(path) as file:
        for piece in _pieces(file):
            yield from piece.good


def _kind(line: bytes) -> str:
    return line[:32].partition(b'"event":"')[2].partition(b'"')[0].decode("ascii", "replace")


def _keep(path: Path, name: str) -> Path:
    """Give the file *path* a second name that is free: *name*, or *name* with a number."""
    number = 1
    kept = path.with_name(name)
    while os.path.lexists(kept):
        number += 1
        kept = path.with_name(f"{name}-{number}")
    try:
        os.link(path, kept)
    except OSError:
        # File systems without hard links, such as those of memory cards.
        shutil.copy2(path, kept)
        with kept.open("rb") as copy:
            disk.sync(copy.fileno())
    return kept
