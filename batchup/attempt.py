"""One task, from its input to a file in place. The only place that knows what an error means for the task."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
from anyio import to_thread
from msgspec.structs import replace

from batchup import events, outputs
from batchup.aside import aside
from batchup.clock import Clock
from batchup.disk import translated
from batchup.errors import FatalError, GoneError, LeftError, RejectedError, SubmissionUnknown, TransientError
from batchup.events import Done
from batchup.patience import Record
from batchup.plan import EXPIRED, Step
from batchup.providers.base import Completed, Job, Provider, Request
from batchup.shutdown import Shutdown
from batchup.source import Size, Source, to_path
from batchup.submission import Submissions
from batchup.task import Recipe

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
class Place:
    """Where outputs go, and how they are made sure of.

    Attributes:
        folder: Absolute.
        keep_metadata: Whether EXIF and its kin, and file times, come through.
        examine: See :data:`Examiner`.
        download: See :data:`Download`.
    """

    folder: Path
    keep_metadata: bool
    examine: Examiner
    download: Download


@dataclass(frozen=True, slots=True)
class Attempts:
    """Brings steps to an end.

    Attributes:
        provider: Does the work.
        submissions: Asks it to.
        place: Where outputs go.
        record: Makes events durable, in order, and returns then.
        ahead: Bounds what is brought to the provider at once; downloads have their own bound, *after*.
        stop: Called with what makes further work useless.
    """

    provider: Provider
    submissions: Submissions
    place: Place
    record: Record
    clock: Clock
    shutdown: Shutdown
    watcher: Watcher
    ahead: anyio.Semaphore
    after: anyio.Semaphore
    stop: Callable[[FatalError], None]

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
            job = await self._job(step)
            original = self.place.folder / to_path(done.output)
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
            await self._translated(step, work)
        except RejectedError as error:
            await self._give_up(step, error.kind, str(error), may_cost=error.may_cost)
        except GoneError as error:
            message = f"it was paid, and its result can be fetched no more ({error}); --redo runs it again, for its price"
            await self._give_up(step, EXPIRED, message)
        except LeftError:
            pass  # it stays as it is; the next run takes it up
        except TransientError as error:
            await self._give_up(step, error.kind, str(error), may_retry=True)
        except SubmissionUnknown as error:
            await self._hold(step, str(error), step.task.cost_usd)

    async def _translated(self, step: Step, work: Callable[[Step], Awaitable[None]]) -> None:
        """Tell a disk that refuses from an input that cannot be read."""
        try:
            await work(step)
        except OSError as error:
            if error.filename is not None and os.fsdecode(error.filename) == str(step.task.source.file):
                message = f"it cannot be read: {error.strerror or error}"
                raise RejectedError(message, kind="input_unreadable") from error
            raise translated(error, self.place.folder) from error

    async def _hold(self, step: Step, message: str, reserved_usd: Decimal | None) -> None:
        """Record that a task waits for a person, with so much in reserve."""
        await self.record(
            events.Held(
                id=step.task.id,
                attempt=self._number(step),
                message=message,
                reserved_usd=reserved_usd,
                at=self.clock.utc(),
            )
        )

    async def _give_up(
        self, step: Step, kind: str, message: str, *, may_retry: bool = False, may_cost: bool = False
    ) -> None:
        await self.record(
            events.Failed(
                id=step.task.id,
                attempt=self._number(step),
                kind=kind,
                message=message,
                may_retry=may_retry,
                reserved_usd=step.task.cost_usd if may_cost else None,
                at=self.clock.utc(),
            )
        )

    def _number(self, step: Step) -> int:
        """Return how many submissions of a task there are so far."""
        return self.submissions.number(step.task) if self.provider.durable else step.attempts + 1

    async def _run(self, step: Step) -> None:
        started_s = self.clock.now_s()
        job = await self._job(step)
        try:
            request = await self._request(step, job)
            number, completed = await self.submissions.run(job, request, step.attempts)
            await self._put(step, job.part, await self._collected(step, job, completed, number, started_s))
        finally:
            await _clear(job)

    async def _resume(self, step: Step, known: events.Submitting | events.Submitted) -> None:
        started_s = self.clock.now_s()
        job = await self._job(step)
        try:
            number, completed = await self.submissions.resume(job, known, partial(self._request, step, job))
            await self._put(step, job.part, await self._collected(step, job, completed, number, started_s))
        finally:
            await _clear(job)

    async def _look(self, step: Step, sent: events.Submitting) -> None:
        started_s = self.clock.now_s()
        job = await self._job(step)
        try:
            number, completed = await self.submissions.look(job, sent)
            await self._put(step, job.part, await self._collected(step, job, completed, number, started_s))
        finally:
            await _clear(job)

    async def _heal(self, step: Step, result: events.Result) -> None:
        started_s = self.clock.now_s()
        job = await self._job(step)
        other = "" if result.id == step.task.id else result.id
        try:
            # Another's has been charged to the other.
            completed = Completed(result.urls, Decimal(0) if other else result.charged_usd)
            done = await self._collected(step, job, completed, result.attempt, started_s)
            await self._put(step, job.part, replace(done, copied_from=other))
        finally:
            await _clear(job)

    async def _adopt(self, step: Step, known: events.Submitting | events.Submitted) -> None:
        now, gone = self.clock.utc(), known.id
        mine = replace(known, id=step.task.id)
        reserved = events.Submitting(
            id=step.task.id,
            attempt=known.attempt,
            endpoint="",
            body={},
            reserved_usd=step.task.cost_usd,
            at=now,
        )
        settled = events.Retried(
            id=gone, attempt=known.attempt, kind="adopted", message=step.task.id, wait_s=0, at=now
        )
        first = [reserved] if isinstance(known, events.Submitted) else []
        await self.record(*first, mine, settled)
        await self._resume(step, mine)

    async def _job(self, step: Step, *, keep: bool = False) -> Job:
        """Make the output's place ready."""
        output = self.place.folder / to_path(step.task.output)
        part = outputs.part_path(output, step.task.id)
        await aside(partial(outputs.prepare, output, part, self.place.folder, keep=keep))
        source = step.task.source
        return Job(
            task=step.task,
            file=part.with_suffix(".input") if source.url else source.file,
            part=part,
            sha256=step.sha256,
            keep_metadata=self.place.keep_metadata,
            tell=partial(self.watcher.advanced, step),
        )

    async def _request(self, step: Step, job: Job) -> Request:
        """Bring the input to where it is read, as it was when it was listed."""
        source, repeat = step.task.source, self.submissions.patience.repeat
        async with self.ahead:
            self.submissions.patience.check_going()
            if not source.url:
                await aside(_unchanged, step)
            elif not self.provider.takes_urls:
                await repeat(job, "download", partial(self.place.download, source, job.file))
            request = await repeat(job, "prepare", partial(self.provider.prepare, job))
        if request.upload is not None:
            upload = request.upload
            await self.record(
                events.Uploaded(
                    sha256=upload.sha256, url=upload.url, expires_at=upload.expires_at, at=self.clock.utc()
                )
            )
        content = step.content or self._content(step, request.sha256)
        return replace(request, content=content)

    async def _collected(
        self, step: Step, job: Job, completed: Completed, number: int, started_s: float
    ) -> Done:
        """Fetch the output and check it."""
        async with self.after:
            found = await self._fetched(step, job, completed)
            if not self.provider.durable:
                await aside(_unchanged, step)
        task, size = step.task, Size(found.width, found.height)
        charged = completed.charged_usd
        if charged is None:
            charged = self.provider.charged_usd(job, completed, size)
        return Done(
            id=task.id,
            output=task.output,
            size_bytes=0,
            mtime_ns=0,
            sha256=found.sha256,
            width=found.width,
            height=found.height,
            source_sha256=found.source_sha256,
            content=step.content or self._content(step, found.source_sha256),
            stripped=not self.place.keep_metadata,
            unexpected_size=task.size is not None and task.size != size,
            attempt=number,
            seconds=round(self.clock.now_s() - started_s, 3),
            estimated_usd=task.cost_usd,
            charged_usd=charged,
            at=self.clock.utc(),
        )

    def _content(self, step: Step, sha256: str) -> str:
        """Return the id of this work on these contents; none where nobody has read the input."""
        recipe = Recipe(step.task.model, step.task.changed, self.provider.endpoint(step.task.model))
        return recipe.content_id(sha256) if sha256 else ""

    async def _fetched(self, step: Step, job: Job, completed: Completed) -> outputs.Examined:
        """Fetch the output and examine it; one that comes damaged is fetched once more."""
        fetch = partial(self.provider.fetch, job, completed)
        await self.submissions.patience.repeat(job, "fetch", fetch)
        try:
            return await self._examined(step, job)
        except RejectedError as error:
            if not completed.urls or error.kind != "output_damaged":
                raise
        await aside(outputs.discard, job.part)
        await self.submissions.patience.repeat(job, "fetch", fetch)
        return await self._examined(step, job)

    async def _examined(self, step: Step, job: Job) -> outputs.Examined:
        size, media = step.task.size, step.task.source.media
        source = "" if step.task.source.url and self.provider.takes_urls else str(job.file)
        return await self.place.examine(
            outputs.Examination(
                str(job.part),
                source,
                step.sha256,
                size.pixels if size else 0,
                # Local work has carried over everything itself.
                inherits=media.kind if media and self.provider.durable else "",
                keep_metadata=self.place.keep_metadata,
            )
        )

    async def _copy(self, step: Step, done: Done, result: events.Result | None) -> None:
        started_s = self.clock.now_s()
        job = await self._job(step, keep=True)
        original = self.place.folder / to_path(done.output)
        try:
            copied = await to_thread.run_sync(outputs.copy, original, job.part, done.sha256)
            if copied:
                await self._put(step, job.part, self._copied(step, done, started_s))
        finally:
            await _clear(job)
        if not copied:
            await (self._heal(step, result) if result else self._run(step))

    def _copied(self, step: Step, done: Done, started_s: float) -> Done:
        return replace(
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
        )

    async def _put(self, step: Step, part: Path, done: Done) -> None:
        """Give a checked part its name, and say so: not torn by a cancellation."""
        mtime_ns = step.task.source.mtime_ns if self.place.keep_metadata else None
        output = self.place.folder / to_path(step.task.output)
        with anyio.CancelScope(shield=True):
            placed = await aside(outputs.place, part, output, mtime_ns or None)
            await self.record(replace(done, size_bytes=placed.size_bytes, mtime_ns=placed.mtime_ns))


async def _clear(job: Job) -> None:
    """Remove what is not needed any more."""
    with anyio.CancelScope(shield=True):
        await aside(outputs.discard, job.part)
        if job.task.source.url:
            await aside(outputs.discard, job.file)


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
            "it changed while the job ran; run again to take it as it is now", kind="input_changed"
        )
