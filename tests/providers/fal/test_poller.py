import random
from itertools import pairwise
from statistics import mean

import anyio
import pytest

from batchup.errors import FatalError, GoneError, RateLimitedError, RejectedError, TransientError
from batchup.providers.base import Ticket
from batchup.providers.fal.poller import AT_ONCE, open_poller
from batchup.providers.fal.queue import Status
from tests.providers.fal.simulation import Account, Clock, simulated

SPREADS = {
    "always the same": lambda run_s: run_s,
    "a third more or less": lambda run_s: random.uniform(0.7, 1.3) * run_s,
}
RUNS = [0.2, 5.0, 60.0, 600.0]


async def batch(account, tasks, in_flight):
    """Run *tasks*, so many at once; return the seconds each lay complete, and the seconds each took in all."""
    clock = Clock()
    names = iter(map(str, range(tasks)))
    late: list[float] = []
    took: list[float] = []

    async def work():
        for name in names:
            ticket = account.submit(name)
            await poller.wait(ticket, "fal-ai/aura-sr")
            begun, _, ended = account.requests[name]
            late.append(clock.now_s() - ended)
            took.append(clock.now_s() - begun)
            await anyio.sleep(0.02)

    async with open_poller(account.status, clock) as poller, anyio.create_task_group() as group:
        for _ in range(in_flight):
            group.start_soon(work)
    return late, took


async def waited(poller, account, *names, **options):
    """Wait for each of these at the same time; return name -> status or error."""
    found = {}

    async def wait(name):
        try:
            found[name] = await poller.wait(Ticket(request_id=name), "fal-ai/aura-sr", **options)
        except Exception as error:  # noqa: BLE001 - that is what is asked about
            found[name] = error

    async with anyio.create_task_group() as group:
        for name in names:
            account.submit(name)
            group.start_soon(wait, name)
    return found


class Troubled(Account):
    """Answers what a test says in place of the first answers for a request."""

    def __init__(self, run_s, troubles, **options):
        super().__init__(run_s, **options)
        self.troubles = troubles

    async def status(self, ticket):
        status = await super().status(ticket)
        troubles = self.troubles.get(ticket.request_id, [])
        if troubles:
            raise troubles.pop(0)
        return status


@pytest.fixture(autouse=True)
def same_chances():
    random.seed(7)


@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize("run_s", RUNS, ids="{:g} s".format)
@pytest.mark.parametrize("in_flight", [8, 64])
def test_a_task_costs_two_or_three_calls_and_a_tenth_of_its_time(run_s, spread, in_flight):
    account = Account(lambda: spread(run_s))

    late, _ = simulated(batch, account, 600, in_flight)

    assert mean(account.calls.values()) <= 2.8
    assert mean(late) <= max(0.12 * run_s, 0.1)


@pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS)
@pytest.mark.parametrize("run_s", RUNS[:3], ids="{:g} s".format)
@pytest.mark.parametrize(("in_flight", "slots"), [(8, 2), (40, 4)], ids=["8 on 2", "40 on 4"])
def test_waiting_in_the_queue_costs_no_more_calls(run_s, spread, in_flight, slots):
    account = Account(lambda: spread(run_s), slots=slots)

    late, took = simulated(batch, account, 600, in_flight)

    assert mean(account.calls.values()) <= 3
    assert mean(late) <= max(0.1 * mean(took), 0.1)


@pytest.mark.parametrize("run_s", RUNS, ids="{:g} s".format)
def test_requests_that_do_not_tell_how_long_they_ran_are_learned_from_all_the_same(run_s):
    account = Account(lambda: SPREADS["a third more or less"](run_s), tells_time=False)

    late, _ = simulated(batch, account, 1000, 8)

    assert mean(account.calls.values()) <= 3
    assert mean(late) <= max(0.2 * run_s, 0.1)


@pytest.mark.parametrize(("before_s", "after_s"), [(20.0, 2.0), (2.0, 20.0)], ids=["faster", "slower"])
def test_a_platform_that_becomes_faster_or_slower_is_followed(before_s, after_s):
    runs = iter([before_s] * 300 + [after_s] * 700)
    account = Account(lambda: next(runs))

    late, _ = simulated(batch, account, 1000, 8)

    assert mean(late[-300:]) <= 0.1 * after_s
    assert mean(account.calls.values()) <= 3


