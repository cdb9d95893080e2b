"""The local disk: what its errors mean, and how a name becomes durable."""

import errno
import os
from pathlib import Path

from batchup.errors import BatchupError, FatalError, RejectedError

_REFUSALS = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EROFS: "the disk is read-only; make it writable and run again",
    errno.EACCES: "it may not be written; change its permissions and run again",
    errno.EPERM: "it may not be written; change its permissions and run again",
    errno.EIO: "the disk reports an error; check it before you run again",
}


def sync_folder(folder: Path) -> None:
    """Make names in *folder* durable, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def translated(error: OSError, path: Path) -> BatchupError:
    """Return what an error of the output's disk means: for the run, or only for this task."""
    if error.errno in _REFUSALS:
        return FatalError(f"cannot write {path}: {_REFUSALS[error.errno]}", stopped="disk")
    return RejectedError(f"cannot write {path}: {error.strerror or error}", kind="output_not_writable")
