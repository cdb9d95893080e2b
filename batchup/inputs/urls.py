"""URLs as inputs: which are refused, and what they are called."""

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from batchup.source import Source

NAMELESS = "download"
_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")
_LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".home.arpa")


def is_url(text: str) -> bool:
    """Return whether *text* is meant as a web address."""
    return text[:8].lower().startswith(("http://", "https://"))


def fault(url: str, *, allow_private: bool) -> str | None:
    """Return why *url* cannot be an input, said to a person, or None.

    Addresses of private networks are seen only where the URL gives them as numbers or by names that are always local;
    what a name leads to is known when it is fetched.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f'"{_shown(url)}" is no address: {error}'
    if parts.scheme not in {"http", "https"} or not host or not url.isprintable() or " " in url:
        return f'"{_shown(url)}" is no address; write one that begins with https://'
    if parts.password or parts.username:
        return (
            f'"{_bare(parts)}" holds a user name or password, which would stand in the ledger; leave it out'
        )
    if not allow_private and _is_private(host):
        return f'"{_shown(url)}" is an address of a private network; if it is meant, add allow_private: true'
    return None


def _shown(url: str) -> str:
    """Return *url* on one line."""
    return url.encode("unicode_escape").decode() if not url.isprintable() else url


def _bare(parts: SplitResult) -> str:
    return _shown(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl())


def _is_private(host: str) -> bool:
    name = host.rstrip(".").lower()
    if name in _LOCAL_NAMES or name.endswith(_LOCAL_ENDINGS):
        return True
    address = _literal(name)
    return address is not None and (not address.is_global or address.is_multicast)


def _literal(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that *name* is, if it is one. The system reads 127.1 and 0x7f000001, too, so this does."""
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(name)) if name[:1].isdigit() else None
        except OSError:
            return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def source(url: str, row: Mapping[str, str], *, allow_private: bool = False) -> Source:
    """Return *url* as a source, called after the last part of its path; nobody has read it."""
    name = path_of(url).rpartition("/")[2]
    safe = "".join(c if c.isprintable() and c not in "/\\" else "-" for c in name)
    path = NAMELESS if safe.strip(". ") == "" else safe
    return Source(root="", path=path, url=url, row=row, allow_private=allow_private)


def path_of(url: str) -> str:
    """Return what patterns are matched with: the path of *url* without its first slash, with ``%20`` as a space."""
    return unquote(urlsplit(url).path, errors="replace").lstrip("/")
