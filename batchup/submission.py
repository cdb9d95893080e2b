"""Submission: from a request to a finished one, with as many submissions as that takes, and no more."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from batchup import events
from batchup.delivery import Delivery
from batchup.errors import (
    GoneError,
    LeftError,
    NotSentError,
    RateLimitedError,
    RunFailedError,
    TransientError,
)
from batchup.history import UNCONFIRMED, Record
from batchup.patience import Patience
from batchup.providers.base import Completed, Job, Request, Ticket
from batchup.task import Task
from batchup.turns import Turns


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
        delivery: Sends one submission, and sees it to its end.
        turns: Tell when something may be sent.
        patience: Says how often and how late a failed one is followed by another.
        known: Tells what the ledger has of a task, by its id.
    """

    delivery: Delivery
    turns: Turns
    patience: Patience
    known: Callable[[str], Record | None]

    async def run(self, job: Job, request: Request, submitted: int) -> Finished:
        """Submit until a submission comes to its end, and return that.

        Args:
            job: What to do.
            request: How it is asked for.
            submitted: Submissions of this task so far.

        Raises:
            TransientError: All attempts are used.
            RejectedError: It will never work.
            PostponedError: The budget does not cover it.
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
                        ticket = await self.delivery.settle(job, known)
                    completed = await self.delivery.finish(job, ticket, known.attempt)
                    return Finished(known.attempt, completed, begun_s)
            except RunFailedError as error:
                wait_s = self.patience.policy.wait_s(known.attempt, error)
                await self._again(job, error, known.attempt, wait_s)
            self.patience.check_going()
            return await self._run(job, await request(), known.attempt)

    async def look(self, job: Job, sent: events.Submitting) -> Finished:
        """Look once more for a submission that is held, and take it up. Returns and raises as :meth:`run`.

        Raises:
            LeftError: It is still unknown; it stays held.
        """
        try:
            ticket = await self.delivery.find(sent)
        except GoneError as error:
            raise LeftError(str(error), kind=error.kind) from error
        if ticket is None:
            raise LeftError("it was not found", kind=UNCONFIRMED)
        async with self.turns.slot(job.task.model):
            with self.turns.slots.flying():
                begun_s = self.patience.clock.now_s()
                await self.delivery.note_accepted(job, ticket, sent.attempt)
                completed = await self.delivery.finish(job, ticket, sent.attempt)
                return Finished(sent.attempt, completed, begun_s)

    def number(self, task: Task) -> int:
        """Return how many submissions of a task there are so far."""
        record = self.known(task.id)
        return record.attempts if record else 0

    async def _run(self, job: Job, request: Request, submitted: int) -> Finished:
        """Submit until a submission comes to its end, within a slot that is held."""
        policy, durable = self.patience.policy, self.delivery.provider.durable
        # It may have been submitted, and given back, in this run: no number is used twice.
        number = max(submitted, self.number(job.task)) if durable else submitted
        tries = waits = 0
        while True:
            try:
                async with self.turns.slots.flight() as flight:
                    await self.turns.turn(job.task)
                    begun_s = self.patience.clock.now_s()
                    ticket = await self.delivery.send(job, request, number + 1, flight)
                    number += 1
                    return Finished(number, await self.delivery.finish(job, ticket, number), begun_s)
            except RateLimitedError as error:
                # Waiting, not failing: it counts for nothing.
                waits += 1
                await self._again(job, error, number, policy.limited_s(waits, error))
            except RunFailedError as error:
                number, tries = self.number(job.task), tries + 1
                await self._again(job, error, number, policy.wait_s(tries, error))
            except NotSentError as error:
                # Nor does it say anything of the task that the run ends: nobody waits for who would have taken it.
                lost = await self.patience.outlasted(error) or self.patience.shutdown.draining
                tries += not lost
                await self._again(job, error, number, 0.0 if lost else policy.wait_s(tries, error))
            except TransientError as error:
                if not durable:
                    raise
                # Definitely not accepted: the same submission is tried again.
                tries += 1
                await self._again(job, error, number, policy.wait_s(tries, error))

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
        if self.delivery.provider.durable:
            await self.delivery.note_refused(job, error.kind, str(error), number, wait_s)
        await self.patience.wait(wait_s)
        self.patience.check_going()
