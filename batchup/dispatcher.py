"""Workers on one bounded stream."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from batchup.shutdown import Shutdown

T = TypeVar("T")


async def dispatch(
    items: Iterable[T], work: Callable[[T], Awaitable[None]], *, workers: int, shutdown: Shutdown
) -> None:
    """Call *work* for each of *items*, *workers* at a time, until they end or *shutdown* drains.

    Nothing is taken from *items* before a worker is free for it. What was taken when the draining began is not
    started any more. *work* decides itself what an error means; what it raises ends the whole group.
    """
    # No buffer: an item that waits in one would be neither started nor left for the next run.
    send, receive = anyio.create_memory_object_stream[T](max_buffer_size=0)
    async with anyio.create_task_group() as group:
        with receive:
            for _ in range(workers):
                group.start_soon(_work, receive.clone(), work, shutdown)
        with send:
            for item in items:
                if shutdown.draining:
                    break
                try:
                    await send.send(item)
                except anyio.BrokenResourceError:
                    break  # draining: every worker has left


async def _work(
    receive: MemoryObjectReceiveStream[T], work: Callable[[T], Awaitable[None]], shutdown: Shutdown
) -> None:
    with receive:
        async for item in receive:
            if shutdown.draining:
                return
            await work(item)
