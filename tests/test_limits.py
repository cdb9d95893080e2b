import random
from contextlib import AsyncExitStack

import anyio
import pytest

from batchup.errors import LeftError
from batchup.limits import Slots
from tests.providers.fal.simulation import Clock, simulated


class Account:
    """Takes so many at once and refuses the others, in simulated time."""

    def __init__(self, takes, task_s, *, rtt_s=0.05, late_s=0.02, retry_after_s=0.0):
        self.takes, self.task_s, self.rtt_s, self.late_s = takes, task_s, rtt_s, late_s
        self.retry_after_s = retry_after_s
        self.clock = Clock()
        self.running = self.submits = self.refused = 0
        self.used_s = 0.0
        self.most = 0
        self.ends_at_s = self.clock.now_s()

    def _trip(self):
        return self.clock.sleep(self.rtt_s / 2 * random.uniform(0.8, 1.2))

    async def submit(self):
        """Return the moment at which the work will be over, or None for a refusal."""
        await self._trip()
        self.submits += 1
        ends_at_s = None
        if self.running < self.takes:
            self.running += 1
            self.most = max(self.most, self.running)
            now_s = self.clock.now_s()
            ends_at_s = now_s + self.task_s * random.uniform(0.8, 1.2)
            self.used_s += max(0.0, min(ends_at_s, self.ends_at_s) - now_s)
        else:
            self.refused += 1
        await self._trip()
        return ends_at_s

    async def work(self, ends_at_s):
        """Return when it is known that the work is over."""
        await self.clock.sleep(ends_at_s - self.clock.now_s())
        self.running -= 1
        await self.clock.sleep(self.late_s * random.uniform(0, 2))


async def minutes(account, slots, workers, *, lasting_s=60.0):
    """Keep *workers* busy, as submissions do it."""
    clock = account.clock
    account.ends_at_s = until_s = clock.now_s() + lasting_s

    async def send(flight):
        while (wait_s := slots.closed_s) > 0:
            await clock.sleep(wait_s)
        sent_s = clock.now_s()
        ends_at_s = await account.submit()
        if ends_at_s is None:
            flight.refused(sent_s, account.retry_after_s)
            return False
        flight.accepted(sent_s)
        await account.work(ends_at_s)
        return True

    async def work():
        while clock.now_s() < until_s:
            async with slots.hold():
                done, waits = False, 0
                while not done:
                    await clock.sleep(random.uniform(0, 2**waits - 1))
                    waits += 1
                    async with slots.flight() as flight:
                        done = await send(flight)

    with anyio.move_on_after(lasting_s):
        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(work)


async def minute(most, told, takes, task_s, settings, lasting_s=60.0):
    random.seed(7)
    account = Account(takes, task_s, **settings)
    slots = Slots(most, account.clock, tell=told.append)
    await minutes(account, slots, most + 16, lasting_s=lasting_s)
    return account


@pytest.mark.parametrize("most", [40, 64])
@pytest.mark.parametrize("task_s", [1.0, 10.0], ids=["1 s", "10 s"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"late_s": 0.0}, {"retry_after_s": 2.0}],
    ids=["noticed late", "noticed at once", "with Retry-After"],
)
def test_a_smaller_account_is_found_with_few_refusals_and_used_to_nine_tenths(most, task_s, settings):
    account = simulated(minute, most, [], 10, task_s, settings)

    assert account.used_s >= 0.9 * 10 * 60
    assert account.refused < 0.02 * account.submits


def test_an_account_that_takes_all_gets_all_and_nothing_is_said():
    told: list[str] = []
    account = simulated(minute, 40, told, 100, 5.0, {})

    assert (account.most, account.refused, told) == (40, 0, [])
    assert account.used_s >= 0.9 * 40 * 60


def test_over_an_hour_hardly_anything_is_refused():
    account = simulated(minute, 40, [], 10, 10.0, {}, 3600.0)

    assert account.refused <= 10
    assert account.used_s >= 0.97 * 10 * 3600


def test_an_account_that_takes_more_later_is_used_to_the_full_in_minutes():
    async def main():
        random.seed(7)
        account = Account(5, 2.0)
        slots = Slots(40, account.clock)
        await minutes(account, slots, 56)
        account.takes, account.running = 100, 0
        await minutes(account, slots, 56, lasting_s=600.0)
        return account

    assert simulated(main).most == 40


def test_a_burst_of_refusals_halves_once_and_quiet_raises_by_one_and_both_are_told():
    async def main():
        clock, told = Clock(), list[str]()
        slots = Slots(40, clock, tell=told.append)
        async with AsyncExitStack() as stack:
            for _ in range(8):
                (await stack.enter_async_context(slots.flight())).accepted(clock.now_s())
            burst = [await stack.enter_async_context(slots.flight())]
            for flight in burst * 3:
                flight.refused(clock.now_s(), 0.0)
        allowed = [slots.allowed]
        for _ in range(3):
            await clock.sleep(0.1)
            allowed.append(slots.allowed)
        await clock.sleep(30)
        return [*allowed, slots.allowed], told

    allowed, told = simulated(main)

    assert allowed == [4, 5, 6, 7, 8]
    assert told == ["4 at once from now on: with 8 under way one more was refused"]


