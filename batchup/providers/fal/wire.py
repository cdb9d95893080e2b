"""Wire: one request and its whole answer, and whether a request that failed may have arrived.

What costs money goes over a new connection, or one that was in use a moment ago. A server may close an idle connection
just as a request goes out on it; the client then sees the end of the connection and nothing else, and cannot know whether
the request was read. On a new connection there is no such moment, and hardly on one that was in use just now; what is
lost all the same is looked for, like any lost answer. (aiohttp 3.14 sends GET, PUT and DELETE a second time by itself when a connection breaks, POST never: measured, and held by
a test.)
"""

import math
import socket
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.request import getproxies

import aiohttp
import anyio
from anyio import to_thread
from multidict import CIMultiDict
from yarl import URL

from batchup.clock import Clock
from batchup.errors import AnswerLostError, NotSentError, TaskError
from batchup.providers.fal.answers import Answer
from batchup.providers.fal.settings import Secret
from batchup.transport.addresses import proxy_of, shown
from batchup.transport.answers import translated
from batchup.version import __version__

MAX_ANSWER_BYTES = 64 << 20
"""What no answer of a service is larger than; a result holds addresses, not pictures."""

UNSENT_BYTES = 128 << 10
"""Of a body that the system holds without having sent it, where it lets itself be told: what it took is nearly sent."""

FRESH_S = 0.5
"""For so long a connection that nobody uses is as good as a new one. Servers keep theirs for seconds, or say with their
answer that they do not.

Source: Node.js, whose default of 5 is among the shortest: https://nodejs.org/api/http.html#serverkeepalivetimeout, read
2026-11.
"""

_CHUNK_BYTES = 1 << 16
_KEPT_S = 15.0
_NEVER = 1e9

_UNSENT = {"not_connected", "certificate_invalid", "url_refused"}
_LOST = {"download_stalled": "no_answer", "download_cut": "answer_cut"}


@dataclass(frozen=True, slots=True)
class Sending:
    """A request.

    Attributes:
        method: In capitals.
        url: Where to; http or https.
        headers: Besides those that every request has.
        body: What is sent; what is streamed needs a ``Content-Length`` among the headers.
        secret: What the headers carry, to be kept out of the answer.
        within_s: Most seconds until the whole answer, those of connecting not counted, and counted anew with every
            part of a streamed body that is on its way; None waits for ever.
        fresh: Over a connection that was made, or used, within the last :data:`FRESH_S` seconds.
    """

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | AsyncIterable[bytes] | None = None
    secret: Secret | None = None
    within_s: float | None = 60.0
    fresh: bool = False

    @property
    def label(self) -> str:
        """What people see of it."""
        return f"{self.method} {shown(self.url)}"


