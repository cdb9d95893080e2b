"""Door: who may come in. Other web pages, rebound names and other users of this machine may not."""

import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from batchup.transport.addresses import is_loopback

TOKEN_BYTES = 32

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@\s]+)(?::\d{1,5})?")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_OWN_SITE = frozenset({"same-origin", "none"})

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_ASK = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>batchup</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="/page/style.css"></head>
<body class="door"><main><h1>batchup</h1><p>{why}</p>
<form method="get" action="/"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off" required>
<button>Come in</button></form></main></body></html>
"""

_ENTER = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>batchup</title>
<meta http-equiv="refresh" content="0; url={path}"></head><body><a href="{path}">batchup</a></body></html>
"""


class Door:
    """Knows its token, and the names by which this machine may be called.

    Attributes:
        token: A secret, in the address that is printed.
        path: All that needs it lies below, with slashes at both ends. A browser sends a cookie to every port of a
            machine, also to another user's, but only below its path, and that nobody else knows.
    """

    def __init__(self, host: str, names: Iterable[str] = ()) -> None:
        """Begin with a new token.

        Args:
            host: What the server binds to.
            names: Further names by which it may be called.
        """
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self.path = f"/{secrets.token_hex(8)}/"
        self._session = secrets.token_urlsafe(TOKEN_BYTES)
        self._cookie = f"batchup-{secrets.token_hex(4)}"
        self._names = {*_LOOPBACK, *(name.lower() for name in names)}
        # A name can be rebound to this machine, an address cannot; which of its addresses is used nobody knows here.
        self._takes_addresses = not is_loopback(host)
        if self._takes_addresses:
            own = socket.gethostname().lower()
            self._names |= {host.lower(), own, f"{own.partition('.')[0]}.local"}

    @property
    def middleware(self) -> Middleware:
        """What every request passes."""

        @web.middleware
        async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._check_caller(request)
            if request.path.startswith(self.path) and not self._knows(request):
                return self.ask("This page needs the address that batchup printed, with its token.")
            return await handler(request)

        return checked

    async def arrive(self, request: web.Request) -> web.StreamResponse:
        """Exchange the token in the address for a cookie, and lead on to an address without it."""
        given = request.query.get("token", "")
        if not given:
            return self.ask(
                "This page needs a token: open the address that batchup printed, or paste its token."
            )
        if not _equal(given, self.token):
            return self.ask(
                "This is not the token. Each dashboard has its own: take the address that it printed."
            )
        if request.headers.get("Sec-Fetch-Site", "none") in _OWN_SITE:
            answer = web.Response(status=303, headers={"Location": self.path})
        else:
            # To where another page's link is led on, no strict cookie is sent; from a page of ours it is.
            answer = web.Response(text=_ENTER.format(path=self.path), content_type="text/html")
        answer.set_cookie(self._cookie, self._session, path=self.path, httponly=True, samesite="Strict")
        return answer

    @staticmethod
    def ask(why: str) -> web.Response:
        """Return a page that asks for the token."""
        return web.Response(status=403, text=_ASK.format(why=why), content_type="text/html")

    def _check_caller(self, request: web.Request) -> None:
        """Let nobody pass who comes from another page, or by another name.

        Raises:
            web.HTTPForbidden: Does not say more than needed.
        """
        hosts = request.headers.getall("Host", [])
        found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if found is None or not self._is_own(found["name"].lower()):
            raise web.HTTPForbidden(text="This name is not known here. See --name of batchup dashboard.")
        if request.method == "GET" and request.path == "/":
            return  # shows nothing and changes nothing without the token, wherever the link was
        site = request.headers.get("Sec-Fetch-Site", "none")
        origin = request.headers.get("Origin")
        own = {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")}
        is_foreign = origin is not None and origin.lower() not in own
        if is_foreign or site not in _OWN_SITE or (origin is None and request.method not in {"GET", "HEAD"}):
            raise web.HTTPForbidden(text="Other pages may not call this one.")

    def _is_own(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return self._takes_addresses

    def _knows(self, request: web.Request) -> bool:
        return _equal(request.cookies.get(self._cookie, ""), self._session)


async def harden(_request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the headers that keep it where it belongs."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.popall("Server", None)


def _equal(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())
