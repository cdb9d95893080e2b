"""A web page that is told how a run went, where ``notify:`` leads."""

from contextlib import asynccontextmanager

import anyio
from aiohttp import web

SECRET = "tOkEn99"


class Hook:
    """A web page that is told things."""

    def __init__(self, status: int, wait_s: float) -> None:
        self.status, self.wait_s = status, wait_s
        self.heard: list[dict[str, str]] = []
        self.address = ""

    @property
    def titles(self) -> list[str]:
        return [one["title"] for one in self.heard]

    async def answer(self, request: web.Request) -> web.Response:
        self.heard.append(await request.json())
        await anyio.sleep(self.wait_s)
        return web.Response(status=self.status)


@asynccontextmanager
async def open_hook(status=200, wait_s=0.0):
    hook = Hook(status, wait_s)
    app = web.Application()
    app.router.add_post("/{rest:.*}", hook.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.address = f"json://user:{SECRET}@127.0.0.1:{runner.addresses[0][1]}/{SECRET}"
    try:
        yield hook
    finally:
        await runner.cleanup()
