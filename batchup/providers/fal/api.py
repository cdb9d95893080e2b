"""Api: calls of fal's services with the account's key, which goes to these services and nowhere else."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from batchup.clock import Clock
from batchup.providers.fal.answers import Answer
from batchup.providers.fal.settings import Service, Settings
from batchup.providers.fal.wire import Sending, Wire, open_wire

__all__ = ["Answer", "Api", "open_api"]

_PAID = frozenset({"queue", "run"})
_NONE: Mapping[str, str] = {}


class Api:
    """Made by :func:`open_api`. Any number of calls at once: whoever calls bounds them.

    Attributes:
        settings: Where the services are.
        wire: For requests without the key.
    """

    def __init__(self, settings: Settings, wire: Wire) -> None:
        self.settings = settings
        self.wire = wire

    async def ask(
        self,
        service: Service,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] = _NONE,
        within_s: float | None = 60.0,
    ) -> Answer:
        """Call a service once and return its answer, whatever its status; a redirect is an answer, too.

        A POST to the queue or the synchronous service costs money: it goes out once, over a connection that did not lie idle.

        Args:
            service: To which the key is sent.
            method: In capitals.
            url: Absolute, as an answer named it, or a path below the service's address.
            body: JSON; None sends none.
            headers: Besides the key's.
            within_s: Most seconds until the whole answer, after connecting; None waits for ever.

        Raises:
            NotSentError: There was no connection: nothing was sent.
            AnswerLostError: It may have arrived. A submission may have been accepted.
            RejectedError: *url* is not the service's (``foreign_origin``); nothing was sent.
        """
        target = self.settings.address(service, url)
        key = self.settings.key
        content = None if body is None else {"Content-Type": "application/json"}
        sending = Sending(
            method=method,
            url=target,
            headers={**headers, **(content or {}), "Authorization": f"Key {key.reveal()}"},
            body=None if body is None else msgspec.json.encode(body),
            secret=key,
            within_s=within_s,
            fresh=method == "POST" and service in _PAID,
        )
        return await self.wire.send(sending)


@asynccontextmanager
async def open_api(settings: Settings, *, connect_s: float, clock: Clock) -> AsyncIterator[Api]:
    """Open connections to fal, closed when the block is left.

    Args:
        settings: The account and where to reach it.
        connect_s: Most seconds until a connection stands.
        clock: Tells when an answer came.
    """
    async with open_wire(connect_s=connect_s, clock=clock) as wire:
        yield Api(settings, wire)
