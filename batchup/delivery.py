"""Delivery: one submission, from the record that announces it to its end. It is sent once, whatever happens."""

from dataclasses import dataclass
from decimal import Decimal

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

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
)
from batchup.history import UNCONFIRMED
from batchup.limits import Flight, Slots
from batchup.patience import Patience
from batchup.providers.base import Completed, Job, Provider, Request, Ticket

LOOK_EVERY_S = 5.0
"""How often a submission whose answer was lost is looked for: a request appears in the history late."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Sends submissions, looks for those whose answer was lost, and waits for their end.

    Attributes:
        provider: Does the work.
        patience: Tries again what is free, and records.
        budget: Bounds what is spent.
        slots: What is submitted and not finished.
        task_s: How long a submission is waited for. Then it goes on without us, and the next run collects it.
        settle_s: How long after a submission whose answer was lost it is looked for.
        is_synchronous: Whether a submission is answered only when its work is done.
        resubmit_below_usd: Below this price one that was not found is submitted again; above, a person decides.
    """

    provider: Provider
    patience: Patience
    budget: Budget
    slots: Slots
    task_s: float = 3600.0
    settle_s: float = 120.0
    resubmit_below_usd: Decimal = Decimal("0.05")
    is_synchronous: bool = False

    async def send(self, job: Job, request: Request, number: int, flight: Flight) -> Ticket:
        """Submit once, and return when it is accepted.

        Args:
            job: What to do.
            request: How it is asked for.
            number: Of this submission among the task's, from 1.
            flight: Hears whether it was accepted or refused.

        Raises:
            PostponedError: The budget does not cover it; nothing was sent.
            TransientError: It was definitely not accepted.
            RunFailedError: Its answer was lost and it was not found, but it is cheap enough to be submitted again.
            RejectedError: It will never work.
            SubmissionUnknown: It may have been accepted.
            LeftError: The run ends before that is clear.
            FatalError: Nothing will work any more. It was not accepted.
        """
        if not self.provider.durable:
            flight.accepted(self.patience.clock.now_s())
            return await self.provider.submit(job, request)
        sent = await self._announced(job, request, number)
        sent_s = self.patience.clock.now_s()
        if self.is_synchronous:
            flight.accepted(sent_s)
        ticket: Ticket | None = None
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
            await self.note_refused(job, "account", str(error), number - 1)
            raise
        if ticket is None:
            ticket = await self.settle(job, sent)
            flight.accepted(sent_s)
            return ticket
        flight.accepted(sent_s)
        await self.note_accepted(job, ticket, number)
        return ticket

    async def _announced(self, job: Job, request: Request, number: int) -> events.Submitting:
        """Reserve its price, and have it on disk before anything is sent.

        Should we die in between, the next run knows which requests may have been accepted.
        """
        with self.budget.reserve(job.task) as reserved_usd:
            sent = events.Submitting(
                id=job.task.id,
                attempt=number,
                endpoint=request.endpoint,
                body=request.body,
                content=request.content,
                reserved_usd=reserved_usd,
                at=self.patience.clock.utc(),
            )
            await self._record(sent)
        try:
            await checkpoint_if_cancelled()
        except anyio.get_cancelled_exc_class():
            # It is on disk, but nobody need look for what was never sent.
            await self.note_refused(job, "not_sent", "the run was left before it was sent", number - 1)
            raise
        return sent

    async def settle(self, job: Job, sent: events.Submitting) -> Ticket:
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
                ticket = await self.patience.repeat(job, "find", lambda: self.find(sent))
            except GoneError:
                raise self._unconfirmed(job, message) from None
            if ticket is not None:
                await self.note_accepted(job, ticket, sent.attempt)
                return ticket
            left_s = self.settle_s - (self.patience.clock.utc() - sent.at).total_seconds()
            if left_s <= 0:
                raise self._unconfirmed(job, message)
            if self.patience.shutdown.draining:
                raise LeftError(message, kind=UNCONFIRMED)
            await self.patience.wait(min(LOOK_EVERY_S, left_s))

    async def find(self, sent: events.Submitting) -> Ticket | None:
        """Look once for a submission whose answer was lost; None where it is not there, or not yet.

        A lost network says nothing of it: that is waited out.

        Raises:
            TransientError: There was no answer.
            GoneError: It cannot be looked for.
            LeftError: The run ends before that is clear.
        """
        while True:
            try:
                return await self.provider.find(sent.endpoint, sent.body, sent.at)
            except NotSentError as error:
                if not await self.patience.outlasted(error):
                    return None  # its history alone cannot be reached; it may be yet
                if self.patience.shutdown.draining:
                    raise LeftError(str(error), kind=error.kind) from error

    async def finish(self, job: Job, ticket: Ticket, number: int) -> Completed:
        """Wait for the end of an accepted submission, and return what came out.

        Raises:
            TransientError: It was asked after in vain.
            RunFailedError: It has failed, or is forgotten, and may be submitted again.
            RejectedError: It will never work.
            SubmissionUnknown: It is not known any more, and may have been paid.
            LeftError: It goes on without us.
        """
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
            await self.slots.leave(job.task.model)
            raise LeftError("it takes longer than timeouts.task, and goes on without us", kind="deadline")
        if self.provider.durable:
            await self._record(
                events.Result(
                    id=job.task.id,
                    attempt=number,
                    urls=completed.urls,
                    charged_usd=completed.charged_usd,
                    at=self.patience.clock.utc(),
                )
            )
        return completed

    async def note_accepted(self, job: Job, ticket: Ticket, number: int) -> None:
        """Record that the submission *number* was accepted."""
        await self._record(
            events.Submitted(
                id=job.task.id,
                attempt=number,
                request_id=ticket.request_id,
                ticket=ticket.data,
                at=self.patience.clock.utc(),
            )
        )

    async def note_refused(self, job: Job, kind: str, message: str, number: int, wait_s: float = 0.0) -> None:
        """Record that a submission has definitely failed: *number* of the task's count, and the next is in *wait_s*."""
        await self._record(
            events.Retried(
                id=job.task.id,
                attempt=number,
                kind=kind,
                message=message,
                wait_s=round(wait_s, 3),
                at=self.patience.clock.utc(),
            )
        )

    async def _record(self, event: events.Event) -> None:
        """Make an event of what may cost money durable, also while the run is left at once."""
        with anyio.CancelScope(shield=True):
            await self.patience.record(event)

    def _unconfirmed(self, job: Job, message: str) -> RunFailedError | SubmissionUnknown:
        """Return what becomes of a submission that may have been paid: again if it is cheap, else a person decides."""
        price = job.task.cost_usd
        if price is not None and price < self.resubmit_below_usd:
            return RunFailedError(message, kind=UNCONFIRMED)
        return SubmissionUnknown(message, kind=UNCONFIRMED)
