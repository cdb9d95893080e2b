"""How often submissions may be sent: the run's rate and each model's own hold both, exactly, and are used to the full."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import anyio

from batchup.clock import Clock
from batchup.manifest.quantities import Rate

BURST_S = 0.1
"""What was not used in so many seconds may be used at once; it is always one at least."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """When the next one of a stream conforms to its rate.

    The generic cell rate algorithm in its form of virtual scheduling, as in ITU-T I.371, "Traffic control and
    congestion control in B-ISDN", 2004; https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm, read 2026-11-22.

    Attributes:
        every_s: Seconds from one to the next, as the rate has it.
        early_s: How much earlier than that one may come.
        due_s: Moment of the next one, if all came in time: the theoretical arrival time.
    """

    every_s: float = 0.0
    early_s: float = 0.0
    due_s: float = float("-inf")

    @classmethod
    def of(cls, rate: Rate | None) -> "Pulse":
        """Return the pulse of a stream that begins; without a rate it always conforms."""
        if rate is None:
            return cls()
        burst = max(1.0, rate.per_second * BURST_S)
        return cls(1 / rate.per_second, (burst - 1) / rate.per_second)

    @property
    def free_at_s(self) -> float:
        """Moment from which one more conforms."""
        return self.due_s - self.early_s

    def taken(self, now_s: float) -> "Pulse":
        """Return the pulse after one that came at *now_s*, and conformed."""
        return replace(self, due_s=max(now_s, self.due_s) + self.every_s)


class _Waiter:
    """One who waits for a turn."""

    __slots__ = ("called", "nap")

    def __init__(self) -> None:
        self.called = anyio.Event()
        self.nap: anyio.CancelScope | None = None  # while it sleeps


class _Line:
    """Those who wait for a turn of one model, or of all models that have no rate of their own."""

    __slots__ = ("head_since_s", "pulse", "waiters")

    def __init__(self, rate: Rate | None) -> None:
        self.pulse = Pulse.of(rate)
        self.waiters: OrderedDict[_Waiter, None] = OrderedDict()
        self.head_since_s = 0.0

    @property
    def head(self) -> _Waiter:
        return next(iter(self.waiters))

    @property
    def ready_at_s(self) -> float:
        """Moment since or from which its first may go, as far as its own rate is concerned."""
        return max(self.pulse.free_at_s, self.head_since_s)

    def join(self, waiter: _Waiter, now_s: float) -> None:
        if not self.waiters:
            self.head_since_s = now_s
        self.waiters[waiter] = None

    def leave(self, waiter: _Waiter, now_s: float) -> None:
        if self.head is waiter:
            self.head_since_s = now_s
        del self.waiters[waiter]


class Throttle:
    """Turns to send a submission.

    First come, first served within a model; among models the one whose first could have gone, but for the run's rate,
    for the longest. A turn is charged at the moment it is given and not before, so that nobody who waits, or stops
    waiting, costs others anything. There is one sleeper, however many wait: whoever goes next.

    Attributes:
        rate: What bounds all submissions; None is no limit.
    """

    def __init__(self, clock: Clock, run: Rate | None, models: Mapping[str, Rate]) -> None:
        """Begin.

        Args:
            clock: Tells when.
            run: Bounds all submissions; None is no limit.
            models: Model -> what bounds its submissions.
        """
        self._clock = clock
        self._pulse = Pulse.of(run)
        self._lines = {model: _Line(rate) for model, rate in models.items()}
        self._others = _Line(None)
        self._all = (self._others, *self._lines.values())
        self.rate = run
        self._next: _Waiter | None = None  # None if and only if nobody waits

    async def turn(self, model: str) -> None:
        """Return when one submission of *model* may be sent, which is now; to be cancelled costs nothing."""
        line = self._line(model)
        if self.rate is None and line is self._others:
            return
        if self._next is None and self._wait_s(line) <= 0:
            self._take(line)
            return
        waiter = _Waiter()
        line.join(waiter, self._clock.now_s())
        self._look()
        try:
            await self._wait(waiter, line)
        finally:
            line.leave(waiter, self._clock.now_s())
            if self._next is waiter:
                self._next = None
                self._look()

    def set(self, run: Rate | None) -> None:
        """Bound all submissions from now on; None is no limit."""
        self.rate = run
        self._pulse = replace(Pulse.of(run), due_s=self._clock.now_s())
        if self._next is not None and self._next.nap is not None:
            self._next.nap.cancel()

    def has_own(self, model: str) -> bool:
        """Return whether a model has a rate of its own."""
        return model in self._lines

    def bounds(self, model: str) -> bool:
        """Return whether any rate concerns a model."""
        return self.rate is not None or model in self._lines

    def next_s(self, model: str) -> float:
        """Return seconds until the rates allow a submission of *model*, 0 if they do; those who wait go first."""
        return max(0.0, self._wait_s(self._line(model)))

    def _line(self, model: str) -> _Line:
        return self._lines.get(model, self._others)

    def _wait_s(self, line: _Line) -> float:
        return max(line.pulse.free_at_s, self._pulse.free_at_s) - self._clock.now_s()

    def _take(self, line: _Line) -> None:
        now_s = self._clock.now_s()
        self._pulse, line.pulse = self._pulse.taken(now_s), line.pulse.taken(now_s)

    def _first(self) -> _Line | None:
        """Return the line whose head goes next."""
        waiting = (line for line in self._all if line.waiters)
        return min(waiting, key=lambda line: line.ready_at_s, default=None)

    def _look(self) -> None:
        """See who goes next, and wake whom that concerns."""
        first = self._first()
        if first is None:
            return
        if self._next is None:
            self._next = first.head
            self._next.called.set()
        elif self._next.nap is not None and self._next is not first.head:
            self._next.nap.cancel()

    async def _wait(self, waiter: _Waiter, line: _Line) -> None:
        while True:
            await waiter.called.wait()
            first = self._first()
            assert first is not None
            if first.head is not waiter:  # somebody who goes earlier has come
                waiter.called = anyio.Event()
                self._next = None
                self._look()
            elif (wait_s := self._wait_s(line)) > 0:
                with anyio.CancelScope() as waiter.nap:
                    await self._clock.sleep(wait_s)
                waiter.nap = None
            else:
                self._take(line)
                return
