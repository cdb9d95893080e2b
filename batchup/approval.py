"""Approval: a question on a page of this machine, answered once by whoever has the token."""

import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape

import anyio
from aiohttp import web

from batchup.webserver import LOOPBACK, open_server

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>batchup</title><h1>{title}</h1>{body}</html>"""

_FORM = """<form method="post" action="/"><input type="hidden" name="token" value="{token}">
<button name="answer" value="yes">Go on</button> <button name="answer" value="no">Stop here</button></form>"""


class Approval:
    """A question that waits for its answer. Made by :func:`open_approval`.

    Attributes:
        token: What an answer must bring; a secret.
        url: Where it is sent, by POST, with the fields ``token`` and ``answer`` (``yes`` or ``no``).
    """

    def __init__(self, question: str, token: str) -> None:
        self.token, self.url = token, ""
        self._question = question
        self._answered = anyio.Event()
        self._is_yes = False

    @property
    def page(self) -> str:
        """Address of a page that asks."""
        return f"{self.url}?token={self.token}"

    async def wait(self) -> bool:
        """Return whether the answer is yes, once there is one."""
        await self._answered.wait()
        return self._is_yes

    async def ask(self, request: web.Request) -> web.Response:
        """Show the question to who has the token."""
        self._check(request, request.query.get("token", ""))
        return _page(self._question, _FORM.format(token=escape(self.token)))

    async def take(self, request: web.Request) -> web.Response:
        """Take an answer, the first one for good."""
        fields = await request.post()
        self._check(request, str(fields.get("token", "")))
        if not self._answered.is_set():
            self._is_yes = fields.get("answer") == "yes"
            self._answered.set()
        going = "The run goes on. You may close this page." if self._is_yes else "Nothing more is run."
        return _page(going, "")

    def _check(self, request: web.Request, token: str) -> None:
        # A name that leads here is not this machine's own: a page elsewhere could bring it about.
        if f"http://{request.host}/" != self.url:
            raise web.HTTPForbidden(text="this is another host's name")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise web.HTTPForbidden(text="the token is missing or wrong")


@asynccontextmanager
async def open_approval(question: str) -> AsyncIterator[Approval]:
    """Ask on loopback while the block lasts.

    Raises:
        OSError: There is no port.
    """
    approval = Approval(question, secrets.token_urlsafe(24))
    app = web.Application(client_max_size=10_000)
    app.router.add_get("/", approval.ask)
    app.router.add_post("/", approval.take)
    async with open_server(app) as port:
        approval.url = f"http://{LOOPBACK}:{port}/"
        yield approval


def _page(title: str, body: str) -> web.Response:
    text = _PAGE.format(title=escape(title), body=body)
    return web.Response(text=text, content_type="text/html", headers=_HEADERS)
