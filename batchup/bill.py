"""The bill: every request that was accepted, and what it cost, as the ledger says and as the account says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from batchup import events
from batchup.history import IN_FLIGHT, History
from batchup.models import FAL

EXACT = Decimal("1e-9")
"""Amounts come as binary fractions; what differs by less does not differ."""

_Submission = tuple[str, int]

_TOLD = tuple(
    f'{{"event":"{kind}"'.encode()
    for kind in ("task", "submitting", "submitted", "result", "done", "audited")
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request that the provider accepted, or may have accepted, as the ledger knows it.

    Attributes:
        request_id: Empty for a synchronous call, which has none, and where the answer was lost.
        task: Id of the task that it was for.
        input: As people know it.
        sent_at: Aware, by the clock of this machine.
        charged_usd: What the ledger has as its cost; 0 where it has none.
        reserved_usd: What it may have cost besides, and no run will find out.
        in_flight: Whether a run will still collect it.
        lost: What was sent, where the answer was lost; else None.
        provider: Who was asked.
    """

    request_id: str
    endpoint: str
    task: str
    input: str
    attempt: int
    sent_at: datetime
    charged_usd: Decimal
    reserved_usd: Decimal = Decimal(0)
    in_flight: bool = False
    lost: Mapping[str, Any] | None = None
    provider: str = FAL


class Entry(msgspec.Struct, frozen=True):
    """One request, and what it was really charged: None where it is not on the account's bill, or not yet."""

    request: Request
    billed_usd: Decimal | None

    @property
    def difference_usd(self) -> Decimal:
        """By how much more it was charged than the ledger says; 0 where nobody knows yet."""
        if self.billed_usd is None:
            return Decimal(0)
        more = self.billed_usd - self.request.charged_usd
        return more if abs(more) >= EXACT else Decimal(0)


@dataclass(frozen=True, slots=True)
class Bill:
    """A comparison of all requests."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, requests: Iterable[Request], charges: Mapping[str, Decimal]) -> "Bill":
        """Compare *requests* with *charges*, by request id."""
        return cls(tuple(Entry(one, charges.get(one.request_id)) for one in requests if one.request_id))

    @property
    def ledger_usd(self) -> Decimal:
        """What the ledger says."""
        return sum((entry.request.charged_usd for entry in self.entries), Decimal(0))

    @property
    def billed_usd(self) -> Decimal:
        """What the account was charged."""
        return sum((entry.billed_usd for entry in self.entries if entry.billed_usd is not None), Decimal(0))

    @property
    def difference_usd(self) -> Decimal:
        """By how much the bill is higher, of those that are on it."""
        return sum((entry.difference_usd for entry in self.entries), Decimal(0))

    @property
    def unbilled(self) -> list[Entry]:
        """Those that the ledger has a price for, and that are not on the bill."""
        return [entry for entry in self.entries if entry.billed_usd is None and entry.request.charged_usd]


class Charges:
    """What each submission was charged. Both its result and its end may tell it; what the bill has told counts."""

    def __init__(self) -> None:
        self._by_task: dict[str, dict[int, Decimal]] = {}
        self._billed: set[_Submission] = set()

    def add(self, event: events.AnyEvent) -> None:
        """Take in one event."""
        if isinstance(event, events.Audited):
            self._set(event, event.charged_usd)
            if event.charged_usd:
                self._billed.add((event.id, event.attempt))
        elif isinstance(event, events.Result | events.Done) and event.charged_usd:
            self._set(event, event.charged_usd)

    def _set(self, event: events.Result | events.Done | events.Audited, usd: Decimal) -> None:
        if isinstance(event, events.Audited) or (event.id, event.attempt) not in self._billed:
            self._by_task.setdefault(event.id, {})[event.attempt] = usd

    def of(self, task_id: str, attempt: int | None = None) -> Decimal:
        """Return what a task was charged, by one submission or by all."""
        charged = self._by_task.get(task_id, {})
        return sum(charged.values(), Decimal(0)) if attempt is None else charged.get(attempt, Decimal(0))

    @property
    def total(self) -> Decimal:
        """What all tasks were charged."""
        return sum(map(self.of, self._by_task), Decimal(0))

    def watch(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
        """Pass a ledger's lines on, taking in those with an amount."""
        for offset, line in lines:
            if b'"charged_usd":' in line:
                self.add(events.decode(line))
            yield offset, line


@dataclass
class _Fold:
    """What has been read of a ledger. Submissions are known by task and number.

    Attributes:
        labels: Task -> its input.
        providers: Task -> its provider.
        sent: Submission -> what was sent.
        accepted: Submission -> request id; *owners* the other way round.
        charges: What each was charged.
    """

    history: History = field(default_factory=History)
    labels: dict[str, str] = field(default_factory=dict)
    providers: dict[str, str] = field(default_factory=dict)
    sent: dict[_Submission, events.Submitting] = field(default_factory=dict)
    accepted: dict[_Submission, str] = field(default_factory=dict)
    owners: dict[str, _Submission] = field(default_factory=dict)
    charges: Charges = field(default_factory=Charges)

    def add(self, event: events.AnyEvent) -> None:
        self.charges.add(event)
        if isinstance(event, events.Seen):
            self.labels[event.id] = event.label
            self.providers[event.id] = event.model.partition("/")[0]
        elif isinstance(event, events.Submitting):
            self.sent[event.id, event.attempt] = event
        elif isinstance(event, events.Submitted | events.Audited):
            self._accept(event)

    def _accept(self, event: events.Submitted | events.Audited) -> None:
        # An audit tells only of ids that were not known; a synchronous call has none.
        if not event.request_id and isinstance(event, events.Audited):
            return
        submission = event.id, event.attempt
        self.accepted[submission] = event.request_id
        first = self.owners.setdefault(event.request_id, submission) if event.request_id else submission
        if first != submission:
            # It became another task's, whose input has the same contents.
            self.owners[event.request_id] = submission
            self.accepted.pop(first, None)
            if first in self.sent:
                self.sent[submission] = self.sent.pop(first)

    def requests(self) -> Iterator[Request]:
        """Yield what was accepted, or may have been, in the order in which it was sent."""
        reserved = {(task, attempt): usd for task, attempt, usd in self.history.unsettled()}
        for submission, sent in self.sent.items():
            request_id = self.accepted.get(submission)
            if request_id is None and submission not in reserved:
                continue  # it was refused, or a run will settle it
            task, attempt = submission
            record = self.history.get(task)
            yield Request(
                request_id=request_id or "",
                endpoint=sent.endpoint,
                task=task,
                input=self.labels.get(task, ""),
                attempt=attempt,
                sent_at=sent.at,
                charged_usd=self.charges.of(task, attempt),
                reserved_usd=reserved.get(submission, Decimal(0)),
                in_flight=record is not None and record.state in IN_FLIGHT and attempt == record.attempts,
                lost=sent.body if request_id is None else None,
                provider=self.providers.get(task, FAL),
            )


def requests(lines: Iterable[tuple[int, bytes]]) -> list[Request]:
    """Return the requests that a ledger's *lines*, with their offsets, tell of, in order.

    Those whose answer was lost are among them, as long as anything is reserved for them.
    """
    fold = _Fold()
    for offset, line in lines:
        fold.history.add(line, offset)
        if line.startswith(_TOLD):
            fold.add(events.decode(line))
    return list(fold.requests())
