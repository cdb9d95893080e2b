"""One task, from its input to a file in place. The only place that knows what an error means for the task."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import anyio
from anyio import to_thread
from msgspec.structs import replace

from batchup import events, outputs
from batchup.aside import aside
from batchup.budget import Budget
from batchup.disk import translated
from batchup.errors import (
    FatalError,
    GoneError,
    LeftError,
    PostponedError,
    RejectedError,
    SubmissionUnknown,
    TransientError,
)
from batchup.events import Done
from batchup.patience import Patience
from batchup.plan import EXPIRED, Step
from batchup.providers.base import Completed, Job, Provider, Request
from batchup.source import to_path
from batchup.submission import Submissions
from batchup.workplace import Workplace, unchanged


@dataclass(frozen=True, slots=True)
class Attempts:
    """Brings steps to an end. Whatever an error means for a task is recorded, and none is raised.

    Attributes:
        provider: Does the work.
        submissions: Asks it to.
        workplace: Where outputs come to be.
        patience: Tries again what is free, and records.
        budget: Tells what a task is expected to cost.
        ahead: Bounds what is brought to the provider at once.
        stop: Called with what makes further work useless.
        put_back: Called with a step that a limit does not allow to begin: perhaps later in this run.
    """

    provider: Provider
    submissions: Submissions
    workplace: Workplace
    patience: Patience
    budget: Budget
    ahead: anyio.Semaphore
    stop: Callable[[FatalError], None]
    put_back: Callable[[Step], None] = lambda _step: None

    async def run(self, step: Step) -> None:
        """Run one task to its end, whatever that is, and record it."""
        await self._guarded(step, self._run)

    async def resume(self, step: Step, known: events.Submitting | events.Submitted) -> None:
        """Take up a task that an earlier run has submitted."""
        await self._guarded(step, partial(self._resume, known=known))

    async def adopt(self, step: Step, known: events.Submitting | events.Submitted) -> None:
        """Take up the submission of a task that is gone, as this one's."""
        await self._guarded(step, partial(self._adopt, known=known))

    async def heal(self, step: Step, result: events.Result) -> None:
        """Fetch the output of a finished submission, its own or that of another with the same contents, for nothing."""
        await self._guarded(step, partial(self._heal, result=result))

    async def look(self, step: Step, sent: events.Submitting) -> None:
        """Look once more for a held submission, and collect it."""
        await self._guarded(step, partial(self._look, sent=sent))

    async def copy(self, step: Step, done: Done, result: events.Result | None) -> None:
        """Write the output of another task, *done*, under this one's name.

        If that output is gone, fetch it again by its *result*; without one, run the task.
        """
        await self._guarded(step, partial(self._copy, done=done, result=result))

    async def stage(self, step: Step, done: Done) -> None:
        """Copy the output of another task, *done*, beside this one's name, where :meth:`copy` finds it."""

        async def copied(step: Step) -> None:
            job = await self.workplace.job(step)
            original = self.workplace.place.folder / to_path(done.output)
            await to_thread.run_sync(outputs.copy, original, job.part, done.sha256)

        await self._guarded(step, copied)

    async def fail(self, step: Step, kind: str, message: str) -> None:
        """Record that a task fails without being tried."""
        await self._guarded(step, partial(self._give_up, kind=kind, message=message))

    async def hold(self, step: Step, message: str) -> None:
        """Record that a task waits for a person, without having been submitted."""
        await self._guarded(step, partial(self._hold, message=message, reserved_usd=Decimal(0)))

    async def _guarded(self, step: Step, work: Callable[[Step], Awaitable[None]]) -> None:
        """Keep what concerns the run from the task group: it is told, and everything else comes to its end."""
        self.workplace.watcher.started(step)
        try:
            await self._settled(step, work)
        except FatalError as error:
            self.stop(error)
        finally:
            self.workplace.watcher.ended(step)

    async def _settled(self, step: Step, work: Callable[[Step], Awaitable[None]]) -> None:
        """Decide what an error means for the task."""
        try:
            await self._translated(step, work)
        except RejectedError as error:
            await self._give_up(step, error.kind, str(error), may_cost=error.may_cost)
        except GoneError as error:
            message = f"it was paid, and its result can be fetched no more ({error}); --redo runs it again, for its price"
            await self._give_up(step, EXPIRED, message)
        except PostponedError:
            self.put_back(step)
        except LeftError:
            pass  # it stays as it is; the next run takes it up
        except TransientError as error:
            await self._give_up(step, error.kind, str(error), may_retry=True)
        except SubmissionUnknown as error:
            await self._hold(step, str(error), self.budget.price_usd(step.task))

    async def _translated(self, step: Step, work: Callable[[Step], Awaitable[None]]) -> None:
        """Tell a disk that refuses from an input that cannot be read."""
        try:
            await work(step)
        except OSError as error:
            if error.filename is not None and os.fsdecode(error.filename) == str(step.task.source.file):
                message = f"it cannot be read: {error.strerror or error}"
                raise RejectedError(message, kind="input_unreadable") from error
            raise translated(error, self.workplace.place.folder) from error

    async def _hold(self, step: Step, message: str, reserved_usd: Decimal | None) -> None:
        """Record that a task waits for a person, with so much in reserve."""
        await self.patience.record(
            events.Held(
                id=step.task.id,
                attempt=self._number(step),
                message=message,
                reserved_usd=reserved_usd,
                at=self.patience.clock.utc(),
            )
        )

    async def _give_up(
        self, step: Step, kind: str, message: str, *, may_retry: bool = False, may_cost: bool = False
    ) -> None:
        await self.patience.record(
            events.Failed(
                id=step.task.id,
                attempt=self._number(step),
                kind=kind,
                message=message,
                may_retry=may_retry,
                reserved_usd=self.budget.price_usd(step.task) if may_cost else None,
                at=self.patience.clock.utc(),
            )
        )

    def _number(self, step: Step) -> int:
        """Return how many submissions of a task there are so far."""
        return self.submissions.number(step.task) if self.provider.durable else step.attempts + 1

    async def _run(self, step: Step) -> None:
        async with self.workplace.opened(step) as job:
            request = await self._request(step, job)
            number, completed, started_s = await self.submissions.run(job, request, step.attempts)
            done = await self.workplace.collected(step, job, completed, number, started_s)
            await self.workplace.put(step, job.part, done)

    async def _resume(self, step: Step, known: events.Submitting | events.Submitted) -> None:
        async with self.workplace.opened(step) as job:
            request = partial(self._request, step, job)
            number, completed, started_s = await self.submissions.resume(job, known, request)
            done = await self.workplace.collected(step, job, completed, number, started_s)
            await self.workplace.put(step, job.part, done)

    async def _look(self, step: Step, sent: events.Submitting) -> None:
        async with self.workplace.opened(step) as job:
            number, completed, started_s = await self.submissions.look(job, sent)
            done = await self.workplace.collected(step, job, completed, number, started_s)
            await self.workplace.put(step, job.part, done)

    async def _heal(self, step: Step, result: events.Result) -> None:
        started_s = self.patience.clock.now_s()
        other = "" if result.id == step.task.id else result.id
        async with self.workplace.opened(step) as job:
            # Another's has been charged to the other.
            completed = Completed(result.urls, Decimal(0) if other else result.charged_usd)
            done = await self.workplace.collected(step, job, completed, result.attempt, started_s)
            await self.workplace.put(step, job.part, replace(done, copied_from=other))

    async def _adopt(self, step: Step, known: events.Submitting | events.Submitted) -> None:
        now, gone = self.patience.clock.utc(), known.id
        mine = replace(known, id=step.task.id)
        reserved = events.Submitting(
            id=step.task.id,
            attempt=known.attempt,
            endpoint="",
            body={},
            reserved_usd=self.budget.price_usd(step.task),
            at=now,
        )
        settled = events.Retried(
            id=gone, attempt=known.attempt, kind="adopted", message=step.task.id, wait_s=0, at=now
        )
        first = [reserved] if isinstance(known, events.Submitted) else []
        await self.patience.record(*first, mine, settled)
        await self._resume(step, mine)

    async def _request(self, step: Step, job: Job) -> Request:
        """Bring the input to where it is read, as it was when it was listed."""
        source, repeat = step.task.source, self.patience.repeat
        async with self.ahead:
            self.patience.check_going()
            if not source.url:
                await aside(unchanged, step)
            elif not self.provider.takes_urls:
                place = self.workplace.place
                again = self.patience.through(place.outage).repeat
                await again(job, "download", partial(place.download, source, job.file))
            request = await repeat(job, "prepare", partial(self.provider.prepare, job))
        if request.upload is not None:
            upload = request.upload
            await self.patience.record(
                events.Uploaded(
                    sha256=upload.sha256,
                    url=upload.url,
                    expires_at=upload.expires_at,
                    at=self.patience.clock.utc(),
                )
            )
        content = step.content or self.workplace.content(step, request.sha256)
        return replace(request, content=content)

    async def _copy(self, step: Step, done: Done, result: events.Result | None) -> None:
        started_s = self.patience.clock.now_s()
        original = self.workplace.place.folder / to_path(done.output)
        async with self.workplace.opened(step, keep=True) as job:
            copied = await to_thread.run_sync(outputs.copy, original, job.part, done.sha256)
            if copied:
                await self.workplace.put(step, job.part, self.workplace.copied(step, done, started_s))
        if not copied:
            await (self._heal(step, result) if result else self._run(step))
