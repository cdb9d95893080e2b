"""What the ledger asks of the disk, and what the disk's refusals mean for the run."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from batchup.disk import FULL, Sync, make_folders, sync, sync_folder
from batchup.errors import BatchupError, FatalError, LedgerError

__all__ = ["FULL", "Sync", "make_folders", "sync", "sync_folder"]

_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_MISNAMED = {
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EEXIST: "a part of its path is a file, not a folder",
    errno.EISDIR: "it is a folder; name a file",
    errno.ELOOP: "its links go round in a circle",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOENT: "there is no such file",
}


def write(fd: int, data: bytes, offset: int) -> None:
    """Write all of *data* at *offset*. Raises OSError; then some of it may have been written."""
    rest = memoryview(data)
    while rest:
        done = os.pwrite(fd, rest, offset)
        rest, offset = rest[done:], offset + done


def replacement(path: Path) -> Path:
    """Return the name under which what will replace *path* is written. It is in the way of nothing else."""
    return path.with_name(path.name + ".new")


@contextmanager
def anew(path: Path) -> Iterator[tuple[Path, int]]:
    """Give the name and descriptor of a new file, with the permissions of *path*, which may be given its name.

    Where the block has not done that, the new file is gone when it ends. The descriptor is closed then.

    Raises:
        OSError: Nothing was changed.
    """
    new = replacement(path)
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.fchmod(fd, stat.S_IMODE(path.stat().st_mode))
        yield new, fd
    finally:
        os.close(fd)
        new.unlink(missing_ok=True)


def replace(path: Path, pieces: Iterable[bytes]) -> None:
    """Replace the file *path* by one that holds *pieces*, with the same permissions.

    Whenever the machine stops, *path* is either the old file or the whole new one.

    Raises:
        OSError: Nothing was changed.
    """
    with anew(path) as (new, fd):
        offset = 0
        for piece in pieces:
            write(fd, piece, offset)
            offset += len(piece)
        sync(fd)
        new.replace(path)
    sync_folder(path.parent)


def explain(error: OSError, path: Path) -> BatchupError:
    """Return what *error*, met while *path* was opened, means for the run, in a person's words."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in FULL:
        return full(path)
    if error.errno in _DENIED:
        return FatalError(
            f"{path}: the ledger cannot be written ({reason}); make its folder writable for this user, or set"
            " `ledger:` in the manifest to a place that is",
            stopped="disk",
        )
    if error.errno in _MISNAMED:
        return LedgerError(
            f"{path}: this cannot be the ledger: {_MISNAMED[error.errno]}; see `ledger:` in the manifest"
        )
    return FatalError(f"{path}: the ledger's disk fails ({reason}); nothing more is started", stopped="disk")


def full(path: Path) -> FatalError:
    """Return the error that says that there is no room for the ledger *path*."""
    return FatalError(
        f"{path}: the disk is full (or a quota or size limit is reached): the ledger cannot grow, so nothing more is"
        f" started; free some space below {path.parent}{_free(path.parent)} and run again. What was written"
        " before is whole.",
        stopped="disk",
    )


def _free(folder: Path) -> str:
    try:
        room = os.statvfs(folder)
    except OSError:
        return ""
    return f", where {room.f_bavail * room.f_frsize / 1e6:.1f} MB are free,"


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into what it means for the run."""
    try:
        yield
    except OSError as error:
        raise explain(error, path) from error
