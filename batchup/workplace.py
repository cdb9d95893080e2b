"""Workplace: where one task's output comes to be, from a file beside its name to the name itself."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
from msgspec.structs import replace

from batchup import outputs
from batchup.aside import aside
from batchup.errors import RejectedError
from batchup.events import Done
from batchup.outage import Outage
from batchup.patience import Patience
from batchup.plan import Step
from batchup.providers.base import Completed, Job, Provider
from batchup.scribe import Scribe
from batchup.source import Size, Source, to_path
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
        scribe: Writes a sidecar beside each output; None where nobody asks for them.
        outage: Tells a lost network from an input that cannot be downloaded.
    """

    folder: Path
    keep_metadata: bool
    examine: Examiner
    download: Download
    scribe: Scribe | None = None
    outage: Outage | None = None


@dataclass(frozen=True, slots=True)
class Workplace:
    """Makes room for outputs, fetches and checks them, and puts them in their place.

    Attributes:
        provider: Does the work.
        patience: Tries again what is free, and records.
        after: Bounds what is fetched at once.
    """

    provider: Provider
    patience: Patience
    place: Place
    watcher: Watcher
    after: anyio.Semaphore
    _placed: set[Path] = field(default_factory=set)

    @asynccontextmanager
    async def opened(self, step: Step, *, keep: bool = False) -> AsyncIterator[Job]:
        """Make the output's place ready, and clear it when the block is left; *keep* what lies there already."""
        job = await self.job(step, keep=keep)
        try:
            yield job
        finally:
            await self._clear(job)

    async def job(self, step: Step, *, keep: bool = False) -> Job:
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

    async def collected(
        self, step: Step, job: Job, completed: Completed, number: int, started_s: float
    ) -> Done:
        """Fetch the output and check it."""
        async with self.after:
            found = await self._fetched(step, job, completed)
            if not self.provider.durable:
                await aside(unchanged, step)
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
            content=step.content or self.content(step, found.source_sha256),
            stripped=not self.place.keep_metadata,
            unexpected_size=task.size is not None and task.size != size,
            pixels=size.pixels * task.frames,
            attempt=number,
            seconds=round(self.patience.clock.now_s() - started_s, 3),
            estimated_usd=task.cost_usd,
            charged_usd=charged,
            at=self.patience.clock.utc(),
        )

    def content(self, step: Step, sha256: str) -> str:
        """Return the id of this work on these contents; none where nobody has read the input."""
        recipe = Recipe(step.task.model, step.task.changed, self.provider.endpoint(step.task.model))
        return recipe.content_id(sha256) if sha256 else ""

    async def _fetched(self, step: Step, job: Job, completed: Completed) -> outputs.Examined:
        """Fetch the output and examine it; one that comes damaged is fetched once more."""
        fetch = partial(self.provider.fetch, job, completed)
        await self.patience.repeat(job, "fetch", fetch)
        try:
            return await self._examined(step, job)
        except RejectedError as error:
            if not completed.urls or error.kind != "output_damaged":
                raise
        await aside(outputs.discard, job.part)
        await self.patience.repeat(job, "fetch", fetch)
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

    def copied(self, step: Step, done: Done, started_s: float) -> Done:
        """Return how a task became done whose output was copied from another's, *done*."""
        return replace(
            done,
            id=step.task.id,
            output=step.task.output,
            content=step.content or done.content,
            copied_from=done.id,
            attempt=max(1, step.attempts),
            seconds=round(self.patience.clock.now_s() - started_s, 3),
            estimated_usd=step.task.cost_usd,
            charged_usd=Decimal(0),
            at=self.patience.clock.utc(),
        )

    async def put(self, step: Step, part: Path, done: Done) -> None:
        """Give a checked part its name, and say so: not torn by a cancellation."""
        mtime_ns = step.task.source.mtime_ns if self.place.keep_metadata else None
        output = self.place.folder / to_path(step.task.output)
        with anyio.CancelScope(shield=True):
            if self.place.scribe is not None:
                # Before the output has its name: then a lost ledger never loses what was paid.
                await aside(self.place.scribe.write, step, part, done, mtime_ns or None)
            placed = await aside(outputs.place, part, output, mtime_ns or None)
            self._placed.add(part)
            await self.patience.record(replace(done, size_bytes=placed.size_bytes, mtime_ns=placed.mtime_ns))

    async def _clear(self, job: Job) -> None:
        """Remove what is not needed any more, and is there."""
        is_placed, is_url = job.part in self._placed, bool(job.task.source.url)
        self._placed.discard(job.part)
        if is_placed and not is_url:
            return
        with anyio.CancelScope(shield=True):
            await aside(outputs.discard, job.part)
            if is_url:
                await aside(outputs.discard, job.file)


def unchanged(step: Step) -> None:
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
