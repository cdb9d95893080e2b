"""Transport: pools of connections, and downloads through them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies

import aiohttp
import anyio
from aiohttp.abc import AbstractResolver
from anyio import to_thread
from yarl import URL

from batchup.aside import aside
from batchup.clock import Clock, SystemClock
from batchup.errors import AnswerLostError, NotSentError, RejectedError, TransientError
from batchup.transport.addresses import PublicResolver, check_literal, parsed, proxy_of, redirected, shown
from batchup.transport.answers import NO_REST, Part, failure, total_bytes, translated, validator
from batchup.version import __version__

Tell = Callable[[float], None]
"""Called now and then with the part of a file that is there, 0.0 to 1.0; at the end only where no size is known."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 10

CHUNK_BYTES = 1 << 18
"""Written to disk at once. A download holds about three times this in memory."""

REACH_S = 10.0
"""A host that says nothing for so long is none that can be reached."""

KEPT_PARTS = 1000
"""Of so many cut downloads a transport remembers how to continue them."""

_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class _Order:
    """What :meth:`Transport.download` was asked for."""

    url: str
    target: Path
    allow_private: bool
    tell: Tell


@dataclass(frozen=True, slots=True)
class _Pools:
    """Sessions that share nothing: a connection to a private address, once allowed, is never used again unasked."""

    anywhere: aiohttp.ClientSession
    public: aiohttp.ClientSession
    names: PublicResolver
    connect_s: float


class Transport:
    """Downloads, any number at once: whoever calls bounds them. Made by :func:`open_transport`."""

    def __init__(self, pools: _Pools, clock: Clock) -> None:
        self._pools = pools
        self._clock = clock
        self._proxies = getproxies()
        self._parts: dict[Path, Part] = {}

    async def download(
        self,
        url: str,
        target: Path,
        *,
        allow_private: bool = False,
        tell: Tell | None = None,
    ) -> None:
        """Bring *url* to *target*, which is overwritten.

        Should it fail in a way that may pass, or be cancelled, what has come stays at *target*, and the next call of
        this transport for the same two continues it, provided that the server can tell that the file is still the
        same. After any other error what lies at *target* is worth nothing. It is not synced to disk.

        Args:
            url: http or https. A user and password in it are sent to its own origin only.
            target: In a folder that exists. One download at a time.
            allow_private: Whether it, or a redirect, may lead to an address of a private network. Behind a proxy,
                which resolves names itself, names are checked only as far as they resolve here too.
            tell: See :data:`Tell`.

        Raises:
            NotSentError: There was no connection; TransientError: it may work next time all the same: a stall, a cut, a
                server's error.
            RejectedError: It will not: no such file, no access, a private address.
            OSError: *target* cannot be written.
        """
        order = _Order(url, target, allow_private, tell or (lambda _: None))
        kept = self._parts.pop(target, None)
        if kept and kept.url == url and kept.size_bytes <= await aside(_size_bytes, target):
            self._keep(target, kept)
            if await self._fetch(order, kept):
                return
        await self._fetch(order, Part(url))

    async def reach(self, url: str, *, allow_private: bool = False) -> None:
        """Return if the host of *url* answers at all, whatever it says. Redirects are not followed.

        Args:
            url: http or https.
            allow_private: As for :meth:`download`.

        Raises:
            NotSentError: There is no connection.
            AnswerLostError: There is one, and nothing comes.
        """
        address = parsed(url)
        try:
            with anyio.fail_after(REACH_S), translated(shown(address)):
                session, proxy = await self._route(address, allow_private=allow_private)
                async with session.head(address, proxy=proxy, allow_redirects=False):
                    pass
        except NotSentError:
            raise
        except (TransientError, TimeoutError) as error:
            raise AnswerLostError(f"{shown(address)}: no answer", kind="no_answer") from error

    async def _fetch(self, order: _Order, part: Part) -> bool:
        """Fetch what is missing of *part*; return False if the server has no rest of that."""
        async with self._answer(order, part) as (answer, label):
            continued = part.is_continued_by(answer.status, answer.headers)
            if part.headers and not continued and answer.status in NO_REST:
                return False
            error = None if continued else failure(answer.status, answer.headers, label, self._clock.utc())
            if error:
                raise error
            await self._store(order, answer, label, part if continued else Part(part.url))
            return True

    @asynccontextmanager
    async def _answer(self, order: _Order, part: Part) -> AsyncIterator[tuple[aiohttp.ClientResponse, str]]:
        """Yield the answer that stands at the end of all redirects, and its URL as people may see it."""
        url = parsed(order.url)
        label = shown(url)
        for _ in range(MAX_REDIRECTS + 1):
            with translated(label):
                session, proxy = await self._route(url, allow_private=order.allow_private)
                answer = await session.get(url, headers=part.headers, proxy=proxy, allow_redirects=False)
            async with answer:
                if answer.status not in REDIRECTS or "Location" not in answer.headers:
                    yield answer, label
                    return
            url = redirected(url, answer.headers["Location"], label)
            label = f"{shown(parsed(order.url))} → {shown(url)}"
        raise RejectedError(f"{label}: more than {MAX_REDIRECTS} redirects", kind="url_refused")

    async def _route(self, url: URL, *, allow_private: bool) -> tuple[aiohttp.ClientSession, URL | None]:
        """Return the pool and the proxy through which *url* may be asked for."""
        if not allow_private:
            check_literal(url)
        proxy = await to_thread.run_sync(proxy_of, url, self._proxies) if self._proxies else None
        if proxy is None:
            return self._pools.anywhere if allow_private else self._pools.public, None
        if not allow_private:
            # Names that only the proxy knows are its business.
            with suppress(OSError), anyio.move_on_after(self._pools.connect_s):
                await self._pools.names.resolve(url.raw_host or "", url.port or 0)
        return self._pools.anywhere, proxy

    async def _store(self, order: _Order, answer: aiohttp.ClientResponse, label: str, part: Part) -> None:
        """Write an answer's body behind *part*, and remember how to continue, should it be cut."""
        size = part.size_bytes
        total = total_bytes(answer.headers, size)
        known = part.validator or validator(answer.headers)
        # At once: what was remembered of an earlier file must not be taken for this one's beginning.
        self._keep(order.target, Part(part.url, known, size))
        async for chunk in _chunks(answer, label):
            await aside(_write, order.target, size, chunk)
            size += len(chunk)
            self._keep(order.target, Part(part.url, known, size))
            if total:
                order.tell(min(1.0, size / total))
        if total is not None and size != total:
            raise TransientError(f"{label}: {size:,} of {total:,} bytes came", kind="download_cut")
        self._parts.pop(order.target, None)
        order.tell(1.0)

    def _keep(self, target: Path, part: Part) -> None:
        self._parts.pop(target, None)
        if part.headers:
            self._parts[target] = part
        if len(self._parts) > KEPT_PARTS:
            del self._parts[next(iter(self._parts))]


