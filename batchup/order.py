"""The order in which tasks are run."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from heapq import merge

from batchup.spool import Spool
from batchup.task import Task

_KEYS: Mapping[str, Callable[[Task], float]] = {
    "smallest": lambda task: task.width * task.height,
    "largest": lambda task: -task.width * task.height,
    "cheapest": lambda task: float("inf") if task.cost_usd is None else float(task.cost_usd),
}

_RUN = 1 << 16


def ordered(tasks: Spool[Task], order: str) -> Iterator[int]:
    """Return the numbers of *tasks* in the order in which they are to run; equals stay as listed."""
    if order not in _KEYS:
        return iter(range(len(tasks)))
    key = array("d", map(_KEYS[order], tasks)).__getitem__
    # Runs that are merged: a list of a million numbers takes forty bytes for each.
    firsts = range(0, len(tasks), _RUN)
    runs = [array("I", sorted(range(one, min(one + _RUN, len(tasks))), key=key)) for one in firsts]
    return merge(*runs, key=key)


def jumps(order: str) -> bool:
    """Return whether a task that a budget covers goes ahead of one that it does not: where much is wanted for little."""
    return order in {"smallest", "cheapest"}
