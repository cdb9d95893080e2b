"""Room: all jobs that are watched, looked at only while somebody does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
from anyio import to_thread

from batchup import control
from batchup.clock import Clock
from batchup.dashboard.desk import Desk, key_of
from batchup.dashboard.pictures import Pictures
from batchup.manifest import Manifest

TICK_S = 0.5
"""So often the page changes at most."""

ROUND_TICKS = 4
"""So many ticks between two looks at what else goes on on this machine."""


END_S = 2.0
"""How long the last look may take."""

GRACE_S = 0.2


class Room:
    """Desks, and who watches them.

    Attributes:
        desks: Key -> desk; the first is the one that the dashboard was started for.
        news: Set, and replaced, whenever there may be something new to show.
        is_over: Whether there will be nothing new any more.
    """

    def __init__(self, manifest: Manifest, pictures: Pictures, clock: Clock) -> None:
        own = Desk(manifest.name, manifest.file.absolute(), manifest.ledger_path, pictures, manifest)
        self.desks = {own.key: own}
        self.own = own.key
        self.news = anyio.Event()
        self._pictures, self._clock = pictures, clock
        self._wanted = anyio.Event()
        self.is_over = False

    @contextmanager
    def watched(self, desk: Desk) -> Iterator[None]:
        """Keep *desk* up to date while the block lasts."""
        desk.viewers += 1
        self._wanted.set()
        try:
            yield
        finally:
            desk.viewers -= 1

    async def run(self) -> None:
        """Look at everything again and again, as long as anybody watches."""
        tick = 0
        while True:
            if not any(desk.viewers for desk in self.desks.values()):
                self._wanted = anyio.Event()
                await self._wanted.wait()
                tick = 0
            is_missed = any(desk.viewers and desk.is_missed for desk in self.desks.values())
            await self.look(everywhere=is_missed or tick % ROUND_TICKS == 0)
            tick += 1
            await self._clock.sleep(TICK_S)

    async def look(self, *, everywhere: bool) -> None:
        """Bring desks up to date, and wake who watches them.

        Args:
            everywhere: Whether to see what else goes on on this machine, too.
        """
        if everywhere:
            await self.meet()
        for desk in self.desks.values():
            if desk.viewers:
                await desk.look()
            elif everywhere and desk.announced:
                await desk.glance()
        news, self.news = self.news, anyio.Event()
        news.set()

    async def end(self) -> None:
        """Show the last of it: a run's page ends with the run."""
        with anyio.move_on_after(END_S, shield=True):
            await self.look(everywhere=True)
        self.is_over = True
        self.news.set()
        if any(desk.viewers for desk in self.desks.values()):
            # What they have just heard of they may still fetch.
            await self._clock.sleep(GRACE_S)

    def now_s(self) -> float:
        """Return seconds since 1970, from which a page counts on."""
        return self._clock.utc().timestamp()

    async def do(self, desk: Desk, command: control.Command) -> str:
        """Have the run of *desk* do something; return what was wrong."""
        if desk.announced is None:
            await self.meet()
        reply = await desk.do(command)
        await self.look(everywhere=False)
        return reply.error

    async def meet(self) -> None:
        """Take in which runs are going on."""
        there = {key_of(one.ledger): one for one in await to_thread.run_sync(control.runs)}
        for key, one in there.items():
            if key not in self.desks:
                self.desks[key] = Desk(one.job, Path(one.manifest), Path(one.ledger), self._pictures)
        for key, desk in self.desks.items():
            desk.announced = there.get(key)

    def close(self) -> None:
        """Let all ledgers go."""
        for desk in self.desks.values():
            desk.close()
