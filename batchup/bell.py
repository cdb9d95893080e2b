"""Bell: wakes whoever waits for something to change."""

import anyio

from batchup.clock import Clock


class Bell:
    """Rung when something changes that somebody may wait for. Who wakes looks for himself what it was."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung: anyio.Event | None = None  # there while somebody waits

    def ring(self) -> None:
        """Wake all who wait."""
        if self._rung is not None:
            self._rung.set()
            self._rung = None

    async def wait(self, at_most_s: float) -> None:
        """Return when the bell is rung, or after *at_most_s* seconds."""
        self._rung = self._rung or anyio.Event()
        rung = self._rung
        async with anyio.create_task_group() as group:
            if at_most_s != float("inf"):
                group.start_soon(self._alarm, at_most_s, rung)
            await rung.wait()
            group.cancel_scope.cancel()

    async def _alarm(self, after_s: float, rung: anyio.Event) -> None:
        await self._clock.sleep(after_s)
        rung.set()
        if self._rung is rung:
            self._rung = None
