"""Workers that take what is next."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

import anyio

from batchup.shutdown import Shutdown

T = TypeVar("T")
Take = Callable[[], Awaitable[T | None]]
"""Returns what is next, however long that takes; None when nothing is."""


async def dispatch(take: Take[T], work: Callable[[T], Awaitable[None]], *, workers: int) -> None:
    """Call *work* for each item that *take* gives, *workers* at a time, until it gives no more.

    Nothing is taken before a worker is free for it, and one at a time: *take* is never called twice at once. *work*
    decides itself what an error means; what it raises ends the whole group.
    """
    turn = anyio.Lock(fast_acquire=True)

    async def worker() -> None:
        while True:
            async with turn:
                item = await take()
            if item is None:
                return
            await work(item)

    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(worker)


def taking(items: Iterable[T], shutdown: Shutdown) -> Take[T]:
    """Return what gives *items* one by one, until *shutdown* drains."""
    rest: Iterator[T] = iter(items)

    async def take() -> T | None:
        return None if shutdown.draining else next(rest, None)

    return take
