"""Settings: whose key is used, and where fal's services are. From the environment, never from a manifest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from yarl import URL

from batchup.errors import FatalError, Fault, ManifestError, RejectedError
from batchup.transport.addresses import is_loopback, parsed, shown

Service = Literal["queue", "run", "rest", "platform"]

# Source: https://fal.ai/docs/api-reference/inference-api, read 2026-11.
_ORIGINS: Mapping[Service, tuple[str, str]] = {
    "queue": ("FAL_QUEUE_URL", "https://queue.fal.run"),
    "run": ("FAL_RUN_URL", "https://fal.run"),
    "rest": ("FAL_REST_URL", "https://rest.fal.ai"),
    "platform": ("FAL_API_URL", "https://api.fal.ai"),
}

_KEYS_PAGE = "https://fal.ai/dashboard/keys"
# What a header can hold; a line break would end it, and begin another.
_SENDABLE = re.compile(r"[\x21-\x7e]+")
_LONG = 8


class Secret:
    """Text that nobody prints by accident: only :meth:`reveal` shows it."""

    __slots__ = ("_encoded", "_parts", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        # The half behind the colon is the secret one; a short one may be a word of any text.
        half = text.partition(":")[2]
        self._parts = [text, half] if len(half) >= _LONG else [text]
        # What holds the whole holds its half, too.
        self._encoded = self._parts[-1].encode()

    def reveal(self) -> str:
        """Return the text, to be sent to its owner."""
        return self._text

    def is_in(self, data: bytes) -> bool:
        """Return whether any of the secret is in *data*, text in UTF-8."""
        return self._encoded in data

    def hidden(self, text: str) -> str:
        """Return *text* without the secret in it."""
        for part in self._parts:
            text = text.replace(part, "…")
        return text

    def hidden_bytes(self, data: bytes) -> bytes:
        """Likewise, of text in UTF-8."""
        for part in self._parts:
            data = data.replace(part.encode(), "…".encode())
        return data

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True)
class Settings:
    """The account and where to reach it.

    Attributes:
        key: What ``Authorization: Key …`` carries.
        queue: Where batches are submitted; like the others https, or http on this machine.
        run: Where synchronous calls go.
        rest: Where storage tokens come from.
        platform: Where history, bills and prices are.
    """

    key: Secret
    queue: URL
    run: URL
    rest: URL
    platform: URL

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return what the variables say.

        Raises:
            ManifestError: An address cannot be trusted with the key. Holds every fault.
            FatalError: There is no key, or none that can be sent.
        """
        faults: list[str] = []
        origins = {name: _origin(environment, name, faults) for name in _ORIGINS}
        if faults:
            raise ManifestError([Fault("", 0, 0, fault) for fault in faults])
        return cls(Secret(_key(environment)), **origins)

    def address(self, service: Service, url: str) -> URL:
        """Return where *url*, which the key may accompany, leads.

        Args:
            service: To which the key is sent.
            url: Absolute, or a path below the service's address.

        Raises:
            RejectedError: It is not the service's own (``foreign_origin``), or no address at all.
        """
        return _own(getattr(self, service), url)


def _key(environment: Mapping[str, str]) -> str:
    key, name = environment.get("FAL_KEY", "").strip(), "FAL_KEY"
    if not key:
        halves = {half: environment.get(half, "").strip() for half in ("FAL_KEY_ID", "FAL_KEY_SECRET")}
        missing = [half for half, text in halves.items() if not text]
        if missing:
            found = f"{missing[0]} is missing" if len(missing) == 1 else "there is no key for fal"
            msg = f"{found}: set FAL_KEY, or FAL_KEY_ID and FAL_KEY_SECRET, from {_KEYS_PAGE}"
            raise FatalError(msg, stopped="account")
        key, name = ":".join(halves.values()), "FAL_KEY_ID and FAL_KEY_SECRET"
    if not _SENDABLE.fullmatch(key):  # what was found is not told: it is the key
        msg = f"{name}: holds a space, a line break or a sign that no key has; copy it from {_KEYS_PAGE}"
        raise FatalError(msg, stopped="account")
    return key


def _origin(environment: Mapping[str, str], service: Service, faults: list[str]) -> URL:
    name, usual = _ORIGINS[service]
    text = environment.get(name, "").strip() or usual
    try:
        url = parsed(text)
    except RejectedError as error:
        faults.append(f"{name}: {error}")
        return URL(usual)
    if url.raw_user or url.raw_password or url.raw_query_string or url.raw_fragment:
        faults.append(f"{name}: {shown(url)}: only a scheme, a host and a path belong here")
    if not is_trusted(url, loopback=True):
        faults.append(
            f"{name}: {shown(url)}: must be https; http is for this machine only (127.0.0.1, localhost)"
        )
    return url


def is_trusted(url: URL, *, loopback: bool) -> bool:
    """Return whether nobody on the way to *url* can read along.

    Args:
        url: http or https.
        loopback: Whether plain http to this machine itself will do.
    """
    return url.scheme == "https" or (loopback and is_loopback(url.raw_host or ""))


@lru_cache(maxsize=1024)  # a request's own address is asked for again and again
def _own(home: URL, url: str) -> URL:
    if _plain(home).fullmatch(url):
        return URL(url, encoded=True)
    absolute = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url.strip())
    target = parsed(url if absolute else f"{str(home).rstrip('/')}/{url.strip().lstrip('/')}")
    if not _within(home, target):
        msg = f"{shown(target)}: not an address of {home}, so the key is not sent there"
        raise RejectedError(msg, kind="foreign_origin")
    return target


@lru_cache(maxsize=16)
def _plain(home: URL) -> re.Pattern[str]:
    """Return what matches addresses below *home* in which nothing needs to be looked at twice: letters and slashes.

    They begin with its origin to the letter, the slash behind it included, and no part begins with a dot.
    """
    part = "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
    return re.compile(f"{re.escape(str(home).rstrip('/'))}(?:/{part})+")


def _within(home: URL, target: URL) -> bool:
    if target.raw_user or target.raw_password or ".." in target.parts:
        return False
    same = (home.scheme, home.host, home.port) == (target.scheme, target.host, target.port)
    return same and target.raw_path.startswith(f"{home.raw_path.rstrip('/')}/")
