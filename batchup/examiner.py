"""Examiner: has outputs examined by worker processes, small ones several at a time.

A message to a process and back costs more than to decode a small picture. So what comes within a few milliseconds goes
together. Measured with a thousand small outputs: a third of the processor time.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import anyio
import msgspec

from batchup import outputs
from batchup.errors import RejectedError, TransientError
from batchup.outputs import Examination, Examined, Verdict
from batchup.providers.local.pool import Pool

BYTES_A_PIXEL = 8
"""What decoding an output needs, leaning high: four bytes of pixels, and the file."""

SMALL_PIXELS = 1_000_000
"""Up to here decoding takes less than a few hundredths of a second, so that nobody waits long for the others."""

MOST = 16
GATHER_S = 0.005


class _Entry:
    """An examination that waits for others to go with."""

    __slots__ = ("files", "verdict", "woken")

    def __init__(self, files: Examination) -> None:
        self.files = files
        self.verdict: Verdict | None = None
        self.woken = anyio.Event()


class Examiner:
    """Any number of examinations at once."""

    def __init__(self, pool: Pool, memory_bytes: int) -> None:
        """Take where they are made.

        Args:
            pool: Of processes.
            memory_bytes: What all of them may need together.
        """
        self._pool, self._memory_bytes = pool, memory_bytes
        self._waiting: dict[_Entry, None] = {}
        self._is_led = False

    async def examine(self, files: Examination) -> Examined:
        """Run :func:`batchup.outputs.examine` and return what it returned. Raises as it and :meth:`Pool.call` do."""
        if files.inherits != "image" or not 0 < files.pixels <= SMALL_PIXELS:
            return await self._alone(files)
        entry = _Entry(files)
        self._waiting[entry] = None
        try:
            while entry in self._waiting:
                if self._is_led:
                    await entry.woken.wait()
                    entry.woken = anyio.Event()
                else:
                    await self._lead()
        finally:
            self._waiting.pop(entry, None)
            self._wake_next()
        # What went wrong with all of them was perhaps one's fault: each is examined by itself.
        return entry.verdict.examined() if entry.verdict else await self._alone(files)

    async def _lead(self) -> None:
        """Gather what comes, and have it examined, on behalf of all. Should it be cancelled, the next one leads."""
        self._is_led = True
        try:
            await anyio.sleep(GATHER_S)
            batch = list(islice(self._waiting, MOST))
            with suppress(TransientError, RejectedError, OSError):
                await self._together(batch)
            for entry in batch:
                self._waiting.pop(entry, None)
                entry.woken.set()
        finally:
            self._is_led = False

    def _wake_next(self) -> None:
        """Let somebody lead those who wait."""
        if not self._is_led:
            for entry in islice(self._waiting, 1):
                entry.woken.set()

    async def _together(self, batch: Sequence[_Entry]) -> None:
        wanted = self._wanted(max(entry.files.pixels for entry in batch))
        files = outputs.Examinations(tuple(entry.files for entry in batch))
        found: Any = await self._pool.call("batchup.outputs:examine_all", files, memory_bytes=wanted)
        for entry, verdict in zip(batch, msgspec.convert(found, list[Verdict]), strict=True):
            entry.verdict = verdict

    async def _alone(self, files: Examination) -> Examined:
        wanted = self._wanted(files.pixels)
        found: Any = await self._pool.call("batchup.outputs:examine", files, memory_bytes=wanted)
        return msgspec.convert(found, Examined)

    def _wanted(self, pixels: int) -> int:
        # Never more than all of it: the work itself was let in, and an unchecked output is worth nothing.
        return min(pixels * BYTES_A_PIXEL, self._memory_bytes)
