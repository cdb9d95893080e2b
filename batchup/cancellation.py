"""Cancellation: asks for the end of what is still queued. What runs already is left alone: it is billed all the same."""

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Literal, TypeVar

import msgspec

from batchup import events
from batchup.clock import Clock
from batchup.errors import GoneError, TaskError, TransientError
from batchup.history import IN_FLIGHT, History, Record, State
from batchup.models import FAL
from batchup.plan import provider_of
from batchup.providers.base import Ticket
from batchup.providers.fal.queue import Queue
from batchup.retry import RetryPolicy

T = TypeVar("T")

Outcome = Literal["requested", "running", "completed", "gone", "unconfirmed", "unclear", "left"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of asking for the end of one task.

    Attributes:
        input: As people know it.
        outcome: ``requested``: it was queued, and the platform has been asked; one that starts at this very moment may
            still be billed. ``running``, ``completed``: too late. ``gone``: the platform does not know it, or no
            longer. ``unconfirmed``: nobody knows whether it was accepted. ``unclear``: there was no answer. ``left``: its
            provider takes nothing back.
        price_usd: What it may be billed; None where that is unknown.
        message: What else there is to say.
    """

    task: str
    input: str
    request_id: str
    outcome: Outcome
    price_usd: Decimal | None
    message: str = ""


def in_flight(history: History) -> list[tuple[str, Record]]:
    """Return the tasks that were submitted and have not come to an end, orphans too: they were paid for."""
    return [(key.hex(), record) for key, record in history.records.items() if record.state in IN_FLIGHT]


def asks_fal(history: History) -> bool:
    """Return whether anything is in flight that fal can be asked about."""
    found = (history.seen(record) for _, record in in_flight(history))
    return any(seen is None or provider_of(seen.model) == FAL for seen in found)


class Cancellation:
    """Asks for the end of one task after the other."""

    def __init__(self, history: History, queue: Queue | None, policy: RetryPolicy, clock: Clock) -> None:
        """Take whom to ask.

        Args:
            history: Of the job.
            queue: Of fal; None where nothing of fal's is in flight.
            policy: How often a question is put.
            clock: For the waits between.
        """
        self._history = history
        self._queue = queue
        self._policy = policy
        self._clock = clock

    async def answers(self) -> AsyncIterator[Answer]:
        """Yield what becomes of each task that is in flight.

        Raises:
            FatalError: The key or the account is refused.
        """
        for task, record in in_flight(self._history):
            last, seen = self._history.last(record), self._history.seen(record)
            request_id = last.request_id if isinstance(last, events.Submitted) else ""
            outcome: Outcome
            if seen is not None and provider_of(seen.model) != FAL:
                outcome, message = "left", "the next run collects it"
            else:
                outcome, message = await self._outcome(record.state, last)
            yield Answer(
                task=task,
                input=seen.label if seen else "",
                request_id=request_id,
                outcome=outcome,
                price_usd=seen.estimated_usd if seen else None,
                message=message,
            )

    async def _outcome(self, state: State, last: events.AnyEvent | None) -> tuple[Outcome, str]:
        if state is State.SUBMITTING:
            return "unconfirmed", "the answer to its submission was lost; the next run looks for it"
        if not isinstance(last, events.Submitted) or "cancel_url" not in last.ticket:
            return "completed", "its output only has to be fetched"
        ticket = Ticket(last.request_id, last.ticket)
        queue = self._queue
        assert queue is not None
        try:
            status = await self._repeat(lambda: queue.status(ticket))
            if status.state == "IN_PROGRESS":
                return "running", ""
            return (
                "completed"
                if status.state == "COMPLETED"
                else await self._repeat(lambda: queue.cancel(ticket))
            ), ""
        except GoneError as error:
            return "gone", str(error)
        except TaskError as error:
            return "unclear", str(error)

    async def _repeat(self, call: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer: both questions may be asked again."""
        tries = 0
        while True:
            try:
                return await call()
            except TransientError as error:
                tries += 1
                wait_s = self._policy.wait_s(tries, error)
                if wait_s is None:
                    raise
                await self._clock.sleep(wait_s)
