"""A cluster on this machine: a scheduler and workers, to try it, or to have one worker for each GPU."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from batchup.cluster.commands import Layout

END_S = 5.0

Process = subprocess.Popen[str]


@contextmanager
def open_local(
    layout: Layout,
    workers: int,
    *,
    nanny: bool = True,
    environment: Mapping[str, str] | None = None,
    scratch: Path | None = None,
) -> Iterator[list[Process]]:
    """Run a scheduler that only this machine reaches, and so many workers, while the block lasts; gives the workers.

    Args:
        layout: Of the cluster.
        workers: How many.
        nanny: Whether a worker that dies is started again.
        environment: Of the workers, instead of this process'.
        scratch: Where the workers keep files, instead of the system's place for that.

    Raises:
        ChildProcessError: One of them does not start; holds the last that it said.
    """
    with ExitStack() as stack:
        scheduler = stack.enter_context(_started(layout.scheduler(only_here=True)))
        kept = ["--local-directory", str(scratch)] if scratch else []
        command = [*layout.worker(), *kept, *([] if nanny else ["--no-nanny"])]
        # They ask for the scheduler until it is there: to start takes each of them a second of work.
        started = [stack.enter_context(_started(command, environment)) for _ in range(workers)]
        _await(scheduler, "Scheduler at:")
        for worker in started:
            _await(worker, "Registered to:")
        yield started


@contextmanager
def _started(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Run a command of Dask's while the block lasts."""
    running = subprocess.Popen(  # noqa: S603 - our own command, without a shell
        [sys.executable, "-P", "-m", *command],  # a file called dask.py may lie in this folder
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    )
    assert running.stderr is not None
    try:
        yield running
    finally:
        _end(running)
        running.stderr.close()


def _await(running: Process, ready: str) -> None:
    """Return when a process has said *ready*.

    Raises:
        ChildProcessError: It ended before; holds the last that it said.
    """
    assert running.stderr is not None
    said: list[str] = []
    for line in running.stderr:
        said.append(line.strip())
        if ready in line:
            # Whatever it says from now on is read, or it would block on a full pipe one day.
            threading.Thread(target=_read, args=(running,), daemon=True).start()
            return
    raise ChildProcessError("\n".join(said[-5:]))


def _read(running: Process) -> None:
    assert running.stderr is not None
    with suppress(ValueError):  # it was closed meanwhile
        for _ in running.stderr:
            pass


def _end(running: Process) -> None:
    running.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.wait(END_S)
    # A nanny may be gone before its worker: the whole session is.
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(running.pid, signal.SIGKILL)
    if running.poll() is None:
        running.kill()
        running.wait()
