"""The fold of a ledger's lines: what each comes to. State is computed, never stored."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Self

import msgspec

from batchup.books import Books
from batchup.experience import Experience
from batchup.keys import Index, Offsets, Texts
from batchup.records import Records
from batchup.standing import IN_FLIGHT, State
from batchup.task import ID_BYTES

UNCONFIRMED = "unconfirmed"
"""Class of what may have been accepted, and paid, and was submitted again: its price stays reserved."""

_NOTHING = Decimal(0)
_NO_AMOUNT = frozenset({None, "0"})

# In Python 3.11 a member of an enumeration is looked up by a function, which a million lines feel.
_PENDING, _DONE, _FAILED, _HELD, _SUBMITTING, _SUBMITTED, _COMPLETED = State
_GIVEN_UP = frozenset({_FAILED, _HELD})


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
        records: What is known of each task.
        requests: Ids of all requests that the provider accepted.
        uploads: Content hash of an input -> offset of the line that tells where it lies.
        claims: Path text of an output -> offset of the last ``task`` or ``done`` line that names it.
        written: Path texts of outputs that were written, by whatever task.
        agreed_usd: What a person has agreed that the whole job may cost.
        skipped: Of the last run, by reason.
        stopped: Why the last run ended; None when it went to its end, or has not ended.
        experience: What the tasks that were run have taken.
    """

    def __init__(self) -> None:
        self.records = Records()
        self.claims = Offsets()
        self.written = Texts()
        self.requests = Texts()
        self.uploads = Offsets()
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
        # Content id -> number of the task that was the last to be done with this work on these contents; or, where
        # none is, of the first that had it.
        self._made, self._meant = Index(ID_BYTES, "I"), Index(ID_BYTES, "I", first=True)
        self._sent: dict[int, int] = {}
        # Submissions of this run that have not ended: task id -> number.
        self._begun: dict[str, int] = {}
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
        decode, folds = self._decode, self._folds
        for offset, line in lines:
            parsed = decode(line)
            fold = folds.get(parsed.event)
            if fold is not None:
                fold(parsed, offset)
        return self

    def add(self, line: bytes, offset: int = -1) -> None:
        """Take in one line; *offset* is where it stands in the ledger, -1 for nowhere."""
        self.fold([(offset, line)])

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
        records = self.records
        known = len(records)
        task = records.add(bytes.fromhex(line.id))
        if task < known:
            if not records.is_orphaned(task):
                self._books.forget_estimate(task)
            records.mark(task, orphaned=False)
        records.seen[task] = offset
        records.set_model(task, line.model)
        self._books.estimate(task, line.estimated_usd)
        self.claims[line.output] = offset
        if line.content:
            self._meant.put(bytes.fromhex(line.content), task)

    def _orphaned(self, line: _Line, _offset: int) -> None:
        task = self.records.find(bytes.fromhex(line.id))
        if task >= 0 and not self.records.is_orphaned(task):
            self.records.mark(task, orphaned=True)
            self._books.forget_estimate(task)

    def _retried(self, line: _Line, _offset: int) -> None:
        if line.step:
            return  # what is free is tried again without a new submission
        records = self.records
        task = records.find(bytes.fromhex(line.id))
        if task >= 0:
            # Fewer than were begun, where one was refused in a way that does not count.
            records.attempts[task] = line.attempt
            records.enter(task, _PENDING, records.last[task], 0)
            if line.kind == UNCONFIRMED:
                self._books.keep(task, line.attempt)
            self._books.reserve(records.model(task), task, _NOTHING)

    def _audited(self, line: _Line, _offset: int) -> None:
        records = self.records
        task = records.find(bytes.fromhex(line.id))
        if task < 0:
            self._forgotten(line)
            return
        state, model = records.state(task), records.model(task)
        self._books.bill(model, task, line.attempt, Decimal(line.charged_usd or 0))
        waits = state in _GIVEN_UP and line.attempt == records.attempts[task]
        if not self._books.let_go(model, task, line.attempt) and waits:
            self._books.reserve(model, task, _NOTHING)
        if line.request_id and state is not _HELD:
            # A held task's is still to be found, and collected.
            self.requests.add(line.request_id)

    def _forgotten(self, line: _Line) -> None:
        """Remember what a submission cost, of a task that nobody knows any more."""
        if line.model:
            self._books.remember(line.model, Decimal(line.charged_usd or 0))
            if line.request_id:
                self.requests.add(line.request_id)

    def _task(self, line: _Line) -> int:
        """Return the number of a line's task; one that was begun is found in less time."""
        task = self._begun.get(line.id)
        if task is None:
            key = bytes.fromhex(line.id)
            task = self.records.find(key)
            if task < 0:
                task = self.records.add(key)
        return task

    def _submitting(self, line: _Line, offset: int) -> None:
        records = self.records
        task = records.add(bytes.fromhex(line.id))
        if records.state(task) in _GIVEN_UP:
            # What it was, or may have been, charged before is not this submission's.
            self._books.keep(task, records.attempts[task])
        self.records.enter(task, _SUBMITTING, offset, line.attempt)
        records.result[task] = -1
        self._sent.pop(task, None)
        self._begun[line.id] = task
        if line.content:
            self._meant.put(bytes.fromhex(line.content), task)
        self._books.reserve(records.model(task), task, Decimal(line.reserved_usd or 0))

    def _submitted(self, line: _Line, offset: int) -> None:
        task = self._task(line)
        self.records.enter(task, _SUBMITTED, offset, line.attempt)
        self._sent.pop(task, None)
        if line.request_id:
            self.requests.add(line.request_id)

    def _result(self, line: _Line, offset: int) -> None:
        task = self._task(line)
        self.records.enter(task, _COMPLETED, offset, line.attempt)
        self.records.result[task] = offset
        if line.charged_usd not in _NO_AMOUNT:
            self._charge(task, line)
            self._books.reserve(self.records.model(task), task, _NOTHING)

    def _done(self, line: _Line, offset: int) -> None:
        records = self.records
        task = self._task(line)
        begun, fetched = line.id in self._begun, records.result[task] >= 0 or records.state(task) in IN_FLIGHT
        if not line.copied_from and (begun or not fetched):
            # Run from its beginning to its end, here and by one run.
            self.experience.learn(records.model(task), line.pixels, line.seconds, line.charged_usd)
        self.records.enter(task, _DONE, offset, line.attempt)
        self.claims[line.output] = offset
        self.written.add(line.output)
        if line.content:
            self._made.put(bytes.fromhex(line.content), task)
        if line.charged_usd not in _NO_AMOUNT:
            self._charge(task, line)
        self._settle(task, line.id, _NOTHING)

    def _failed(self, line: _Line, offset: int) -> None:
        task = self._task(line)
        self.records.enter(task, _FAILED, offset, line.attempt)
        self.records.set_failure(task, line.kind)
        self._settle(task, line.id, Decimal(line.reserved_usd or 0))

    def _held(self, line: _Line, offset: int) -> None:
        records = self.records
        task = self._task(line)
        if records.state(task) is _SUBMITTING:
            self._sent[task] = records.last[task]
        self.records.enter(task, _HELD, offset, line.attempt)
        self._books.reserve(records.model(task), task, Decimal(line.reserved_usd or 0))

    def _settle(self, task: int, task_id: str, reserved_usd: Decimal) -> None:
        """Forget what the end of a submission makes needless."""
        self._sent.pop(task, None)
        self._begun.pop(task_id, None)
        if reserved_usd or self._books.reserves(task):
            self._books.reserve(self.records.model(task), task, reserved_usd)

    def _charge(self, task: int, line: _Line) -> None:
        self._books.charge(self.records.model(task), task, line.attempt, Decimal(line.charged_usd or 0))
