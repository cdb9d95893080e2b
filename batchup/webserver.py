"""A web server of this process's own: on loopback unless a person asks for more, up while a block lasts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from aiohttp import web

LOOPBACK = "127.0.0.1"

END_S = 0.5
"""How long an answer that is under way may take when the server ends."""


@asynccontextmanager
async def open_server(
    app: web.Application,
    port: int = 0,
    *,
    host: str = LOOPBACK,
    end_s: float = END_S,
) -> AsyncIterator[int]:
    """Answer while the block lasts; yield the port.

    Args:
        app: What answers.
        port: 0 for any that is free.
        host: Address to bind to, or its name.
        end_s: See :data:`END_S`.

    Raises:
        OSError: It cannot listen there.
    """
    # Who has gone is noticed by the next write: an answer cancelled while its file is opened leaves that open.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=end_s)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield int(runner.addresses[0][1])
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()
