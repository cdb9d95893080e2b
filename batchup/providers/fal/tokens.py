"""Tokens: what lets this account write to fal's storage for a while, instead of its key."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
from yarl import URL

from batchup.clock import Clock
from batchup.errors import AnswerLostError, RejectedError
from batchup.providers.fal.answers import Answer
from batchup.providers.fal.settings import Secret, is_trusted
from batchup.transport.addresses import parsed, shown
from batchup.transport.answers import moment

MARGIN_S = 60.0
"""A token is not used so shortly before its end, or in the last tenth of its life, whichever is shorter."""

_SENDABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        authorization: What the header says.
        base: Where it may be used; https, or http on this machine.
        until_s: On the clock that never goes back.
    """

    authorization: Secret
    base: URL
    until_s: float

    def address(self, path: str) -> URL:
        """Return where *path* is on the storage."""
        return URL(f"{str(self.base).rstrip('/')}/{path}")


class Tokens:
    """Gives the token that holds, and fetches another in time: one call at once, however many wait."""

    def __init__(self, fetch: Callable[[], Awaitable[Answer]], clock: Clock, *, loopback: bool) -> None:
        """Take where tokens come from.

        Args:
            fetch: Asks the service once; raises what it means if that fails.
            clock: Tells the time.
            loopback: Whether the storage may be this machine itself, by plain http.
        """
        self._fetch, self._clock, self._loopback = fetch, clock, loopback
        self._token: Token | None = None
        self._one = anyio.Lock(fast_acquire=True)

    async def current(self) -> Token:
        """Return a token that holds.

        Raises:
            TransientError: None was to be had.
            RejectedError: It leads where it must not be used.
            FatalError: The key or the account is refused.
        """
        async with self._one:
            if self._token is None or self._clock.now_s() >= self._token.until_s:
                self._token = self._read(await self._fetch())
            return self._token

    def forget(self, token: Token) -> None:
        """Give *token* to nobody any more: it was refused."""
        if self._token is token:
            self._token = None

    def _read(self, answer: Answer) -> Token:
        value = answer.json()
        names = ("token", "token_type", "base_url", "expires_at")
        if not isinstance(value, dict) or not all(isinstance(value.get(name), str) for name in names):
            raise AnswerLostError(f"{answer.label}: answered with no token", kind="answer_unreadable")
        token, scheme, base, expires_at = (value[name].strip() for name in names)
        if not _SENDABLE.fullmatch(token) or not _SENDABLE.fullmatch(scheme):
            raise AnswerLostError(f"{answer.label}: answered with no usable token", kind="answer_unreadable")
        life_s = (_moment(expires_at, answer) - _sent_at(answer)).total_seconds()
        until_s = self._clock.now_s() + life_s - min(MARGIN_S, life_s / 10)
        return Token(Secret(f"{scheme} {token}"), self.trusted(base), until_s)

    def trusted(self, address: Any) -> URL:
        """Return *address*, which the storage named, as one that a token may be sent to.

        Raises:
            RejectedError: It is none (``storage_unsafe``).
        """
        url = parsed(str(address))
        if url.raw_user or url.raw_password or not is_trusted(url, loopback=self._loopback):
            msg = f"{shown(url)}: fal's storage is at an address that is not https; nothing is uploaded there"
            raise RejectedError(msg, kind="storage_unsafe")
        return url


def _moment(text: str, answer: Answer) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        msg = f"{answer.label}: answered with a token that ends at no moment"
    else:
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    raise AnswerLostError(msg, kind="answer_unreadable")


def _sent_at(answer: Answer) -> datetime:
    """Return when the server sent it, by the clock by which the token ends."""
    return moment(answer.headers.get("Date", "")) or answer.at
