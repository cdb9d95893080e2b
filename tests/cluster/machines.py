"""A cluster on this machine for tests, its workers killed as power cuts would, and jobs for it."""

import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from batchup.cluster.commands import Layout
from batchup.cluster.connection import Wanted
from batchup.cluster.local import open_local
from batchup.manifest import load
from batchup.shutdown import Shutdown
from tests.library import manifest
from tests.ports import own_port


def layout(**more) -> Layout:
    """Return a cluster on a port of its own."""
    return Layout("127.0.0.1", own_port(), **more)


@contextmanager
def cluster(folder: Path, workers=2, *, nanny=False, **environment: str):
    """Run a cluster while the block lasts; gives its layout and its workers' processes."""
    planned = layout()
    given = {**os.environ, **environment}
    with open_local(planned, workers, nanny=nanny, environment=given, scratch=folder) as processes:
        yield planned, processes


@contextmanager
def another_worker(folder: Path, planned: Layout, **environment: str):
    """Run one more worker while the block lasts, in an environment of its own."""
    command = [sys.executable, "-P", "-m", *planned.worker(), "--no-nanny", "--local-directory", str(folder)]
    given = {**os.environ, **environment}
    process = subprocess.Popen(
        command, env=given, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def worker_pid(nanny) -> int:
    """Return the process that a nanny looks after; 0 while there is none."""
    # A nanny starts it from a thread, whose child it is.
    for file in Path(f"/proc/{nanny.pid}/task").glob("*/children"):
        for pid in map(int, file.read_text().split()):
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
    return 0


def kill_one(nannies, rng: random.Random) -> bool:
    """Kill a worker as a power cut would, if there is one; its nanny starts another."""
    pid = worker_pid(rng.choice(nannies))
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pid)


def job(folder: Path, address: str, text="params: {scale: 2}", **more) -> Path:
    """Write a manifest whose work a cluster does."""
    run = text if "\nrun:" in f"\n{text}" else f"{text}\nrun: {{cluster: '{address}'}}"
    return manifest(folder, run, **more)


def wanted(folder: Path, planned: Layout, *models: str, tell=print) -> Wanted:
    """Return what a run of this process wants of a cluster."""
    manifest = load(job(folder, planned.address))
    return Wanted(
        manifest, planned.address, frozenset(models or {"local/lanczos"}), os.environ, Shutdown(), tell
    )


def kill_scheduler(planned: Layout) -> None:
    """Kill the scheduler as a power cut would."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            command = file.read_bytes().split(b"\0")
            if b"scheduler" in command and str(planned.port).encode() in command:
                os.kill(int(file.parent.name), signal.SIGKILL)
