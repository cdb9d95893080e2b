"""Workers that take what is next."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

import anyio

from batchup.shutdown import Shutdown

T = TypeVar("T")
Take = Callable[[], Awaitable[T | None]]
"""Returns what is next, however long that takes; None when nothing is."""


async def dispatch(
    take: Take[T], work: Callable[[T], Awaitable[None]], *, workers: Callable[[], int]
) -> None:
    """Call *work* for each item that *take* gives, so many at a time as *workers* says, until it gives no more.

    Nothing is taken before a worker is free for it, and one at a time: *take* is never called twice at once. *work*
    decides itself what an error means; what it raises ends the whole group. *workers* is asked whenever one takes
    something: more come then, and those that are too many leave only at the end.
    """
    turn = anyio.Lock(fast_acquire=True)
    count = 1

    async def worker() -> None:
        nonlocal count
        while True:
            async with turn:
                item = await take()
            if item is None:
                return
            if count < workers():
                count += 1
                group.start_soon(worker)
            await work(item)

    async with anyio.create_task_group() as group:
        group.start_soon(worker)


def taking(items: Iterable[T], shutdown: Shutdown) -> Take[T]:
    """Return what gives *items* one by one, until *shutdown* drains."""
    rest: Iterator[T] = iter(items)

    async def take() -> T | None:
        return None if shutdown.draining else next(rest, None)

    return take
