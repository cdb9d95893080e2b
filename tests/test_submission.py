"""What may cost money is on disk before it is sent, and what was not sent is looked for by nobody."""

from decimal import Decimal
from pathlib import Path
from typing import cast

import anyio
import pytest

from batchup.budget import Budget
from batchup.clock import SystemClock
from batchup.delivery import Delivery
from batchup.errors import LeftError, NotSentError
from batchup.events import Event, Retried, Submitting
from batchup.history import History
from batchup.limits import Slots
from batchup.patience import Patience
from batchup.providers.base import Job, Provider, Request, Ticket
from batchup.retry import RetryPolicy
from batchup.shutdown import Shutdown
from batchup.source import Source
from batchup.submission import Submissions
from batchup.task import Task
from batchup.throttle import Throttle
from batchup.turns import Turns


class Shop:
    """A provider that takes money, and counts how often."""

    durable = True

    def __init__(self):
        self.sent = 0

    async def submit(self, _job, _request):
        self.sent += 1
        return Ticket("r")


def shopping(shop, patience, clock):
    """Return what submits to *shop*, and a job for it."""
    slots = Slots(4, clock)
    delivery = Delivery(cast("Provider", shop), patience, Budget(None, History()), slots)
    turns = Turns(slots, Throttle(clock, None, {}), patience)
    task = Task("01" * 16, "fal/one", {}, {}, Source("p", "x.jpg"), "x", cost_usd=Decimal("0.08"))
    job = Job(task, Path("x.jpg"), Path("x.part"))
    return Submissions(delivery, turns, patience, lambda _id: None), job


async def test_a_run_that_is_left_while_the_ledger_is_written_sends_nothing_and_says_so():
    clock, shutdown, shop = SystemClock(), Shutdown(), Shop()
    written: list[Event] = []
    writes = anyio.Event()

    async def record(*events):
        writes.set()
        await anyio.sleep(0.01)
        written.extend(events)

    patience = Patience(record, RetryPolicy(), clock, shutdown, frozenset())
    submissions, job = shopping(shop, patience, clock)

    async with anyio.create_task_group() as group:
        group.start_soon(submissions.run, job, Request("fal-ai/one", {}), 0)
        await writes.wait()
        group.cancel_scope.cancel()

    submitting, retried = written
    assert isinstance(submitting, Submitting)
    assert submitting.attempt == 1
    assert isinstance(retried, Retried)
    assert (retried.kind, retried.attempt) == ("not_sent", 0)
    assert shop.sent == 0


@pytest.mark.parametrize("durable", [True, False], ids=["paid", "free"])
async def test_what_nobody_took_while_the_run_ends_is_left_and_not_failed(durable):
    clock, shutdown = SystemClock(), Shutdown()
    written: list[Event] = []

    class Gone(Shop):
        async def submit(self, _job, _request):
            shutdown.drain()
            raise NotSentError("no worker is there that could do it", kind="no_worker")

    async def record(*events):
        written.extend(events)

    shop = Gone()
    shop.durable = durable
    once = RetryPolicy(attempts=1)
    submissions, job = shopping(shop, Patience(record, once, clock, shutdown, frozenset()), clock)

    with pytest.raises(LeftError):
        await submissions.run(job, Request("fal-ai/one", {}), 0)

    assert [type(event) for event in written] == ([Submitting, Retried] if durable else [])
