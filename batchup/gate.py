"""Gate: whether a task may be begun or submitted now, by every limit of its run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from batchup.bell import Bell
from batchup.budget import Budget
from batchup.circuits import Circuits
from batchup.clock import Clock
from batchup.errors import LeftError, PostponedError
from batchup.shutdown import Shutdown
from batchup.task import Task
from batchup.window import NEVER, Window


class Notices(Protocol):
    """Hears why nothing is begun."""

    @property
    def why(self) -> str:
        """What was heard last."""

    def waiting(self, why: str) -> None:
        """Nothing is begun for now, because of *why*; empty when it goes on."""


class Pause:
    """Whether a person lets nothing more begin for now."""

    def __init__(self) -> None:
        self.is_on = False


@dataclass(frozen=True, slots=True)
class Gate:
    """What a step must pass before it is begun. One for all providers of a run.

    Attributes:
        budget: What it does not cover is not begun, nor under a cap what nobody knows the price of.
        circuits: Nor what belongs to a paused model.
        hours: Nor anything that costs time outside of these; None for any time.
        stays: Whether the run sleeps till the next opening; otherwise it ends.
        jumps: Whether a step that fits goes ahead of one that does not.
        expected_s: Tells how long a task takes from its submission on; None where nobody knows.
        bell: Rung when something changes.
    """

    budget: Budget
    circuits: Circuits
    hours: Window | None
    stays: bool
    jumps: bool
    expected_s: Callable[[Task], float | None]
    clock: Clock
    bell: Bell
    shutdown: Shutdown
    notices: Notices
    pause: Pause = field(default_factory=Pause)

    def closes(self) -> datetime | None:
        """Return until when work may be begun; None for not at all now."""
        return self.hours.closes(self.clock.utc()) if self.hours else NEVER

    def ends_by(self, task: Task, closes: datetime) -> bool:
        """Return whether a task that is begun now is expected to end before the window does."""
        if self.hours is None:
            return True
        expected_s = self.expected_s(task) or 0.0
        return expected_s <= (closes - self.clock.utc()).total_seconds()

    def check(self, task: Task) -> None:
        """Raise if *task* may not be submitted now.

        Raises:
            LeftError: Not in this run any more.
            PostponedError: Not now.
        """
        if task.model in self.circuits.paused:
            raise LeftError(f"{task.model} is paused after failures in a row", kind="paused")
        if self.pause.is_on:
            raise PostponedError("the run is paused", kind="paused")
        closes = self.closes()
        if closes is None:
            raise PostponedError("the window has closed", kind="window")
        # It may have waited long for its slot since it was begun.
        if not self.ends_by(task, closes):
            raise PostponedError("it would not end before the window closes", kind="window")
