"""Server: the page, what it shows as it changes, and what it asks for."""

import os
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path

import anyio
import msgspec
from aiohttp import web

from batchup.clock import Clock, SystemClock
from batchup.control import Command, Deed
from batchup.dashboard.desk import Desk, is_task_id
from batchup.dashboard.door import Door, harden
from batchup.dashboard.maker import open_maker
from batchup.dashboard.pictures import Pictures
from batchup.dashboard.room import Room
from batchup.errors import Fault, ManifestError
from batchup.manifest import Manifest
from batchup.webserver import open_server

FILMS = "films.js"
"""Script that keeps videos in step, here as in the report."""

HEARTBEAT_S = 15.0
"""So often something is sent, so that a page that has gone is noticed."""

BODY_BYTES = 4096

END_S = 0.2
"""How long pages may take to go when the server does."""

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class Address(msgspec.Struct, frozen=True):
    """Where the page is. *url* holds the token."""

    url: str
    host: str
    port: int


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page asks of a run.

    Attributes:
        job: Its key.
        price: What was shown and agreed to, where something is submitted once more.
    """

    job: str
    do: Deed
    value: str = ""
    task: str = ""
    price: str = ""


class _Site:
    """The addresses, and what they answer."""

    def __init__(self, room: Room, door: Door, pictures: Pictures) -> None:
        self._room, self._door, self._pictures = room, door, pictures
        self._wishes = msgspec.json.Decoder(Wish)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._door.middleware], client_max_size=BODY_BYTES)
        app.on_response_prepare.append(harden)
        path = self._door.path
        app.add_routes(
            [
                web.get("/", self._door.arrive),
                web.get("/favicon.ico", self._no_icon),
                web.get(r"/page/{name:[a-z-]+\.(css|js)}", self._code),
                web.get(path, self._page),
                web.get(path + "events", self._events),
                web.get(path + "story/{job}/{task}", self._story),
                web.get(path + "{size:thumbnail|whole}/{job}/{task}/{side:input|output}", self._picture),
                web.post(path + "do", self._do),
            ]
        )
        return app

    async def _no_icon(self, _request: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _page(self, _request: web.Request) -> web.Response:
        return _asset("index.html")

    async def _code(self, request: web.Request) -> web.Response:
        return _asset(request.match_info["name"])

    def _desk(self, key: str) -> Desk:
        desk = self._room.desks.get(key)
        if desk is None:
            raise web.HTTPNotFound(text="There is no such job.")
        return desk

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send what a job shows, whole at first, and then whatever has changed."""
        desk = self._desk(request.query.get("job") or self._room.own)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with suppress(ConnectionError):  # the page was closed
            await answer.prepare(request)
            with self._room.watched(desk):
                await self._tell(answer, desk)
        return answer

    async def _tell(self, answer: web.StreamResponse, desk: Desk) -> None:
        sent: dict[str, bytes] = {}
        if desk.viewers == 1:
            await self._room.look(everywhere=True)  # what nobody watched is old
        await self._send(answer, {"own": msgspec.json.encode(self._room.own)})
        while not self._room.is_over:
            news = self._room.news
            told = {**desk.told, "jobs": self._jobs()} if desk.told else {}
            await self._send_changed(answer, sent, told)
            with anyio.move_on_after(HEARTBEAT_S) as waited:
                await news.wait()
            if waited.cancelled_caught:
                await answer.write(b":\n\n")
        # Pictures that nobody answers for any more are not told of.
        last = {name: value for name, value in desk.told.items() if name != "fresh"}
        await self._send_changed(answer, sent, {**last, "over": b"true"})

    async def _send_changed(
        self, answer: web.StreamResponse, sent: dict[str, bytes], told: dict[str, bytes]
    ) -> None:
        changed = {name: value for name, value in told.items() if sent.get(name) != value}
        if changed:
            sent |= changed
            await self._send(answer, changed)

    async def _send(self, answer: web.StreamResponse, changed: dict[str, bytes]) -> None:
        now = msgspec.json.encode(self._room.now_s())
        parts = b",".join(b'"%b":%b' % (name.encode(), value) for name, value in changed.items())
        await answer.write(b'data: {"now":%b,%b}\n\n' % (now, parts))

    def _jobs(self) -> bytes:
        return msgspec.json.encode([desk.card for desk in self._room.desks.values()])

    async def _story(self, request: web.Request) -> web.Response:
        desk, task = self._desk(request.match_info["job"]), _task(request)
        moments = await desk.story(task)
        return web.Response(body=msgspec.json.encode(moments), content_type="application/json")

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        desk, task = self._desk(request.match_info["job"]), _task(request)
        path = desk.input_of(task) if request.match_info["side"] == "input" else desk.output_of(task)
        if request.match_info["size"] == "whole":
            return await self._pictures.whole(path)
        return await self._pictures.thumbnail(path)

    async def _do(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        try:
            wish = self._wishes.decode(await request.read())
        except msgspec.DecodeError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        desk = self._desk(wish.job)
        wrong = self._dearer(desk, wish)
        if not wrong:
            wrong = await self._room.do(desk, Command(wish.do, wish.value, wish.task))
        return web.Response(body=msgspec.json.encode({"error": wrong}), content_type="application/json")

    @staticmethod
    def _dearer(desk: Desk, wish: Wish) -> str:
        """Return what is wrong where something would be submitted once more for a price that nobody agreed to."""
        if wish.do not in {"retry", "release"}:
            return ""
        price = desk.price(wish.task)
        if price is None:
            return "There is no such task."
        return "" if wish.price == price else "The price is another by now; look at it again."


def _task(request: web.Request) -> str:
    """Return a task's id.

    Raises:
        web.HTTPNotFound: It is something else, as a path.
    """
    task = request.match_info["task"]
    if not is_task_id(task):
        raise web.HTTPNotFound(text="There is no such task.")
    return task


def _asset(name: str) -> web.Response:
    found = files("batchup.report" if name == FILMS else "batchup.dashboard") / "page" / name
    if not found.is_file():
        raise web.HTTPNotFound(text="There is no such file.")
    kind = _TYPES[Path(name).suffix]
    return web.Response(body=found.read_bytes(), content_type=kind, charset="utf-8")


@asynccontextmanager
async def open_dashboard(
    manifest: Manifest,
    host: str = "127.0.0.1",
    port: int = 0,
    names: Sequence[str] = (),
    clock: Clock | None = None,
) -> AsyncIterator[Address]:
    """Serve the page while the block lasts.

    Args:
        manifest: Of the job that is shown first; others that run on this machine are listed with it.
        host: Address to bind to. Whatever is not loopback can be reached by other machines.
        port: 0 for any that is free.
        names: Further names by which browsers may call this machine.
        clock: Tells when to look.

    Raises:
        ManifestError: It cannot bind to that address.
    """
    clock = clock or SystemClock()
    with tempfile.TemporaryDirectory(prefix="batchup-") as folder:
        async with open_maker() as maker:
            pictures = Pictures(Path(folder), maker, clock)
            room, door = Room(manifest, pictures, clock), Door(host, names)
            async with (
                _serving(_Site(room, door, pictures), room, host, port) as bound,
                anyio.create_task_group() as group,
            ):
                group.start_soon(room.run)
                group.start_soon(pictures.run)
                yield Address(f"http://{_called(host)}:{bound}/?token={door.token}", host, bound)
                group.cancel_scope.cancel()


@asynccontextmanager
async def _serving(site: _Site, room: Room, host: str, port: int) -> AsyncIterator[int]:
    """Answer while the block lasts; yield the port."""
    async with AsyncExitStack() as stack:
        stack.callback(room.close)
        try:
            bound = await stack.enter_async_context(open_server(site.app(), port, host=host, end_s=END_S))
        except OSError as error:
            # Of a name that is not found the number is below 0, and of another kind.
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            message = f"{host}:{port} cannot be used: {why}; --host and --port name another"
            raise ManifestError([Fault("", 0, 0, message)]) from error
        try:
            yield bound
        finally:
            with anyio.CancelScope(shield=True):
                await room.end()


def _called(host: str) -> str:
    """Return what to write into an address for *host*: where it binds to all, this machine's name."""
    if host in {"0.0.0.0", "::", ""}:  # noqa: S104 - what a person asked for
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
