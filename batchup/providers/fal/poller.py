"""One poller for all requests that are under way: it asks for each when an answer is likely, and seldom otherwise."""

import heapq
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import islice

import anyio
from anyio.abc import TaskGroup

from batchup.clock import Clock
from batchup.errors import BatchupError, NotSentError, RateLimitedError, TransientError
from batchup.providers.base import Ticket
from batchup.providers.fal.pace import Pace
from batchup.providers.fal.queue import Status
from batchup.providers.fal.schedule import SCOUTS, Endpoint, Sighting, scouting_s
from batchup.retry import RetryPolicy

Ask = Callable[[Ticket], Awaitable[Status]]

AT_ONCE = 16
"""Status calls under way at the same time, so that they never crowd out submits, uploads and downloads."""

PER_SECOND = 500.0
"""Status calls at most; fewer once the platform answers 429."""

TICK_S = 0.004
"""What is due so close together is asked in one go: the loop sleeps less often than it asks."""

# A status call costs nothing and a deadline is its waiter's business: it is repeated for as long as somebody waits.
_PATIENCE = RetryPolicy(attempts=sys.maxsize, initial_s=0.5, max_s=30.0)


class _Watch:
    """A request that somebody waits for. Changes as answers come."""

    __slots__ = (
        "ask_at_s",
        "born_s",
        "endpoint",
        "failures",
        "fresh",
        "outcome",
        "ready",
        "sighting",
        "ticket",
    )

    def __init__(self, ticket: Ticket, endpoint: str, born_s: float, *, fresh: bool) -> None:
        self.ticket, self.endpoint, self.born_s, self.fresh = ticket, endpoint, born_s, fresh
        self.sighting = Sighting()
        self.ask_at_s: float | None = None  # None while it is being asked for, or settled
        self.failures = 0
        self.ready = anyio.Event()
        self.outcome: Status | BatchupError | None = None


