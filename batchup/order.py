"""The order in which tasks are run."""

from collections.abc import Callable, Iterator, Mapping

from batchup.spool import Spool
from batchup.task import Task

_KEYS: Mapping[str, Callable[[Task], float]] = {
    "smallest": lambda task: task.width * task.height,
    "largest": lambda task: -task.width * task.height,
    "cheapest": lambda task: float("inf") if task.cost_usd is None else float(task.cost_usd),
}


def ordered(tasks: Spool[Task], order: str) -> Iterator[int]:
    """Return the numbers of *tasks* in the order in which they are to run; equals stay as listed."""
    if order not in _KEYS:
        return iter(range(len(tasks)))
    key = [_KEYS[order](task) for task in tasks]
    return iter(sorted(range(len(tasks)), key=key.__getitem__))


def jumps(order: str) -> bool:
    """Return whether a task that a budget covers goes ahead of one that it does not: where much is wanted for little."""
    return order in {"smallest", "cheapest"}