async def _chunks(answer: aiohttp.ClientResponse, label: str) -> AsyncIterator[bytes]:
    """Yield a body, gathered into chunks; at least one, which may be empty. What came before a cut is yielded, too."""
    gathered = bytearray()
    while True:
        try:
            with translated(
                label
            ):  # no yield in here: the errors of whoever writes would be taken for the network's
                data = await answer.content.readany()
        except TransientError:
            yield bytes(gathered)
            raise
        gathered += data
        if not data or len(gathered) >= CHUNK_BYTES:
            yield bytes(gathered)
            gathered.clear()
        if not data:
            return


def _write(target: Path, start: int, data: bytes) -> None:
    """Make *target* its own first *start* bytes and *data*. Opened anew each time: nothing is left open."""
    with open(target, "ab") as file:  # noqa: PTH123 - half the time of Path.open
        file.truncate(start)
        file.write(data)


def _size_bytes(target: Path) -> int:
    try:
        return target.stat().st_size
    except FileNotFoundError:
        return 0


@asynccontextmanager
async def open_transport(
    *,
    connect_s: float = 30,
    stall_s: float = 60,
    resolver: AbstractResolver | None = None,
    clock: Clock = _CLOCK,
) -> AsyncIterator[Transport]:
    """Open connection pools, closed when the block is left.

    Proxies are those of the environment (``https_proxy``, ``no_proxy``, ...) or of the system. Cookies and ``.netrc``
    are not used. A body comes as it lies on the server, not compressed on the way, so that it can be continued.

    Args:
        connect_s: Most seconds until a connection stands, its name's resolution included.
        stall_s: Most seconds without a byte. How long a whole download takes is not limited.
        resolver: Of host names; the system's by default.
        clock: Tells the time that a date in ``Retry-After`` is compared with.
    """
    # Not aiohttp's `trust_env`: it would also send what it finds in ~/.netrc.
    timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_read=stall_s)
    names = resolver or aiohttp.DefaultResolver()

    def pool(resolves: AbstractResolver) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # Unlimited, because waiting for a free connection would count as connecting.
            connector=aiohttp.TCPConnector(limit=0, resolver=resolves),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"batchup/{__version__}", "Accept-Encoding": "identity"},
            timeout=timeout,
            read_bufsize=CHUNK_BYTES,
        )

    guard = PublicResolver(names)
    try:
        async with pool(names) as anywhere, pool(guard) as public:
            yield Transport(_Pools(anywhere, public, guard, connect_s), clock)
    finally:
        if resolver is None:
            await names.close()
