"""Workers on one bounded stream."""

import anyio

from batchup.dispatcher import dispatch
from batchup.shutdown import Shutdown


async def test_everything_is_worked_on_once_and_no_more_at_a_time_than_there_are_workers():
    done, running, most = [], 0, 0

    async def work(item):
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        running -= 1
        done.append(item)

    await dispatch(range(100), work, workers=7, shutdown=Shutdown())

    assert sorted(done) == list(range(100))
    assert most == 7


async def test_nothing_is_taken_before_a_worker_is_free_for_it():
    taken = 0

    def items():
        nonlocal taken
        for item in range(100):
            taken += 1
            yield item

    async def work(item):
        await anyio.lowlevel.checkpoint()
        if item == 10:
            assert taken <= 10 + 3 + 2

    await dispatch(items(), work, workers=3, shutdown=Shutdown())


async def test_draining_finishes_what_runs_and_starts_nothing_more():
    shutdown, done = Shutdown(), []

    async def work(item):
        if item == 5:
            shutdown.drain()
        await anyio.lowlevel.checkpoint()
        done.append(item)

    await dispatch(range(100), work, workers=2, shutdown=shutdown)

    assert 5 in done
    assert max(done) <= 6


async def test_a_drain_wakes_a_producer_that_waits_for_a_worker():
    shutdown, release, done = Shutdown(), anyio.Event(), []

    async def work(item):
        await release.wait()
        done.append(item)

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: dispatch(range(100), work, workers=2, shutdown=shutdown))
        await anyio.wait_all_tasks_blocked()
        shutdown.drain()
        release.set()

    assert done == [0, 1]