class Wire:
    """Made by :func:`open_wire`. Any number of requests at once: whoever calls bounds them."""

    def __init__(
        self, kept: aiohttp.ClientSession, fresh: aiohttp.ClientSession, connect_s: float, clock: Clock
    ) -> None:
        self._kept, self._fresh, self._connect_s, self._clock = kept, fresh, connect_s, clock
        self._proxies = getproxies()
        self._routes: dict[tuple[str, str | None, int | None], URL | None] = {}

    async def send(self, sending: Sending) -> Answer:
        """Send a request and return its answer, whatever its status. Redirects are not followed.

        Raises:
            NotSentError: There was no connection: nothing was sent.
            AnswerLostError: It may have arrived: cut, or no answer in time.
            RejectedError: The environment names a proxy that cannot be used.
        """
        label = sending.label
        try:
            with translated(label):
                return await self._exchange(sending, label)
        except TaskError as error:
            failed = _named(error)
        # Not from within the handler: what aiohttp raised holds the request's headers, and the key in them.
        raise failed

    async def _exchange(self, sending: Sending, label: str) -> Answer:
        session = self._fresh if sending.fresh else self._kept
        proxy = await self._route(sending.url) if self._proxies else None
        if isinstance(sending.body, AsyncIterable):
            return await self._streamed(session, sending, sending.body, proxy, label)
        async with session.request(
            sending.method,
            sending.url,
            headers=sending.headers,
            data=sending.body,
            proxy=proxy,
            allow_redirects=False,
            timeout=_timeout(self._connect_s, sending.within_s),
        ) as answer:
            content = await _whole(answer, label)
        return self._answer(sending, answer, content, label)

    async def _streamed(
        self,
        session: aiohttp.ClientSession,
        sending: Sending,
        body: AsyncIterable[bytes],
        proxy: URL | None,
        label: str,
    ) -> Answer:
        """Send a body whose every part gives the rest as much time again."""
        within_s = math.inf if sending.within_s is None else sending.within_s
        with anyio.fail_after(self._connect_s + within_s) as scope:

            def moved() -> None:
                scope.deadline = anyio.current_time() + within_s

            async with session.request(
                sending.method,
                sending.url,
                headers=sending.headers,
                data=_Told(body, moved),
                proxy=proxy,
                allow_redirects=False,
            ) as answer:
                content = await _whole(answer, label)
        return self._answer(sending, answer, content, label)

    def _answer(self, sending: Sending, answer: aiohttp.ClientResponse, content: bytes, label: str) -> Answer:
        headers: Mapping[str, str] = answer.headers
        said = b"\n".join([content, *[value for _, value in answer.raw_headers]])
        if sending.secret and sending.secret.is_in(said):
            hidden = sending.secret.hidden
            content = sending.secret.hidden_bytes(content)
            headers = CIMultiDict((name, hidden(value)) for name, value in headers.items())
        return Answer(answer.status, headers, content, label, self._clock.utc())

    async def _route(self, url: URL) -> URL | None:
        """Return the proxy on the way to *url*."""
        origin = (url.scheme, url.host, url.port)
        if origin not in self._routes:
            self._routes[origin] = await to_thread.run_sync(proxy_of, url, self._proxies)
        return self._routes[origin]


class _Told:
    """A body that tells when a part of it is on its way, and begins anew whenever it is iterated."""

    def __init__(self, body: AsyncIterable[bytes], moved: Callable[[], None]) -> None:
        self._body, self._moved = body, moved

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            self._moved()
            yield chunk
            self._moved()


async def _whole(answer: aiohttp.ClientResponse, label: str) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            msg = f"{label}: answered with more than {MAX_ANSWER_BYTES:,} bytes"
            raise AnswerLostError(msg, kind="answer_too_large")
    return bytes(content)


@lru_cache(maxsize=64)
def _timeout(connect_s: float, within_s: float | None) -> aiohttp.ClientTimeout:
    """Return limits on connecting, and on all of it; as exact as they are small, not rounded up to a second."""
    total_s = None if within_s is None else connect_s + within_s
    return aiohttp.ClientTimeout(total=total_s, connect=connect_s, ceil_threshold=_NEVER)


def _named(error: TaskError) -> TaskError:
    """Return what the transport's error means for whoever has sent something; without its cause."""
    if error.kind in _UNSENT:
        return NotSentError(str(error), kind=error.kind)
    if error.kind in _LOST:
        return AnswerLostError(str(error), kind=_LOST[error.kind])
    return type(error)(str(error), kind=error.kind)


def _socket(info: Any) -> socket.socket:
    """Make a socket that takes no more than it can nearly send, so that a stall is seen where it is.

    Args:
        info: As ``getaddrinfo`` returns it.
    """
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)  # Linux and macOS
    if option is not None:
        made.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)
    return made


@asynccontextmanager
async def open_wire(*, connect_s: float, clock: Clock, fresh_s: float = FRESH_S) -> AsyncIterator[Wire]:
    """Open connection pools, closed when the block is left.

    Proxies are those of the environment (``https_proxy``, ``no_proxy``, ...) or of the system. Cookies and ``.netrc``
    are not used.

    Args:
        connect_s: Most seconds until a connection stands, its name's resolution included.
        clock: Tells when an answer came.
        fresh_s: See :data:`FRESH_S`.
    """
    timeout = _timeout(connect_s, None)  # how long an answer may take is each request's own

    def pool(kept_s: float) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # Unlimited, because waiting for a free connection would count as connecting.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=kept_s, socket_factory=_socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"batchup/{__version__}", "Accept-Encoding": "identity"},
            timeout=timeout,
            read_bufsize=_CHUNK_BYTES,
        )

    async with pool(_KEPT_S) as kept, pool(fresh_s) as fresh:
        yield Wire(kept, fresh, connect_s, clock)