def test_a_retry_after_closes_for_everyone_and_the_longest_counts():
    async def main():
        clock = Clock()
        slots = Slots(8, clock)
        async with slots.flight() as one, slots.flight() as other:
            sent_s = clock.now_s()
            one.refused(sent_s, 7.0)
            other.refused(sent_s, 3.0)
        return slots.closed_s

    assert simulated(main) == pytest.approx(7.0)


def test_what_nobody_answers_before_its_end_is_taken_back_when_it_is_refused():
    async def main():
        clock = Clock()
        slots = Slots(40, clock)
        async with AsyncExitStack() as stack:
            flights = [await stack.enter_async_context(_counted(slots, clock)) for _ in range(40)]
            for flight in flights[10:]:
                flight.refused(clock.now_s(), 0.0)
        await clock.sleep(50)
        return slots.allowed

    assert simulated(main) == 10


def _counted(slots, clock):
    class Counted(AsyncExitStack):
        async def __aenter__(self):
            await super().__aenter__()
            flight = await self.enter_async_context(slots.flight())
            flight.accepted(clock.now_s())
            return flight

    return Counted()


def test_what_an_earlier_run_left_under_way_counts_and_keeps_nothing_from_growing():
    async def main():
        clock = Clock()
        slots = Slots(12, clock)
        async with AsyncExitStack() as stack:
            for _ in range(10):
                stack.enter_context(slots.flying())
            with anyio.move_on_after(1):
                for _ in range(4):
                    (await stack.enter_async_context(slots.flight())).accepted(clock.now_s())
            return slots._at_once

    assert simulated(main) == 12


async def worked(slots, clock, models, *, task_s=1.0):
    """Hold a slot for each of *models*; return the most at once of each, of all, and the order of beginning."""
    most, now, order = {"": 0}, {"": 0}, []

    async def work(number, model):
        await clock.sleep(number * 1e-6)
        async with slots.hold(model):
            order.append((model, number))
            for name in ("", model):
                now[name] = now.get(name, 0) + 1
                most[name] = max(most.get(name, 0), now[name])
            await clock.sleep(task_s * random.uniform(0.5, 1.5))
            for name in ("", model):
                now[name] -= 1

    async with anyio.create_task_group() as group:
        for number, model in enumerate(models):
            group.start_soon(work, number, model)
    return most, order


def test_never_more_hold_a_slot_than_the_user_allows_by_model_and_in_all_first_come_first_served():
    async def main():
        clock = Clock()
        models = [random.choice("abc") for _ in range(300)]
        return await worked(Slots(20, clock, {"a": 3, "b": 15}), clock, models)

    most, order = simulated(main)

    assert (most[""], most["a"]) == (20, 3)
    assert most["b"] <= 15
    for model in "abc":
        numbers = [number for name, number in order if name == model]
        assert numbers == sorted(numbers)


def test_a_model_that_waits_for_its_own_limit_takes_no_slot_from_others():
    async def main():
        clock = Clock()
        began_s = clock.now_s()
        slots = Slots(4, clock, {"slow": 1})
        await worked(slots, clock, ["slow"] * 3 + ["quick"] * 6, task_s=0.1)
        waited = clock.now_s() - began_s
        async with slots.hold("slow"), slots.hold("quick"), slots.hold("quick"), slots.hold("quick"):
            return waited, True

    assert simulated(main)[0] < 0.45


@pytest.mark.parametrize("model", ["", "a"])
def test_whoever_stops_waiting_for_a_slot_leaves_it_to_the_next(model):
    async def main():
        clock = Clock()
        slots, got = Slots(1, clock, {"a": 1}), []

        async def take(number, scope):
            with scope:
                async with slots.hold(model):
                    got.append(number)

        async with anyio.create_task_group() as group:
            async with slots.hold(model):
                scopes = [anyio.CancelScope() for _ in range(3)]
                for number, scope in enumerate(scopes):
                    group.start_soon(take, number, scope)
                await clock.sleep(1)
                scopes[0].cancel()
                await clock.sleep(1)
            scopes[1].cancel()  # just as the slot was handed to it
        return got

    assert set(simulated(main)) - {1} == {2}


@pytest.mark.parametrize("model", ["", "a"])
def test_once_all_slots_are_left_to_what_takes_too_long_nobody_waits_for_one(model):
    async def main():
        clock = Clock()
        slots, said = Slots(1 if not model else 5, clock, {"a": 1}), []

        async def wait():
            try:
                async with slots.hold(model):
                    pass
            except LeftError as error:
                said.append(error.kind)

        async with anyio.create_task_group() as group, slots.hold(model):
            group.start_soon(wait)
            group.start_soon(wait)
            await clock.sleep(1)
            await slots.leave(model)
        await wait()
        return said

    assert simulated(main) == ["no_slot"] * 3


def test_a_slot_that_is_free_suspends_nothing():
    entering = Slots(2, Fixed()).hold().__aenter__()

    with pytest.raises(StopIteration):
        entering.send(None)


class Fixed(Clock):
    """A moment."""

    def now_s(self):
        return 0.0
