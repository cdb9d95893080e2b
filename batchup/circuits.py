"""Circuits: a model that fails again and again in the same way is left alone, before it has failed with everything.

The pattern is the circuit breaker's, one a model (https://martinfowler.com/bliki/CircuitBreaker.html, read 2026-11),
without its half-open state: whether it is time to try again a person decides, by running the job again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from batchup.events import Done, Event, Failed
from batchup.history import History


@dataclass(frozen=True, slots=True)
class Streak:
    """Failures of one class in a row."""

    kind: str
    count: int


class Circuits:
    """Hears of every end of a task, and knows which models are paused.

    Attributes:
        paused: Model -> the failures for which it is.
    """

    def __init__(self, stop_after: int, history: History, tell: Callable[[str], None]) -> None:
        """Take the rule.

        Args:
            stop_after: Failures of one class in a row that pause a model.
            history: Knows the model of each task.
            tell: Called with a sentence when a model is paused.
        """
        self._stop_after, self._history, self._tell = stop_after, history, tell
        self._streaks: dict[str, Streak] = {}
        self.paused: dict[str, Streak] = {}

    def heard(self, event: Event) -> None:
        """Take in an event that has become durable."""
        if not isinstance(event, Done | Failed):
            return
        record = self._history.get(event.id)
        model = record.model if record else ""
        if isinstance(event, Done):
            self._streaks.pop(model, None)
            return
        before = self._streaks.get(model)
        count = before.count + 1 if before is not None and before.kind == event.kind else 1
        self._streaks[model] = Streak(event.kind, count)
        if count >= self._stop_after and model not in self.paused:
            self.paused[model] = self._streaks[model]
            self._tell(
                f"{model} is paused: {count} failures in a row, all of class {event.kind}; its other tasks stay "
                "pending, and the next run tries them"
            )
