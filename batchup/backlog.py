"""Backlog: what waits to be begun, and which of it may be begun now, within every limit."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from heapq import heappop, heappush
from itertools import count, islice

from msgspec.structs import replace

from batchup.budget import Fit
from batchup.gate import Gate
from batchup.plan import Action, Step

LOOK_EVERY_S = 30.0
"""Most seconds slept without a look at the clock on the wall: machines are suspended, and clocks set."""

Numbered = tuple[int, Step]
"""A step and its place in the plan's order."""


class _Queue:
    """The steps of one model that wait, and how many are under way. Changes all the time.

    Attributes:
        most: Steps under way at most.
        busy: Steps under way.
        dear: Passed over because of their price, as a heap: price, place in the plan, a number of their own, step.
        late: Passed over because they would not end before the window closes, in order.
    """

    __slots__ = ("_next", "_steps", "busy", "dear", "late", "model", "most")

    def __init__(self, model: str, steps: Iterator[Numbered], most: float) -> None:
        self.model, self.most = model, most
        self.busy = 0
        self.dear: list[tuple[float, int, int, Step]] = []
        self.late: list[Numbered] = []
        self._steps = steps
        self._next: deque[Numbered] = deque()

    @property
    def head(self) -> Numbered | None:
        """The first that waits."""
        if not self._next:
            one = next(self._steps, None)
            if one is None:
                return None
            self._next.append(one)
        return self._next[0]

    def pop(self) -> Numbered:
        """Take away the first."""
        assert self.head is not None
        return self._next.popleft()

    def put_back(self, steps: Iterable[Numbered]) -> None:
        """Let *steps*, in order, be the first."""
        self._next.extendleft(reversed(list(steps)))

    @property
    def waits(self) -> bool:
        """Whether anything does."""
        return bool(self.head or self.dear or self.late)


