"""Steering: what a person may ask of a run, and change, while it goes on."""

import os
from collections.abc import Callable
from decimal import Decimal

from msgspec.structs import replace

from batchup.clock import Clock
from batchup.control import Command, Flying, Live, Reply
from batchup.gate import Gate
from batchup.history import History, State
from batchup.lane import Lane
from batchup.manifest import Rate, quantities
from batchup.plan import EXPIRED, TO_RUN, Action, Plan, Step
from batchup.throttle import Throttle
from batchup.workplace import Watcher

MOST = 1000
"""More at a time than any account takes."""


class InFlight:
    """Remembers what is under way since when, and tells it on; see :class:`batchup.workplace.Watcher`."""

    def __init__(self, watcher: Watcher, clock: Clock) -> None:
        self._watcher, self._clock = watcher, clock
        self._steps: dict[str, tuple[Step, float]] = {}
        self._parts: dict[str, float] = {}

    def started(self, step: Step) -> None:
        """An attempt begins."""
        self._steps[step.task.id] = step, self._clock.now_s()
        self._watcher.started(step)

    def advanced(self, step: Step, part: float) -> None:
        """*part* of an attempt is done, 0.0 to 1.0."""
        self._parts[step.task.id] = part
        self._watcher.advanced(step, part)

    def ended(self, step: Step) -> None:
        """An attempt ended, however it did."""
        self._steps.pop(step.task.id, None)
        self._parts.pop(step.task.id, None)
        self._watcher.ended(step)

    def has(self, task_id: str) -> bool:
        """Return whether a task is under way."""
        return task_id in self._steps

    def all(self) -> list[Flying]:
        """Return what is under way, the longest first."""
        now_s = self._clock.now_s()
        return [
            Flying(
                key,
                step.task.source.label,
                step.task.model,
                round(now_s - at_s, 1),
                self._parts.get(key, 0.0),
            )
            for key, (step, at_s) in self._steps.items()
        ]


class Steering:
    """Answers commands. All of it happens at once, on the run's event loop."""

    def __init__(
        self,
        plan: Plan,
        history: History,
        gate: Gate,
        throttle: Throttle,
        lanes: list[Lane],
        flying: InFlight,
    ) -> None:
        self._plan, self._history, self._gate = plan, history, gate
        self._throttle, self._lanes, self._flying = throttle, lanes, flying
        self._since = gate.clock.utc()
        self._deeds: dict[str, Callable[[Command], str]] = {
            "state": lambda _: "",
            "pause": lambda _: self._pause(is_on=True),
            "resume": lambda _: self._pause(is_on=False),
            "drain": lambda _: self._drain(),
            "detach": lambda _: self._detach(),
            "concurrency": self._set_concurrency,
            "rate": self._set_rate,
            "budget": self._set_budget,
            "retry": self._retry,
            "release": self._release,
        }

    def answer(self, command: Command) -> Reply:
        """Do what *command* says, and return how the run stands then."""
        return Reply(self._deeds[command.do](command), self._live())

    def _live(self) -> Live:
        gate, shutdown = self._gate, self._gate.shutdown
        begun = sum(lane.backlog.begun for lane in self._lanes)
        slots = [lane.slots for lane in self._lanes]
        is_paused = shutdown.stage == "run" and gate.pause.is_on
        cap_usd = gate.budget.cap_usd
        return Live(
            job=self._history.job,
            pid=os.getpid(),
            stage="paused" if is_paused else shutdown.stage,
            why=gate.notices.why,
            concurrency=sum(one.most for one in slots),
            allowed=sum(one.allowed for one in slots),
            rate=str(self._throttle.rate or ""),
            budget_usd=None if cap_usd is None else str(cap_usd),
            in_flight=self._flying.all(),
            waiting=max(0, self._plan.actions[Action.RUN] - begun),
            refused=sum(one.refusals for one in slots),
        )

    def _pause(self, *, is_on: bool) -> str:
        self._gate.pause.is_on = is_on
        self._gate.notices.waiting("paused" if is_on else "")
        self._gate.bell.ring()
        return ""

    def _drain(self) -> str:
        self._gate.shutdown.drain()
        return ""

    def _detach(self) -> str:
        self._gate.shutdown.detach()
        return ""

    def _set_concurrency(self, command: Command) -> str:
        if not command.value.isascii() or not command.value.isdigit() or not 1 <= int(command.value) <= MOST:
            return f"{command.value!r} is no number of tasks; write 1 to {MOST}"
        for lane in self._lanes:
            lane.slots.set(int(command.value))
        return ""

    def _set_rate(self, command: Command) -> str:
        rate: Rate | None = None
        if command.value:
            try:
                rate = quantities.rate(command.value)
            except ValueError as error:
                return str(error)
        self._throttle.set(rate)
        return ""

    def _set_budget(self, command: Command) -> str:
        cap_usd: Decimal | None = None
        if command.value:
            try:
                cap_usd = quantities.usd(command.value)
            except ValueError as error:
                return str(error)
        self._gate.budget.cap_usd = self._history.budget_usd = cap_usd
        self._gate.bell.ring()
        return ""

    def _retry(self, command: Command) -> str:
        record = self._history.get(command.task) if _is_id(command.task) else None
        if record is None or record.state is not State.FAILED:
            return "this task has not failed"
        if record.failure == EXPIRED:
            return "it was paid and its result has expired; batchup run --redo runs it again, for its price"
        heals = record.result >= 0
        return self._begin(command.task, Action.HEAL if heals else Action.RUN, "failed before; tried again")

    def _release(self, command: Command) -> str:
        record = self._history.get(command.task) if _is_id(command.task) else None
        if record is None or record.state is not State.HELD:
            return "this task is not held"
        return self._begin(command.task, Action.RUN, "held; submitted again")

    def _begin(self, task_id: str, action: Action, reason: str) -> str:
        """Let a task of the plan, whatever it was to be, run once more."""
        found = next(((n, one) for n, one in enumerate(self._plan.steps) if one.task.id == task_id), None)
        if found is None:
            return "the manifest no longer makes this task"
        number, step = found
        if self._comes(step):
            return "it is under way, or waits for its turn in this run"
        record = self._history.get(task_id)
        again = replace(step, action=action, reason=reason, attempts=record.attempts if record else 0)
        lane = next((one for one in self._lanes if one.name == step.task.provider), None)
        if lane is None or not lane.backlog.add(number, again):
            return "the run is about to end; run it again with --retry-failed or --resubmit-held"
        return ""

    def _comes(self, step: Step) -> bool:
        """Return whether a task's turn is now, or is still to come: to begin it once more would pay it twice."""
        task_id = step.task.id
        if self._flying.has(task_id) or any(lane.backlog.has(task_id) for lane in self._lanes):
            return True
        record = self._history.get(task_id)
        last = self._history.last(record) if record else None
        # What has come to its end in this run has had its turn.
        return step.action in TO_RUN and (last is None or last.at < self._since)


def _is_id(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) > 0
    except ValueError:
        return False
