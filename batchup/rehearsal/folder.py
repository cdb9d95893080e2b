"""Folder: where a rehearsal's outputs and ledger are to be looked at. The next one of the same manifest takes its place."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from batchup.ledger.lock import holder

PREFIX = "batchup-rehearsal-"

IN_USE = "rehearsal"
"""What is locked in a folder as long as its rehearsal lasts."""

_MARK = "of"
"""Names the manifest. A folder that has none is nobody's to remove."""


def make() -> Path:
    """Return a new folder, which only its owner may look into."""
    return Path(tempfile.mkdtemp(prefix=PREFIX))


def take_over(folder: Path, manifest: Path) -> None:
    """Let *folder*, whose :data:`IN_USE` is locked, be that of *manifest*, and remove those of its earlier rehearsals.

    One that lasts still is left alone.
    """
    whole = os.fsencode(os.path.realpath(manifest))
    for earlier in _mine(folder.parent):
        if _marked(earlier) == whole and holder(earlier / IN_USE) is None:
            shutil.rmtree(earlier, ignore_errors=True)
    (folder / _MARK).write_bytes(whole)


def _mine(place: Path) -> Iterator[Path]:
    """Yield the folders of rehearsals that belong to this user: others may make such names here, too."""
    try:
        names = os.listdir(place)  # noqa: PTH208 - only names
    except OSError:  # some places may be written to and not read
        return
    for path in (place / name for name in names if name.startswith(PREFIX)):
        # A rehearsal that began at the same moment may remove the same one.
        with suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
                yield path


def _marked(folder: Path) -> bytes:
    try:
        return (folder / _MARK).read_bytes()
    except OSError:
        return b""
