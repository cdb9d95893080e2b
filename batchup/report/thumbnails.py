"""Thumbnails of many files, made once, in worker processes and bounded memory, and kept for the next report."""

import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

from batchup.disk import make_folders, translated
from batchup.keys import Keys
from batchup.processors import cores
from batchup.report.picture import EDGE_PX, Job, make, weigh

MOST_BYTES = 1 << 30
"""Of decoded pictures at a time; a larger one is decoded alone."""
MOST_WORKERS = 4
IMAGE_BYTES = 6 << 30
"""What takes more than that to decode, a gigapixel, gets no thumbnail."""

KEY_BYTES = 12

_OURS = re.compile(r"([0-9a-f]{24})\.(webp|jpg)")
_VERSION = 1
_AT_ONCE = 10_000
"""Files of which all is known at a time; the worker processes are started anew after that."""
Tick = Callable[[int, int], None]
_Running = dict[Future[bool], tuple[Job, int]]


def key(path: str) -> str | None:
    """Return the name under which what is made of a file is kept: another one once it was changed. None: it is gone."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - names may hold what pathlib normalises
    except (OSError, ValueError):
        return None
    told = f"{_VERSION}\n{EDGE_PX}\n{stat.st_size}\n{stat.st_mtime_ns}\n".encode() + os.fsencode(path)
    return hashlib.sha256(told).hexdigest()[: 2 * KEY_BYTES]


class Files(Protocol):
    """Keys of files, and their paths."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __getitem__(self, name: str, /) -> str: ...


class Made:
    """What has been made of files: some forty bytes each. A key is in it if there is a thumbnail."""

    def __init__(self, folder: Path) -> None:
        """Look through *folder*."""
        self._thumbs, self._previews = Keys(KEY_BYTES), Keys(KEY_BYTES)
        with os.scandir(folder) as files:
            for file in files:
                if found := _OURS.fullmatch(file.name):
                    kind = self._thumbs if found[2] == "webp" else self._previews
                    kind.add(bytes.fromhex(found[1]))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._thumbs.find(bytes.fromhex(name)) >= 0

    def has_preview(self, name: str) -> bool:
        """Return whether there is a large preview of the file with this key."""
        return self._previews.find(bytes.fromhex(name)) >= 0


def make_all(wanted: Files, folder: Path, tick: Tick = lambda *_: None) -> Made:
    """Have a thumbnail made of every file that has none yet, and return what there is in *folder*.

    What an earlier report made and nobody wants any more is removed.

    Args:
        wanted: Key -> path.
        folder: Where they are kept; made if it is not there.
        tick: Called with how many are made, and how many are to be.

    Raises:
        FatalError: The folder cannot be written.
    """
    try:
        make_folders(folder)
        there = Made(folder)
        all_ = sum(name not in there for name in wanted)
        _run((Job(wanted[name], str(folder / name)) for name in wanted if name not in there), all_, tick)
        _tidy(folder, wanted)
        return Made(folder)
    except OSError as error:
        raise translated(error, folder) from error


def _tidy(folder: Path, wanted: Files) -> None:
    with os.scandir(folder) as files:
        gone = [file.path for file in files if (ours := _OURS.fullmatch(file.name)) and ours[1] not in wanted]
    for path in gone:
        with suppress(OSError):
            Path(path).unlink()


def _run(jobs: Iterator[Job], all_: int, tick: Tick) -> None:
    ended = 0
    while left := deque(islice(jobs, _AT_ONCE)):
        for number in _each(left):
            ended += number
            tick(ended, all_)


def _each(jobs: deque[Job], *, alone: bool = False) -> Iterator[int]:
    """Yield how many jobs have ended, now and then.

    A file that kills its worker is found out by having each that was in the works made alone.
    """
    while jobs:
        running: _Running = {}
        try:
            yield from _pooled(jobs, running, 1 if alone else min(MOST_WORKERS, cores()))
        except BrokenProcessPool:
            suspects = deque(job for job, _ in running.values())
            if alone:
                yield len(suspects)
            else:
                yield from _each(suspects, alone=True)


def _pooled(jobs: deque[Job], running: _Running, workers: int) -> Iterator[int]:
    """Yield how many jobs have ended, now and then.

    Args:
        jobs: To be made; each is taken out once it is in the works.
        running: Empty; holds those that are in the works.
        workers: Processes; a single one gets one job at a time.

    Raises:
        BrokenProcessPool: A worker died.
    """
    most = 4 * workers if workers > 1 else 1
    # A fork would hold the locks of this process.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        while jobs:
            weight = weigh(jobs[0])
            if not 0 < weight <= IMAGE_BYTES:
                jobs.popleft()
                yield 1
                continue
            while running and (_weight(running) + weight > MOST_BYTES or len(running) >= most):
                yield from _reap(running)
            # Taken out only then: what a broken pool refuses is still to be made.
            running[pool.submit(make, jobs[0])] = jobs[0], weight
            jobs.popleft()
        while running:
            yield from _reap(running)


def _weight(running: _Running) -> int:
    return sum(weight for _, weight in running.values())


def _reap(running: _Running) -> Iterator[int]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
        del running[future]
        yield 1  # each by itself: the next may tell of a broken pool
