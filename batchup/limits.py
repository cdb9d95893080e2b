"""How much may be under way at once: never more than the user says, nor than the account is found to take."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import anyio

from batchup.clock import Clock
from batchup.errors import LeftError
from batchup.level import Level

REST_S = 1.0
"""Nothing is sent for so long after a refusal while nothing is under way: it has another reason."""


class _Waiter:
    """One who waits for a place."""

    __slots__ = ("has", "nap", "woken")

    def __init__(self) -> None:
        self.has = 0  # its number, from 1, once it has one
        self.woken = anyio.Event()
        self.nap: anyio.CancelScope | None = None  # while it sleeps

    def wake(self) -> None:
        self.woken.set()
        if self.nap is not None:
            self.nap.cancel()


class _Places:
    """So many places: first come, first served."""

    def __init__(self, most: int) -> None:
        self.most, self.taken, self.gone = most, 0, 0
        self._line: OrderedDict[_Waiter, None] = OrderedDict()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold a place while the block lasts.

        Raises:
            LeftError: None will be free any more in this run.
        """
        if self.taken < self.most:
            self.taken += 1
        else:
            await self._wait()
        try:
            yield
        finally:
            self._give_back()

    def leave(self) -> None:
        """Let what is under way go on without us, in a place of its own: whoever holds one gives it up next."""
        self.taken += 1
        self.gone += 1

    def set(self, most: int) -> None:
        """Have so many places from now on; who has one keeps it."""
        self.most = most
        self._call()

    async def _wait(self) -> None:
        waiter = _Waiter()
        self._line[waiter] = None
        self._call()
        try:
            await waiter.woken.wait()
        except BaseException:
            self._line.pop(waiter, None)
            if waiter.has:  # the place came together with the cancellation
                self._give_back()
            raise
        if not waiter.has:
            raise LeftError("what takes too long takes all slots", kind="no_slot")

    def _give_back(self) -> None:
        self.taken -= 1
        self._call()

    def _call(self) -> None:
        while self._line and (self.taken < self.most or self.gone >= self.taken):
            waiter, _ = self._line.popitem(last=False)
            if self.taken < self.most:
                self.taken += 1
                waiter.has = self.taken
            waiter.wake()


class Flight:
    """One submission, from the moment it may be sent to its end.

    Attributes:
        number: The how manyth under way it is or is to be, from 1.
        is_accepted: Whether the account has taken it.
    """

    def __init__(self, slots: "Slots", number: int) -> None:
        self.number = number
        self.is_accepted = False
        self._slots = slots

    def accepted(self, sent_s: float) -> None:
        """Take in that it was accepted, sent at *sent_s*; or count it so, where nobody tells before its end."""
        if not self.is_accepted:
            self.is_accepted = True
            self._slots._accepted(self, sent_s)  # noqa: SLF001 - one thing in two parts

    def refused(self, sent_s: float, wait_s: float) -> None:
        """Take in that it was refused, sent at *sent_s*: everyone waits for *wait_s* seconds, and fewer go on."""
        self._slots._refused(self, sent_s, wait_s)  # noqa: SLF001 - likewise


