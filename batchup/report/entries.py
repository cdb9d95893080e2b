"""A ledger's tasks as a report tells them, each read from the ledger when it is asked for."""

from array import array
from collections.abc import Callable, Iterator
from heapq import nlargest
from itertools import islice

from batchup import events
from batchup.history import IN_FLIGHT, History, Record, State
from batchup.report.model import Entry

TICK_EVERY = 1000


class Entries:
    """All tasks of a job but orphans, as they were first seen, or some of them: four bytes each.

    What is asked for is read then, so the ledger must still be open.
    """

    def __init__(self, history: History, numbers: "array[int] | None" = None) -> None:
        """Begin with all tasks of *history*, or with those that have these numbers in its table."""
        self._history = history
        self._numbers = numbers if numbers is not None else array("I", _shown(history))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int) -> Entry:
        number = self._numbers[place]
        return _entry(self._history, Record(self._history.records, number))

    def __iter__(self) -> Iterator[Entry]:
        return (self[place] for place in range(len(self)))

    def heeded(self, told: Callable[[int], None]) -> Iterator[Entry]:
        """Yield each, and tell now and then at which offset of the ledger its line is."""
        for place, entry in enumerate(self):
            if place % TICK_EVERY == 0:
                told(self._history.records.seen[self._numbers[place]])
            yield entry

    def foremost(self, most: int) -> "Entries":
        """Return no more than so many, in the same order: what failed, is held or in flight first, then what ended last."""
        if len(self) <= most:
            return self
        ranks = array("q", map(self._rank, self._numbers))
        least = min(nlargest(most, ranks), default=0)
        best = (number for number, rank in zip(self._numbers, ranks, strict=True) if rank >= least)
        return Entries(self._history, array("I", islice(best, most)))

    def _rank(self, number: int) -> int:
        """Return a number that is the higher the rather a task is to be shown; no two tasks have the same."""
        records = self._history.records
        state, last = records.state(number), records.last[number]
        is_pending = state is State.PENDING
        standing = 0 if is_pending else 1 if state is State.DONE else 2
        return (standing << 60) + (records.seen[number] if is_pending else last)


def _shown(history: History) -> Iterator[int]:
    records = history.records
    return (
        number
        for number in range(len(records))
        if records.seen[number] >= 0 and not records.is_orphaned(number)
    )


def _entry(history: History, record: Record) -> Entry:
    seen, last = history.seen(record), history.last(record)
    assert seen is not None, "an offset that is known is that of a task's line"
    done = last if isinstance(last, events.Done) else None
    told = last if isinstance(last, events.Failed | events.Held) else None
    return Entry(
        id=seen.id,
        state="in flight" if record.state in IN_FLIGHT else record.state.name.lower(),
        root=seen.root,
        path=seen.path,
        url=seen.url,
        model=seen.model,
        params=seen.params,
        output=done.output if done else seen.output,
        kind=seen.kind,
        width=done.width if done else seen.width,
        height=done.height if done else seen.height,
        size_bytes=done.size_bytes if done else 0,
        estimated_usd=None if seen.estimated_usd is None else float(seen.estimated_usd),
        charged_usd=float(history.charged(record)),
        attempts=record.attempts,
        error=record.failure,
        message=told.message if told else "",
        seconds=round(done.seconds, 3) if done else 0.0,
        unexpected_size=done.unexpected_size if done else False,
        at=(last or seen).at,
    )