class Backlog:
    """The steps of one provider that wait for their turn, in the plan's order, as far as the limits allow.

    Attributes:
        begun: Number of its steps that were begun, free ones left out.
        window_left: Whether steps were left because the window does not let them begin, and the run does not wait.
    """

    def __init__(
        self,
        free: Iterable[Step],
        paid: Mapping[str, Iterator[Numbered]],
        most: Mapping[str, float],
        gate: Gate,
    ) -> None:
        """Take what waits.

        Args:
            free: Steps that no limit concerns; they come first.
            paid: Model -> its steps, in order.
            most: Model -> steps under way at most, where there is a limit.
            gate: What a step must pass.
        """
        self._free: Iterator[Step] = iter(free)
        self._first: deque[Step] = deque()
        self._added: set[str] = set()
        self._queues = {
            model: _Queue(model, steps, most.get(model, float("inf"))) for model, steps in paid.items()
        }
        self._gate = gate
        self._numbers: dict[str, int] = {}
        self._serials = count()
        self._closes: datetime | None = None
        self._is_told = False
        self.window_left = False
        self._is_over = False
        self.begun = 0

    async def take(self) -> Step | None:
        """Return the step to begin next, however long that takes; None when none may be begun in this run any more.

        Whoever takes a step gives it back by :meth:`ended`. Must not be called twice at once.
        """
        # One worker found nothing more; what others have given back since is still for this one.
        self._is_over = False
        while not self._gate.shutdown.draining:
            step = self._choose()
            if step is not None:
                self._tell("")
                return step
            wait_s = self._wait_s()
            if wait_s is None:
                break
            await self._gate.bell.wait(wait_s)
        self._tell("")
        self._is_over = True
        return None

    def ended(self, step: Step) -> None:
        """Take in that a step that was taken is over, whatever became of it."""
        queue = self._queues.get(step.task.model)
        if queue is not None and self._numbers.pop(step.task.id, None) is not None:
            queue.busy -= 1
            self._gate.budget.drop(step.task)
            self._gate.bell.ring()

    def put_back(self, step: Step) -> None:
        """Let a step that could not begin wait once more, whoever began it. If it was taken, :meth:`ended` follows."""
        number = self._numbers.get(step.task.id)
        if number is not None:
            self._added.add(step.task.id)
            self._queues[step.task.model].put_back([(number, step)])
            self.begun -= 1
        elif not self.add(0, replace(step, action=Action.RUN)):
            closes = self._gate.closes()
            self.window_left |= closes is None or not self._gate.ends_by(step.task, closes)
            self._gate.budget.refused |= not self.window_left

    def add(self, number: int, step: Step) -> bool:
        """Let one more step wait, before all others; return whether anybody will take it.

        Args:
            number: Its place in the plan's order.
            step: To be run, or to be fetched again, which is free.
        """
        self._added.add(step.task.id)
        if step.action is Action.HEAL:
            self._first.appendleft(step)
        else:
            model = step.task.model
            queue = self._queues.setdefault(model, _Queue(model, iter(()), float("inf")))
            queue.put_back([(number, step)])
            self.begun -= 1
        self._gate.bell.ring()
        # Whoever is busy comes back for more.
        return not self._is_over or any(queue.busy for queue in self._queues.values())

    def has(self, task_id: str) -> bool:
        """Return whether a task that was given back, or added, waits for its turn, or one is under way."""
        return task_id in self._added or task_id in self._numbers

    @property
    def _has_free(self) -> bool:
        """Whether any step waits that no limit concerns."""
        if not self._first:
            self._first.extend(islice(self._free, 1))
        return bool(self._first)

    def _choose(self) -> Step | None:
        """Return the first step that may be begun now."""
        if self._gate.pause.is_on:
            return None
        if self._has_free:
            free = self._first.popleft()
            self._added.discard(free.task.id)
            return free
        closes = self._gate.closes()
        if closes is None:
            return None
        if closes != self._closes:
            self._reopen(closes)
        paused = self._gate.circuits.paused
        queues = [
            queue for queue in self._queues.values() if queue.busy < queue.most and queue.model not in paused
        ]
        return self._choose_dear(queues) or self._choose_next(queues, closes)

    def _reopen(self, closes: datetime) -> None:
        """Begin an opening: what would not have ended in the last one has another chance."""
        self._closes = closes
        for queue in self._queues.values():
            queue.put_back(queue.late)
            queue.late = []

    def _choose_next(self, queues: list[_Queue], closes: datetime) -> Step | None:
        """Return the first step in order that fits."""
        is_blocked = False
        while queues:
            queue = min(queues, key=lambda one: one.head[0] if one.head else float("inf"))
            if queue.head is None:
                return None
            number, step = queue.head
            if not self._gate.ends_by(step.task, closes):
                queue.late.append(queue.pop())
                continue
            price_usd = self._gate.budget.price_usd(step.task)
            fit = Fit.NOT_BY_RUN if is_blocked and price_usd != 0 else self._gate.budget.claim(step.task)
            if fit is Fit.YES:
                queue.pop()
                return self._begin(queue, number, step)
            if self._gate.jumps or price_usd is None:
                dear = float("inf") if price_usd is None else float(price_usd)
                # What was given back may share its number with another.
                number, step = queue.pop()
                heappush(queue.dear, (dear, number, next(self._serials), step))
                continue
            is_blocked |= fit is Fit.NOT_BY_RUN
            queues = [one for one in queues if one is not queue]
        return None

    def _choose_dear(self, queues: list[_Queue]) -> Step | None:
        """Return a step that was passed over because of its price, and fits by now."""
        for queue in queues:
            if queue.dear:
                _, number, _, step = queue.dear[0]
                if self._gate.budget.claim(step.task) is Fit.YES:
                    heappop(queue.dear)
                    return self._begin(queue, number, step)
        return None

    def _begin(self, queue: _Queue, number: int, step: Step) -> Step:
        queue.busy += 1
        self.begun += 1
        self._added.discard(step.task.id)
        self._numbers[step.task.id] = number
        return step

    def _wait_s(self) -> float | None:
        """Return how long to wait for a change; None where waiting is of no use."""
        gate = self._gate
        waiting = [queue for queue in self._queues.values() if queue.waits]
        if gate.pause.is_on and (waiting or self._has_free):
            return float("inf")
        if not waiting:
            return None
        is_closed = gate.closes() is None or any(queue.late for queue in waiting)
        if any(queue.busy for queue in waiting) or gate.budget.live:
            return LOOK_EVERY_S if is_closed else float("inf")
        waiting = [queue for queue in waiting if queue.model not in gate.circuits.paused]
        if is_closed and gate.hours is not None and any(map(self._is_affordable, waiting)):
            self.window_left = not gate.stays or not self._has_hope(waiting)
            return None if self.window_left else self._till_open_s()
        gate.budget.refused |= bool(waiting)
        return None

    def _is_affordable(self, queue: _Queue) -> bool:
        """Return whether any of what waits may be covered, where nothing is under way that would make room."""
        budget = self._gate.budget
        if queue.late or (queue.dear and budget.fit(queue.dear[0][-1].task) is Fit.YES):
            return True
        if queue.head is None:
            return False
        task = queue.head[1].task
        passes = self._gate.jumps or budget.price_usd(task) is None  # what comes later goes ahead of it
        return passes or budget.fit(task) is Fit.YES

    def _has_hope(self, waiting: list[_Queue]) -> bool:
        """Return whether any of what waits would end inside the longest opening."""
        assert self._gate.hours is not None
        longest_s, expected_s = self._gate.hours.longest_s, self._gate.expected_s
        return any(
            queue.head
            or queue.dear
            or any((expected_s(step.task) or 0.0) <= longest_s for _, step in queue.late)
            for queue in waiting
        )

    def _till_open_s(self) -> float:
        """Return how long to sleep at most before the next look, and say why once."""
        hours, now = self._gate.hours, self._gate.clock.utc()
        assert hours is not None
        closes = hours.closes(now)
        if closes is None:
            self._tell(hours.line(now))
        else:
            self._tell("what is left would not end before the window closes; it waits for the next opening")
        return min(LOOK_EVERY_S, max(0.0, (hours.opens(closes or now) - now).total_seconds()))

    def _tell(self, why: str) -> None:
        if bool(why) != self._is_told:
            self._is_told = bool(why)
            self._gate.notices.waiting(why)
