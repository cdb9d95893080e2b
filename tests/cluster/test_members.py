"""Which worker is given what."""

import anyio
import pytest

from batchup.clock import SystemClock
from batchup.cluster.engine import Engine
from batchup.cluster.members import Member, Members
from batchup.cluster.spread import Spread
from batchup.history import History
from batchup.limits import Slots

ANY = lambda _member: True  # noqa: E731 - shorter than its name


def member(name, slots=1, *, has_account=True, **labels):
    return Member(
        name, {"work": slots, "transfer": 2}, labels, shares=True, has_account=has_account, folder="/tmp"
    )


def members(*several):
    found = Members()
    for one in several:
        found.came(one)
    return found


async def test_who_has_the_least_to_do_is_next():
    crew = members(member("a", slots=4), member("b", slots=2))

    given = [(await crew.take("work", "", ANY)).address for _ in range(6)]

    assert given.count("a") == 4
    assert given.count("b") == 2
    assert given[:2] == ["a", "b"]


async def test_what_finds_no_room_waits_for_its_turn_and_not_beyond():
    crew, order = members(member("a")), []
    first = await crew.take("work", "", ANY)

    async def ask(name):
        one = await crew.take("work", "", ANY)
        order.append(name)
        crew.give_back(one, "work", "")

    async with anyio.create_task_group() as group:
        for name in ("first", "second"):
            group.start_soon(ask, name)
            await anyio.wait_all_tasks_blocked()
        assert order == []
        crew.give_back(first, "work", "")

    assert order == ["first", "second"]
    assert first.used["work"] == 0


async def test_what_needs_a_gpu_goes_where_one_is_free_and_holds_up_nothing_else():
    crew = members(member("plain", slots=9), member("strong", slots=9, GPU=1.0))
    one = await crew.take("work", "GPU", ANY)

    with anyio.move_on_after(0.01) as waited:
        await crew.take("work", "GPU", ANY)
    other = await crew.take("work", "", ANY)

    assert one.address == "strong"
    assert waited.cancelled_caught
    assert other.address == "plain"
    crew.give_back(one, "work", "GPU")
    assert (await crew.take("work", "GPU", ANY)).address == "strong"


@pytest.mark.parametrize("kind", ["work", "transfer"])
async def test_who_waits_is_served_by_a_worker_that_comes(kind):
    crew, got = members(), []

    async def ask():
        got.append(await crew.take(kind, "", lambda one: one.has_account))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        crew.came(member("stranger", has_account=False))
        await anyio.wait_all_tasks_blocked()
        assert not got
        crew.came(member("ours"))

    assert got[0].address == "ours"


def test_slots_follow_the_workers_until_somebody_sets_another_number(tmp_path):
    engine, slots = Engine(None, "fence", "run", tmp_path, print), Slots(1, SystemClock())
    Spread(engine, History()).follow(slots)

    engine.members.came(member("a", slots=2))
    engine.members.came(member("b", slots=3))
    both = slots.most
    engine.members.gone("a")
    engine.members.gone("b")
    none = slots.most
    slots.set(9)
    engine.members.came(member("c", slots=4))

    assert (both, none, slots.most) == (7, 1, 9)


async def test_who_stops_waiting_leaves_no_trace():
    crew = members(member("a"))
    taken = await crew.take("work", "", ANY)

    with anyio.move_on_after(0.01):
        await crew.take("work", "", ANY)
    crew.give_back(taken, "work", "")

    assert taken.used["work"] == 0
    assert (await crew.take("work", "", ANY)) is taken


async def test_what_only_one_worker_has_the_means_for_holds_up_nothing_that_another_may_do():
    crew = members(member("plain"), member("rich"))
    rich = await crew.take("work", "", lambda one: one.address == "rich")

    async with anyio.create_task_group() as group:
        group.start_soon(crew.take, "work", "", lambda one: one.address == "rich")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(1):
            other = await crew.take("work", "", ANY)
        crew.give_back(rich, "work", "")

    assert other.address == "plain"
