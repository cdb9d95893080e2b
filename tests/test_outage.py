"""A lost network is looked for by one, on behalf of all."""

from contextlib import suppress

import anyio
import pytest

from batchup.clock import SystemClock
from batchup.errors import AnswerLostError, NotSentError, RejectedError
from batchup.outage import SILENT_S, Outage, Sources
from batchup.shutdown import Shutdown
from batchup.source import Source
from tests.providers.fal.simulation import Clock, simulated

ERROR = NotSentError("no route to host", kind="connection_failed")


class Net:
    """A network that is gone until a moment, and counts who looks for it."""

    def __init__(self, gone_s=0.0, error=ERROR):
        self.clock, self.shutdown = Clock(), Shutdown()
        self.gone_s, self.error, self.looks = gone_s, error, 0
        self.told: list[str] = []
        self.outage = Outage(self.reach, self.clock, self.shutdown, self.told.append)
        self.began_s: float | None = None

    async def reach(self):
        self.began_s = self.began_s or self.clock.now_s()
        self.looks += 1
        if self.clock.now_s() - self.began_s < self.gone_s:
            raise self.error

    async def met_by(self, many):
        """Let so many meet an error at once; return what each is told."""
        found = []

        async def meet():
            found.append(await self.outage.outlast(ERROR))

        async with anyio.create_task_group() as group:
            for _ in range(many):
                group.start_soon(meet)
        return found


def test_five_hundred_errors_of_one_outage_wait_together_and_are_told_once():
    net = Net(gone_s=60)

    found = simulated(net.met_by, 500)

    assert found == [True] * 500
    assert net.looks < 12
    assert net.told == ["waiting for the network: no route to host", ""]


def test_errors_while_the_other_side_answers_are_no_outage_and_cost_one_look():
    net = Net()

    assert simulated(net.met_by, 500) == [False] * 500
    assert (net.looks, net.told) == (1, [])


@pytest.mark.parametrize(
    ("error", "is_outage"),
    [
        (AnswerLostError("silence", kind="timeout"), True),
        (RejectedError("no such page", kind="not_found"), None),
    ],
    ids=["says nothing", "says no"],
)
def test_who_says_nothing_is_as_good_as_gone(error, is_outage):
    net = Net(gone_s=10, error=error)

    if is_outage is None:
        with pytest.raises(BaseExceptionGroup):
            simulated(net.met_by, 1)
    else:
        assert simulated(net.met_by, 1) == [is_outage]


def test_a_run_that_is_asked_to_end_waits_no_longer():
    net = Net(gone_s=1e6)

    async def ended():
        async with anyio.create_task_group() as group:
            group.start_soon(net.met_by, 3)
            await anyio.sleep(20)
            net.shutdown.drain()
        return net.clock.now_s() - (net.began_s or 0)

    assert simulated(ended) < 21


def test_while_it_lasts_nobody_else_begins_anything():
    net = Net(gone_s=30)

    async def begin():
        async with anyio.create_task_group() as group:
            group.start_soon(net.met_by, 1)
            await anyio.sleep(5)
            await net.outage.over()
            return net.clock.now_s() - (net.began_s or 0)

    assert simulated(begin) >= 30


class Hand(SystemClock):
    """A clock that is wound by hand."""

    def __init__(self):
        self.at_s = 1000.0

    def now_s(self):
        return self.at_s


class Hosts:
    """Hosts of inputs, some of which answer."""

    def __init__(self, *alive):
        self.alive, self.asked = set(alive), []
        self.clock = Hand()
        self.sources = Sources(self.ask, self.clock)

    async def ask(self, source):
        self.asked.append(source.url)
        if source.url not in self.alive:
            raise ERROR

    def met(self, url, error=None):
        with suppress(Exception), self.sources.hearing(Source(root="", path="a", url=url)):
            if error:
                raise error


async def test_a_host_that_never_answered_is_no_sign_of_an_outage():
    hosts = Hosts()
    hosts.met("https://nobody.example/a", ERROR)

    await hosts.sources.reach()

    assert hosts.asked == []


@pytest.mark.parametrize("error", [None, RejectedError("no such file", kind="url_not_found")])
async def test_the_network_is_gone_when_none_of_the_hosts_answers_that_did(error):
    hosts = Hosts()
    for number in range(5):
        hosts.met(f"https://{number}.example/a", error)

    with pytest.raises(NotSentError):
        await hosts.sources.reach()

    assert hosts.asked == [f"https://{number}.example/a" for number in (4, 3, 2)]


async def test_what_was_refused_here_was_answered_by_nobody():
    hosts = Hosts()
    hosts.met("https://a.example/1", RejectedError("a private address", kind="private_address"))

    await hosts.sources.reach()

    assert hosts.asked == []


async def test_one_host_that_answers_shows_that_the_network_is_there():
    hosts = Hosts("https://a.example/1")
    hosts.met("https://a.example/1")
    hosts.met("https://b.example/2")

    await hosts.sources.reach()


async def test_hosts_that_stay_silent_for_a_quarter_of_an_hour_are_gone_and_nothing_waits_for_them_any_more():
    hosts = Hosts()
    hosts.met("https://a.example/1")
    with pytest.raises(NotSentError):
        await hosts.sources.reach()
    hosts.clock.at_s += SILENT_S - 1
    with pytest.raises(NotSentError):
        await hosts.sources.reach()

    hosts.clock.at_s += 1
    await hosts.sources.reach()
    asked = len(hosts.asked)
    await hosts.sources.reach()

    assert len(hosts.asked) == asked


async def test_a_host_that_answered_meanwhile_is_waited_for_anew():
    hosts = Hosts()
    hosts.met("https://a.example/1")
    with pytest.raises(NotSentError):
        await hosts.sources.reach()
    hosts.met("https://a.example/1")
    hosts.clock.at_s += SILENT_S

    with pytest.raises(NotSentError):
        await hosts.sources.reach()
