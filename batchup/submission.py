"""From a request to a finished one: what may cost money, and the record that makes it happen once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import anyio
from anyio.lowlevel import checkpoint_if_cancelled
from msgspec.structs import replace

from batchup import events
from batchup.budget import Budget
from batchup.errors import (
    FatalError,
    GoneError,
    LeftError,
    NotSentError,
    RateLimitedError,
    RunFailedError,
    SubmissionUnknown,
    TransientError,
)
from batchup.history import UNCONFIRMED, Record
from batchup.limits import Flight
from batchup.patience import Patience
from batchup.providers.base import Completed, Job, Provider, Request, Ticket
from batchup.task import Task
from batchup.turns import Turns

LOOK_EVERY_S = 5.0
"""How often a submission whose answer was lost is looked for: a request appears in the history late."""


class Finished(NamedTuple):
    """A submission that came to its end.

    Attributes:
        number: Of this submission among the task's, from 1.
        completed: What came out.
        begun_s: Moment at which it was sent, or taken up, on the run's clock.
    """

    number: int
    completed: Completed
    begun_s: float


@dataclass(frozen=True, slots=True)
class Submissions:
    """Submits jobs and waits for them.

    Attributes:
        provider: Does the work.
        patience: Tries again what is free, and records.
        known: Tells what the ledger has of a task, by its id.
        budget: Bounds what is spent.
        turns: Tell when something may be sent.
        task_s: How long a submission is waited for. Then it goes on without us, and the next run collects it.
        settle_s: How long after a submission whose answer was lost it is looked for.
        is_synchronous: Whether a submission is answered only when its work is done.
        resubmit_below_usd: Below this price one that was not found is submitted again; above, a person decides.
    """

    provider: Provider
    patience: Patience
    known: Callable[[str], Record | None]
    turns: Turns
    budget: Budget
    task_s: float = 3600.0
    settle_s: float = 120.0
    resubmit_below_usd: Decimal = Decimal("0.05")
    is_synchronous: bool = False

    async def run(self, job: Job, request: Request, submitted: int) -> Finished:
        """Submit until a submission comes to its end, and return that.

        Args:
            job: What to do.
            request: How it is asked for.
            submitted: Submissions of this task so far.

        Raises:
            TransientError: All attempts are used.
            RejectedError: It will never work.
            SubmissionUnknown: The last submission may have been accepted; it is held.
            LeftError: Nothing more may be started, or what was started goes on without us.
            FatalError: Nothing will work any more. This submission was not accepted.
        """
        async with self.turns.slot(job.task.model, submits=True):
            return await self._run(job, request, submitted)

    async def resume(
        self,
        job: Job,
        known: events.Submitting | events.Submitted,
        request: Callable[[], Awaitable[Request]],
    ) -> Finished:
        """Take up a submission of an earlier run. Returns and raises as :meth:`run`.

        Args:
            job: What was to be done.
            known: The last that the ledger has of it.
            request: Makes the request anew, if there is to be another submission.
        """
        async with self.turns.slot(job.task.model):
            begun_s = self.patience.clock.now_s()
            try:
                with self.turns.slots.flying():
                    if isinstance(known, events.Submitted):
                        ticket = Ticket(known.request_id, known.ticket)
                    else:
                        ticket = await self._settled(job, known)
                    return Finished(known.attempt, await self._finished(job, ticket, known.attempt), begun_s)
            except RunFailedError as error:
                await self._again(
                    job, error, known.attempt, self.patience.policy.wait_s(known.attempt, error)
                )
            self.patience.check_going()
            return await self._run(job, await request(), known.attempt)

    async def look(self, job: Job, sent: events.Submitting) -> Finished:
        """Look once more for a submission that is held, and take it up. Returns and raises as :meth:`run`.

        Raises:
            LeftError: It is still unknown; it stays held.
        """
        try:
            ticket = await self._found(sent)
        except GoneError as error:
            raise LeftError(str(error), kind=error.kind) from error
        if ticket is None:
            raise LeftError("it was not found", kind=UNCONFIRMED)
        async with self.turns.slot(job.task.model):
            with self.turns.slots.flying():
                begun_s = self.patience.clock.now_s()
                await self._accepted(job, ticket, sent.attempt)
                return Finished(sent.attempt, await self._finished(job, ticket, sent.attempt), begun_s)

    async def _run(self, job: Job, request: Request, submitted: int) -> Finished:
        # It may have been submitted, and given back, in this run: no number is used twice.
        number = max(submitted, self.number(job.task)) if self.provider.durable else submitted
        tries = waits = 0
        while True:
            try:
                async with self.turns.slots.flight() as flight:
                    await self.turns.turn(job.task)
                    begun_s = self.patience.clock.now_s()
                    ticket = await self._submit(job, request, number + 1, flight)
                    number += 1
                    return Finished(number, await self._finished(job, ticket, number), begun_s)
            except RateLimitedError as error:
                # Waiting, not failing: it counts for nothing.
                waits += 1
                await self._again(job, error, number, self.patience.policy.limited_s(waits, error))
            except RunFailedError as error:
                number, tries = self.number(job.task), tries + 1
                await self._again(job, error, number, self.patience.policy.wait_s(tries, error))
            except NotSentError as error:
                lost = await self.patience.outlasted(error)
                tries += not lost
                await self._again(
                    job, error, number, 0.0 if lost else self.patience.policy.wait_s(tries, error)
                )
            except TransientError as error:
                if not self.provider.durable:
                    raise
                # Definitely not accepted: the same submission is tried again.
                tries += 1
                await self._again(job, error, number, self.patience.policy.wait_s(tries, error))

    def number(self, task: Task) -> int:
        """Return how many submissions of a task there are so far."""
        record = self.known(task.id)
        return record.attempts if record else 0

    async def _submit(self, job: Job, request: Request, number: int, flight: Flight) -> Ticket:
        if not self.provider.durable:
            flight.accepted(self.patience.clock.now_s())
            return await self.provider.submit(job, request)
        # On disk before anything is sent: should we die in between, the next run knows which requests may have
        # been accepted.
        sent = events.Submitting(
            id=job.task.id,
            attempt=number,
            endpoint=request.endpoint,
            body=request.body,
            content=request.content,
            at=self.patience.clock.utc(),
        )
        with self.budget.reserve(job.task) as reserved_usd:
            sent = replace(sent, reserved_usd=reserved_usd)
            with anyio.CancelScope(shield=True):
                await self.patience.record(sent)
        try:
            await checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            # It is on disk, but nobody need look for what was never sent.
            await self._refused(job, "not_sent", "the run was left before it was sent", number - 1, 0.0)
            raise
        sent_s = self.patience.clock.now_s()
        ticket: Ticket | None = None
        if self.is_synchronous:
            flight.accepted(sent_s)
        try:
            # A synchronous call lasts as long as the work does.
            with anyio.move_on_after(self.task_s):
                ticket = await self.provider.submit(job, request)
        except SubmissionUnknown:
            pass
        except RateLimitedError as error:
            flight.refused(sent_s, error.retry_after_s or 0.0)
            raise
        except FatalError as error:
            await self._refused(job, "account", str(error), number - 1, 0.0)
            raise
        if ticket is None:
            ticket = await self._settled(job, sent)
            flight.accepted(sent_s)
            return ticket
        flight.accepted(sent_s)
        await self._accepted(job, ticket, number)
        return ticket

    async def _again(self, job: Job, error: TransientError, number: int, wait_s: float | None) -> None:
        """Say that a submission has definitely failed, and wait; raise *error* if there is to be no other.

        Args:
            job: Whose.
            error: Why.
            number: Submissions that count.
            wait_s: Until the next; None for no other.

        Raises:
            LeftError: There is to be another, but not in this run.
        """
        if wait_s is None:
            raise error
        if self.provider.durable:
            await self._refused(job, error.kind, str(error), number, wait_s)
        await self.patience.wait(wait_s)
        self.patience.check_going()

    async def _refused(self, job: Job, kind: str, message: str, number: int, wait_s: float) -> None:
        with anyio.CancelScope(shield=True):
            await self.patience.record(
                events.Retried(
                    id=job.task.id,
                    attempt=number,
                    kind=kind,
                    message=message,
                    wait_s=round(wait_s, 3),
                    at=self.patience.clock.utc(),
                )
            )

    async def _accepted(self, job: Job, ticket: Ticket, number: int) -> None:
        with anyio.CancelScope(shield=True):
            await self.patience.record(
                events.Submitted(
                    id=job.task.id,
                    attempt=number,
                    request_id=ticket.request_id,
                    ticket=ticket.data,
                    at=self.patience.clock.utc(),
                )
            )

    async def _finished(self, job: Job, ticket: Ticket, number: int) -> Completed:
        completed: Completed | None = None
        try:
            with anyio.move_on_after(self.task_s if self.provider.durable else None):
                completed = await self.patience.repeat(
                    job, "complete", lambda: self.provider.complete(job, ticket)
                )
        except GoneError as error:
            # The platform has forgotten what it accepted: it may have been paid all the same.
            message = f"submission {number} is not known any more, and may have been paid: {error}"
            raise self._unconfirmed(job, message) from error
        if completed is None:
            await self.turns.slots.leave(job.task.model)
            raise LeftError("it takes longer than timeouts.task, and goes on without us", kind="deadline")
        if self.provider.durable:
            with anyio.CancelScope(shield=True):
                await self.patience.record(
                    events.Result(
                        id=job.task.id,
                        attempt=number,
                        urls=completed.urls,
                        charged_usd=completed.charged_usd,
                        at=self.patience.clock.utc(),
                    )
                )
        return completed

    async def _settled(self, job: Job, sent: events.Submitting) -> Ticket:
        """Look for a submission whose answer was lost, until it is found or cannot be found any more.

        Raises:
            RunFailedError: It was not found, and is cheap enough to be submitted again.
            SubmissionUnknown: It was not found.
            LeftError: The run ends before that is clear.
        """
        message = (
            f"submission {sent.attempt} may have been accepted: its answer was lost, and it was not found"
        )
        while True:
            try:
                ticket = await self.patience.repeat(job, "find", lambda: self._found(sent))
            except GoneError:
                raise self._unconfirmed(job, message) from None
            if ticket is not None:
                await self._accepted(job, ticket, sent.attempt)
                return ticket
            left_s = self.settle_s - (self.patience.clock.utc() - sent.at).total_seconds()
            if left_s <= 0:
                raise self._unconfirmed(job, message)
            if self.patience.shutdown.draining:
                raise LeftError(message, kind=UNCONFIRMED)
            await self.patience.wait(min(LOOK_EVERY_S, left_s))

    async def _found(self, sent: events.Submitting) -> Ticket | None:
        """Look once for a submission whose answer was lost. A lost network says nothing of it: that is waited out."""
        while True:
            try:
                return await self.provider.find(sent.endpoint, sent.body, sent.at)
            except NotSentError as error:
                if not await self.patience.outlasted(error):
                    return None  # its history alone cannot be reached; it may be yet
                if self.patience.shutdown.draining:
                    raise LeftError(str(error), kind=error.kind) from error

    def _unconfirmed(self, job: Job, message: str) -> RunFailedError | SubmissionUnknown:
        """Return what becomes of a submission that may have been paid: again if it is cheap, else a person decides."""
        price = job.task.cost_usd
        if price is not None and price < self.resubmit_below_usd:
            return RunFailedError(message, kind=UNCONFIRMED)
        return SubmissionUnknown(message, kind=UNCONFIRMED)
