"""Outage: a lost network pauses a run. One looks whether it is back, on behalf of all."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import anyio

from batchup.clock import Clock
from batchup.errors import AnswerLostError, NotSentError, TaskError, TransientError
from batchup.shutdown import Shutdown
from batchup.source import Source

FIRST_S, MOST_S = 1.0, 15.0
"""Seconds between two looks: at first, and at most."""

FRESH_S = 1.0
"""So long a look that went well is believed."""

SILENT_S = 900.0
"""So long nothing is heard of any host of inputs before they are taken for gone, and not the network."""

_ANSWERS = frozenset({"rate_limited", "server_error", "url_not_found"})
"""Classes of errors that the other side itself told. Others may have been found here, with nobody asked."""

Reach = Callable[[], Awaitable[None]]
"""Returns if the other side answers at all; raises NotSentError or AnswerLostError if it does not."""


class Sources:
    """Hosts that inputs came from in this run. Where the network is gone, none of them answers any more.

    One that never did may not exist: that nobody knows it is no sign of anything. Nor is one that has been silent for
    :data:`SILENT_S`: a host may be gone for good, and what does not need it must not wait for it all night.
    """

    MOST = 3
    """So many are asked in one look, the last ones heard of."""

    def __init__(self, ask: Callable[[Source], Awaitable[None]], clock: Clock) -> None:
        """Take how to ask: as :data:`Reach`, of an input's host."""
        self._ask, self._clock = ask, clock
        self._heard: dict[str, Source] = {}
        self._silent_since_s: float | None = None

    @contextmanager
    def hearing(self, source: Source) -> Iterator[None]:
        """Note the host of *source* if it answers inside the block, be it with an error."""
        try:
            yield
        except TaskError as error:
            if error.kind in _ANSWERS:
                self._note(source)
            raise
        self._note(source)

    def _note(self, source: Source) -> None:
        self._silent_since_s = None
        host = urlsplit(source.url).netloc
        self._heard.pop(host, None)
        self._heard[host] = source
        if len(self._heard) > self.MOST:
            del self._heard[next(iter(self._heard))]

    async def reach(self) -> None:
        """See :data:`Reach`."""
        silence: TransientError | None = None
        for source in reversed([*self._heard.values()]):
            try:
                await self._ask(source)
            except (NotSentError, AnswerLostError) as error:
                silence = error
            except TaskError:
                break  # it was answered: somebody is there
            else:
                break
        else:
            if silence is not None and not self._are_gone():
                raise silence
        self._silent_since_s = None

    def _are_gone(self) -> bool:
        """Take in that no host answers, and return whether that has been so for too long; they are forgotten then."""
        now_s = self._clock.now_s()
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        if now_s - self._silent_since_s < SILENT_S:
            return False
        self._heard.clear()
        return True


class Outage:
    """Whether a provider, or whoever inputs come from, can be reached.

    Attributes:
        is_on: Whether it could not at the last look.
    """

    def __init__(self, reach: Reach, clock: Clock, shutdown: Shutdown, tell: Callable[[str], None]) -> None:
        """Take how to look.

        Args:
            reach: See :data:`Reach`.
            clock: Waits between two looks.
            shutdown: Ends the waiting.
            tell: Called with why the run waits when an outage begins, and with nothing when it is over.
        """
        self._reach, self._clock, self._shutdown, self._tell = reach, clock, shutdown, tell
        self._turn = anyio.Lock(fast_acquire=True)
        self._outages = 0
        self._reached_s = float("-inf")
        self.is_on = False

    async def outlast(self, error: NotSentError) -> bool:
        """Wait until an outage that *error* may be a sign of is over, or the run is asked to end.

        Returns:
            Whether there was one. Otherwise the other side can be reached, and *error* is something else.
        """
        outages = self._outages
        async with self._turn:
            if outages != self._outages:
                return True  # somebody else has waited meanwhile
            if self._clock.now_s() - self._reached_s < FRESH_S or await self._is_reachable():
                return False
            self.is_on = True
            self._tell(f"waiting for the network: {error}")
            try:
                await self._wait()
            finally:
                self.is_on = False
                self._outages += 1
                self._tell("")
            return True

    async def over(self) -> None:
        """Return when no outage is known, or the run is asked to end."""
        if self.is_on:
            async with self._turn:
                pass

    async def _wait(self) -> None:
        wait_s = FIRST_S
        while not self._shutdown.draining:
            await self._shutdown.sleep(wait_s, self._clock)
            if await self._is_reachable():
                return
            wait_s = min(MOST_S, 2 * wait_s)

    async def _is_reachable(self) -> bool:
        try:
            await self._reach()
        except (NotSentError, AnswerLostError):
            return False
        except TransientError:
            pass  # it was answered: somebody is there
        self._reached_s = self._clock.now_s()
        return True
