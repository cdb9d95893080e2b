"""Workers that take what is next."""

import anyio

from batchup.dispatcher import dispatch, taking
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

    await dispatch(taking(range(100), Shutdown()), work, workers=lambda: 7)

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
            assert taken <= 10 + 3

    await dispatch(taking(items(), Shutdown()), work, workers=lambda: 3)


async def test_whoever_gives_items_is_asked_by_one_at_a_time():
    rest, asking = list(range(50)), 0

    async def take():
        nonlocal asking
        asking += 1
        assert asking == 1
        await anyio.lowlevel.checkpoint()
        asking -= 1
        return rest.pop() if rest else None

    async def work(_):
        await anyio.lowlevel.checkpoint()

    await dispatch(take, work, workers=lambda: 8)

    assert not rest


async def test_draining_finishes_what_runs_and_starts_nothing_more():
    shutdown, done = Shutdown(), []

    async def work(item):
        if item == 5:
            shutdown.drain()
        await anyio.lowlevel.checkpoint()
        done.append(item)

    await dispatch(taking(range(100), shutdown), work, workers=lambda: 2)

    assert 5 in done
    assert max(done) <= 6
