"""Turns: when a submission may be sent: a place for it, no hold, its rate, and nothing that forbids it."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import anyio

from batchup.errors import FatalError
from batchup.limits import Slots
from batchup.patience import Patience
from batchup.task import Task
from batchup.throttle import Throttle

LONG_S = 2.0
"""From here on a person is told what is waited for."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Gives slots and turns to those who submit.

    Attributes:
        slots: Bound what is submitted and not finished.
        throttle: Bounds how often something is submitted.
        check: Raises LeftError if a task may not be submitted now.
        told: Called with why nothing is sent, and with nothing when it goes on.
    """

    slots: Slots
    throttle: Throttle
    patience: Patience
    check: Callable[[Task], None] = lambda _task: None
    told: Callable[[str], None] = lambda _why: None
    _lines: defaultdict[str, anyio.Lock] = field(default_factory=lambda: defaultdict(anyio.Lock))

    @asynccontextmanager
    async def slot(self, model: str, *, submits: bool = False) -> AsyncIterator[None]:
        """Hold a slot while the block lasts; where nothing will work any more, nobody gets it next.

        Args:
            model: Of the task.
            submits: Whether something is about to be submitted, and not only collected.
        """
        async with AsyncExitStack() as stack:
            if submits and self.throttle.has_own(model):
                # One at a time, and only when the rate lets it go: nobody holds a slot to wait for a slow model's.
                async with self._lines[model]:
                    while (wait_s := self.throttle.next_s(model)) > 0:
                        await self.patience.wait(wait_s)
                        self.patience.check_going()
                    await stack.enter_async_context(self.slots.hold(model))
            else:
                await stack.enter_async_context(self.slots.hold(model))
            try:
                yield
            except FatalError:
                self.patience.shutdown.drain()
                raise

    async def turn(self, task: Task) -> None:
        """Return when a request for *task* may be sent, which is now.

        Raises:
            LeftError: None may; PostponedError: not now.
        """
        while True:
            if self.patience.outage is not None:
                await self.patience.outage.over()
            self.patience.check_going()
            self.check(task)
            if (wait_s := self.slots.closed_s) > 0:
                await self._hold(wait_s)
                continue
            if not self.throttle.bounds(task.model):
                return
            await self.patience.shutdown.unless_draining(partial(self.throttle.turn, task.model))
            if self.slots.closed_s <= 0 and not self.patience.shutdown.draining:
                self.check(task)
                return

    async def _hold(self, wait_s: float) -> None:
        """Wait as long as the platform asks, and say so where that is long."""
        if wait_s >= LONG_S:
            self.told("the platform asks to wait")
        await self.patience.wait(wait_s)
        if wait_s >= LONG_S:
            self.told("")
