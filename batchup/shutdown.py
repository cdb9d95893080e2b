"""How a run is asked to end: the first signal drains, the second detaches."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Literal

import anyio

from batchup.clock import Clock

Stage = Literal["run", "drain", "detach"]


class Shutdown:
    """What a run has been asked to do. Once draining, never running again.

    Attributes:
        stage: ``run``; ``drain``: start nothing more, finish what runs; ``detach``: leave at once.
        signum: The signal that asked first, None where none did.
    """

    def __init__(self, on_change: Callable[["Shutdown"], None] = lambda _: None) -> None:
        self.stage: Stage = "run"
        self.signum: int | None = None
        self._draining = anyio.Event()
        self._detaching = anyio.Event()
        self._on_change = on_change

    @property
    def draining(self) -> bool:
        """Whether nothing more may be started."""
        return self.stage != "run"

    def drain(self, signum: int | None = None) -> None:
        """Start nothing more. May be called again."""
        if self.stage == "run":
            self.stage, self.signum = "drain", signum
            self._draining.set()
            self._on_change(self)

    def detach(self) -> None:
        """Leave what runs. May be called again."""
        if self.stage != "detach":
            self.drain()
            self.stage = "detach"
            self._detaching.set()
            self._on_change(self)

    async def wait_draining(self) -> None:
        """Return once nothing more may be started."""
        await self._draining.wait()

    async def sleep(self, seconds: float, clock: Clock) -> None:
        """Sleep, but no longer than until nothing more may be started."""
        await self.unless_draining(partial(clock.sleep, seconds))

    async def unless_draining(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Call *wait*, and cancel that once nothing more may be started."""
        async with anyio.create_task_group() as group:

            async def wake() -> None:
                await self.wait_draining()
                group.cancel_scope.cancel()

            group.start_soon(wake)
            await wait()
            group.cancel_scope.cancel()

    async def wait_detaching(self) -> None:
        """Return once what runs must be left."""
        await self._detaching.wait()


class Signals:
    """Signals that ask for the end, and the shutdowns that they ask. Made by :func:`open_signals`.

    Attributes:
        signum: The first that came; None while there was none.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._asked: list[Shutdown] = []

    def came(self, signum: int) -> None:
        """Ask whoever listens last; what came before is asked of everybody later."""
        self.signum = self.signum or signum
        if self._asked:
            asked = self._asked[-1]
            if asked.draining:
                asked.detach()
            else:
                asked.drain(signum)

    @contextmanager
    def asking(self, shutdown: Shutdown) -> Iterator[None]:
        """Ask *shutdown* while the block lasts."""
        self._asked.append(shutdown)
        if self.signum is not None:
            shutdown.drain(self.signum)
        try:
            yield
        finally:
            self._asked.remove(shutdown)


_open: ContextVar[Signals | None] = ContextVar("signals", default=None)


@asynccontextmanager
async def open_signals(shutdown: Shutdown | None = None) -> AsyncIterator[Signals]:
    """Let SIGINT, SIGTERM and, where there is one, SIGHUP ask *shutdown* while the block lasts.

    Within a block of another one its signals are shared, so that none is missed between two blocks in it.
    """
    signals = _open.get()
    if signals is not None and shutdown is not None:
        with signals.asking(shutdown):
            yield signals
        return
    known = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What the caller has turned off stays off: nohup, or a job in the background of a script.
    heeded = [one for one in known if signal.getsignal(one) is not signal.SIG_IGN]
    signals, listening = Signals(), anyio.Event()

    async def listen() -> None:
        with anyio.open_signal_receiver(*heeded) as received:
            listening.set()
            async for signum in received:
                signals.came(signum)

    token = _open.set(signals)
    try:
        async with anyio.create_task_group() as group:
            if heeded:
                group.start_soon(listen)
                await listening.wait()
            try:
                with signals.asking(shutdown) if shutdown is not None else nullcontext():
                    yield signals
            finally:
                group.cancel_scope.cancel()
    finally:
        _open.reset(token)
