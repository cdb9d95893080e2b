"""What has happened to each task, by its ledger."""

from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal

from batchup import events
from batchup.books import Money
from batchup.fold import UNCONFIRMED, Fold
from batchup.records import Record
from batchup.standing import IN_FLIGHT, State

__all__ = ["IN_FLIGHT", "UNCONFIRMED", "History", "Record", "State"]


class History(Fold):
    """The fold of a ledger, and what can be asked of it.

    Attributes:
        read_line: Returns the line of the ledger that begins at an offset; None where there is no ledger to ask.
    """

    def __init__(self, read_line: Callable[[int], bytes] | None = None) -> None:
        super().__init__()
        self.read_line = read_line

    @property
    def money(self) -> Money:
        """What the job costs, as far as its events tell."""
        return self._books.money

    def money_of(self, model: str) -> Money:
        """What one model's tasks were charged and have reserved; its *estimated* and *unpriced* are not told."""
        return self._books.money_of(model)

    def charged(self, record: Record) -> Decimal:
        """Return what all submissions of the task were charged, in USD."""
        return self._books.charged(record.number)

    def get(self, task_id: str) -> Record | None:
        """Return what is known of the task."""
        return self.records.get(bytes.fromhex(task_id))

    def twin(self, content: str) -> str | None:
        """Return the id of the task that has this work on these contents, None if nobody has."""
        key = bytes.fromhex(content)
        number = self._made.get(key)
        if number < 0:
            number = self._meant.get(key)
        return self.records.key(number).hex() if number >= 0 else None

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
        event = self._event(self._sent.get(self.records.find(bytes.fromhex(task_id)), -1))
        return event if isinstance(event, events.Submitting) else None

    def uploaded(self, sha256: str) -> events.Uploaded | None:
        """Read where these contents were uploaded last."""
        event = self._event(self.uploads.of(sha256))
        return event if isinstance(event, events.Uploaded) and event.sha256 == sha256 else None

    def claim(self, output: str) -> events.Seen | events.Done | None:
        """Read the line that last named an output: that it is there, or that it was meant to be."""
        event = self._event(self.claims.of(output))
        return event if isinstance(event, events.Seen | events.Done) and event.output == output else None

    def counts(self) -> Counter[State]:
        """Return the number of the job's tasks in each state, orphans left out."""
        return self.records.counts()

    def failures(self) -> Counter[str]:
        """Return the number of the job's failed tasks by class of error."""
        return Counter(record.failure for record in self.failed())

    def failed(self) -> Iterator[Record]:
        """Yield the job's failed tasks."""
        return self.records.of(State.FAILED)

    def orphans(self) -> Iterator[tuple[str, Record]]:
        """Yield those tasks that the manifest no longer makes."""
        return ((record.key.hex(), record) for record in self.records.orphans())

    def unsettled(self) -> Iterator[tuple[str, int, Decimal]]:
        """Yield each submission that no run will settle and that may have been charged: task, number, amount in USD."""
        records = self.records
        for task, attempt, amount in self._books.reservations():
            if attempt is not None or records.state(task) not in IN_FLIGHT:
                number = records.attempts[task] if attempt is None else attempt
                yield records.key(task).hex(), number, amount

    def _event(self, offset: int) -> events.AnyEvent | None:
        if offset < 0 or self.read_line is None:
            return None
        return events.decode(self.read_line(offset))
