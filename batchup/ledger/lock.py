"""The ledger's lock: one run at a time, freed by the system when its process dies."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout, UnixFileLock

from batchup.errors import LedgerError
from batchup.ledger.disk import explained

LINGER_S = 1.0
"""How long the lock of a process that is gone is waited for. A child that a killed run was just about to start has
it too, for the milliseconds until it is another program."""

_POLL_S = 0.01


def acquire(path: Path) -> FileLock:
    """Take the lock of the ledger *path*, at once or not at all; only one whose holder is gone is waited for a moment.

    The lock belongs to the process and is known by the file ``PATH.lock``, which stays. That file tells who holds it,
    for the message of the one who is refused; what a dead holder left there means nothing. A child that is forked
    without exec would hold it too: start children by spawn.

    Args:
        path: Real path, without links, so that a ledger has one lock however it is named.

    Raises:
        LedgerError: Another run holds it.
        FatalError: The lock's file cannot be made.
    """
    # Not bound to a thread: it is taken and released in whichever worker thread is free.
    lock = FileLock(_file(path), thread_local=False)
    with explained(path):
        try:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                if _named(path):
                    raise
                lock.acquire(timeout=LINGER_S, poll_interval=_POLL_S)
        except Timeout:
            raise LedgerError(
                f"{path}: in use by another run, {_holder(path)}; wait until it has ended, or stop it"
            ) from None
    if isinstance(lock, UnixFileLock):
        # Where the file system has no flock, filelock keeps notes of its own in the file.
        _sign(path, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
    return lock


def release(lock: FileLock) -> None:
    """Give *lock* back."""
    if isinstance(lock, UnixFileLock):
        _sign(Path(lock.lock_file.removesuffix(".lock")), "")
    lock.release()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of *path* inside the block. Raises as :func:`acquire`."""
    lock = acquire(path)
    try:
        yield
    finally:
        release(lock)


def holder(path: Path) -> str | None:
    """Return who holds the lock of *path* now, as a person may be told; None if nobody does. Takes nothing."""
    if not _file(path).exists():
        return None
    lock = FileLock(_file(path), thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return _holder(path)
    except OSError:
        return None
    lock.release()
    return None


def _file(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _sign(path: Path, text: str) -> None:
    # A courtesy: on a full disk the lock holds all the same. Never cut to nothing before it is written: ext4 flushes
    # a file that was, which takes a millisecond.
    note = f"{text}\n".encode()
    with suppress(OSError), _file(path).open("r+b", buffering=0) as file:
        file.write(note)
        file.truncate(len(note))


def _holder(path: Path) -> str:
    return _named(path) or "which has only just begun"


def _named(path: Path) -> str | None:
    """Return who holds the lock, as its file tells; None where it names nobody, or one who is gone."""
    try:
        note = json.loads(_file(path).read_text())
        pid, host = int(note["pid"]), str(note["host"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if host == socket.gethostname() and not _is_alive(pid):
        return None
    return f"process {pid} on {host}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
