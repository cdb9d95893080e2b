"""From a request to a finished one: what may cost money, and the record that makes it happen once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

import anyio

from batchup import events
from batchup.budget import Budget
from batchup.clock import Clock
from batchup.errors import (
    FatalError,
    GoneError,
    LeftError,
    RateLimitedError,
    RunFailedError,
    SubmissionUnknown,
    TransientError,
)
from batchup.limits import Slots
from batchup.providers.base import Completed, Job, Provider, Request, Ticket
from batchup.retry import RetryPolicy
from batchup.shutdown import Shutdown

T = TypeVar("T")
Record = Callable[..., Awaitable[None]]

LOOK_EVERY_S = 5.0
"""How often a submission whose answer was lost is looked for: a request appears in the history late."""


@dataclass(frozen=True, slots=True)
class Submissions:
    """Submits jobs and waits for them.

    Attributes:
        provider: Does the work.
        record: Makes events durable, in order, and returns then.
        budget: Bounds what is spent.
        slots: Bound what is submitted and not finished.
        settle_s: How long after a submission whose answer was lost it is looked for.
        resubmit_below_usd: Below this price one that was not found is submitted again; above, a person decides.
    """

    provider: Provider
    record: Record
    policy: RetryPolicy
    clock: Clock
    shutdown: Shutdown
    slots: Slots
    budget: Budget
    settle_s: float = 120.0
    resubmit_below_usd: Decimal = Decimal("0.05")

    async def run(self, job: Job, request: Request, submitted: int) -> tuple[int, Completed]:
        """Submit until a submission comes to its end; return its number and what came out.

        Args:
            job: What to do.
            request: How it is asked for.
            submitted: Submissions of this task so far.

        Raises:
            TransientError: All attempts are used, or nothing more may be started.
            RejectedError: It will never work.
            SubmissionUnknown: The last submission may have been accepted; it is held.
            LeftError: The run ends, and the next one finds out.
            FatalError: Nothing will work any more. This submission was not accepted.
        """
        async with self.slots.hold():
            return await self._run(job, request, submitted)

    async def resume(
        self,
        job: Job,
        known: events.Submitting | events.Submitted,
        request: Callable[[], Awaitable[Request]],
    ) -> tuple[int, Completed]:
        """Take up a submission of an earlier run. Returns and raises as :meth:`run`.

        Args:
            job: What was to be done.
            known: The last that the ledger has of it.
            request: Makes the request anew, if there is to be another submission.
        """
        async with self.slots.hold():
            try:
                if isinstance(known, events.Submitted):
                    ticket = Ticket(known.request_id, known.ticket)
                else:
                    ticket = await self._settled(job, known)
                return known.attempt, await self._finished(job, ticket, known.attempt)
            except RunFailedError as error:
                await self._again(job, error, known.attempt, self.policy.wait_s(known.attempt, error))
            return await self._run(job, await request(), known.attempt)

    async def _run(self, job: Job, request: Request, submitted: int) -> tuple[int, Completed]:
        number, tries = submitted, 0
        while True:
            try:
                ticket = await self._submit(job, request, number + 1)
                return number + 1, await self._finished(job, ticket, number + 1)
            except RateLimitedError as error:
                # Waiting, not failing: it counts for nothing.
                await self._again(job, error, number, self.policy.wait_s(1, error))
            except RunFailedError as error:
                number, tries = number + 1, tries + 1
                await self._again(job, error, number, self.policy.wait_s(tries, error))

    async def _submit(self, job: Job, request: Request, number: int) -> Ticket:
        """Submit until somebody has accepted, or refused."""
        if not self.provider.durable:
            return await self.provider.submit(job, request)
        tries = 0
        while True:
            await self.slots.opened()
            try:
                return await self._submit_once(job, request, number)
            except (RateLimitedError, RunFailedError):
                raise
            except TransientError as error:
                # Definitely not accepted: the same submission is tried again.
                tries += 1
                await self._again(job, error, number - 1, self.policy.wait_s(tries, error))

    async def _submit_once(self, job: Job, request: Request, number: int) -> Ticket:
        # On disk before anything is sent: should we die in between, the next run knows which requests may have
        # been accepted.
        sent = events.Submitting(
            id=job.task.id,
            attempt=number,
            endpoint=request.endpoint,
            body=request.body,
            reserved_usd=job.task.cost_usd,
            at=self.clock.utc(),
        )
        with self.budget.reserve(job.task.cost_usd):
            await self.record(sent)
        sent_s = self.clock.now_s()
        try:
            ticket = await self.provider.submit(job, request)
        except SubmissionUnknown:
            return await self._settled(job, sent)
        except RateLimitedError as error:
            self.slots.refused(sent_s, error.retry_after_s or 0.0)
            raise
        except FatalError as error:
            await self._refused(job, "account", str(error), number - 1, 0.0)
            raise
        await self._accepted(job, ticket, number)
        await self.slots.accepted()
        return ticket

    async def _again(self, job: Job, error: TransientError, number: int, wait_s: float | None) -> None:
        """Say that a submission has definitely failed, and wait; raise *error* if there is to be no other.

        Args:
            job: Whose.
            error: Why.
            number: Submissions that count.
            wait_s: Until the next; None for no other.
        """
        if wait_s is None or self.shutdown.draining:
            if self.provider.durable and wait_s is not None:
                await self._refused(job, error.kind, str(error), number, 0.0)
            raise error
        if self.provider.durable:
            await self._refused(job, error.kind, str(error), number, wait_s)
        await self.wait(wait_s)

    async def _refused(self, job: Job, kind: str, message: str, number: int, wait_s: float) -> None:
        with anyio.CancelScope(shield=True):
            await self.record(
                events.Retried(
                    id=job.task.id,
                    attempt=number,
                    kind=kind,
                    message=message,
                    wait_s=round(wait_s, 3),
                    at=self.clock.utc(),
                )
            )

    async def _accepted(self, job: Job, ticket: Ticket, number: int) -> None:
        with anyio.CancelScope(shield=True):
            await self.record(
                events.Submitted(
                    id=job.task.id,
                    attempt=number,
                    request_id=ticket.request_id,
                    ticket=ticket.data,
                    at=self.clock.utc(),
                )
            )

    async def _finished(self, job: Job, ticket: Ticket, number: int) -> Completed:
        try:
            completed = await self.repeat(job, "complete", lambda: self.provider.complete(job, ticket))
        except GoneError as error:
            # The platform has forgotten what it accepted: it may have been paid all the same.
            message = f"submission {number} is not known any more, and may have been paid: {error}"
            raise self._unconfirmed(job, message) from error
        if self.provider.durable:
            with anyio.CancelScope(shield=True):
                await self.record(
                    events.Result(
                        id=job.task.id,
                        attempt=number,
                        urls=completed.urls,
                        charged_usd=completed.charged_usd,
                        at=self.clock.utc(),
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
                ticket = await self.repeat(
                    job, "find", lambda: self.provider.find(sent.endpoint, sent.body, sent.at)
                )
            except GoneError:
                raise self._unconfirmed(job, message) from None
            if ticket is not None:
                await self._accepted(job, ticket, sent.attempt)
                return ticket
            left_s = self.settle_s - (self.clock.utc() - sent.at).total_seconds()
            if left_s <= 0:
                raise self._unconfirmed(job, message)
            if self.shutdown.draining:
                raise LeftError(message, kind="unconfirmed")
            await self.wait(min(LOOK_EVERY_S, left_s))

    def _unconfirmed(self, job: Job, message: str) -> RunFailedError | SubmissionUnknown:
        """Return what becomes of a submission that may have been paid: again if it is cheap, else a person decides."""
        price = job.task.cost_usd
        if price is not None and price < self.resubmit_below_usd:
            return RunFailedError(message, kind="unconfirmed")
        return SubmissionUnknown(message, kind="unconfirmed")

    async def repeat(self, job: Job, step: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call what is free until it answers, as often and as late as the policy says; *step* names it in the record."""
        tries = 0
        while True:
            try:
                return await call()
            except RunFailedError:
                raise
            except TransientError as error:
                tries += 1
                wait_s = self.policy.wait_s(tries, error)
                if wait_s is None or self.shutdown.draining:
                    raise self._given_up(error, step) from error
                await self.record(
                    events.Retried(
                        id=job.task.id,
                        attempt=tries,
                        kind=error.kind,
                        message=str(error),
                        step=step,
                        wait_s=round(wait_s, 3),
                        at=self.clock.utc(),
                    )
                )
                await self.wait(wait_s)

    def _given_up(self, error: TransientError, step: str) -> TransientError | LeftError:
        """Return what it means that something free was tried in vain: what is under way is left, never failed for it."""
        under_way = self.provider.durable and step in {"complete", "find"}
        return LeftError(str(error), kind=error.kind) if under_way else error

    async def wait(self, wait_s: float) -> None:
        """Wait, but no longer than until nothing more may be started."""
        async with anyio.create_task_group() as group:

            async def wake() -> None:
                await self.shutdown.wait_draining()
                group.cancel_scope.cancel()

            group.start_soon(wake)
            await self.clock.sleep(wait_s)
            group.cancel_scope.cancel()
