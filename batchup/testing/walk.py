"""Walk: one job on its way through a provider's steps, as the runner takes it, without the runner's patience."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from batchup import media
from batchup.providers.base import Completed, Job, Provider, Request, Ticket
from batchup.source import Media, Size
from batchup.testing.bench import Step

T = TypeVar("T")

ORDER: tuple[Step, ...] = ("prepare", "submit", "complete", "fetch")


@dataclass
class Walk:
    """What has come of a job so far."""

    provider: Provider
    job: Job
    request: Request | None = None
    ticket: Ticket | None = None
    completed: Completed | None = None

    async def to(self, last: Step) -> "Walk":
        """Take all steps up to *last* that have not been taken."""
        for step in ORDER[: ORDER.index(last) + 1]:
            done = {"prepare": self.request, "submit": self.ticket, "complete": self.completed}
            if done.get(step) is None:
                await self.take(step)
        return self

    async def before(self, step: Step) -> None:
        """Take all steps that come before *step*."""
        if step in ORDER[1:]:
            await self.to(ORDER[ORDER.index(step) - 1])

    async def take(self, step: Step) -> Any:
        """Take one step, and return what it came to."""
        match step:
            case "reach":
                return await self.provider.reach()
            case "prepare":
                self.request = await self.provider.prepare(self.job)
                return self.request
            case "submit":
                assert self.request is not None
                self.ticket = await self.provider.submit(self.job, self.request)
                return self.ticket
            case "complete":
                assert self.ticket is not None
                self.completed = await self.provider.complete(self.job, self.ticket)
                return self.completed
            case "fetch":
                assert self.completed is not None
                return await self.provider.fetch(self.job, self.completed)
        raise AssertionError(step)

    def read(self) -> tuple[bytes, Media]:
        """Return the output and what it is, decoded to its end."""
        return self.job.part.read_bytes(), media.verify(self.job.part)

    def check(self) -> Size:
        """Assert that the output is there, whole, of the right kind and size; return its size."""
        task = self.job.task
        assert self.job.part.is_file(), f"nothing lies at job.part after {task.model} was fetched"
        _, found = self.read()
        wanted = task.source.media.kind if task.source.media else found.kind
        assert found.kind == wanted, f"a {found.kind} came out, and {wanted} was wanted"
        if task.size is not None:
            assert found.size == task.size, f"{found.size} came out, and the model says {task.size}"
        return found.size


def kept(value: T) -> T:
    """Return *value* as it comes back from the ledger."""
    return msgspec.json.decode(msgspec.json.encode(value), type=type(value))


def beside(part: Path) -> list[str]:
    """Return the names of everything else in the output's folder."""
    return sorted(file.name for file in part.parent.iterdir() if file != part)
