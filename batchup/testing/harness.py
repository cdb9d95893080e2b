"""Harness: runs each test of the contract on a bench of its own."""

import tempfile
import unittest
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import ClassVar

import anyio

from batchup.errors import BatchupError, only
from batchup.providers.base import Provider
from batchup.testing.bench import Bench, Fault, Step
from batchup.testing.walk import Walk

Case = Callable[[Bench, Provider], Awaitable[None]]

_OUTCOMES: frozenset[Fault] = frozenset({"failed", "rejected", "slow"})


class Harness(ABC):
    """What a class of tests for one provider has to say.

    Attributes:
        NEEDED: Faults that the bench of a durable provider must be able to cause.
        DEADLINE_S: Most seconds that one test may take.
        PROMPT_S: Most seconds until a cancelled call ends.
    """

    NEEDED: ClassVar[frozenset[tuple[Step, Fault]]] = frozenset(
        {("reach", "unreachable"), ("submit", "unreachable"), ("submit", "lost"), ("submit", "account")}
    )
    DEADLINE_S: ClassVar[float] = 60.0
    PROMPT_S: ClassVar[float] = 10.0

    @abstractmethod
    def bench(self, folder: Path) -> AbstractAsyncContextManager[Bench]:
        """Give a bench while a block lasts; each test has one of its own, and an empty *folder*."""

    async def _meets(self, bench: Bench, walk: Walk, step: Step, fault: Fault) -> BaseException | None:
        cause = bench.causes.get((step, fault))
        self._skip_unless(cause is not None, f"the bench cannot cause {fault} at {step}")
        assert cause is not None
        await walk.before("submit" if step == "complete" and fault in _OUTCOMES else step)
        async with cause(walk.job) or nullcontext():
            await walk.before(step)
            return await raised(lambda: walk.take(step))

    def _skip_unless(self, condition: bool, why: str) -> None:  # noqa: FBT001 - it is what it asks
        if not condition:
            raise unittest.SkipTest(why)

    def _run(self, case: Case) -> None:
        async def main() -> None:
            with (
                tempfile.TemporaryDirectory(prefix="batchup-contract-") as folder,
                anyio.fail_after(self.DEADLINE_S),
            ):
                async with self.bench(Path(folder)) as bench, bench.open() as provider:
                    await case(bench, provider)

        try:
            anyio.run(main)
        except BaseExceptionGroup as group:
            # Every block of the bench may have wrapped what is one error.
            raise only(group) from None


async def raised(call: Callable[[], Awaitable[object]]) -> BaseException | None:
    """Return what *call* raises."""
    try:
        await call()
    except (BatchupError, OSError) as error:
        return error
    return None
