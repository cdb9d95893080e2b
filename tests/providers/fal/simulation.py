"""Time that passes only while nothing else is to be done, and an account that works in it: hours in a second."""

import asyncio
import heapq
from datetime import UTC, datetime

import anyio

from batchup.providers.base import Ticket
from batchup.providers.fal.queue import Status


class Loop(asyncio.SelectorEventLoop):
    """An event loop that does not sleep: it moves its clock on instead."""

    def __init__(self):
        super().__init__()
        self.moment = 1000.0
        selector = self._selector  # type: ignore[attr-defined]
        look = selector.select

        def select(timeout=None):
            self.moment += timeout or 0.0
            return look(0)

        selector.select = select

    def time(self):
        return self.moment


class Clock:
    """The loop's own."""

    def now_s(self):
        return asyncio.get_running_loop().time()

    def utc(self):
        return datetime.fromtimestamp(self.now_s(), UTC)

    async def sleep(self, seconds):
        await anyio.sleep(max(0.0, seconds))


class Account:
    """Runs requests in the order they came, so many at once, each for as long as *run_s* says."""

    def __init__(self, run_s, *, slots=1000, rtt_s=0.01, tells_time=True):
        self.run_s, self.rtt_s, self.tells_time = run_s, rtt_s, tells_time
        self.free = [0.0] * slots
        self.requests = {}
        self.starts = []
        self.calls = {}
        self.moments = []
        self.under_way = self.most_under_way = 0

    def submit(self, name):
        now = asyncio.get_running_loop().time()
        start = max(now, heapq.heappop(self.free))
        end = start + self.run_s()
        heapq.heappush(self.free, end)
        self.requests[name] = (now, start, end)
        self.starts.append(start)
        self.calls[name] = 0
        return Ticket(request_id=name)

    async def status(self, ticket):
        self.calls[ticket.request_id] += 1
        self.moments.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await anyio.sleep(self.rtt_s / 2)
            status = self.standing(ticket.request_id)
            await anyio.sleep(self.rtt_s / 2)
        finally:
            self.under_way -= 1
        return status

    def standing(self, name):
        now = asyncio.get_running_loop().time()
        _, start, end = self.requests[name]
        if now < start:
            return Status("IN_QUEUE", position=sum(now < other < start for other in self.starts))
        if now < end:
            return Status("IN_PROGRESS")
        return Status("COMPLETED", inference_s=end - start if self.tells_time else None)


def simulated(main, *arguments):
    """Run *main* in simulated time and return what it returns."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main(*arguments))
