import random
from bisect import bisect_right
from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.manifest.quantities import Rate
from batchup.throttle import Throttle
from tests.providers.fal.simulation import Clock, simulated

FAST, SLOW = Rate(25, 1), Rate(120, 60)


def burst(rate):
    return max(1.0, rate.per_second / 10)


def most_in(moments, span_s):
    """Return the most that any span of so many seconds saw."""
    return max((bisect_right(moments, at + span_s) - place for place, at in enumerate(moments)), default=0)


def kept(moments, rate):
    """Return whether no span at all saw more than the rate and the burst allow."""
    moments = sorted(moments)
    return all(
        count <= (last - first) * rate.per_second + burst(rate) + 1e-6
        for place, first in enumerate(moments)
        for count, last in enumerate(moments[place:], 1)
    )


async def sent(run, models, arrivals):
    """Ask for a turn of a model at each arrival; return who got one, in order, and when."""
    clock = Clock()
    throttle = Throttle(clock, run, models)
    began_s, found = clock.now_s(), []

    async def ask(number, model, at_s):
        await clock.sleep(at_s)
        await throttle.turn(model)
        found.append((clock.now_s() - began_s, model, number))

    async with anyio.create_task_group() as group:
        for number, (model, at_s) in enumerate(arrivals):
            group.start_soon(ask, number, model, at_s)
    return found


def moments(found, model=None):
    return [at_s for at_s, name, _ in found if model in {None, name}]


def test_150_that_come_at_once_go_at_the_rate_and_never_faster():
    found = moments(simulated(sent, FAST, {}, [("a", 0.0)] * 150))

    assert most_in(found, 1.0) <= 25 + burst(FAST)
    assert 149 / (found[-1] - found[0]) >= 0.95 * 25
    assert kept(found, FAST)


@pytest.mark.parametrize(
    "rate", [Rate(500, 3600), Rate(1, 1), Rate(10, 1), Rate(25, 1), Rate(1000, 1)], ids=str
)
def test_every_rate_is_used_to_the_full(rate):
    found = moments(simulated(sent, rate, {}, [("a", 0.0)] * 200))

    assert kept(found, rate)
    assert found[-1] <= 200 / rate.per_second


def test_after_a_long_pause_no_more_than_the_burst_goes_at_once():
    found = moments(simulated(sent, FAST, {}, [("a", 0.0)] * 50 + [("a", 8 * 3600.0)] * 50))

    assert kept(found, FAST)
    assert most_in(found[50:], 0.0) == int(burst(FAST))


def test_the_rates_of_two_models_and_of_the_run_hold_together_and_all_are_used():
    models = {"a": Rate(6, 1), "b": Rate(300, 60)}
    arrivals = [(model, 0.0) for _ in range(60) for model in ("a", "b", "c")]

    found = simulated(sent, Rate(10, 1), models, arrivals)

    assert kept(moments(found), Rate(10, 1))
    assert all(kept(moments(found, name), rate) for name, rate in models.items())
    assert moments(found)[-1] <= 180 / 10
    # Nobody is left behind.
    assert min(sum(name == model for _, name, _ in found[:60]) for model in "abc") >= 15


def test_a_slow_model_that_waits_takes_nothing_from_the_others():
    found = simulated(
        sent, Rate(10, 1), {"slow": Rate(60, 3600)}, [("slow", 0.0)] * 3 + [("quick", 0.0)] * 300
    )

    assert moments(found, "quick")[-1] == pytest.approx(30, abs=0.2)
    assert moments(found, "slow") == pytest.approx([0, 60, 120], abs=0.2)


def test_a_model_goes_in_the_order_of_arrival():
    rng = random.Random(5)
    arrivals = sorted(((rng.choice("ab"), rng.uniform(0, 3)) for _ in range(200)), key=lambda one: one[1])

    found = simulated(sent, FAST, {"a": SLOW}, arrivals)

    for model in "ab":
        numbers = [number for _, name, number in found if name == model]
        assert numbers == sorted(numbers)


def test_a_model_that_comes_later_overtakes_nobody_because_it_was_idle():
    arrivals = [("c", 0.0), ("c", 0.1), ("idle", 0.2), ("c", 0.3)]

    found = simulated(sent, Rate(2, 1), {"idle": FAST}, arrivals)

    assert [number for _, _, number in found] == [0, 1, 2, 3]


def test_without_rates_a_turn_comes_at_once_and_suspends_nothing():
    turn = Throttle(Clock(), None, {}).turn("a")

    with pytest.raises(StopIteration):
        turn.send(None)


def test_a_model_without_a_limit_does_not_wait_for_one_that_has():
    found = simulated(sent, None, {"slow": SLOW}, [("slow", 0.0)] * 5 + [("free", 0.0)] * 100)

    assert moments(found, "free") == [0.0] * 100


