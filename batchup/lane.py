"""All that one provider has to do in a run: what is under way first, copies before work, followers last."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain

import anyio

from batchup import events
from batchup.attempt import Attempts
from batchup.backlog import Backlog
from batchup.budget import Budget
from batchup.dispatcher import dispatch, taking
from batchup.history import History, State
from batchup.limits import Slots
from batchup.plan import EXPIRED, Action, Plan, Step
from batchup.shutdown import Shutdown

Work = Callable[[Step], Awaitable[None]]

COLLECT_S = 5.0
"""Most seconds that new work waits for what an earlier run has submitted to be collected."""

_OWN_TROUBLES = ("input_", "output_", "worker_", "no_worker", "out_of_memory")
"""Classes of failures that say nothing of another file with the same contents begin so."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The steps of one provider.

    Attributes:
        name: Of the provider.
        attempts: Bring one step to its end.
        workers: Tells how many steps at a time.
        slots: Bound what is under way at the provider.
        backlog: Of what is to be run, and fetched again.
        budget: Knows what is under way.
    """

    name: str
    plan: Plan
    history: History
    attempts: Attempts
    workers: Callable[[], int]
    slots: Slots
    backlog: Backlog
    budget: Budget
    shutdown: Shutdown

    async def run(self) -> None:
        """Bring all steps to an end, or as far as the run goes. To be called once."""
        since = self.attempts.patience.clock.utc()
        # What is itself about to be written over is brought to safety first: names may change places.
        targets = {step.task.output for step in self._pick(Action.COPY)}
        threatened = (step for step in self._pick(Action.COPY) if step.other_output in targets)
        await self._dispatch(threatened, self._stage)
        await self._dispatch(self._pick(Action.COPY), self._copy)
        collected = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self._collect, collected)
            with anyio.move_on_after(COLLECT_S):
                await collected.wait()
            await dispatch(self.backlog.take, self._begin, workers=self.workers)
        await self._dispatch(self._pick(Action.FOLLOW), partial(self._follow, left=self._left(since)))

    async def _collect(self, collected: anyio.Event) -> None:
        """Bring to an end what an earlier run has submitted."""
        await self._dispatch(chain(self._pick(Action.ATTACH), self._held()), self._work)
        collected.set()

    def _held(self) -> Iterator[Step]:
        """Yield held tasks that can be looked for once more."""
        return (step for step in self._pick(Action.LEAVE) if self._can_be_found(step.task.id))

    def _can_be_found(self, task_id: str) -> bool:
        """Return whether a task is held for its submission, still: a person may have released it meanwhile."""
        record = self.history.get(task_id)
        is_held = record is not None and record.state is State.HELD and not self.backlog.has(task_id)
        return is_held and self.history.sent(task_id) is not None

    def _pick(self, action: Action) -> Iterator[Step]:
        return self.plan.pick(action, self.name)

    async def _dispatch(self, steps: Iterable[Step], work: Work) -> None:
        await dispatch(taking(steps, self.shutdown), work, workers=self.workers)

    async def _begin(self, step: Step) -> None:
        """Do a step that the backlog gave."""
        try:
            await self._work(step)
        finally:
            self.backlog.ended(step)

    async def _work(self, step: Step) -> None:
        with self.budget.begun():
            await self._way(step)(step)

    def _way(self, step: Step) -> Work:
        """Return how a step is done, by the ledger's last word on it."""
        record = self.history.get(step.other or step.task.id)
        if record is None or step.action is Action.RUN:
            return self.attempts.run
        sent = self.history.sent(step.task.id)
        if step.action is Action.LEAVE and sent is not None:
            return partial(self.attempts.look, sent=sent)
        if step.action is Action.ATTACH and record.state is not State.COMPLETED:
            last = self.history.last(record)
            if isinstance(last, events.Submitting | events.Submitted):
                return partial(self.attempts.adopt if step.other else self.attempts.resume, known=last)
        result = self.history.result(record)
        return partial(self.attempts.heal, result=result) if result else self.attempts.run

    async def _stage(self, step: Step) -> None:
        done = self._done(step)
        if done is not None:
            await self.attempts.stage(step, done)

    async def _copy(self, step: Step) -> None:
        done = self._done(step)
        await (self.attempts.copy(step, done, self._result(step)) if done else self.attempts.run(step))

    def _left(self, since: datetime) -> frozenset[str]:
        """Return the ids of leaders that failed or are held since before this run, were to be run, and had no turn."""
        idle = {step.other for step in self._pick(Action.FOLLOW) if self._is_idle(step.other, since)}
        return frozenset(
            step.task.id for step in (self._pick(Action.RUN) if idle else ()) if step.task.id in idle
        )

    def _is_idle(self, task_id: str, since: datetime) -> bool:
        record = self.history.get(task_id)
        last = self.history.last(record) if record else None
        return isinstance(last, events.Failed | events.Held) and last.at < since

    async def _follow(self, step: Step, left: frozenset[str]) -> None:
        """Copy from the task with the same contents, which has had its turn, unless it is one of those *left*."""
        done = self._done(step)
        leader, result = self.history.get(step.other), self._result(step)
        if done is not None:
            await self.attempts.copy(step, done, result)
        elif leader is None or step.other in left:
            pass  # it stays as it is, as its leader does
        elif leader.state is State.HELD:
            await self._hold(step)
        elif leader.state is not State.FAILED:
            pass  # it stays pending, as its leader does
        elif result is not None and leader.failure != EXPIRED:
            await self.attempts.heal(step, result)
        elif result is None and leader.failure.startswith(_OWN_TROUBLES):
            await self.attempts.run(step)
        else:
            message = f"it has the same contents as {step.detail}, which failed"
            await self.attempts.fail(step, leader.failure, message)

    async def _hold(self, step: Step) -> None:
        own = self.history.get(step.task.id)
        if own is None or own.state is not State.HELD:
            await self.attempts.hold(step, f"it has the same contents as {step.detail}, which is held")

    def _result(self, step: Step) -> events.Result | None:
        """Return how the submission of the task that *step* is copied from came to its end."""
        record = self.history.get(step.other)
        return self.history.result(record) if record else None

    def _done(self, step: Step) -> events.Done | None:
        """Return how the task that *step* is copied from became done."""
        record = self.history.get(step.other)
        return self.history.done(record) if record else None
