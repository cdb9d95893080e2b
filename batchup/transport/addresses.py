"""Where a URL leads: which addresses lie on the public internet, and which proxy is on the way."""

import ipaddress
import re
import socket
from collections.abc import Mapping
from functools import lru_cache
from urllib.request import proxy_bypass

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from batchup.errors import RejectedError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# What needs no quoting is sent byte for byte: the signature in somebody's query may be over its spelling.
_WHOLE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")

# What is the same however it is read. Ports of three digits and less may be the usual ones, which are left out elsewhere.
_LABEL, _PART = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
_PLAIN = re.compile(rf"https?://({_LABEL}(?:\.{_LABEL})*)(?::[1-5]?[1-9][0-9]{{3}})?(?:/{_PART})+")
_NUMBERS = re.compile(r"[\d.]+")

# RFC 6052, section 2.1: networks without IPv4 reach all of it through this prefix.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class PrivateAddressError(Exception):
    """A host lies, perhaps among other places, on a private network. Becomes a RejectedError that names the URL."""

    def __init__(self, host: str, address: str) -> None:
        where = f"{host} is" if host == address else f"{host} is at {address},"
        super().__init__(f"{where} an address of a private network; allow_private: true allows it")


class PublicResolver(AbstractResolver):
    """Resolves names with another resolver, and refuses those that lead into a private network.

    aiohttp connects to exactly the addresses that are returned here, so a name cannot mean one address while it is
    checked and another while it is used. It does not ask a resolver for literal addresses: see :func:`check_literal`.
    """

    def __init__(self, names: AbstractResolver) -> None:
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of *host*.

        Raises:
            PrivateAddressError: Any of them is not public.
            OSError: The name cannot be resolved.
        """
        found = await self._names.resolve(host, port, family)
        for result in found:
            if not is_public(ipaddress.ip_address(result["host"])):
                raise PrivateAddressError(host, result["host"])
        return found

    async def close(self) -> None:
        """Nothing: the other resolver has an owner."""


def is_public(address: _Address) -> bool:
    """Return whether *address*, or the IPv4 address that it carries, belongs to one host on the public internet."""
    carried = _carried(address)
    if carried is not None:
        return is_public(carried)
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _carried(address: _Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour


def check_literal(url: URL) -> None:
    """Refuse *url* where its host is an address, not a name, and no public one.

    Raises:
        PrivateAddressError: It is not public.
    """
    host = url.raw_host or ""
    try:
        address = ipaddress.ip_address(host.replace("%25", "%"))
    except ValueError:
        return
    if not is_public(address):
        raise PrivateAddressError(host, host)


@lru_cache(maxsize=1024)
def parsed(text: str, base: URL | None = None) -> URL:
    """Return the absolute http(s) URL that *text* is, from *base* where it is relative.

    Raises:
        RejectedError: It is none.
    """
    plain_host = _PLAIN.fullmatch(text) if base is None else None
    if plain_host and (not _NUMBERS.fullmatch(plain_host[1]) or _is_ipv4(plain_host[1])):
        return URL(text, encoded=True)
    try:
        url = _spelled(text.strip(), base)
    except ValueError:
        # The cause is not kept: it quotes the text, and any secret in it.
        plain = re.sub(r".*@|[?#].*", "…", text.strip())
        raise RejectedError(f"{plain}: not a valid URL", kind="url_invalid") from None
    if url.scheme.lower() not in {"http", "https"} or not url.raw_host:
        raise RejectedError(
            f"{shown(url) or '(nothing)'}: not an http:// or https:// address", kind="url_invalid"
        )
    # What the system would read as an IPv4 address though it is not written as one: 127.1, 2130706433, 0177.0.0.1.
    if _NUMBERS.fullmatch(url.raw_host) and not _is_ipv4(url.raw_host):
        raise RejectedError(f"{shown(url)}: {url.raw_host} is no IPv4 address", kind="url_invalid")
    return url


def _spelled(text: str, base: URL | None) -> URL:
    url, exact = URL(text), URL(text, encoded=True)
    if base is not None:
        url, exact = base.join(url), base.join(exact)
    # Only the first has been checked, and its host written as it is looked up.
    same = (url.scheme, url.raw_authority) == (exact.scheme, exact.raw_authority)
    return exact if same and _WHOLE.fullmatch(text) else url


@lru_cache(maxsize=64)
def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def redirected(url: URL, location: str, label: str) -> URL:
    """Return where the answer for *url*, known to people as *label*, leads.

    Raises:
        RejectedError: To no http(s) address, or from https back to plain http.
    """
    try:
        where = parsed(location, url)
    except RejectedError as error:
        raise RejectedError(f"{label}: leads to {error}", kind="url_refused") from None
    if url.scheme == "https" and where.scheme != "https":
        msg = f"{label}: leads from https to plain http, where anybody on the way may read and change it"
        raise RejectedError(msg, kind="url_refused")
    return where


def shown(url: URL) -> str:
    """Return *url* for people: without user, password, the query's contents and fragment."""
    if url.absolute and not (url.raw_user or url.raw_password or url.raw_query_string or url.raw_fragment):
        return str(url)
    plain = str(url.with_user(None).with_query(None).with_fragment(None)) if url.absolute else url.raw_path
    return f"{plain}?…" if url.raw_query_string else plain


def proxy_of(url: URL, proxies: Mapping[str, str]) -> URL | None:
    """Return the proxy that *proxies* (scheme → address) names for *url*. May block: call it in a thread.

    This machine itself is never reached through a proxy, on which ``localhost`` is another machine.

    Raises:
        RejectedError: The proxy is of a kind that cannot be used.
    """
    address = proxies.get(url.scheme.lower())
    host = url.raw_host or ""
    if not address or is_loopback(host) or proxy_bypass(f"{host}:{url.port}"):
        return None
    proxy = URL(address if "://" in address else f"http://{address}")
    if proxy.scheme not in {"http", "https"}:
        msg = f"{shown(url)}: the environment names the proxy {shown(proxy)}; only http:// and https:// proxies work"
        raise RejectedError(msg, kind="proxy_unusable")
    return proxy


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an address, is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
