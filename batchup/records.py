"""What is known of each task: a table of bare numbers, since a library has many."""

from array import array
from collections import Counter
from collections.abc import Iterator

from batchup.keys import Keys
from batchup.standing import State
from batchup.task import ID_BYTES

_STATES = tuple(State)
_PENDING = State.PENDING
_MORE = 256
"""Rows that are added to all columns at once."""
_NOWHERE, _NOTHING = (-1,) * _MORE, (0,) * _MORE

_STATE, _ORPHANED, _PRESENT = 0b0111, 0b1000, 0b10000


class Records:
    """What is known of each task, by its id of :data:`~batchup.task.ID_BYTES`.

    Sixty to seventy bytes a task. Tasks are numbered from 0 in the order in which they came, and never go; a column is
    indexed by that number.

    Attributes:
        seen: Column of :attr:`Record.seen`; likewise the others.
        find: Returns the number of the task with an id, -1 if there is none.
    """

    def __init__(self) -> None:
        self.seen, self.last, self.result = array("q"), array("q"), array("q")
        self.attempts = array("I")
        self._keys = Keys(ID_BYTES)
        self.find = self._keys.find
        self._status = bytearray()  # the state, and whether it is orphaned and present
        self._models, self._failures = array("H"), array("H")
        self._names, self._named = [""], {"": 0}

    def __len__(self) -> int:
        return len(self._status)

    def __contains__(self, key: bytes) -> bool:
        return self._keys.find(key) >= 0

    def __getitem__(self, key: bytes) -> "Record":
        """Raises KeyError: There is no such task."""
        number = self._keys.find(key)
        if number < 0:
            raise KeyError(key.hex())
        return Record(self, number)

    def get(self, key: bytes) -> "Record | None":
        """Return what is known of the task with this id; None if nothing is."""
        number = self._keys.find(key)
        return Record(self, number) if number >= 0 else None

    def values(self) -> "Iterator[Record]":
        """Yield what is known of each task, in the order in which they came."""
        return (Record(self, number) for number in range(len(self)))

    def items(self) -> "Iterator[tuple[bytes, Record]]":
        """Yield the id of each task and what is known of it."""
        return ((self.key(number), Record(self, number)) for number in range(len(self)))

    def absent(self) -> "Iterator[Record]":
        """Yield those tasks that this run's manifest does not make."""
        return (Record(self, number) for number, status in enumerate(self._status) if not status & _PRESENT)

    def orphans(self) -> "Iterator[Record]":
        """Yield those tasks that the manifest no longer makes, by the ledger."""
        return (Record(self, number) for number, status in enumerate(self._status) if status & _ORPHANED)

    def of(self, state: State) -> "Iterator[Record]":
        """Yield the job's tasks in one state, orphans left out."""
        wanted = state, state | _PRESENT
        return (Record(self, number) for number, status in enumerate(self._status) if status in wanted)

    def counts(self) -> Counter[State]:
        """Return the number of the job's tasks in each state, orphans left out. Takes a tenth of a millisecond."""
        count = self._status.count
        numbers = {state: count(state) + count(state | _PRESENT) for state in _STATES}
        return Counter({state: number for state, number in numbers.items() if number})

    def key(self, number: int) -> bytes:
        """Return the id of a task."""
        return self._keys[number]

    def add(self, key: bytes) -> int:
        """Return the number of the task with this id, of which nothing is known yet if there was none."""
        number = self._keys.add(key)
        if number == len(self._status):
            self._status.append(_PENDING)
            if number == len(self.seen):
                self._extend()
        return number

    def _extend(self) -> None:
        for column in (self.seen, self.last, self.result):
            column.extend(_NOWHERE)
        for column in (self.attempts, self._models, self._failures):
            column.extend(_NOTHING)

    def state(self, number: int) -> State:
        """Return a task's state."""
        return _STATES[self._status[number] & _STATE]

    def enter(self, number: int, state: State, last: int, attempt: int) -> None:
        """Bring a task into a state, without a failure, by the line at offset *last*, which tells of *attempt*."""
        self._status[number] = self._status[number] & ~_STATE | state
        self._failures[number] = 0
        self.last[number] = last
        self.attempts[number] = max(self.attempts[number], attempt)

    def model(self, number: int) -> str:
        """Return the name of a task's model; all tasks of a model share the text."""
        return self._names[self._models[number]]

    def set_model(self, number: int, name: str) -> None:
        """Say of which model a task is."""
        self._models[number] = self._number(name)

    def failure(self, number: int) -> str:
        """Return the class of the error of a failed task."""
        return self._names[self._failures[number]]

    def set_failure(self, number: int, name: str) -> None:
        """Say why a task failed."""
        self._failures[number] = self._number(name)

    def is_orphaned(self, number: int) -> bool:
        """Return whether the manifest no longer makes a task."""
        return bool(self._status[number] & _ORPHANED)

    def mark(self, number: int, *, orphaned: bool) -> None:
        """Say whether the manifest no longer makes a task."""
        self._set(number, _ORPHANED, orphaned)

    def is_present(self, number: int) -> bool:
        """Return whether this run's manifest makes a task."""
        return bool(self._status[number] & _PRESENT)

    def meet(self, number: int, *, present: bool) -> None:
        """Say whether this run's manifest makes a task."""
        self._set(number, _PRESENT, present)

    def _set(self, number: int, flag: int, value: bool) -> None:  # noqa: FBT001 - there is one of each
        status = self._status[number]
        self._status[number] = status | flag if value else status & ~flag

    def _number(self, name: str) -> int:
        number = self._named.setdefault(name, len(self._names))
        if number == len(self._names):
            self._names.append(name)
        return number


class Record:
    """What is known of one task, as it is when it is asked for: a view of its row in the table.

    Attributes:
        number: Of the row.
    """

    __slots__ = ("_records", "number")

    def __init__(self, records: Records, number: int) -> None:
        self._records, self.number = records, number

    @property
    def key(self) -> bytes:
        """Id of the task."""
        return self._records.key(self.number)

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._records.state(self.number)

    @property
    def model(self) -> str:
        """Name of its model; all tasks of a model share the text."""
        return self._records.model(self.number)

    @property
    def seen(self) -> int:
        """Offset in the ledger of the line that names its input; -1 for none, as of the others."""
        return self._records.seen[self.number]

    @property
    def last(self) -> int:
        """Offset of the line that made its state."""
        return self._records.last[self.number]

    @property
    def result(self) -> int:
        """Offset of the ``result`` line of its last submission; -1 where that has none."""
        return self._records.result[self.number]

    @property
    def attempts(self) -> int:
        """Submissions so far."""
        return self._records.attempts[self.number]

    @property
    def failure(self) -> str:
        """Class of the error, where it failed."""
        return self._records.failure(self.number)

    @property
    def orphaned(self) -> bool:
        """Whether the manifest no longer makes it."""
        return self._records.is_orphaned(self.number)

    @property
    def present(self) -> bool:
        """Whether this run's manifest makes it; set while planning."""
        return self._records.is_present(self.number)

    @present.setter
    def present(self, value: bool) -> None:
        self._records.meet(self.number, present=value)