def test_a_batch_that_is_one_wave_is_learned_from_two_of_its_requests():
    account = Account(lambda: 60.0)

    late, _ = simulated(batch, account, 64, 64)

    assert mean(account.calls.values()) <= 3
    assert mean(late) <= 0.25 * 60


def test_an_endpoint_whose_first_request_never_ends_is_learned_from_the_others():
    runs = iter([10_000.0, *[1.0] * 299])
    account = Account(lambda: next(runs))

    late, _ = simulated(batch, account, 300, 8)

    assert sorted(late)[150] <= 0.1


def test_errors_that_may_pass_are_asked_through_and_never_raised():
    troubles = [TransientError("503", kind="server_error") for _ in range(40)]
    account = Troubled(lambda: 1.0, {"a": troubles})

    async def main():
        async with open_poller(account.status, Clock()) as poller:
            return await waited(poller, account, "a")

    found = simulated(main)

    assert found["a"].state == "COMPLETED"
    assert account.moments[-1] - account.moments[0] > 60


@pytest.mark.parametrize(
    "error",
    [
        GoneError("404", kind="request_gone"),
        RejectedError("403", kind="forbidden"),
        FatalError("401", stopped="account"),
    ],
    ids=["gone", "refused", "account"],
)
def test_an_error_that_stays_is_raised_to_its_waiter_alone(error):
    account = Troubled(lambda: 1.0, {"b": [error]})

    async def main():
        async with open_poller(account.status, Clock()) as poller:
            return await waited(poller, account, "a", "b", "c")

    found = simulated(main)

    assert found["b"] is error
    assert found["a"].state == found["c"].state == "COMPLETED"


def test_a_failed_request_is_complete_and_tells_its_error():
    error = RejectedError("422", kind="image_too_small")

    class Failing(Account):
        def standing(self, name):
            found = super().standing(name)
            return Status("COMPLETED", error=error) if found.state == "COMPLETED" else found

    account = Failing(lambda: 1.0)

    async def main():
        async with open_poller(account.status, Clock()) as poller:
            return await waited(poller, account, "a", "b", "c", "d")

    found = simulated(main)

    assert [status.error for status in found.values()] == [error] * 4
    assert account.moments[-1] - account.moments[0] < 5  # the next became scouts


def test_who_stops_waiting_is_asked_for_no_more():
    account = Account(lambda: 1000.0)

    async def main():
        clock = Clock()
        async with open_poller(account.status, clock) as poller:
            ticket = account.submit("a")
            with anyio.move_on_after(10):
                await poller.wait(ticket, "fal-ai/aura-sr")
            calls = account.calls["a"]
            await clock.sleep(5000)
            return calls

    assert simulated(main) == account.calls["a"] > 0


def test_a_request_of_an_earlier_run_is_asked_for_at_once():
    account = Account(lambda: 0.0)

    async def main():
        async with open_poller(account.status, Clock()) as poller:
            await waited(poller, account, "a", age_s=None)

    simulated(main)

    assert account.moments == [1000.0]


def test_a_429_lets_everybody_rest_and_slows_them_down():
    account = Troubled(lambda: 5.0, {"3": [RateLimitedError("429", kind="rate_limited", retry_after_s=30.0)]})

    simulated(batch, account, 300, 8)

    pause, at = max((after - before, before) for before, after in pairwise(account.moments))
    assert 30 <= pause < 36
    assert all(moment <= at or moment >= at + 30 for moment in account.moments)


def test_calls_stay_within_their_rate_and_number():
    account = Account(lambda: 1.0, rtt_s=0.5)

    async def main():
        names = [str(number) for number in range(200)]
        async with open_poller(account.status, Clock(), per_second=20) as poller:
            await waited(poller, account, *names, age_s=None)

    simulated(main)

    assert account.most_under_way <= AT_ONCE
    in_a_second = [sum(start <= at < start + 1 for at in account.moments) for start in account.moments]
    assert max(in_a_second) <= 22
    assert len(account.moments) / (account.moments[-1] - account.moments[0]) > 15


def test_what_goes_wrong_where_it_is_used_is_not_wrapped():
    async def main():
        async with open_poller(Account(lambda: 1.0).status, Clock()):
            raise RejectedError("so", kind="so")

    with pytest.raises(RejectedError):
        simulated(main)