class Poller:
    """Made by :func:`open_poller`."""

    def __init__(self, ask: Ask, clock: Clock, pace: Pace, group: TaskGroup) -> None:
        self._ask_platform, self._clock, self._pace, self._group = ask, clock, pace, group
        self._watches: dict[str, dict[_Watch, None]] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._due: list[tuple[float, int, _Watch]] = []
        self._count = 0
        self._alarm_s = float("-inf")
        self._wake = anyio.Event()
        self._slots = anyio.Semaphore(AT_ONCE, fast_acquire=True)

    async def wait(self, ticket: Ticket, endpoint: str, *, age_s: float | None = 0.0) -> Status:
        """Return the status of a request once it is complete, however long that takes; a failed one is complete too.

        Errors that may pass are not raised: asking is free, so it is asked again. All but one: whoever waits must know
        of a lost network. He sets the deadline, too; to cancel this call leaves the request alone.

        Args:
            ticket: Of the request.
            endpoint: Whose requests take about as long.
            age_s: Seconds since its submission; None where nobody knows, so that it is asked for at once.

        Raises:
            NotSentError: The platform cannot be reached. May be called again.
            GoneError: The platform does not know the request, or no longer.
            RejectedError: It may not be asked for.
            FatalError: The key or the account is refused.
        """
        now_s = self._clock.now_s()
        watch = _Watch(ticket, endpoint, now_s - (age_s or 0.0), fresh=age_s is not None)
        self._add(watch, now_s)
        try:
            await watch.ready.wait()
        finally:
            self._remove(watch)
        if isinstance(watch.outcome, BatchupError):
            raise watch.outcome
        assert watch.outcome is not None
        return watch.outcome

    def _add(self, watch: _Watch, now_s: float) -> None:
        watches = self._watches.setdefault(watch.endpoint, {})
        if not watches:
            known = self._endpoints.get(watch.endpoint) or Endpoint(now_s)
            self._endpoints[watch.endpoint] = known.resumed(now_s)
        watches[watch] = None
        self._schedule(watch)

    def _remove(self, watch: _Watch) -> None:
        watch.ask_at_s = None
        watches = self._watches[watch.endpoint]
        del watches[watch]
        if self._endpoints[watch.endpoint].is_unknown:
            self._reschedule(watch.endpoint)  # it may have been a scout

    def _schedule(self, watch: _Watch) -> None:
        """Decide when to ask for *watch* next."""
        if not watch.fresh and watch.sighting.state is None:
            self._ask_at(watch, watch.born_s)
            return
        endpoint = self._endpoints[watch.endpoint]
        if endpoint.is_unknown:
            oldest = list(islice(self._watches[watch.endpoint], SCOUTS))
            age_s = scouting_s(watch.sighting, oldest.index(watch) if watch in oldest else SCOUTS)
        else:
            age_s = endpoint.next_s(watch.sighting, self._clock.now_s())
        self._ask_at(watch, watch.born_s + age_s)

    def _reschedule(self, endpoint: str) -> None:
        for watch in self._watches[endpoint]:
            if watch.ask_at_s is not None and not watch.failures:
                self._schedule(watch)

    def _ask_at(self, watch: _Watch, at_s: float) -> None:
        if watch.ask_at_s == at_s:
            return
        watch.ask_at_s = at_s
        self._count += 1
        heapq.heappush(self._due, (at_s, self._count, watch))
        if at_s < self._alarm_s:
            self._wake.set()

    async def run(self) -> None:
        """Ask for what is due, for ever."""
        while True:
            watch = self._next_due()
            if watch is None:
                await self._sleep()
                continue
            wait_s, self._pace = self._pace.taken(self._clock.now_s())
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            await self._slots.acquire()
            if watch.ask_at_s is None:  # its waiter left meanwhile
                self._slots.release()
                continue
            watch.ask_at_s = None
            self._group.start_soon(self._ask, watch)

    def _next_due(self) -> _Watch | None:
        """Return a watch that is to be asked for now."""
        now_s = self._clock.now_s()
        while self._due and self._due[0][0] <= now_s + TICK_S / 2:
            at_s, _, watch = heapq.heappop(self._due)
            if watch.ask_at_s == at_s and not self._postponed(watch, now_s):
                return watch
        return None

    def _postponed(self, watch: _Watch, now_s: float) -> bool:
        """Return whether what has been learned since *watch* was scheduled says to ask for it later."""
        endpoint = self._endpoints[watch.endpoint]
        if watch.sighting.state or not watch.fresh or watch.failures or endpoint.is_unknown:
            return False
        at_s = watch.born_s + endpoint.next_s(watch.sighting, now_s)
        if at_s <= now_s + TICK_S:
            return False
        self._ask_at(watch, at_s)
        return True

    async def _sleep(self) -> None:
        """Sleep until something is due, or may be."""
        while self._due and self._due[0][2].ask_at_s != self._due[0][0]:
            heapq.heappop(self._due)
        self._wake = anyio.Event()
        self._alarm_s = self._due[0][0] if self._due else float("inf")
        async with anyio.create_task_group() as group:
            if self._due:
                group.start_soon(self._ring, max(TICK_S, self._alarm_s - self._clock.now_s()))
            await self._wake.wait()
            group.cancel_scope.cancel()
        self._alarm_s = float("-inf")

    async def _ring(self, after_s: float) -> None:
        await self._clock.sleep(after_s)
        self._wake.set()

    async def _ask(self, watch: _Watch) -> None:
        try:
            status = await self._ask_platform(watch.ticket)
        except NotSentError as error:
            self._settle(watch, error)
        except TransientError as error:
            self._repeat(watch, error)
        except BatchupError as error:
            self._settle(watch, error)
        else:
            self._pace = self._pace.recovered()
            self._note(watch, status)
        finally:
            self._slots.release()

    def _repeat(self, watch: _Watch, error: TransientError) -> None:
        now_s = self._clock.now_s()
        if isinstance(error, RateLimitedError):
            self._pace = self._pace.slowed(now_s, error.retry_after_s)
        watch.failures += 1
        if watch in self._watches[watch.endpoint]:
            self._ask_at(watch, now_s + (_PATIENCE.wait_s(watch.failures, error) or 0.0))

    def _note(self, watch: _Watch, status: Status) -> None:
        now_s = self._clock.now_s()
        age_s = now_s - watch.born_s
        watch.failures = 0
        if status.state == "COMPLETED":
            self._learn(watch, status, now_s)
            self._settle(watch, status)
            return
        watch.sighting = watch.sighting.after(age_s, status.state, status.position)
        if watch in self._watches[watch.endpoint]:
            self._schedule(watch)

    def _learn(self, watch: _Watch, status: Status, now_s: float) -> None:
        before = self._endpoints[watch.endpoint]
        if status.error is not None:
            return  # how long a failed one took tells nothing about the others
        after = before.learned(
            watch.sighting, now_s - watch.born_s, now_s, status.inference_s, fresh=watch.fresh
        )
        self._endpoints[watch.endpoint] = after
        if after.is_news:
            self._endpoints[watch.endpoint] = after.scheduled()
            self._reschedule(watch.endpoint)

    def _settle(self, watch: _Watch, outcome: Status | BatchupError) -> None:
        watch.outcome = outcome
        watch.ready.set()


@asynccontextmanager
async def open_poller(ask: Ask, clock: Clock, *, per_second: float = PER_SECOND) -> AsyncIterator[Poller]:
    """Open a poller; waits that still go on when the block is left must have been cancelled.

    Args:
        ask: Asks for one status; :meth:`batchup.providers.fal.queue.Queue.status`.
        clock: Tells when.
        per_second: Status calls at most.
    """
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        poller = Poller(ask, clock, Pace(per_second, per_second), group)
        group.start_soon(poller.run)
        try:
            yield poller
        except Exception as error:  # noqa: BLE001 - raised below, where the group does not wrap it
            failure = error
        group.cancel_scope.cancel()
    if failure:
        raise failure
