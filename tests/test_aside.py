"""What blocks for a moment is done off the event loop."""

import threading
import time

import anyio
import pytest

from batchup.aside import aside


async def test_what_is_called_returns_and_raises_as_if_it_were_called_here():
    assert await aside(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await aside(divmod, 7, 0)


async def test_it_is_not_called_on_the_event_loop():
    assert await aside(threading.current_thread) is not threading.current_thread()


async def test_a_slow_call_does_not_keep_the_others_waiting():
    held = threading.Event()

    async with anyio.create_task_group() as group:
        group.start_soon(aside, held.wait, 10)
        await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            await aside(held.set)

    assert held.is_set()


async def test_a_cancelled_call_comes_to_its_end_before_anything_else_happens():
    held, ended = threading.Event(), threading.Event()

    def slow():
        held.wait(10)
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(aside, slow)
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
        threading.Timer(0.02, held.set).start()

    assert ended.is_set()


async def test_nothing_is_begun_once_the_caller_is_cancelled():
    begun = threading.Event()

    with anyio.CancelScope() as scope:
        scope.cancel()
        await aside(begun.set)

    assert not begun.is_set()


async def test_many_calls_by_many_callers_are_all_answered_with_their_own():
    found = []

    async def ask(number):
        found.extend([await aside(pow, number, 2) for _ in range(20)])

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(ask, number)

    assert sorted(found) == sorted(number**2 for number in range(50) for _ in range(20))


def test_it_serves_one_event_loop_after_another():
    assert [anyio.run(aside, abs, -number) for number in range(3)] == [0, 1, 2]


async def test_a_call_waits_no_longer_than_it_takes_when_nothing_else_does():
    await aside(abs, 1)
    start_s = time.monotonic()

    for _ in range(100):
        await aside(abs, 1)

    assert time.monotonic() - start_s < 1.0
