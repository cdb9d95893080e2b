"""What a job's ledger tells, kept up line by line: the history, and what a page asks of it again and again."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice

import msgspec

from batchup.figures import WINDOW_S, WINDOW_TASKS
from batchup.history import IN_FLIGHT, History, Record, State

FRESH = 12
"""Outputs that have just come out, and are shown."""

_REMEMBERED = 4096


Tasks = Iterator[tuple[str, Record]]
"""Tasks by their id."""


class _Head(msgspec.Struct, gc=False):
    """The fields of any event that say whose it is, and when it was."""

    event: str
    id: str = ""
    at: str = ""


class Board:
    """The fold of one ledger for a page.

    Attributes:
        history: Of the job.
        began_at: When the last run began; None before the first.
        models: (Model, state) -> number of the job's tasks; everything in flight is SUBMITTED.
    """

    def __init__(self, read_line: Callable[[int], bytes]) -> None:
        self.history = History(read_line)
        self.began_at: datetime | None = None
        self.models: Counter[tuple[str, State]] = Counter()
        self._decode = msgspec.json.Decoder(_Head).decode
        # Ordered, and quick where it is emptied from the front.
        self._in: dict[State, OrderedDict[bytes, None]] = {
            state: OrderedDict() for state in (State.PENDING, State.FAILED, State.HELD, State.SUBMITTED)
        }
        self._fresh: deque[bytes] = deque(maxlen=FRESH)
        self._ends: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, offset: int, line: bytes) -> None:
        """Take in one line of the ledger, which stands at *offset*."""
        head = self._decode(line)
        if not head.id:
            self.history.add(line, offset)
            if head.event == "run":
                self.began_at = datetime.fromisoformat(head.at)
                self._ends.clear()
            return
        key = bytes.fromhex(head.id)
        before = self._state(key)
        self.history.add(line, offset)
        after = self._state(key)
        if before is not after:
            self._move(key, before, after)
        if head.event in {"done", "failed"}:
            self._ends.append(datetime.fromisoformat(head.at).timestamp())
        if head.event == "done":
            self._fresh.append(key)

    def number(self, state: State) -> int:
        """Return how many of the job's tasks are in a state; SUBMITTED stands for all that is in flight."""
        return sum(count for (_, one), count in self.models.items() if one is state)

    def waits(self, task_id: str) -> bool:
        """Return whether a task waits to be begun, as far as the ledger tells."""
        return self._state(bytes.fromhex(task_id)) is State.PENDING

    @property
    def total(self) -> int:
        """How many tasks the job has."""
        return self.models.total()

    def latest(self, state: State, most: int) -> Tasks:
        """Yield those tasks that came into a state last, the latest first; DONE is not kept whole."""
        # What was made twice came out twice.
        newest = dict.fromkeys(reversed(self._fresh)) if state is State.DONE else reversed(self._in[state])
        return islice(self._those(newest, state), most)

    def next(self, most: int) -> Tasks:
        """Yield tasks that wait, in the order of the ledger."""
        return islice(self._those(self._in[State.PENDING], State.PENDING), most)

    def per_s(self, now: datetime) -> float | None:
        """Return how many tasks come to an end in a second; None while nobody can tell."""
        if self.began_at is None or not self._ends:
            return None
        now_s, ends = now.timestamp(), self._ends
        first = sum(1 for _ in _older(ends, now_s - WINDOW_S))
        first = max(0, min(first, len(ends) - WINDOW_TASKS))
        since_s = ends[first - 1] if first else max(self.began_at.timestamp(), 0.0)
        if not first and len(ends) == _REMEMBERED:
            first, since_s = 1, ends[0]
        return (len(ends) - first) / max(now_s - since_s, 0.001)

    def _those(self, keys: Iterable[bytes], state: State) -> Tasks:
        for key in keys:
            record = self.history.records[key]
            if not record.orphaned and _group(record.state) is state:
                yield key.hex(), record

    def _state(self, key: bytes) -> State | None:
        record = self.history.records.get(key)
        return None if record is None or record.orphaned else _group(record.state)

    def _move(self, key: bytes, before: State | None, after: State | None) -> None:
        model = self.history.records[key].model
        if before is not None:
            self.models[model, before] -= 1
            if before in self._in:
                self._in[before].pop(key, None)
        if after is not None:
            self.models[model, after] += 1
            if after in self._in:
                self._in[after][key] = None


def _group(state: State) -> State:
    return State.SUBMITTED if state in IN_FLIGHT else state


def _older(ends: deque[float], than_s: float) -> Iterator[float]:
    """Yield the first moments, which are in order but for the clock's mischief, as long as they are older."""
    for end in ends:
        if end >= than_s:
            return
        yield end
