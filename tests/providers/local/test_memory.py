"""The memory limit admits in order, never too much, and knows how large the machine is."""

import asyncio
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.abc import TaskGroup

from batchup.errors import RejectedError
from batchup.providers.local.memory import GB, MemoryLimit, control_group_limits, machine_memory_bytes


class Crowd:
    """Calls that hold memory until told to let go; ``inside`` are those that were admitted."""

    def __init__(self, limit_bytes: int, group: TaskGroup) -> None:
        self.limit = MemoryLimit(limit_bytes)
        self.group = group
        self.inside: list[str] = []
        self._leave: dict[str, anyio.Event] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}

    async def arrive(self, name, wanted_bytes):
        self._leave[name] = anyio.Event()
        self.group.start_soon(self._hold, name, wanted_bytes)
        await wait_all_tasks_blocked()

    async def leave(self, name):
        self._leave[name].set()
        await wait_all_tasks_blocked()

    def cancel(self, name):
        self._scopes[name].cancel()

    async def _hold(self, name, wanted_bytes):
        with anyio.CancelScope() as self._scopes[name]:
            async with self.limit.reserve(wanted_bytes):
                self.inside.append(name)
                try:
                    await self._leave[name].wait()
                finally:
                    self.inside.remove(name)


@pytest.fixture
async def crowd():
    async with anyio.create_task_group() as group:
        yield Crowd(10, group)
        group.cancel_scope.cancel()


async def test_what_fits_together_runs_together(crowd):
    await crowd.arrive("a", 4)
    await crowd.arrive("b", 6)
    await crowd.arrive("c", 1)

    assert crowd.inside == ["a", "b"]


async def test_small_work_does_not_overtake_large_work_that_waits(crowd):
    await crowd.arrive("a", 4)
    await crowd.arrive("large", 10)
    await crowd.arrive("small", 1)
    before = list(crowd.inside)

    await crowd.leave("a")

    assert before == ["a"]
    assert crowd.inside == ["large"]


async def test_work_that_needs_nothing_never_waits(crowd):
    await crowd.arrive("a", 10)
    await crowd.arrive("b", 5)
    await crowd.arrive("nothing", 0)

    assert crowd.inside == ["a", "nothing"]


async def test_one_that_leaves_lets_in_all_that_fit(crowd):
    await crowd.arrive("a", 10)
    for name in "bcd":
        await crowd.arrive(name, 4)

    await crowd.leave("a")

    assert crowd.inside == ["b", "c"]


async def test_one_that_stops_waiting_lets_those_behind_it_in(crowd):
    await crowd.arrive("a", 4)
    await crowd.arrive("large", 10)
    await crowd.arrive("small", 1)

    crowd.cancel("large")
    await wait_all_tasks_blocked()

    assert crowd.inside == ["a", "small"]


async def test_nothing_is_lost_when_the_grant_and_the_cancellation_meet():
    limit = MemoryLimit(10)
    waiting: list[Any] = []

    async def wait():
        waiting.append(asyncio.current_task())
        with suppress(asyncio.CancelledError):
            async with limit.reserve(10):
                pytest.fail("it was cancelled before it could begin")

    async with anyio.create_task_group() as group:
        async with limit.reserve(10):
            group.start_soon(wait)
            await wait_all_tasks_blocked()
        waiting[
            0
        ].cancel()  # in the same turn of the loop as the grant; anyio's own scopes never hit this gap

    with anyio.fail_after(5):
        async with limit.reserve(10):
            pass


async def test_work_that_fails_gives_its_memory_back():
    limit = MemoryLimit(10)

    with pytest.raises(ZeroDivisionError):
        async with limit.reserve(10):
            raise ZeroDivisionError

    with anyio.fail_after(5):
        async with limit.reserve(10):
            pass


@pytest.mark.parametrize(
    ("wanted", "allowed", "said"),
    [
        pytest.param(45 * GB, 12 * GB, "about 45 GB of memory, run.memory allows 12 GB", id="round"),
        pytest.param(12 * GB + 1, 12 * GB, "about 12.1 GB of memory, run.memory allows 12 GB", id="barely"),
        pytest.param(GB, 800_000_000, "about 1 GB of memory, run.memory allows 800 MB", id="megabytes"),
    ],
)
async def test_what_can_never_fit_is_refused_at_once_with_both_figures(wanted, allowed, said):
    limit = MemoryLimit(allowed)

    with pytest.raises(RejectedError, match=said) as refused:
        async with limit.reserve(wanted):
            pass

    assert refused.value.kind == "too_large"


def test_this_machine_has_some_memory():
    assert 64_000_000 < machine_memory_bytes() < 2**60


@pytest.mark.parametrize(
    ("groups", "files", "limits"),
    [
        pytest.param("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "5000"}, [5000], id="v2 parent"),
        pytest.param("0::/a\n", {"a/memory.max": "9", "a/memory.high": "7"}, [9, 7], id="v2 soft"),
        pytest.param("0::/elsewhere\n", {"memory.max": "6"}, [6], id="v2 in a container"),
        pytest.param(
            "4:cpu,memory:/a\n0::/\n",
            {"memory/a/memory.limit_in_bytes": "8", "memory/memory.limit_in_bytes": "9223372036854771712"},
            [8, 9223372036854771712],
            id="v1",
        ),
        pytest.param("3:cpu:/a\n", {"a/memory.max": "8"}, [], id="another controller"),
        pytest.param("nonsense\n\n", {}, [], id="nonsense"),
    ],
)
def test_control_groups_bind_with_all_their_ancestors(tmp_path, groups, files, limits):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")

    assert control_group_limits(groups, tmp_path) == limits
