"""How much may be under way at once, and when: found out, not guessed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from batchup.clock import Clock
from batchup.errors import LeftError

QUIET_S = 5.0
"""Without a refusal for so long, one more may be under way."""


class Slots:
    """At most so many at once: halved by a refusal, one more for each quiet interval, never above the user's limit.

    Additive increase, multiplicative decrease, as in Chiu and Jain, "Analysis of the Increase and Decrease Algorithms
    for Congestion Avoidance in Computer Networks", 1989. First come, first served.

    Attributes:
        most: The user's limit.
        allowed: How many may be under way now.
        taken: How many are.
        gone: How many of those nobody waits for any more: they stay taken.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self.most = most
        self.allowed = most
        self.taken = 0
        self.gone = 0
        self._clock = clock
        self._free = anyio.Condition(anyio.Lock(fast_acquire=True))
        self._closed_until_s = 0.0
        self._changed_s = clock.now_s()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold one slot while the block lasts.

        Raises:
            LeftError: None will be free any more in this run.
        """
        async with self._free:
            while self.taken >= self.allowed:
                if self.gone >= self.taken:
                    raise LeftError("what takes too long takes all slots", kind="no_slot")
                await self._free.wait()
            self.taken += 1
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):
                async with self._free:
                    self.taken -= 1
                    if self.taken > self.gone:
                        self._free.notify()
                    else:  # nobody else will give one up
                        self._free.notify_all()

    async def leave(self) -> None:
        """Let what is under way go on without us, in a slot of its own: whoever holds one gives it up next."""
        async with self._free:
            self.taken += 1
            self.gone += 1
            self._free.notify_all()

    @property
    def closed_s(self) -> float:
        """Seconds, above 0, for which somebody was told to wait: nothing is sent meanwhile that may be refused."""
        return self._closed_until_s - self._clock.now_s()

    def refused(self, sent_s: float, wait_s: float) -> None:
        """Take in that a request sent at *sent_s* was refused: everyone waits, and fewer go on.

        Requests sent before the last halving are of the same burst, and halve nothing more.
        """
        now_s = self._clock.now_s()
        self._closed_until_s = max(self._closed_until_s, now_s + wait_s)
        if sent_s >= self._changed_s or self.allowed == self.most:
            self.allowed = max(1, min(self.allowed, self.taken) // 2)
            self._changed_s = now_s

    async def accepted(self) -> None:
        """Take in that a request was accepted."""
        now_s = self._clock.now_s()
        if self.allowed < self.most and now_s - self._changed_s >= QUIET_S:
            self.allowed += 1
            self._changed_s = now_s
            async with self._free:
                self._free.notify()
