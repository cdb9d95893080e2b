"""Examiner: has outputs examined by worker processes, and very small pictures right here.

A message to a process and back costs several times what it takes to decode a thumbnail, and to start the processes a
third of a second. So what proves by its header to be a tiny picture of a common format is decoded by this process, off
its event loop. Everything else, and whatever is wrong with a tiny one, is for a process to say: a hostile file may
crash it, or exhaust it.
"""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from batchup import media
from batchup.aside import aside
from batchup.media import images
from batchup.outputs import Examination, Examined
from batchup.providers.local.pool import Pool
from batchup.source import Media

BYTES_A_PIXEL = 8
"""What decoding an output needs, leaning high: four bytes of pixels, and the file."""

TINY_PIXELS, TINY_BYTES = 1 << 17, 1 << 18
"""Of a picture and of its input: decoded within a few milliseconds, for which the event loop may have to wait."""

_COMMON = frozenset({"JPEG", "PNG", "WEBP"})
"""Formats whose decoders hold nothing but the canvas that the header declares."""


class Examiner:
    """Any number of examinations at once."""

    def __init__(self, pool: Pool, memory_bytes: int) -> None:
        """Take where they are made.

        Args:
            pool: Of processes.
            memory_bytes: What all of them may need together.
        """
        self._pool, self._memory_bytes = pool, memory_bytes

    async def examine(self, files: Examination) -> Examined:
        """Run :func:`batchup.outputs.examine` and return what it returned. Raises as it and :meth:`Pool.call` do."""
        if files.inherits == "image" and 0 < files.pixels <= TINY_PIXELS:
            examined = await aside(_here, files)
            if examined is not None:
                return examined
        # Never more than all of it: the work itself was let in, and an unchecked output is worth nothing.
        wanted = min(files.pixels * BYTES_A_PIXEL, self._memory_bytes)
        found: Any = await self._pool.call("batchup.outputs:examine", files, memory_bytes=wanted)
        return msgspec.convert(found, Examined)


def _here(files: Examination) -> Examined | None:
    """Examine a tiny picture; None where it is none, or anything is wrong with it."""
    try:
        return _examined(files)
    # Whatever a decoder raises: a process examines it once more, and what that says is told.
    except Exception:  # noqa: BLE001 - see above
        return None


def _examined(files: Examination) -> Examined | None:
    """Do in memory what :func:`batchup.outputs.examine` does: to open a file ten times takes longer than to decode it."""
    from batchup.carry.picture import carry_tiny  # imported by nobody whose outputs are large

    source = _tiny(files.source) if files.source else (b"", None)
    output = _tiny(files.part)
    if source is None or output is None:
        return None
    (before, found), (given, _) = output, source
    data = carry_tiny(given, before, found, keep=files.keep_metadata)
    if data is None:
        return None
    images.verify(data, found)
    if data is not before:
        _replace(Path(files.part), data)
    known = files.source_sha256 or (hashlib.sha256(given).hexdigest() if given else "")
    return Examined(found.width, found.height, hashlib.sha256(data).hexdigest(), known)


def _tiny(file: str) -> tuple[bytes, Media] | None:
    """Return a tiny picture of a common format, and what it is; None for any other file."""
    with open(file, "rb", buffering=0) as reading:  # noqa: PTH123 - half the time of Path.open
        data = reading.read(TINY_BYTES + 1)
    found = media.glimpse(data) if len(data) <= TINY_BYTES else None
    if found is None or found.format not in _COMMON or found.frames != 1:
        return None
    return (data, found) if found.width * found.height <= TINY_PIXELS else None


def _replace(part: Path, data: bytes) -> None:
    beside = part.with_suffix(".carried")
    try:
        beside.write_bytes(data)
        beside.replace(part)
    finally:
        beside.unlink(missing_ok=True)
