"""Carriage: how files come to a worker that does not share the coordinator's disk, and back, piece by piece."""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from anyio import to_thread
from distributed.comm.core import CommClosedError

from batchup.cluster.call import CLEAR, PIECE_BYTES, READ, WRITE
from batchup.cluster.loss import Lost
from batchup.errors import RejectedError, TransientError

CARRY_BYTES = 1_000_000_000
"""The largest file that is carried: what is larger should lie on a disk that all machines see."""

_PLAIN = re.compile(r"[a-z0-9][a-z0-9-]*")


class Folder:
    """Where a worker keeps carried files, by attempt; answers the coordinator's requests for pieces of them."""

    def __init__(self, path: Path) -> None:
        """Take *path*, which need not be there yet."""
        self.path = path

    async def write(self, attempt: str, name: str, offset: int, data: bytes) -> None:
        """Put *data* at *offset*, in bytes, of a file."""
        await to_thread.run_sync(_put, self._file(attempt, name), offset, data)

    async def read(self, attempt: str, name: str, offset: int) -> tuple[bytes, int]:
        """Return the piece that begins at *offset*, and the file's size, both in bytes."""
        return await to_thread.run_sync(_get, self._file(attempt, name), offset)

    async def clear(self, attempt: str) -> None:
        """Remove what an attempt left."""
        await to_thread.run_sync(shutil.rmtree, self._file(attempt, "x").parent, True)

    def _file(self, attempt: str, name: str) -> Path:
        if not (_PLAIN.fullmatch(attempt) and _PLAIN.fullmatch(name)):
            raise ValueError(f"no name of a carried file: {attempt!r}, {name!r}")
        return self.path / attempt / name


def _put(file: Path, offset: int, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as out:
        out.seek(offset)
        out.write(data)


def _get(file: Path, offset: int) -> tuple[bytes, int]:
    with file.open("rb") as reading:
        reading.seek(offset)
        return reading.read(PIECE_BYTES), os.fstat(reading.fileno()).st_size


class Carriage:
    """The coordinator's side: brings files of one attempt to one worker, and back."""

    def __init__(self, worker: Any, attempt: str) -> None:
        """Take a connection to the worker."""
        self._worker, self._attempt = worker, attempt

    async def send(self, name: str, file: Path) -> None:
        """Bring *file* to the worker.

        Raises:
            RejectedError: It is too large.
            TransientError: The worker refuses it.
            Lost: The worker is gone.
            OSError: It cannot be read or written here.
        """
        offset, size = 0, 1
        while offset < size:
            data, size = await to_thread.run_sync(_get, file, offset)
            _check(size, file.name)
            await self._asked(WRITE, name=name, offset=offset, data=data)
            if not data:
                break
            offset += len(data)

    async def bring(self, name: str, file: Path) -> None:
        """Bring a file that the worker has written here.

        Raises: as :meth:`send`.
        """
        offset, size = 0, 1
        while offset < size:
            data, size = await self._asked(READ, name=name, offset=offset)
            _check(size, file.name)
            await to_thread.run_sync(_put, file, offset, data)
            if not data and size > offset:
                raise TransientError("the worker's file became shorter", kind="worker_died")
            offset += len(data)

    async def clear(self) -> None:
        """Have the worker remove what is left; one that is gone need not."""
        with suppress(Lost, TransientError):
            await self._asked(CLEAR)

    async def _asked(self, step: str, **arguments: Any) -> Any:
        try:
            return await getattr(self._worker, step)(attempt=self._attempt, **arguments)
        except (CommClosedError, TimeoutError) as error:
            raise Lost(begun=False) from error
        # Dask raises here what was raised there: its disk is full, for instance, which is not ours.
        except Exception as error:
            raise TransientError(f"a worker cannot keep a file: {error}", kind="worker_refused") from error


def _check(size_bytes: int, name: str) -> None:
    if size_bytes > CARRY_BYTES:
        message = (
            f"{name} has {size_bytes / 1e9:.1f} GB, and files above {CARRY_BYTES / 1e9:g} GB are not carried over the"
            " network: have the workers see the folders under the same paths as this machine"
        )
        raise RejectedError(message, kind="too_large_to_carry")
