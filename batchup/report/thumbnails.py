"""Thumbnails of many files, made once, in worker processes and bounded memory, and kept for the next report."""

import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from batchup.disk import make_folders, translated
from batchup.report.picture import EDGE_PX, Job, make, weigh

MOST_BYTES = 1 << 30
"""Of decoded pictures at a time; a larger one is decoded alone."""
MOST_WORKERS = 4
IMAGE_BYTES = 6 << 30
"""What takes more than that to decode, a gigapixel, gets no thumbnail."""

_OURS = re.compile(r"[0-9a-f]{24}\.(webp|jpg)")
_VERSION = 1
Tick = Callable[[int, int], None]


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


def _run(jobs: list[Job], tick: Tick) -> None:
    """Make all; a file that kills its worker takes only those with it that were in the works."""
    left = iter(jobs)
    made = 0
    while made < len(jobs):
        with suppress(BrokenProcessPool):
            for number in _pooled(left):
                made += number
                tick(made, len(jobs))
            return


def _pooled(jobs: Iterable[Job]) -> Iterable[int]:
    """Yield how many jobs have ended, now and then.

    Raises:
        BrokenProcessPool: A worker died.
    """
    workers = min(MOST_WORKERS, os.cpu_count() or 1)
    running: dict[Future[bool], int] = {}
    # A fork would hold the locks of this process; started lazily, so that nothing to do costs nothing.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for job in jobs:
            weight = weigh(job)
            if not 0 < weight <= IMAGE_BYTES:
                yield 1
                continue
            while running and (sum(running.values()) + weight > MOST_BYTES or len(running) >= 4 * workers):
                yield _reap(running)
            running[pool.submit(make, job)] = weight
        while running:
            yield _reap(running)


def _reap(running: dict[Future[bool], int]) -> int:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        del running[future]
        future.result()
    return len(done)
