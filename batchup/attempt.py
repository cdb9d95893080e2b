"""One task, from submission to a file in place. The only place that knows what an error means for the run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
from anyio import to_thread

from batchup import outputs
from batchup.clock import Clock
from batchup.errors import FatalError, RejectedError, SubmissionUnknown, TransientError
from batchup.events import Done, Failed, Held, Result, Retried, Submitted, Submitting
from batchup.plan import Step
from batchup.providers.base import Completed, Job, Provider, Ticket
from batchup.retry import RetryPolicy
from batchup.shutdown import Shutdown
from batchup.source import Source, to_path
from batchup.task import Recipe

T = TypeVar("T")


Examiner = Callable[[outputs.Examination], Awaitable[outputs.Examined]]
"""Runs :func:`batchup.outputs.examine` where it does not block the event loop."""


Download = Callable[[Source, Path], Awaitable[None]]
"""Brings an input that is a URL to a file; may be called again, and goes on where it was cut."""


class Watcher(Protocol):
    """Hears of what runs."""

    def started(self, step: Step) -> None:
        """An attempt begins."""

    def advanced(self, step: Step, part: float) -> None:
        """*part* of an attempt is done, 0.0 to 1.0."""

    def ended(self, step: Step) -> None:
        """An attempt ended, however it did."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Brings steps to an end.

    Attributes:
        provider: Does the work.
        record: Makes events durable, in order, and returns then.
        output_dir: Absolute.
        examine: See :data:`Examiner`.
        download: See :data:`Download`.
        stop: Called with what makes further work useless.
    """

    provider: Provider
    record: Callable[..., Awaitable[None]]
    output_dir: Path
    keep_metadata: bool
    policy: RetryPolicy
    clock: Clock
    shutdown: Shutdown
    watcher: Watcher
    examine: Examiner
    download: Download
    stop: Callable[[FatalError], None]

    async def run(self, step: Step) -> None:
        """Run one task to its end, whatever that is, and record it."""
        await self._guarded(step, self._run)

    async def copy(self, step: Step, done: Done) -> None:
        """Write the output of another task, *done*, under this one's name; run it if that output is gone."""
        await self._guarded(step, partial(self._copy, done=done))

    async def fail(self, step: Step, kind: str, message: str) -> None:
        """Record that a task fails without being tried."""

        async def untried(step: Step) -> None:
            await self._give_up(step, kind, message, tried=False)

        await self._guarded(step, untried)

    async def stage(self, step: Step, done: Done) -> None:
        """Copy the output of another task, *done*, beside this one's name, where :meth:`copy` finds it."""

        async def copied(step: Step) -> None:
            job = await self._prepare(step)
            original = self.output_dir / to_path(done.output)
            await to_thread.run_sync(outputs.copy, original, job.part, done.sha256)

        await self._guarded(step, copied)

    async def _give_up(self, step: Step, kind: str, message: str, *, tried: bool) -> None:
        attempt = step.attempts + tried
        await self.record(
            Failed(id=step.task.id, attempt=attempt, kind=kind, message=message, at=self.clock.utc())
        )

    async def _guarded(self, step: Step, work: Callable[[Step], Awaitable[None]]) -> None:
        """Keep what concerns the run from the task group: it is told, and everything else comes to its end."""
        self.watcher.started(step)
        try:
            await self._settled(step, work)
        except FatalError as error:
            self.stop(error)
        finally:
            self.watcher.ended(step)

    async def _settled(self, step: Step, work: Callable[[Step], Awaitable[None]]) -> None:
        """Decide what an error means for the task."""
        try:
            await work(step)
        except RejectedError as error:
            await self._give_up(step, error.kind, str(error), tried=True)
        except TransientError as error:
            await self._exhausted(step, error)
        except SubmissionUnknown as error:
            await self.record(
                Held(
                    id=step.task.id,
                    attempt=step.attempts + 1,
                    message=str(error),
                    reserved_usd=step.task.cost_usd,
                    at=self.clock.utc(),
                )
            )

    async def _exhausted(self, step: Step, error: TransientError) -> None:
        # While draining nothing is tried again: the task stays pending, with the attempts that it has.
        if not self.shutdown.draining:
            await self.record(
                Failed(
                    id=step.task.id,
                    attempt=step.attempts + 1,
                    kind=error.kind,
                    message=str(error),
                    may_retry=True,
                    at=self.clock.utc(),
                )
            )

    async def _run(self, step: Step) -> None:
        started_s = self.clock.now_s()
        job = await self._prepare(step)
        try:
            await self._bring(step, job)
            ticket = await self._submit(step, job)
            completed = await self._repeat(step, partial(self.provider.complete, job, ticket))
            if self.provider.durable:
                await self.record(
                    Result(
                        id=step.task.id,
                        attempt=step.attempts + 1,
                        urls=completed.urls,
                        charged_usd=completed.charged_usd,
                        at=self.clock.utc(),
                    )
                )
            await self._repeat(step, partial(self.provider.fetch, job, completed))
            await to_thread.run_sync(_unchanged, step)
            await self._finish(step, job, completed, started_s)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(_clear, job)

    async def _prepare(self, step: Step, *, keep: bool = False) -> Job:
        output = self.output_dir / to_path(step.task.output)
        part = outputs.part_path(output, step.task.id)
        await to_thread.run_sync(partial(outputs.prepare, output, part, self.output_dir, keep=keep))
        source = step.task.source
        return Job(
            task=step.task,
            file=part.with_suffix(".input") if source.url else source.file,
            part=part,
            keep_metadata=self.keep_metadata,
            tell=partial(self.watcher.advanced, step),
        )

    async def _bring(self, step: Step, job: Job) -> None:
        """See that the input is there, as it was when it was listed."""
        source = step.task.source
        if not source.url:
            await to_thread.run_sync(_unchanged, step)
        elif not self.provider.takes_urls:
            await self._repeat(step, partial(self.download, source, job.file))

    async def _submit(self, step: Step, job: Job) -> Ticket:
        if not self.provider.durable:
            return await self.provider.submit(job)
        # On disk before anything is sent: should we die in between, the next run knows which requests may have
        # been accepted.
        number, task = step.attempts + 1, step.task
        await self.record(
            Submitting(
                id=task.id,
                attempt=number,
                endpoint=task.model,
                body=task.params,
                reserved_usd=task.cost_usd,
                at=self.clock.utc(),
            )
        )
        ticket = await self.provider.submit(job)
        await self.record(
            Submitted(
                id=task.id,
                attempt=number,
                request_id=ticket.request_id,
                ticket=ticket.data,
                at=self.clock.utc(),
            )
        )
        return ticket

    async def _repeat(self, step: Step, call: Callable[[], Awaitable[T]]) -> T:
        """Call what is free until it answers, as often and as late as the policy says."""
        tries = 0
        while True:
            try:
                return await call()
            except TransientError as error:
                tries += 1
                wait_s = self.policy.wait_s(tries, error)
                if wait_s is None or self.shutdown.draining:
                    raise
                await self.record(
                    Retried(
                        id=step.task.id,
                        attempt=tries,
                        kind=error.kind,
                        message=str(error),
                        step="work",
                        wait_s=round(wait_s, 3),
                        at=self.clock.utc(),
                    )
                )
                await self._wait(wait_s)

    async def _wait(self, wait_s: float) -> None:
        """Wait, but no longer than until nothing more may be started."""
        async with anyio.create_task_group() as group:

            async def wake() -> None:
                await self.shutdown.wait_draining()
                group.cancel_scope.cancel()

            group.start_soon(wake)
            await self.clock.sleep(wait_s)
            group.cancel_scope.cancel()

    async def _finish(self, step: Step, job: Job, completed: Completed, started_s: float) -> None:
        """Check the part, give it its name, and say so: in this order, and not torn by a cancellation."""
        task = step.task
        pixels = task.size.pixels if task.size else 0
        found = await self.examine(
            outputs.Examination(str(job.part), str(job.file), step.sha256, pixels),
        )
        content = step.content or Recipe(task.model, task.changed).content_id(found.source_sha256)
        with anyio.CancelScope(shield=True):
            await self._place(
                step,
                job.part,
                Done(
                    id=task.id,
                    output=task.output,
                    size_bytes=0,
                    mtime_ns=0,
                    sha256=found.sha256,
                    width=found.width,
                    height=found.height,
                    source_sha256=found.source_sha256,
                    content=content,
                    stripped=not self.keep_metadata,
                    unexpected_size=task.size is not None and task.size != (found.width, found.height),
                    attempt=step.attempts + 1,
                    seconds=round(self.clock.now_s() - started_s, 3),
                    estimated_usd=task.cost_usd,
                    charged_usd=completed.charged_usd,
                    at=self.clock.utc(),
                ),
            )

    async def _copy(self, step: Step, done: Done) -> None:
        started_s = self.clock.now_s()
        job = await self._prepare(step, keep=True)
        original = self.output_dir / to_path(done.output)
        try:
            copied = await to_thread.run_sync(outputs.copy, original, job.part, done.sha256)
            if copied:
                await self._place_copy(step, job, done, started_s)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(_clear, job)
        if not copied:
            await self._run(step)

    async def _place_copy(self, step: Step, job: Job, done: Done, started_s: float) -> None:
        with anyio.CancelScope(shield=True):
            await self._place(
                step,
                job.part,
                _replaced(
                    done,
                    id=step.task.id,
                    output=step.task.output,
                    content=step.content or done.content,
                    copied_from=done.id,
                    attempt=max(1, step.attempts),
                    seconds=round(self.clock.now_s() - started_s, 3),
                    estimated_usd=step.task.cost_usd,
                    charged_usd=Decimal(0),
                    at=self.clock.utc(),
                ),
            )

    async def _place(self, step: Step, part: Path, done: Done) -> None:
        mtime_ns = step.task.source.mtime_ns if self.keep_metadata else None
        output = self.output_dir / to_path(step.task.output)
        placed = await to_thread.run_sync(outputs.place, part, output, mtime_ns or None)
        await self.record(_replaced(done, size_bytes=placed.size_bytes, mtime_ns=placed.mtime_ns))


def _replaced(done: Done, **changes: Any) -> Done:
    from msgspec.structs import replace

    return replace(done, **changes)


def _clear(job: Job) -> None:
    outputs.discard(job.part)
    if job.task.source.url:
        outputs.discard(job.file)


def _unchanged(step: Step) -> None:
    """Raise RejectedError if the input is not what it was when it was listed."""
    source = step.task.source
    if source.url:
        return
    try:
        stat = source.file.stat()
    except OSError as error:
        message = f"it cannot be read any more: {error.strerror or error}"
        raise RejectedError(message, kind="input_vanished") from error
    if (stat.st_size, stat.st_mtime_ns) != (source.size_bytes, source.mtime_ns):
        raise RejectedError(
            "it changed while the job ran; run again to take it as it is now",
            kind="input_changed",
        )
