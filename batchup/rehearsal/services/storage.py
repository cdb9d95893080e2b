"""Storage: tokens for uploads, from the REST service."""

import uuid
from datetime import timedelta

from aiohttp import web

from batchup.clock import Clock
from batchup.rehearsal.answers import Answer, said
from batchup.rehearsal.faults import Fault
from batchup.rehearsal.gate import Gate

TOKEN_TYPE = "Bearer"  # noqa: S105 - a scheme's name


class Tokens:
    """Gives tokens, and knows which are good."""

    def __init__(self, lifetime_s: float, clock: Clock) -> None:
        """Take the seconds of *clock* for which a token is good."""
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._ends_s: dict[str, float] = {}
        self.cdn_url = ""

    def add(self, router: web.UrlDispatcher, gate: Gate) -> None:
        """Put the service's address into *router*."""
        router.add_post("/storage/auth/token", gate.door("rest", "token", self.give))

    async def give(self, request: web.Request, _: Fault | None) -> Answer:
        """Give a token."""
        if request.query.get("storage_type") != "fal-cdn-v3":
            return said({"detail": "Unknown storage type"}, 400)
        token = f"token-{uuid.uuid4().hex}"
        self._ends_s[token] = self._clock.now_s() + self._lifetime_s
        ends_at = self._clock.utc() + timedelta(seconds=self._lifetime_s)
        return said(
            {
                "token": token,
                "token_type": TOKEN_TYPE,
                "base_url": self.cdn_url,
                "expires_at": ends_at.isoformat(),
            }
        )

    def good(self, authorization: str) -> bool:
        """Return whether a header names a token that has not ended."""
        scheme, _, token = authorization.partition(" ")
        return scheme == TOKEN_TYPE and self._ends_s.get(token, 0.0) > self._clock.now_s()
