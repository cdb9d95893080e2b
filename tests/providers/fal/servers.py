"""Real servers on loopback, and settings that lead to them."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
from aiohttp import web
from yarl import URL

from batchup.providers.fal.settings import Secret, Settings

KEY = "0b5b6a2e-key-id:5f2c9d7e81a34c06"


class Clock:
    """Stands still; what sleeps on it is noted and not kept waiting."""

    def __init__(self, at=datetime(2026, 11, 8, 12, tzinfo=UTC)):
        self.at, self.seconds, self.slept = at, 0.0, []

    def now_s(self):
        return self.seconds

    def utc(self):
        return self.at

    async def sleep(self, seconds):
        self.slept.append(seconds)
        await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def serving(handler, **options):
    """Yield the address of a real server that hands every request to *handler*."""
    runner = web.ServerRunner(web.Server(handler, **options), shutdown_timeout=0.01)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(talk):
    """Yield the address of a server that does to each connection what ``talk(number, reader, writer)`` says."""
    count = 0
    tasks: set[asyncio.Task[None]] = set()

    async def met(reader, writer):
        nonlocal count
        count += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(count, reader, writer)
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_request(reader):
    """Return the head and the body of one request that comes in plain bytes; None when there is no more."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    length = 0
    for line in head.decode().splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return head + await reader.readexactly(length)


def settings(address, **others):
    """Return settings with every service at *address*."""
    services = {name: URL(address) for name in ("queue", "run", "rest", "platform")}
    return Settings(Secret(KEY), **{**services, **{name: URL(url) for name, url in others.items()}})
