"""Guard: stands between a run and a provider of another package, whose mistakes must not cost anything twice.

What a provider raises beside the errors that it may raise is put into the branch that is safe for its step: what was
submitted may have been accepted, and everything else may be asked again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from batchup.disk import FULL
from batchup.errors import (
    AnswerLostError,
    BatchupError,
    NotSentError,
    SubmissionUnknown,
    TransientError,
)
from batchup.providers.base import Completed, Job, Provider, Request, Ticket
from batchup.source import Size

KIND = "provider_error"


@dataclass(frozen=True, slots=True)
class Guarded:
    """Does as its provider does, and raises nothing but what providers may raise.

    Attributes:
        name: Of the provider, for messages.
    """

    name: str
    provider: Provider

    @property
    def durable(self) -> bool:
        """See :attr:`Provider.durable`."""
        return self.provider.durable

    @property
    def takes_urls(self) -> bool:
        """See :attr:`Provider.takes_urls`."""
        return self.provider.takes_urls

    def endpoint(self, model: str) -> str:
        """See :meth:`Provider.endpoint`."""
        return self.provider.endpoint(model)

    async def reach(self) -> None:
        """See :meth:`Provider.reach`."""
        with self._translated("reach"):
            try:
                await self.provider.reach()
            except (ConnectionError, TimeoutError) as error:
                raise NotSentError(f"{self.name} cannot be reached: {error}", kind=KIND) from error

    async def prepare(self, job: Job) -> Request:
        """See :meth:`Provider.prepare`."""
        with self._translated("prepare"):
            return await self.provider.prepare(job)

    async def submit(self, job: Job, request: Request) -> Ticket:
        """See :meth:`Provider.submit`."""
        try:
            with self._translated("submit"):
                return await self.provider.submit(job, request)
        except (AnswerLostError, _UnexpectedError) as error:
            if not self.durable:
                raise
            raise SubmissionUnknown(f"{error}; it may have been accepted", kind=error.kind) from error

    async def complete(self, job: Job, ticket: Ticket) -> Completed:
        """See :meth:`Provider.complete`."""
        with self._translated("complete"):
            return await self.provider.complete(job, ticket)

    async def fetch(self, job: Job, completed: Completed) -> None:
        """See :meth:`Provider.fetch`."""
        with self._translated("fetch"):
            await self.provider.fetch(job, completed)

    async def find(self, endpoint: str, body: Mapping[str, Any], sent_at: datetime) -> Ticket | None:
        """See :meth:`Provider.find`."""
        with self._translated("find"):
            return await self.provider.find(endpoint, body, sent_at)

    def charged_usd(self, job: Job, completed: Completed, size: Size) -> Decimal | None:
        """See :meth:`Provider.charged_usd`. What cannot be worked out is not known: the work itself is there."""
        try:
            with self._translated("charged_usd"):
                return self.provider.charged_usd(job, completed, size)
        except _UnexpectedError:
            return None

    @contextmanager
    def _translated(self, step: str) -> Iterator[None]:
        try:
            yield
        except BatchupError:
            raise
        # Another package's code raises whatever it likes. Nothing is hidden: it is told with its step, and the
        # exception itself stays the cause.
        except Exception as error:
            if isinstance(error, OSError) and (error.filename is not None or error.errno in FULL):
                raise  # of the local disk
            text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
            raise _UnexpectedError(f"{self.name}: unexpected in {step}: {text}", kind=KIND) from error


class _UnexpectedError(TransientError):
    """A provider raised what it may not."""
