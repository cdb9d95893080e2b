"""What has happened to each task: the fold of a ledger's lines. State is computed, never stored."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from enum import IntEnum

import msgspec

from batchup import events
from batchup.books import Books, Money


class State(IntEnum):
    """Where a task stands."""

    PENDING = 0
    DONE = 1
    FAILED = 2
    HELD = 3
    SUBMITTING = 4
    """A submission was about to be sent; nobody knows yet whether it was."""
    SUBMITTED = 5
    COMPLETED = 6
    """The provider has finished; the output has not been fetched."""


IN_FLIGHT = frozenset({State.SUBMITTING, State.SUBMITTED, State.COMPLETED})

_STATES = {
    "submitting": State.SUBMITTING,
    "submitted": State.SUBMITTED,
    "result": State.COMPLETED,
    "done": State.DONE,
    "failed": State.FAILED,
    "held": State.HELD,
}


UNCONFIRMED = "unconfirmed"
"""Class of what may have been accepted, and paid, and was submitted again: its price stays reserved."""


class Record(msgspec.Struct, gc=False):
    """What is known of one task. Small: a library has many.

    Attributes:
        seen: Offset in the ledger of the line that names its input.
        last: Offset of the line that made its state.
        result: Offset of the ``result`` line of its last submission; -1 where that has none.
        attempts: Submissions so far.
        failure: Class of the error, where it failed.
        orphaned: Whether the manifest no longer makes it.
        present: Whether this run's manifest makes it; set while planning.
    """

    state: State = State.PENDING
    seen: int = -1
    last: int = -1
    result: int = -1
    attempts: int = 0
    failure: str = ""
    orphaned: bool = False
    present: bool = False


class _Line(msgspec.Struct, gc=False):
    """The fields of any event that the fold needs; decoding no more is what makes a million lines quick."""

    event: str
    id: str = ""
    attempt: int = 1
    kind: str = ""
    step: str = ""
    sha256: str = ""
    request_id: str = ""
    content: str = ""
    estimated_usd: str | None = "0"
    charged_usd: str | None = "0"
    reserved_usd: str | None = "0"
    budget_usd: str | None = None
    agreed_usd: str = "0"
    job: str = ""
    skipped: dict[str, int] | None = None
    why: str | None = None
    elapsed_s: float = 0.0
    output: str = ""


class History:
    """The fold of a ledger.

    Attributes:
        records: Task id (16 bytes) -> Record.
        contents: Content id (16 bytes) -> id of the task that has, or first had, this work on these contents.
        requests: Ids of all requests that the provider accepted.
        uploads: Content hash of an input -> offset of the line that tells where it lies.
        claims: Hash of an output's path text -> offset of the last ``task`` or ``done`` line that names it.
        agreed_usd: What a person has agreed that the whole job may cost.
        skipped: Of the last run, by reason.
        stopped: Why the last run ended; None when it went to its end, or has not ended.
    """

    def __init__(self, read_line: Callable[[int], bytes] | None = None) -> None:
        self.records: dict[bytes, Record] = {}
        self.contents: dict[bytes, bytes] = {}
        self.claims: dict[int, int] = {}
        self.requests: set[str] = set()
        self.uploads: dict[str, int] = {}
        self._books = Books()
        self.job = ""
        self.runs = 0
        self.skipped: dict[str, int] = {}
        self.budget_usd: Decimal | None = None
        self.agreed_usd = Decimal(0)
        self.stopped: str | None = None
        self.elapsed_s = 0.0
        self.ended = True
        self._read_line = read_line
        self._sent: dict[bytes, int] = {}
        self._decode = msgspec.json.Decoder(_Line).decode
        self._folds: dict[str, Callable[[_Line, int], None]] = {
            "run": self._run,
            "task": self._seen,
            "orphaned": self._orphaned,
            "retried": self._retried,
            "stopped": self._stopped,
            "uploaded": self._uploaded,
            **dict.fromkeys(_STATES, self._state),
        }

    @property
    def money(self) -> Money:
        """What the job costs, as far as its events tell."""
        return self._books.money

    def fold(self, lines: Iterable[tuple[int, bytes]]) -> "History":
        """Take in (offset, line) pairs in order, and return self."""
        for offset, line in lines:
            self.add(line, offset)
        return self

    def add(self, line: bytes, offset: int = -1) -> None:
        """Take in one line; *offset* is where it stands in the ledger, -1 for nowhere."""
        parsed = self._decode(line)
        fold = self._folds.get(parsed.event)
        if fold is not None:
            fold(parsed, offset)

    def get(self, task_id: str) -> Record | None:
        """Return what is known of the task."""
        return self.records.get(bytes.fromhex(task_id))

    def twin(self, content: str) -> str | None:
        """Return the id of the task that has this work on these contents, None if nobody has."""
        found = self.contents.get(bytes.fromhex(content))
        return found.hex() if found else None

    def seen(self, record: Record) -> events.Seen | None:
        """Read the line that names the task's input."""
        return self.read_seen(record.seen)

    def read_seen(self, offset: int) -> events.Seen | None:
        """Read the ``task`` line at *offset*."""
        event = self._event(offset)
        return event if isinstance(event, events.Seen) else None

    def done(self, record: Record) -> events.Done | None:
        """Read the line that made the task done; None if it is not."""
        event = self._event(record.last)
        return event if isinstance(event, events.Done) else None

    def last(self, record: Record) -> events.AnyEvent | None:
        """Read the line that made the task's state."""
        return self._event(record.last)

    def result(self, record: Record) -> events.Result | None:
        """Read how the task's last submission came to its end; None if it has not."""
        event = self._event(record.result)
        return event if isinstance(event, events.Result) else None

    def sent(self, task_id: str) -> events.Submitting | None:
        """Read what a held task had sent, to which no answer came; None where it was answered."""
        event = self._event(self._sent.get(bytes.fromhex(task_id), -1))
        return event if isinstance(event, events.Submitting) else None

    def uploaded(self, sha256: str) -> events.Uploaded | None:
        """Read where these contents were uploaded last."""
        event = self._event(self.uploads.get(sha256, -1))
        return event if isinstance(event, events.Uploaded) else None

    def claim(self, output: str) -> events.Seen | events.Done | None:
        """Read the line that last named an output: that it is there, or that it was meant to be."""
        event = self._event(self.claims.get(hash(output), -1))
        return event if isinstance(event, events.Seen | events.Done) and event.output == output else None

    def counts(self) -> Counter[State]:
        """Return the number of the job's tasks in each state, orphans left out."""
        return Counter(record.state for record in self.records.values() if not record.orphaned)

    def failures(self) -> Counter[str]:
        """Return the number of the job's failed tasks by class of error."""
        return Counter(r.failure for r in self.records.values() if r.state is State.FAILED and not r.orphaned)

    def failed(self) -> Iterator[Record]:
        """Yield the job's failed tasks."""
        return (r for r in self.records.values() if r.state is State.FAILED and not r.orphaned)

    def orphans(self) -> Iterator[tuple[str, Record]]:
        """Yield those tasks that the manifest no longer makes."""
        return ((key.hex(), record) for key, record in self.records.items() if record.orphaned)

    def _event(self, offset: int) -> events.AnyEvent | None:
        if offset < 0 or self._read_line is None:
            return None
        return events.decode(self._read_line(offset))

    def _run(self, line: _Line, _offset: int) -> None:
        self.runs += 1
        self.job = line.job
        self.skipped = line.skipped or {}
        self.budget_usd = None if line.budget_usd is None else Decimal(line.budget_usd)
        self.agreed_usd = max(self.agreed_usd, Decimal(line.agreed_usd))
        self.stopped, self.ended = None, False

    def _stopped(self, line: _Line, _offset: int) -> None:
        self.stopped, self.elapsed_s, self.ended = line.why, line.elapsed_s, True

    def _uploaded(self, line: _Line, offset: int) -> None:
        self.uploads[line.sha256] = offset

    def _seen(self, line: _Line, offset: int) -> None:
        key = bytes.fromhex(line.id)
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = Record()
        elif not record.orphaned:
            self._books.estimate(key, None)
        record.seen, record.orphaned = offset, False
        self._books.estimate(key, line.estimated_usd, add=True)
        self.claims[hash(line.output)] = offset
        if line.content:
            self.contents.setdefault(bytes.fromhex(line.content), key)

    def _orphaned(self, line: _Line, _offset: int) -> None:
        key = bytes.fromhex(line.id)
        record = self.records.get(key)
        if record is not None and not record.orphaned:
            record.orphaned = True
            self._books.estimate(key, None)

    def _retried(self, line: _Line, _offset: int) -> None:
        if line.step:
            return  # what is free is tried again without a new submission
        key = bytes.fromhex(line.id)
        record = self.records.get(key)
        if record is not None:
            # Fewer than were begun, where one was refused in a way that does not count.
            record.attempts = line.attempt
            record.state = State.PENDING
            if line.kind == UNCONFIRMED:
                self._books.keep(key)
            self._books.reserve(key, Decimal(0))

    def _state(self, line: _Line, offset: int) -> None:
        key = bytes.fromhex(line.id)
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = Record()
        self._hold(key, record, line)
        record.state, record.last = _STATES[line.event], offset
        record.attempts = max(record.attempts, line.attempt)
        if line.event == "result":
            record.result = offset
        elif line.event == "submitting":
            record.result = -1
        if line.request_id:
            self.requests.add(line.request_id)
        if record.state is State.DONE:
            self.claims[hash(line.output)] = offset
        record.failure = line.kind if line.event == "failed" else ""
        if line.content and (record.state is State.DONE or bytes.fromhex(line.content) not in self.contents):
            self.contents[bytes.fromhex(line.content)] = key
        if line.charged_usd not in {None, "0"}:
            self._books.charge(key, line.attempt, Decimal(line.charged_usd or 0))
        known = line.event == "result" and line.charged_usd not in {None, "0"}
        if line.event in {"submitting", "held"} or record.state not in IN_FLIGHT or known:
            self._books.reserve(key, Decimal(line.reserved_usd or 0))

    def _hold(self, key: bytes, record: Record, line: _Line) -> None:
        """Remember what a held task had sent; forget it when it goes on."""
        if line.event == "held" and record.state is State.SUBMITTING:
            self._sent[key] = record.last
        elif line.event != "held":
            self._sent.pop(key, None)
        if line.event == "submitting" and record.state is State.HELD:
            self._books.keep(key)