class Slots:
    """Places for tasks, by provider and by model, and among them those for what is under way at the account.

    A task holds its place from before it is submitted until it is finished. Of those that hold one so many have
    something under way as the account takes: the user's limit at first, halved by a refusal, one more for each quiet
    interval. First come, first served.

    Attributes:
        refusals: Number of requests so far that were refused.
    """

    def __init__(
        self,
        most: int,
        clock: Clock,
        models: Mapping[str, int] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin.

        Args:
            most: The user's limit.
            clock: Tells when.
            models: Model -> its own limit.
            tell: Called with a sentence for a person whenever more or fewer may be under way.
        """
        self._clock, self._tell = clock, tell
        self._places = _Places(most)
        self._models = {model: _Places(limit) for model, limit in (models or {}).items()}
        self._level = Level.unknown(most, clock.now_s())
        self._closed_until_s = float("-inf")
        self.refusals = 0
        self._asking = 0
        self._aloft = 0
        self._line: OrderedDict[_Waiter, None] = OrderedDict()
        self._alarm_s: float | None = None  # for which the first in line sleeps

    @property
    def most(self) -> int:
        """The user's limit."""
        return self._places.most

    def set(self, most: int) -> None:
        """Take another limit of the user's; what is known of the account beyond it is found out anew."""
        self._level = self._level.limited(most)
        self._places.set(most)
        self._call()

    @property
    def allowed(self) -> int:
        """How many may be under way now."""
        return self._level.grown(self._clock.now_s()).allowed

    @property
    def closed_s(self) -> float:
        """Seconds, above 0, for which somebody was told to wait: nothing is sent meanwhile that may be refused."""
        return self._closed_until_s - self._clock.now_s()

    @asynccontextmanager
    async def hold(self, model: str = "") -> AsyncIterator[None]:
        """Hold a place while the block lasts: one of *model* first, if it has a limit, then one of the provider.

        Raises:
            LeftError: None will be free any more in this run.
        """
        async with AsyncExitStack() as stack:
            for places in self._of(model):
                await stack.enter_async_context(places.held())
            yield

    async def leave(self, model: str = "") -> None:
        """Let what is under way go on without us, in a place of its own: whoever holds one gives it up next."""
        for places in self._of(model):
            places.leave()

    def _of(self, model: str) -> list[_Places]:
        return [self._models[model], self._places] if model in self._models else [self._places]

    @asynccontextmanager
    async def flight(self) -> AsyncIterator[Flight]:
        """Wait until the account may take one more, and count it while the block lasts."""
        flight = Flight(self, await self._cleared())
        try:
            yield flight
        finally:
            if flight.is_accepted:
                self._aloft -= 1
            else:
                self._asking -= 1
            self._call()

    @contextmanager
    def flying(self) -> Iterator[None]:
        """Count what the account has taken before while the block lasts."""
        self._aloft += 1
        try:
            yield
        finally:
            self._aloft -= 1
            self._call()

    @property
    def _at_once(self) -> int:
        """How many are under way at the account, or about to be."""
        return self._asking + self._aloft + self._places.gone

    async def _cleared(self) -> int:
        """Return once one more may be sent: the how manyth under way."""
        waiter = _Waiter()
        self._line[waiter] = None
        self._call()
        try:
            while not waiter.has:
                await self._wait(waiter)
        except BaseException:
            self._line.pop(waiter, None)
            self._asking -= waiter.has > 0  # it came together with the cancellation
            self._alarm_s = None
            self._call()
            raise
        return waiter.has

    async def _wait(self, waiter: _Waiter) -> None:
        """Wait to be called; the first in line looks at the clock for the others."""
        waiter.woken = anyio.Event()
        if waiter is next(iter(self._line)):
            self._alarm_s = self._level.grows_at_s
            if self._alarm_s != float("inf"):
                with anyio.CancelScope() as waiter.nap:
                    await self._clock.sleep(self._alarm_s - self._clock.now_s())
                waiter.nap = None
                self._call()
                return
        await waiter.woken.wait()

    def _call(self) -> None:
        """Let go whoever may, and let the first of the others look at the clock."""
        level = self._level.grown(self._clock.now_s())
        if level.allowed != self._level.allowed:
            self._tell(f"{level.allowed} at once: nothing was refused lately")
        self._level = level
        while self._line and level.has_room(self._at_once, self._asking):
            waiter, _ = self._line.popitem(last=False)
            self._asking += 1
            waiter.has = self._at_once
            self._alarm_s = None
            waiter.wake()
        if self._line and self._alarm_s != level.grows_at_s:
            next(iter(self._line)).wake()

    def _accepted(self, flight: Flight, sent_s: float) -> None:
        self._asking -= 1
        self._aloft += 1
        # In a burst of which some were refused the others are known by their count: they overtake each other.
        known = self._aloft + self._places.gone
        number = flight.number if sent_s > self._level.halved_s else min(flight.number, known)
        self._level = self._level.accepted(self._clock.now_s(), sent_s, number)
        self._call()

    def _refused(self, flight: Flight, sent_s: float, wait_s: float) -> None:
        self.refusals += 1
        now_s, before = self._clock.now_s(), self._level.grown(self._clock.now_s())
        rest_s = wait_s if flight.number > 1 else max(wait_s, REST_S)
        self._closed_until_s = max(self._closed_until_s, now_s + rest_s)
        self._level = before.refused(now_s, rest_s, sent_s, flight.number, self._at_once)
        if self._level.halved_s != before.halved_s:
            self._tell(
                f"{self._level.allowed} at once from now on: with {self._aloft} under way one more was refused"
            )
