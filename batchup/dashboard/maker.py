"""Maker: a gentle process that makes thumbnails, one line of JSON for each; what kills it takes no more than itself."""

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from subprocess import DEVNULL

import anyio
import msgspec
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from batchup.report.picture import Job, make, weigh

MOST_WEIGHT_BYTES = 1 << 30
"""What takes more memory to decode gets no thumbnail here: a run may need it."""

NICE = 15
LINE_BYTES = 100

_HUNG_UP = (anyio.BrokenResourceError, anyio.IncompleteRead, anyio.EndOfStream, OSError)


class Maker:
    """The process, as others see it. Made by :func:`open_maker`; started when there is something to do."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._one = anyio.Lock()

    async def make(self, job: Job) -> float:
        """Have a thumbnail made, and a large preview of what no browser shows; return the seconds of work it took.

        A file that no thumbnail can be made of leaves none.
        """
        async with self._one:
            try:
                return await self._asked(job)
            except _HUNG_UP:
                await self.close()
                return 0.0
            except BaseException:
                # Cancelled in between: its next answer would be taken for another's.
                with anyio.CancelScope(shield=True):
                    await self.close()
                raise

    async def close(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.aclose()

    async def _asked(self, job: Job) -> float:
        process = self._process or await self._begun()
        assert process.stdin
        assert process.stdout
        await process.stdin.send(msgspec.json.encode(job) + b"\n")
        return float(await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", LINE_BYTES))

    async def _begun(self) -> Process:
        command = [sys.executable, "-m", "batchup.dashboard.maker"]
        with anyio.CancelScope(shield=True):  # one that is half begun has nobody who ends it
            self._process = process = await anyio.open_process(command, stderr=DEVNULL)
        return process


@asynccontextmanager
async def open_maker() -> AsyncIterator[Maker]:
    """Give a maker while the block lasts."""
    maker = Maker()
    try:
        yield maker
    finally:
        with anyio.CancelScope(shield=True):
            await maker.close()


def main() -> None:
    """Do what standard input says, until it ends."""
    os.nice(NICE)
    for line in sys.stdin.buffer:
        job = msgspec.json.decode(line, type=Job)
        began_s = time.process_time()
        if 0 < weigh(job) <= MOST_WEIGHT_BYTES:
            make(job)
        sys.stdout.write(f"{time.process_time() - began_s:.4f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
