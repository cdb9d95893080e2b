"""A sample: a few of many tasks that show what the others will look like."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace

import msgspec

from batchup.history import History, State
from batchup.plan import BEYOND_LIMIT, BEYOND_SAMPLE, TO_RUN, Action, Choice, Plan, Step
from batchup.spool import Spool
from batchup.task import Task, canonical

TICK_EVERY = 500


@dataclass
class Candidates:
    """What a sample is taken from: two numbers a task.

    Attributes:
        sorts: Of each task, the number of its sort: tasks of one model, kind and parameters are of one sort,
            apart from those whose sizes nobody knows.
        sizes: Of each task, the pixels that come out, those that go in where only the work tells; 0 where neither is
            known.
        families: Of each sort, the number of its family: sorts of one model and kind are of one family.
    """

    sorts: "array[int]" = field(default_factory=lambda: array("L"))
    sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    families: list[int] = field(default_factory=list)
    _sorts: dict[tuple[str, str, bytes, bool], int] = field(default_factory=dict)
    _families: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, task: Task) -> None:
        """Take in one task; its number is how many were taken in before."""
        media = task.source.media
        kind = media.kind if media else ""
        size = task.pixels or (media.width * media.height * task.frames if media else 0)
        key = (task.model, kind, canonical(task.changed), bool(size))
        if key not in self._sorts:
            self._sorts[key] = len(self._sorts)
            self.families.append(self._families.setdefault((task.model, kind), len(self._families)))
        self.sorts.append(self._sorts[key])
        self.sizes.append(size)

    def spread(self, number: int) -> list[int]:
        """Return the numbers of *number* tasks that differ as much as they can, sorted.

        The smallest and the largest of all are among them, then one of each family, one of each sort, and from there
        as many of a sort as its share is; within a sort they are spread evenly over the sizes. Always the same for
        the same tasks.
        """
        if number >= len(self.sizes):
            return list(range(len(self.sizes)))
        members: list[list[int]] = [[] for _ in self.families]
        for one, sort in enumerate(self.sorts):
            members[sort].append(one)
        for alike in members:
            alike.sort(key=self.sizes.__getitem__)  # stable: equals stay as listed
        ends = self._ends(number)
        shares = self._shares(number, [len(alike) for alike in members], ends)
        return sorted(
            one
            for alike, share in zip(members, shares, strict=True)
            for one in _quantiles(alike, share, ends)
        )

    def _ends(self, number: int) -> tuple[int, ...]:
        """Return the largest of all and the smallest, as far as sizes are known and *number* allows."""
        known = [one for one, size in enumerate(self.sizes) if size]
        if number < 2 or not known:  # noqa: PLR2004 - two ends
            return ()
        # The last of the largest and the first of the smallest: where a sort's quantiles begin and end.
        largest = max(known, key=lambda one: (self.sizes[one], one))
        smallest = min(known, key=self.sizes.__getitem__)
        return (largest, smallest) if largest != smallest else (largest,)

    def _shares(self, number: int, counts: Sequence[int], ends: tuple[int, ...]) -> list[int]:
        """Return how many of each sort are taken, *number* in all."""
        shares = [0] * len(counts)
        for one in ends:
            shares[self.sorts[one]] += 1
        left = number - len(ends)
        for sort in self._by_rank(counts):
            if left and not shares[sort]:
                shares[sort], left = 1, left - 1

        def need(sort: int) -> float:
            return (shares[sort] + 1) / counts[sort] if shares[sort] < counts[sort] else float("inf")

        # The rest goes one by one to the sort that is furthest below its share.
        heap = [(need(sort), sort) for sort in range(len(counts))]
        heapify(heap)
        for _ in range(left):
            sort = heap[0][1]
            shares[sort] += 1
            heapreplace(heap, (need(sort), sort))
        return shares

    def _by_rank(self, counts: Sequence[int]) -> list[int]:
        """Return all sorts: of each family its largest first, then of each its second, and so on."""
        seen = [0] * (max(self.families) + 1)
        ranks = {}
        for sort in sorted(range(len(counts)), key=lambda sort: -counts[sort]):
            ranks[sort] = seen[self.families[sort]]
            seen[self.families[sort]] += 1
        return sorted(ranks, key=lambda sort: (ranks[sort], -counts[sort], sort))


def _quantiles(sort: Sequence[int], share: int, ends: tuple[int, ...]) -> list[int]:
    """Return *share* of a sort, which is sorted by size: evenly spread, both ends among them."""
    if share == 1:
        wanted = [one for one in ends if one in {sort[0], sort[-1]}]
        return wanted[:1] or [sort[(len(sort) - 1) // 2]]
    return [sort[place * (len(sort) - 1) // (share - 1)] for place in range(share)]


def sampled(plan: Plan, choice: Choice, history: History, tick: Callable[[], None]) -> Plan:
    """Return *plan*, which was made without a limit, with all but a sample of what it would run left for later.

    What would be run is sampled, and what is free only where there is nothing else. Tasks with the same contents as one
    in the sample come along.

    Args:
        plan: Nothing of it is to be used afterwards.
        choice: Says how many.
        history: That the plan was made from.
        tick: Called now and then; what it raises ends the planning.
    """
    keep, made = _Keep(plan, choice), Plan(Spool(Step), plan.left_out, plan.skipped, plan.warnings)
    for number, step in enumerate(plan.steps):
        if number % TICK_EVERY == 0:
            tick()
        why = keep.why_not(number, step)
        record = history.get(step.task.id)
        made.add(_later(step, why) if why else step, record.state if record else State.PENDING)
    return made


class _Keep:
    """Says which steps stay in a plan that is cut down to a sample."""

    def __init__(self, plan: Plan, choice: Choice) -> None:
        assert choice.sample is not None
        self._left = choice.limit if choice.limit is not None else len(plan.steps)
        self._taken = _taken(plan, min(choice.sample, self._left))
        self._ids: set[str] = set()

    def why_not(self, number: int, step: Step) -> str:
        """Return why a step is not for this run; empty if it is. To be asked in order."""
        if step.action not in TO_RUN:
            return ""
        along = step.action is Action.FOLLOW and step.other in self._ids
        if number not in self._taken and not along:
            return BEYOND_SAMPLE
        if not self._left:
            return BEYOND_LIMIT
        self._left -= 1
        self._ids.add(step.task.id)
        return ""


def _taken(plan: Plan, number: int) -> set[int]:
    """Return the numbers of the steps that make the sample."""
    wanted = {Action.RUN} if plan.actions[Action.RUN] else {Action.HEAL, Action.COPY}
    candidates, numbers = Candidates(), array("Q")
    for one, step in enumerate(plan.steps):
        if step.action in wanted:
            candidates.add(step.task)
            numbers.append(one)
    return {numbers[one] for one in candidates.spread(number)}


def _later(step: Step, reason: str) -> Step:
    return msgspec.structs.replace(
        step, action=Action.LATER, reason=reason, detail="", other="", other_output=""
    )
