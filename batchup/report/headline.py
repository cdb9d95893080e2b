"""What happened, in a sentence."""

from decimal import Decimal

from batchup.manifest.quantities import format_duration, format_usd
from batchup.summary import Cost, Summary, Tasks
from batchup.terminal import count

_WHY = {
    "budget": "The budget stopped the last run",
    "window": "The window closed on the last run",
    "limit": "The last run ended at its --limit",
    "failures": "Too many failures in a row stopped the last run",
    "interrupted": "The last run was interrupted",
    "account": "The account refused more work",
    "disk": "The disk stopped the last run",
}


def headline(summary: Summary, elapsed_s: float, *, running: bool, ended: bool) -> str:
    """Return a sentence that a person reads first.

    Args:
        summary: Of the ledger.
        elapsed_s: That all runs took.
        running: Whether a run is going on.
        ended: Whether the last run has told that it ended.
    """
    tasks = summary.tasks
    if not tasks.total:
        return "There is nothing to do: no input makes a task."
    if tasks.done == tasks.total:
        return f"{_all_done(tasks)} in {format_duration(elapsed_s)}{_cost(summary.cost_usd)}."
    if running:
        rest = tasks.in_flight + tasks.pending  # what is held waits for a person
        return f"A run is going on: {_share(tasks)} so far, {rest:,} to come{_cost(summary.cost_usd)}."
    why = _WHY.get(summary.stopped or "", "" if ended else "The last run was cut short")
    told = f"{_share(tasks)}{_others(tasks)}{_cost(summary.cost_usd)}."
    return f"{why}: {told}" if why else told[0].upper() + told[1:]


def _all_done(tasks: Tasks) -> str:
    return "The one task is done" if tasks.total == 1 else f"All {tasks.total:,} tasks are done"


def _share(tasks: Tasks) -> str:
    return f"{tasks.done:,} of {count(tasks.total, 'task')} {'is' if tasks.done == 1 else 'are'} done"


def _others(tasks: Tasks) -> str:
    parts = [
        f"{number:,} {word}"
        for number, word in (
            (tasks.failed, "failed"),
            (tasks.held, "held"),
            (tasks.in_flight, "in flight"),
            (tasks.pending, "still to do"),
        )
        if number
    ]
    return "".join(f", {part}" for part in parts)


def _cost(cost: Cost) -> str:
    if not cost.charged:
        return "" if not cost.estimated else ", and nothing has been charged"
    charged = Decimal(str(cost.charged))
    return f", for {format_usd(charged)}"
