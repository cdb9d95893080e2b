"""Audience: all who hear of a run, as one reporter."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from batchup.events import Event
from batchup.history import History
from batchup.plan import Plan, Step
from batchup.run import Reporter
from batchup.shutdown import Shutdown


class Observer(Protocol):
    """Hears what a run does, and shows nothing to the person in front of it. Each method returns at once, and never raises."""

    def begin(self, plan: Plan, history: History) -> None:
        """The run begins; *history* is kept up to date, before each event is heard."""

    def heard(self, event: Event) -> None:
        """An event is durable."""

    def started(self, step: Step) -> None:
        """An attempt begins."""

    def ended(self, step: Step) -> None:
        """An attempt ended, however it did."""


class Audience:
    """One reporter, and observers; see :class:`batchup.run.Reporter`."""

    def __init__(self, reporter: Reporter, *observers: Observer) -> None:
        self._reporter = reporter
        self._observers = observers
        self.preparing = reporter.preparing
        self.advanced = reporter.advanced
        self.waiting = reporter.waiting
        self.say = reporter.say
        self.tell = reporter.tell
        self.log = reporter.log

    @property
    def why(self) -> str:
        """What the run waits for."""
        return self._reporter.why

    def shown(self) -> AbstractAsyncContextManager[None]:
        """Keep what is shown up to date while the block lasts."""
        return self._reporter.shown()

    def stopping(self, shutdown: Shutdown) -> None:
        """Say what the run now waits for."""
        self._reporter.stopping(shutdown)

    def begin(self, plan: Plan, history: History) -> None:
        """Tell all that the run begins."""
        for one in (self._reporter, *self._observers):
            one.begin(plan, history)

    def heard(self, event: Event) -> None:
        """Tell all of an event."""
        for one in (self._reporter, *self._observers):
            one.heard(event)

    def started(self, step: Step) -> None:
        """Tell all that an attempt begins."""
        for one in (self._reporter, *self._observers):
            one.started(step)

    def ended(self, step: Step) -> None:
        """Tell all that an attempt ended."""
        for one in (self._reporter, *self._observers):
            one.ended(step)
