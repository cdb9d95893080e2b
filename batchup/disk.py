"""The local disk: how what was written becomes durable, and what the disk's refusals mean."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from batchup.errors import BatchupError, FatalError, RejectedError

Sync = Callable[[int], None]
"""Returns when everything written to a file descriptor is on the disk. Raises OSError."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSALS = {
    **dict.fromkeys(
        FULL, "the disk is full (or a quota or size limit is reached); free some space and run again"
    ),
    errno.EROFS: "the disk is read-only; make it writable and run again",
    errno.EACCES: "it may not be written; change its permissions and run again",
    errno.EPERM: "it may not be written; change its permissions and run again",
    errno.EIO: "the disk reports an error; check it before you run again",
}


def sync(fd: int) -> None:
    """Return when all that was written to *fd* is on the disk itself.

    On macOS ``fsync`` leaves data in the drive's own cache; F_FULLFSYNC does not.
    Source: https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man2/fsync.2.html,
    read 2026-11.

    Raises:
        OSError: Something that was written may be lost.
    """
    if sys.platform != "darwin":
        getattr(os, "fdatasync", os.fsync)(fd)
        return
    import fcntl

    try:
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    except OSError as error:
        # Network volumes do not know it.
        if error.errno not in {errno.ENOTSUP, errno.EINVAL}:
            raise
        os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """Return when the names in *folder* are on the disk, where the file system can do that."""
    if os.name == "nt":  # it gives no handle of a folder
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise
    finally:
        os.close(fd)


def make_folders(folder: Path) -> None:
    """Make *folder* and what is missing above it, durably."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if folder.is_dir():
            return
        raise
    sync_folder(folder.parent)


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Give a draft beside *file*, which takes its place when the block has ended: whole, or not at all.

    Its name is this process's own, so that several may write the same file at once. It is not synced: for what can be
    made again, or is worth nothing after a crash of the machine.

    Raises:
        OSError: *file* is as it was.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield draft
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def translated(error: OSError, path: Path) -> BatchupError:
    """Return what an error of the output's disk means: for the run, or only for this task."""
    if error.errno in _REFUSALS:
        return FatalError(f"cannot write {path}: {_REFUSALS[error.errno]}", stopped="disk")
    return RejectedError(f"cannot write {path}: {error.strerror or error}", kind="output_not_writable")
