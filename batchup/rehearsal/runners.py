"""Runners: so many tasks at once as the account may run; the others wait their turn."""

from collections import deque
from contextlib import suppress
from typing import Literal

import anyio

Priority = Literal["normal", "low"]
Counts = dict[Priority, int]


class Runners:
    """Slots, given in the order they were asked for, those of normal priority first."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._slots = slots
        self._lanes: dict[Priority, deque[anyio.Event]] = {"normal": deque(), "low": deque()}
        self._entered: Counts = {"normal": 0, "low": 0}
        self._left: Counts = {"normal": 0, "low": 0}
        self.peak = 0

    def ticket(self, priority: Priority) -> int:
        """Return the next number of a lane, from 0. Whoever takes one also asks for a slot."""
        self._entered[priority] += 1
        return self._entered[priority] - 1

    def position(self, priority: Priority, ticket: int) -> int:
        """Return how many are before the one with *ticket*, about: those who gave up still count."""
        ahead = max(0, ticket - self._left[priority])
        return ahead + len(self._lanes["normal"]) if priority == "low" else ahead

    async def acquire(self, priority: Priority) -> None:
        """Wait for a slot. Who is cancelled while waiting has none."""
        try:
            if self._free:
                self._free -= 1
            else:
                await self._wait(priority)
        finally:
            self._left[priority] += 1
        self.peak = max(self.peak, self._slots - self._free)

    async def _wait(self, priority: Priority) -> None:
        turn = anyio.Event()
        lane = self._lanes[priority]
        lane.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn.is_set():  # the slot came together with the cancellation
                self.release()
            with suppress(ValueError):
                lane.remove(turn)
            raise

    def release(self) -> None:
        """Give a slot back."""
        for lane in self._lanes.values():
            if lane:
                lane.popleft().set()
                return
        self._free += 1
