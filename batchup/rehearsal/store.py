"""Store: the CDN's files, on disk in a folder that is gone when the server is."""

import hashlib
import mimetypes
import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from anyio import to_thread

from batchup.clock import Clock

COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """One file.

    Attributes:
        path: Where it lies; several may share it.
        sha256: Of its contents.
        ends_s: When it is gone, on the store's clock; None is never.
    """

    id: str
    path: Path
    name: str
    size_bytes: int
    sha256: str
    media_type: str
    ends_s: float | None = None

    @property
    def etag(self) -> str:
        """Its version, as HTTP writes it."""
        return f'"{self.sha256[:32]}"'


@dataclass(slots=True)
class Multipart:
    """An upload in parts that is not complete yet."""

    file_id: str
    name: str
    media_type: str
    lifetime_s: float | None
    etags: dict[int, str] = field(default_factory=dict)
    paths: dict[int, Path] = field(default_factory=dict)


class Store:
    """Keeps files under *folder*. Nothing is held in memory but their names."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        self._files: dict[str, Stored] = {}
        self.multiparts: dict[str, Multipart] = {}

    def room(self) -> Path:
        """Return a path that is not in use yet."""
        return self.folder / uuid.uuid4().hex

    def add(
        self,
        path: Path,
        sha256: str,
        name: str,
        media_type: str = "",
        lifetime_s: float | None = None,
        id_: str = "",
    ) -> Stored:
        """Publish what lies at *path*, for *lifetime_s* seconds of the clock."""
        stored = Stored(
            id_ or uuid.uuid4().hex,
            path,
            _plain(name),
            path.stat().st_size,
            sha256,
            media_type or mimetypes.guess_type(name)[0] or "application/octet-stream",
            None if lifetime_s is None else self._clock.now_s() + lifetime_s,
        )
        self._files[stored.id] = stored
        return stored

    def find(self, file_id: str) -> Stored | None:
        """Return a file, or None if there is none, or none any more."""
        stored = self._files.get(file_id)
        if stored and stored.ends_s is not None and stored.ends_s <= self._clock.now_s():
            return None
        return stored

    def forget(self, file_id: str) -> None:
        """Make a file expire now."""
        self._files.pop(file_id, None)

    async def receive(self, chunks: AsyncIterator[bytes]) -> tuple[Path, str]:
        """Write *chunks* to a new file as they come, and return it and its hash."""
        path = self.room()
        digest = hashlib.sha256()
        try:
            with path.open("wb") as file:
                async for chunk in chunks:
                    # Enough to be worth a thread; small ones only cost the hop.
                    if len(chunk) > COPY_BYTES // 4:
                        await to_thread.run_sync(_write, file.fileno(), chunk, digest)
                    else:
                        _write(file.fileno(), chunk, digest)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path, digest.hexdigest()

    async def join(self, upload: Multipart, numbers: list[int]) -> Stored:
        """Publish the parts of *upload* as one file."""
        path = self.room()
        sha256 = await to_thread.run_sync(_join, [upload.paths[number] for number in numbers], path)
        return self.add(path, sha256, upload.name, upload.media_type, upload.lifetime_s, upload.file_id)


def _write(fd: int, chunk: bytes, digest: "hashlib._Hash") -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]
    digest.update(chunk)


def _join(parts: list[Path], target: Path) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                while chunk := file.read(COPY_BYTES):
                    out.write(chunk)
                    digest.update(chunk)
            part.unlink()
    return digest.hexdigest()


def hashed(path: Path) -> str:
    """Return the hash of a file's contents. Blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(name: str) -> str:
    """Return *name* as an address can hold it."""
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in name)[-100:] or "file"
