"""Thumbnails of many files, made once, in worker processes and bounded memory, and kept for the next report."""

import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from batchup.disk import make_folders, translated
from batchup.processors import cores
from batchup.report.picture import EDGE_PX, Job, make, weigh

MOST_BYTES = 1 << 30
"""Of decoded pictures at a time; a larger one is decoded alone."""
MOST_WORKERS = 4
IMAGE_BYTES = 6 << 30
"""What takes more than that to decode, a gigapixel, gets no thumbnail."""

_OURS = re.compile(r"[0-9a-f]{24}\.(webp|jpg)")
_VERSION = 1
Tick = Callable[[int, int], None]
_Running = dict[Future[bool], tuple[Job, int]]


def key(path: str) -> str | None:
    """Return the name under which what is made of a file is kept: another one once it was changed. None: it is gone."""
    try:
        stat = os.stat(path)  # noqa: PTH116 - names may hold what pathlib normalises
    except (OSError, ValueError):
        return None
    told = f"{_VERSION}\n{EDGE_PX}\n{stat.st_size}\n{stat.st_mtime_ns}\n".encode() + os.fsencode(path)
    return hashlib.sha256(told).hexdigest()[:24]


def make_all(wanted: Mapping[str, str], folder: Path, tick: Tick = lambda *_: None) -> frozenset[str]:
    """Have a thumbnail made of every file that has none yet, and return the names of all files in *folder*.

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
        there = {file.name for file in folder.iterdir()}
        jobs = [Job(path, str(folder / name)) for name, path in wanted.items() if f"{name}.webp" not in there]
        _run(jobs, tick)
        _tidy(folder, wanted)
        return frozenset(file.name for file in folder.iterdir())
    except OSError as error:
        raise translated(error, folder) from error


def _tidy(folder: Path, wanted: Collection[str]) -> None:
    for file in folder.iterdir():
        if _OURS.fullmatch(file.name) and file.stem not in wanted:
            with suppress(OSError):
                file.unlink()


def _run(jobs: Iterable[Job], tick: Tick) -> None:
    left = deque(jobs)
    ended, all_ = 0, len(left)
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