@pytest.mark.parametrize("left", [0, 1, 2], ids=["the next", "the second", "the last"])
def test_whoever_stops_waiting_costs_nobody_anything(left):
    async def main():
        clock = Clock()
        throttle = Throttle(clock, SLOW, {})
        began_s, found, scopes = clock.now_s(), [], [anyio.CancelScope() for _ in range(3)]

        async def ask(number):
            with scopes[number]:
                await throttle.turn("a")
                found.append((number, clock.now_s() - began_s))

        async with anyio.create_task_group() as group:
            await throttle.turn("a")
            for number in range(3):
                group.start_soon(ask, number)
            await clock.sleep(0.3)
            scopes[left].cancel()
        return found

    assert simulated(main) == [
        (number, pytest.approx(at_s))
        for number, at_s in zip(sorted({0, 1, 2} - {left}), [0.5, 1.0], strict=True)
    ]


def test_whoever_is_cancelled_at_the_very_moment_of_its_turn_hands_it_on():
    async def main():
        clock = Clock()
        throttle = Throttle(clock, SLOW, {})
        began_s, found, scope = clock.now_s(), [], anyio.CancelScope()

        async def first():
            with scope:
                await throttle.turn("a")

        async def second():
            await throttle.turn("a")
            found.append(clock.now_s() - began_s)

        async def cancel():
            await clock.sleep(0.5)
            scope.cancel()

        async with anyio.create_task_group() as group:
            await throttle.turn("a")
            group.start_soon(cancel)
            group.start_soon(first)
            group.start_soon(second)
        return found

    assert simulated(main) == [pytest.approx(0.5)]


def test_one_that_may_go_earlier_wakes_whoever_sleeps():
    arrivals = [("slow", 0.0), ("slow", 0.0), ("quick", 0.0), ("quick", 0.2)]

    found = simulated(sent, Rate(20, 1), {"slow": Rate(60, 3600), "quick": Rate(10, 1)}, arrivals)

    assert moments(found, "quick") == pytest.approx([0.0, 0.2])
    assert moments(found, "slow") == pytest.approx([0, 60], abs=0.1)


def test_however_many_wait_one_sleeps():
    class Counted(Clock):
        asleep = most = 0

        async def sleep(self, seconds):
            self.asleep += 1
            self.most = max(self.most, self.asleep)
            try:
                await super().sleep(seconds)
            finally:
                self.asleep -= 1

    async def main():
        clock = Counted()
        throttle = Throttle(clock, Rate(1000, 1), {"a": FAST})
        async with anyio.create_task_group() as group:
            for number in range(400):
                group.start_soon(throttle.turn, "a" if number % 4 else "b")
        return clock.most

    assert simulated(main) == 1


def test_next_s_tells_when_a_model_may_go():
    async def main():
        clock = Clock()
        throttle = Throttle(clock, Rate(10, 1), {"a": Rate(60, 60)})
        await throttle.turn("a")
        soon = throttle.next_s("a"), throttle.next_s("b")
        await clock.sleep(5)
        return *soon, throttle.next_s("a")

    assert simulated(main) == (pytest.approx(1.0), pytest.approx(0.1), 0.0)


RATES = st.sampled_from([None, Rate(3, 1), Rate(25, 1), Rate(40, 1), Rate(120, 60)])
ARRIVALS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 4000).map(lambda ms: ms / 1000)), max_size=40
)


@given(run=RATES, a=RATES, b=RATES, arrivals=ARRIVALS, left=st.sets(st.integers(0, 39), max_size=10))
def test_no_arrivals_make_it_pass_a_rate_or_waste_one(run, a, b, arrivals, left):
    models = {name: rate for name, rate in {"a": a, "b": b}.items() if rate}
    found = simulated(partial(_sent_but, left), run, models, arrivals)

    for name, rate in [(None, run), *models.items()]:
        assert rate is None or kept(moments(found, name), rate)
    slowest = min((rate.per_second for rate in (run, *models.values()) if rate), default=1e9)
    assert max(moments(found), default=0) <= 4 + 2 * len(arrivals) / slowest
    for model in "abc":
        came = [arrivals[number][1] for _, name, number in found if name == model]
        assert came == sorted(came)


async def _sent_but(left, run, models, arrivals):
    """Likewise, but those of some numbers wait for half a second at most."""
    clock = Clock()
    throttle = Throttle(clock, run, models)
    began_s, found = clock.now_s(), []

    async def ask(number, model, at_s):
        await clock.sleep(at_s)
        with anyio.move_on_after(0.5 if number in left else None):
            await throttle.turn(model)
            found.append((clock.now_s() - began_s, model, number))

    async with anyio.create_task_group() as group:
        for number, (model, at_s) in enumerate(arrivals):
            group.start_soon(ask, number, model, at_s)
    return found
