"""The fold of a ledger's lines: what each comes to. State is computed, never stored."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Self

import msgspec

from batchup.books import Books
from batchup.experience import Experience
from batchup.standing import IN_FLIGHT, Record, State

UNCONFIRMED = "unconfirmed"
"""Class of what may have been accepted, and paid, and was submitted again: its price stays reserved."""

_NOTHING = Decimal(0)
_NO_AMOUNT = frozenset({None, "0"})


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
    model: str = ""
    seconds: float = 0.0
    pixels: int = 0
    copied_from: str = ""


class Fold:
    """The fold of a ledger, line by line.

    Attributes:
        records: Task id (16 bytes) -> Record.
        contents: Content id (16 bytes) -> id of the task that has, or first had, this work on these contents.
        requests: Ids of all requests that the provider accepted.
        uploads: Content hash of an input -> offset of the line that tells where it lies.
        claims: Hash of an output's path text -> offset of the last ``task`` or ``done`` line that names it.
        agreed_usd: What a person has agreed that the whole job may cost.
        skipped: Of the last run, by reason.
        stopped: Why the last run ended; None when it went to its end, or has not ended.
        experience: What the tasks that were run have taken.
    """

    def __init__(self) -> None:
        self.records: dict[bytes, Record] = {}
        self.contents: dict[bytes, bytes] = {}
        self.claims: dict[int, int] = {}
        self.requests: set[str] = set()
        self.uploads: dict[str, int] = {}
        self.experience = Experience()
        self._books = Books()
        self.job = ""
        self.runs = 0
        self.skipped: dict[str, int] = {}
        self.budget_usd: Decimal | None = None
        self.agreed_usd = Decimal(0)
        self.stopped: str | None = None
        self.elapsed_s = 0.0
        self.ended = True
        self._sent: dict[bytes, int] = {}
        self._begun: set[bytes] = set()
        self._models: dict[str, str] = {}
        self._decode = msgspec.json.Decoder(_Line).decode
        self._folds: dict[str, Callable[[_Line, int], None]] = {
            "run": self._run,
            "task": self._seen,
            "orphaned": self._orphaned,
            "retried": self._retried,
            "stopped": self._stopped,
            "uploaded": self._uploaded,
            "audited": self._audited,
            "submitting": self._submitting,
            "submitted": self._submitted,
            "result": self._result,
            "done": self._done,
            "failed": self._failed,
            "held": self._held,
        }

    def fold(self, lines: Iterable[tuple[int, bytes]]) -> Self:
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

    def _run(self, line: _Line, _offset: int) -> None:
        self.runs += 1
        self.job = line.job
        self.skipped = line.skipped or {}
        self.budget_usd = None if line.budget_usd is None else Decimal(line.budget_usd)
        self.agreed_usd = max(self.agreed_usd, Decimal(line.agreed_usd))
        self.stopped, self.ended = None, False
        self._begun.clear()

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
        record.model = self._models.setdefault(line.model, line.model)
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
                self._books.keep(key, line.attempt)
            self._books.reserve(record.model, key, _NOTHING)

    def _audited(self, line: _Line, _offset: int) -> None:
        key = bytes.fromhex(line.id)
        record = self.records.get(key)
        if record is None:
            self._forgotten(line)
            return
        self._books.bill(record.model, key, line.attempt, Decimal(line.charged_usd or 0))
        waits = record.state in {State.FAILED, State.HELD} and line.attempt == record.attempts
        if not self._books.let_go(record.model, key, line.attempt) and waits:
            self._books.reserve(record.model, key, _NOTHING)
        if line.request_id and record.state is not State.HELD:
            # A held task's is still to be found, and collected.
            self.requests.add(line.request_id)

    def _forgotten(self, line: _Line) -> None:
        """Remember what a submission cost, of a task that nobody knows any more."""
        if line.model:
            self._books.remember(line.model, Decimal(line.charged_usd or 0))
            if line.request_id:
                self.requests.add(line.request_id)

    def _task(self, line: _Line) -> tuple[bytes, Record]:
        """Return a task's id and its record, which is made where it has none."""
        key = bytes.fromhex(line.id)
        record = self.records.get(key)
        if record is None:
            record = self.records[key] = Record()
        return key, record

    def _submitting(self, line: _Line, offset: int) -> None:
        key, record = self._task(line)
        if record.state in {State.HELD, State.FAILED}:
            # What it was, or may have been, charged before is not this submission's.
            self._books.keep(key, record.attempts)
        _enter(State.SUBMITTING, record, line, offset)
        record.result = -1
        self._sent.pop(key, None)
        self._begun.add(key)
        if line.content:
            self.contents.setdefault(bytes.fromhex(line.content), key)
        self._books.reserve(record.model, key, Decimal(line.reserved_usd or 0))

    def _submitted(self, line: _Line, offset: int) -> None:
        key, record = self._task(line)
        _enter(State.SUBMITTED, record, line, offset)
        self._sent.pop(key, None)
        if line.request_id:
            self.requests.add(line.request_id)

    def _result(self, line: _Line, offset: int) -> None:
        key, record = self._task(line)
        _enter(State.COMPLETED, record, line, offset)
        record.result = offset
        if line.charged_usd not in _NO_AMOUNT:
            self._charge(key, record, line)
            self._books.reserve(record.model, key, _NOTHING)

    def _done(self, line: _Line, offset: int) -> None:
        key, record = self._task(line)
        begun, fetched = key in self._begun, record.result >= 0 or record.state in IN_FLIGHT
        if not line.copied_from and (begun or not fetched):
            # Run from its beginning to its end, here and by one run.
            self.experience.learn(record.model, line.pixels, line.seconds, line.charged_usd)
        _enter(State.DONE, record, line, offset)
        self.claims[hash(line.output)] = offset
        if line.content:
            self.contents[bytes.fromhex(line.content)] = key
        if line.charged_usd not in _NO_AMOUNT:
            self._charge(key, record, line)
        self._ended(key, record, _NOTHING)

    def _failed(self, line: _Line, offset: int) -> None:
        key, record = self._task(line)
        _enter(State.FAILED, record, line, offset)
        record.failure = line.kind
        self._ended(key, record, Decimal(line.reserved_usd or 0))

    def _held(self, line: _Line, offset: int) -> None:
        key, record = self._task(line)
        if record.state is State.SUBMITTING:
            self._sent[key] = record.last
        _enter(State.HELD, record, line, offset)
        self._books.reserve(record.model, key, Decimal(line.reserved_usd or 0))

    def _ended(self, key: bytes, record: Record, reserved_usd: Decimal) -> None:
        """Forget what the end of a submission makes needless."""
        self._sent.pop(key, None)
        self._begun.discard(key)
        self._books.reserve(record.model, key, reserved_usd)

    def _charge(self, key: bytes, record: Record, line: _Line) -> None:
        self._books.charge(record.model, key, line.attempt, Decimal(line.charged_usd or 0))


def _enter(state: State, record: Record, line: _Line, offset: int) -> None:
    """Bring a task into a state."""
    record.state, record.last, record.failure = state, offset, ""
    record.attempts = max(record.attempts, line.attempt)
