"""A cluster on this machine: a scheduler and workers, to try it or to use more than one GPU."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

END_S = 5.0
READY_S = 60.0


def scheduler_command(address: str) -> list[str]:
    """Return the arguments behind ``dask`` that start a scheduler at *address*."""
    scheme, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    at = [] if host in {"", "0.0.0.0"} else ["--host", host]  # noqa: S104 - whoever wrote it wants it
    return [
        "scheduler",
        *at,
        "--port",
        port,
        "--protocol",
        scheme,
        "--no-dashboard",
        "--no-show",
        "--preload",
        "batchup.cluster.fence",
    ]


def worker_command(address: str, slots: int, resources: str = "") -> list[str]:
    """Return the arguments behind ``dask`` that start a worker.

    Args:
        address: Of the scheduler.
        slots: How many tasks it works on at a time.
        resources: ``GPU=1``.
    """
    own = ["--resources", resources] if resources else []
    # Its memory is the pool's processes', which Dask does not see; what it does see, it must not kill.
    return [
        "worker",
        address,
        "--nthreads",
        str(slots),
        "--memory-limit",
        "0",
        "--no-dashboard",
        *own,
        "--preload",
        "batchup.cluster.worker",
    ]


@contextmanager
def process(
    arguments: Sequence[str], ready: str, *, cwd: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run ``dask`` with *arguments* while the block lasts, which begins when it has said *ready*.

    Raises:
        ChildProcessError: It ended before; holds the last that it said.
    """
    command = [sys.executable, "-m", "dask", *arguments]
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=cwd, start_new_session=True
    )
    try:
        assert running.stderr is not None
        said: list[str] = []
        for line in running.stderr:
            said.append(line.strip())
            if ready in line:
                break
        else:
            raise ChildProcessError("\n".join(said[-5:]))
        # Whatever it says from now on is read, or it would block on a full pipe one day.
        threading.Thread(target=running.stderr.read, daemon=True).start()
        yield running
    finally:
        _end(running)


def _end(running: "subprocess.Popen[str]") -> None:
    running.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.wait(END_S)
    if running.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, 9) if hasattr(os, "killpg") else running.kill()
        running.wait()


@contextmanager
def open_local(address: str, workers: int, slots: int = 1) -> Iterator[list["subprocess.Popen[str]"]]:
    """Run a scheduler at *address* and so many workers while the block lasts; gives the workers' processes."""
    with ExitStack() as stack:
        stack.enter_context(process(scheduler_command(address), "Scheduler at:"))
        yield [
            stack.enter_context(process(worker_command(address, slots), "Registered to:"))
            for _ in range(workers)
        ]
