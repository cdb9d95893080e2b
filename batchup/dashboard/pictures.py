"""Pictures: inputs and outputs as a browser may have them, and thumbnails of them."""

import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import anyio
import msgspec
from aiohttp import web
from anyio import to_thread

from batchup.clock import Clock
from batchup.dashboard.maker import Maker
from batchup.media import HEAD_BYTES, sniff
from batchup.report.picture import TYPES, Job
from batchup.report.thumbnails import key

SMALL_BYTES = 64_000
"""A picture of no more is its own thumbnail."""

REST = 40
"""While a run goes on, so many times as long as a thumbnail took none is made: what looks on takes nothing away."""

MOST_REST_S = 60.0
REMEMBERED = 10_000

Stage = Literal["ready", "none", ""]
"""Whether a thumbnail is there, will never be, or may still come."""


class _Thumbnail(msgspec.Struct, frozen=True):
    """What is shown for a file; no *kind* for nothing."""

    path: Path
    kind: str


class Pictures:
    """Answers with files, and has thumbnails made of those that are to be shown."""

    def __init__(self, folder: Path, maker: Maker, clock: Clock) -> None:
        """Begin with nothing.

        Args:
            folder: Where thumbnails are kept; thrown away by whoever made it.
            maker: Makes them.
            clock: Tells when it is enough for a while.
        """
        self._folder, self._maker, self._clock = folder, maker, clock
        self._known: dict[str, _Thumbnail] = {}
        self._wanted: list[Path] = []
        self._calm = True
        self._news = anyio.Event()

    def stage(self, path: Path | None) -> Stage:
        """Return how it stands with a file's thumbnail. Blocks for a moment."""
        name = None if path is None else key(str(path))
        if path is None or name is None:
            return "none"
        found = self._known.get(name) or self._at_once(path, name)
        if found is None:
            return ""
        return "ready" if found.kind else "none"

    def want(self, paths: Iterable[Path], *, calm: bool) -> None:
        """Have thumbnails made of these files, in this order, and of no others.

        Args:
            paths: Those without one.
            calm: Whether to take little of the machine's time.
        """
        self._wanted, self._calm = list(paths), calm
        self._news.set()

    async def run(self) -> None:
        """Make what is wanted, one after the other."""
        while True:
            if not self._wanted:
                self._news = anyio.Event()
                await self._news.wait()
                continue
            took_s = await self._make(self._wanted.pop(0))
            if self._calm:
                await self._clock.sleep(min(MOST_REST_S, REST * took_s))

    async def whole(self, path: Path | None) -> web.StreamResponse:
        """Return a file as it is, or a large preview where no browser shows it; nothing where there is none."""
        found = None if path is None else await to_thread.run_sync(_format, path)
        if path is None or found is None:
            return _nothing()
        if found in TYPES:
            return _file(path, TYPES[found])
        await self._make(path)
        name = await to_thread.run_sync(key, str(path))
        preview = self._folder / f"{name}.jpg"
        return _file(preview, "image/jpeg") if _size(preview) else _nothing()

    async def thumbnail(self, path: Path | None) -> web.StreamResponse:
        """Return a small picture of a file; nothing where there is none."""
        if await to_thread.run_sync(self.stage, path) != "ready":
            return _nothing()
        found = self._known[key(str(path)) or ""]
        return _file(found.path, found.kind)

    def _at_once(self, path: Path, name: str) -> _Thumbnail | None:
        """Return what can be shown without making anything."""
        found = _format(path)
        if found is None:
            return self._remember(name, _Thumbnail(path, ""))
        if TYPES.get(found, "").startswith("image/") and 0 < _size(path) <= SMALL_BYTES:
            return self._remember(name, _Thumbnail(path, TYPES[found]))
        return None

    def _remember(self, name: str, found: _Thumbnail) -> _Thumbnail:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[name] = found
        return found

    async def _make(self, path: Path) -> float:
        """Have a thumbnail made, and a large preview of what no browser shows; return the seconds that it took."""
        name = await to_thread.run_sync(key, str(path))
        if name is None or name in self._known:
            return 0.0
        stem = self._folder / name
        took_s = await self._maker.make(Job(str(path), str(stem)))
        small = stem.with_suffix(".webp")
        self._remember(name, _Thumbnail(small, "image/webp" if _size(small) else ""))
        return took_s


def _format(path: Path) -> str | None:
    """Return what a file is by its first bytes; None where it is no picture or video, or not there. Waits for no pipe."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file:
            return sniff(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _file(path: Path, kind: str) -> web.FileResponse:
    headers = {
        "Content-Type": kind,
        # Opened by itself it is a picture on a page that may do nothing.
        "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "Content-Disposition": "inline",
    }
    return web.FileResponse(path, headers=headers)


def _nothing() -> web.Response:
    """Answer without a picture. To a browser that is no error, and it shows what stands for one."""
    return web.Response(status=204)
