"""A provider whose up- and downloads, and submissions, are made by workers; the rest stays with the coordinator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from batchup.cluster.engine import Engine, Errand
from batchup.errors import NotSentError
from batchup.providers.base import Completed, Job, Provider, Request, Ticket
from batchup.source import Size


@dataclass(frozen=True, slots=True)
class ClusterProvider:
    """Has the steps of *inner* that move files, and the one that may cost money, made by workers.

    To wait for a submission, to look for a lost one and to ask whether the platform answers is a few bytes each, and needs
    what the coordinator knows.

    Attributes:
        is_uploaded: Whether the ledger has an upload of such a content hash.
    """

    name: str
    inner: Provider
    engine: Engine
    is_uploaded: Callable[[str], bool]

    @property
    def durable(self) -> bool:
        """See :class:`Provider`."""
        return self.inner.durable

    @property
    def takes_urls(self) -> bool:
        """See :class:`Provider`."""
        return self.inner.takes_urls

    def endpoint(self, model: str) -> str:
        """See :class:`Provider`."""
        return self.inner.endpoint(model)

    async def reach(self) -> None:
        """Ask from here. Without a worker that could submit, nothing is reached."""
        if not any(member.has_account for member in self.engine.members):
            raise NotSentError("no worker of this account is there", kind="no_worker")
        await self.inner.reach()

    async def prepare(self, job: Job) -> Request:
        """Upload the input from a worker, unless it is known to lie there."""
        if job.task.source.url or (job.sha256 and self.is_uploaded(job.sha256)):
            return await self.inner.prepare(job)
        request: Request = await self.engine.do(
            self._errand("prepare", job, reads=("file",), scratch=("part",))
        )
        return request

    async def submit(self, job: Job, request: Request) -> Ticket:
        """Submit from a worker, once: the fence sees to that."""
        ticket: Ticket = await self.engine.do(self._errand("submit", job, request, may_cost=True))
        return ticket

    async def complete(self, job: Job, ticket: Ticket) -> Completed:
        """Wait here."""
        return await self.inner.complete(job, ticket)

    async def fetch(self, job: Job, completed: Completed) -> None:
        """Download the output to a worker."""
        await self.engine.do(self._errand("fetch", job, completed, writes=("part",)))

    async def find(self, endpoint: str, body: Mapping[str, Any], sent_at: datetime) -> Ticket | None:
        """Look from here."""
        return await self.inner.find(endpoint, body, sent_at)

    def charged_usd(self, job: Job, completed: Completed, size: Size) -> Decimal | None:
        """See :class:`Provider`."""
        return self.inner.charged_usd(job, completed, size)

    def _errand(
        self,
        step: str,
        job: Job,
        *more: Any,
        reads: tuple[str, ...] = (),
        writes: tuple[str, ...] = (),
        scratch: tuple[str, ...] = (),
        may_cost: bool = False,
    ) -> Errand:
        def arguments(places: Mapping[str, str]) -> tuple[Any, ...]:
            paths = {name: Path(place) for name, place in places.items()}
            return (replace(job, tell=silent, **paths), *more)

        return Errand(
            step,
            self.name,
            arguments,
            reads={name: getattr(job, name) for name in reads},
            writes={name: getattr(job, name) for name in writes},
            scratch=scratch,
            kind="transfer",
            account=True,
            may_cost=may_cost,
            tell=job.tell if writes else None,
        )


def silent(done: float) -> None:
    """Nobody hears it: what a job has for telling is the coordinator's, and is not sent."""
