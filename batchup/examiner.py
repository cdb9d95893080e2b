"""Examiner: has outputs examined by worker processes, and very small pictures right here.

A message to a process and back costs several times what it takes to decode a thumbnail, and to start the processes a
third of a second. So what proves by its header to be a tiny picture of a common format is decoded by this process, off
its event loop. Everything else, and whatever is wrong with a tiny one, is for a process to say: a hostile file may
crash it, or exhaust it.
"""

import os
from typing import Any

import msgspec

from batchup import media, outputs
from batchup.aside import aside
from batchup.outputs import Examination, Examined
from batchup.providers.local.pool import Pool

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
        if _is_tiny(files.part) and (not files.source or _is_tiny(files.source)):
            return outputs.examine(files)
    # Whatever a decoder raises: a process examines it once more, and what that says is told.
    except Exception:  # noqa: BLE001, S110 - see above
        pass
    return None


def _is_tiny(file: str) -> bool:
    if os.stat(file).st_size > TINY_BYTES:  # noqa: PTH116 - half the time of Path.stat
        return False
    found = media.probe(file)
    return (
        found is not None
        and found.format in _COMMON
        and found.frames == 1
        and found.width * found.height <= TINY_PIXELS
    )
