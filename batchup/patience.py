"""Trying again what is free, and waiting: never longer than until the run is asked to end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from batchup import events
from batchup.clock import Clock
from batchup.errors import LeftError, NotSentError, RateLimitedError, RunFailedError, TransientError
from batchup.outage import Outage
from batchup.providers.base import Job
from batchup.retry import RetryPolicy
from batchup.shutdown import Shutdown

T = TypeVar("T")
Record = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long.

    Attributes:
        record: Makes events durable, in order, and returns then.
        leaves: Steps that are never given up: what they wait for goes on without us.
        outage: Tells a lost network from an error of one task; None where no network is needed.
    """

    record: Record
    policy: RetryPolicy
    clock: Clock
    shutdown: Shutdown
    leaves: frozenset[str]
    outage: Outage | None = None

    def through(self, outage: Outage | None) -> "Patience":
        """Return one that waits for another network: for what comes from elsewhere than the provider."""
        return replace(self, outage=outage)

    async def repeat(self, job: Job, step: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call what is free until it answers, as often and as late as the policy says; *step* names it in the record.

        Raises:
            TransientError: It was tried in vain.
            LeftError: Likewise, but it goes on without us; or the run ends.
        """
        tries = waits = 0
        while True:
            try:
                return await call()
            except RunFailedError:
                raise
            except NotSentError as error:
                if not await self.outlasted(error):
                    tries += 1
                    await self._wait_for(job, step, error, tries, self.policy.wait_s(tries, error))
                elif self.shutdown.draining:
                    raise LeftError(str(error), kind=error.kind) from error
            except RateLimitedError as error:
                waits += 1
                await self._wait_for(job, step, error, tries, self.policy.limited_s(waits, error))
            except TransientError as error:
                tries += 1
                await self._wait_for(job, step, error, tries, self.policy.wait_s(tries, error))

    async def _wait_for(
        self, job: Job, step: str, error: TransientError, tries: int, wait_s: float | None
    ) -> None:
        """Wait before what is free is tried again; raise if it is not to be."""
        if self.shutdown.draining or (wait_s is None and step in self.leaves):
            raise LeftError(str(error), kind=error.kind) from error
        if wait_s is None:
            raise error
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

    async def outlasted(self, error: NotSentError) -> bool:
        """Return whether *error* came from an outage, once that is over or the run is asked to end."""
        return self.outage is not None and await self.outage.outlast(error)

    async def wait(self, wait_s: float) -> None:
        """Wait, but no longer than until nothing more may be started."""
        await self.shutdown.sleep(wait_s, self.clock)

    def check_going(self) -> None:
        """Raise LeftError if nothing more may be started: the task stays as it is, for the next run."""
        if self.shutdown.draining:
            raise LeftError("the run ends before it was started", kind="not_started")
