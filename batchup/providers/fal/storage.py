"""Storage: brings local files to fal's CDN, where the models read them. Free, so it is repeated until it works."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import msgspec
from yarl import URL

from batchup.aside import aside
from batchup.clock import Clock
from batchup.errors import AnswerLostError, RateLimitedError, RejectedError, TransientError
from batchup.providers.fal.answers import Answer, failure
from batchup.providers.fal.api import Api
from batchup.providers.fal.piece import Opened, Piece, Stamp, opened
from batchup.providers.fal.tokens import Token, Tokens
from batchup.providers.fal.wire import Sending
from batchup.retry import RetryPolicy
from batchup.transport.addresses import is_loopback

T = TypeVar("T")

SINGLE_BYTES = 100_000_000
"""The most that is sent in one request. fal takes up to 100 MB."""

PART_BYTES = 10 << 20
"""Of each part of a larger file but the last, as the official client has it (fal-client 1.0.3)."""

TOKEN_PATH = "/storage/auth/token?storage_type=fal-cdn-v3"  # noqa: S105 - where tokens come from
_ENDINGS = {"jpeg": "jpg", "quicktime": "mov", "x-matroska": "mkv", "x-msvideo": "avi"}
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Stored:
    """A file on the storage.

    Attributes:
        url: Where anybody who knows it can read it.
        expires_at: When it may be gone; aware.
    """

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _File:
    """What is to be uploaded; *contents* where they are few."""

    path: Path
    known: Stamp
    headers: Mapping[str, str]
    contents: bytes | None

    def piece(self, start: int, size_bytes: int) -> Piece:
        """Return a part of it."""
        return Piece(self.path, self.known, start, size_bytes)


@dataclass(slots=True)
class _Flight:
    """One upload that several wait for."""

    one: anyio.Lock = field(default_factory=partial(anyio.Lock, fast_acquire=True))
    waiting: int = 0
    stored: Stored | None = None


class Storage:
    """Uploads, any number at once: whoever calls bounds them. One for a whole run, so that tokens are shared."""

    def __init__(self, api: Api, *, retry: RetryPolicy, clock: Clock, stall_s: float = 60.0) -> None:
        """Take what it works with.

        Args:
            api: Gives tokens for the account's key, and the connections; the storage itself never gets the key.
            retry: For each request on its own: a token, a file, a part of a large one.
            clock: Tells the time, and waits.
            stall_s: Most seconds without a byte on its way, or until an answer begins.
        """
        self._api, self._retry, self._clock, self._stall_s = api, retry, clock, stall_s
        loopback = is_loopback(api.settings.rest.raw_host or "")
        self._tokens = Tokens(self._fetch_token, clock, loopback=loopback)
        self._flights: dict[str, _Flight] = {}

    async def upload(
        self,
        file: Path,
        *,
        content_type: str,
        keep_s: float,
        read: Opened | None = None,
    ) -> Stored:
        """Bring *file* to the storage. Its name stays here.

        Args:
            file: To read.
            content_type: What it is: ``image/png``.
            keep_s: How long it stays there, in seconds.
            read: What was read of *file* already.

        Raises:
            TransientError: It may work next time.
            RejectedError: It never will: too large, changed meanwhile (``source_changed``).
            FatalError: The key or the account is refused.
            OSError: *file* cannot be read.
        """
        known, contents = read if read is not None else await aside(opened, file)
        expires_at = self._clock.utc() + timedelta(seconds=int(keep_s))
        headers = {
            "Accept": "application/json",
            "Content-Type": content_type,
            "X-Fal-File-Name": _name(content_type),
            "X-Fal-Object-Lifecycle": msgspec.json.encode(
                {"expiration_duration_seconds": int(keep_s)}
            ).decode(),
        }
        bring = self._whole if known.size_bytes <= SINGLE_BYTES else self._in_parts
        url = await bring(_File(file, known, headers, contents))
        return Stored(url, expires_at)

    async def once(self, sha256: str, upload: Callable[[], Awaitable[Stored]]) -> Stored:
        """Do *upload* once for all who ask for the same contents at the same time.

        Whoever comes first does it; should that fail or be cancelled, the next one does. Nothing is remembered when
        nobody waits any more.

        Args:
            sha256: Of the contents.
            upload: Uploads them.
        """
        flight = self._flights.setdefault(sha256, _Flight())
        flight.waiting += 1
        try:
            async with flight.one:
                if flight.stored is None:
                    flight.stored = await upload()
                return flight.stored
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                del self._flights[sha256]

    async def _whole(self, file: _File) -> str:
        body = file.piece(0, file.known.size_bytes) if file.contents is None else file.contents
        answer = await self._call("POST", "files/upload", file.headers, body)
        return str(self._tokens.trusted(_text(answer, "access_url")))

    async def _in_parts(self, file: _File) -> str:
        begun = await self._call("POST", "files/upload/multipart", file.headers)
        url = str(self._tokens.trusted(_text(begun, "access_url")))
        place = f"{url}/multipart/{quote(_text(begun, 'uploadId'), safe='')}"
        parts = []
        for number, start in enumerate(range(0, file.known.size_bytes, PART_BYTES), 1):
            piece = file.piece(start, min(PART_BYTES, file.known.size_bytes - start))
            answer = await self._call(
                "PUT", f"{place}/{number}", {"Content-Type": file.headers["Content-Type"]}, piece
            )
            parts.append({"partNumber": number, "etag": answer.headers["ETag"]})
        content = msgspec.json.encode({"parts": parts})
        try:
            await self._call("POST", f"{place}/complete", {"Content-Type": "application/json"}, content)
        except RejectedError as error:
            # After a lost answer there may be nothing left to complete. The whole is uploaded anew.
            raise TransientError(str(error), kind="upload_incomplete") from None
        return url

    async def _call(
        self, method: str, place: str, headers: Mapping[str, str], body: Piece | bytes | None = None
    ) -> Answer:
        """Send one request to the storage until it is answered, each time with a token that holds."""
        return await self._again(partial(self._try, method, place, headers, body))

    async def _try(
        self, method: str, place: str, headers: Mapping[str, str], body: Piece | bytes | None
    ) -> Answer:
        token = await self._tokens.current()
        answer = await self._send(method, place, headers, body, token)
        if answer.status == _UNAUTHORIZED:  # it ended before its time
            self._tokens.forget(token)
            answer = await self._send(method, place, headers, body, await self._tokens.current())
        error = failure("upload", answer)
        if error:
            raise error
        if method == "PUT" and "ETag" not in answer.headers:
            raise AnswerLostError(f"{answer.label}: answered without an ETag", kind="answer_unreadable")
        return answer

    async def _send(
        self, method: str, place: str, headers: Mapping[str, str], body: Piece | bytes | None, token: Token
    ) -> Answer:
        length = {"Content-Length": str(body.size_bytes)} if isinstance(body, Piece) else {}
        sending = Sending(
            method=method,
            url=URL(place) if "://" in place else token.address(place),
            headers={**headers, **length, "Authorization": token.authorization.reveal()},
            body=body,
            secret=token.authorization,
            within_s=self._stall_s,
        )
        try:
            return await self._api.wire.send(sending)
        except AnswerLostError:
            if isinstance(body, Piece) and body.error:
                lost = body.error
            else:
                # Whoever refuses a token before the body is there may hang up before that is read.
                self._tokens.forget(token)
                raise
        raise lost

    async def _fetch_token(self) -> Answer:
        answer = await self._api.ask("rest", "POST", TOKEN_PATH, body={}, within_s=self._stall_s)
        error = failure("token", answer)
        if error:
            raise error
        return answer

    async def _again(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it answers, as often and as late as the policy says; to be told to wait counts for nothing."""
        tries = waits = 0
        while True:
            try:
                return await call()
            except RateLimitedError as error:
                waits += 1
                wait_s = self._retry.limited_s(waits, error)
            except TransientError as error:
                tries += 1
                next_s = self._retry.wait_s(tries, error)
                if next_s is None:
                    raise
                wait_s = next_s
            await self._clock.sleep(wait_s)


def _name(content_type: str) -> str:
    """Return a file name that says nothing but what kind of file it is: some models go by the ending."""
    kind = content_type.partition("/")[2].partition(";")[0].strip().lower()
    ending = _ENDINGS.get(kind, kind if re.fullmatch(r"[a-z0-9]{1,8}", kind) else "bin")
    return f"input.{ending}"


def _text(answer: Answer, name: str) -> str:
    value: Any = answer.json()
    text = value.get(name) if isinstance(value, dict) else None
    if not isinstance(text, str) or not text:
        raise AnswerLostError(f"{answer.label}: answered without {name}", kind="answer_unreadable")
    return text
