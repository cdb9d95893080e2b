"""When a task will have its turn, and how long it will take."""

import msgspec

from batchup.cli.inquiry import Found
from batchup.coverage import Coverage
from batchup.forecast import expected_s
from batchup.history import History
from batchup.plan import Action, Plan


class Prospect(msgspec.Struct, frozen=True):
    """What is to be expected of a task that will run.

    Attributes:
        place: In the run's order, from 1.
        of: Number of tasks that will run.
        waits: Why it will not run yet; empty if it will.
        expected_s: How long it takes; None where nobody knows.
    """

    place: int
    of: int
    waits: str = ""
    expected_s: float | None = None


def prospects(found: Found, plan: Plan, history: History, coverage: Coverage) -> dict[str, Prospect]:
    """Return what is to be expected of those tasks of *found* that will run, by their ids."""
    mine = {step.task.id for step in found.steps if step.action is Action.RUN}
    expected: dict[str, Prospect] = {}
    if mine:
        for place, number in enumerate(plan.places(Action.RUN), 1):
            task = plan.steps[number].task
            if task.id in mine:
                takes_s = expected_s(history.experience, task)
                waits = coverage.waiting.get(number, "")
                expected[task.id] = Prospect(place, plan.actions[Action.RUN], waits, takes_s)
    return expected
