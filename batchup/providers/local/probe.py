"""Looks at a file that was not there when the job was planned, in a worker process."""

import msgspec

from batchup import media
from batchup.source import Media


class File(msgspec.Struct, frozen=True):
    """What :func:`probe` is given."""

    path: str


def probe(file: File) -> Media | None:
    """Return what a file is, None if it is no media. Raises as :func:`batchup.media.probe`."""
    return media.probe(file.path)
