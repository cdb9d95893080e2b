"""The bill: every request that was accepted, and what it cost, as the ledger says and as the account says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import msgspec

from batchup import events
from batchup.source import Source

EXACT = Decimal("1e-9")
"""Amounts come as binary fractions; what differs by less does not differ."""

_TOLD = tuple(
    f'{{"event":"{kind}"'.encode() for kind in ("task", "submitting", "submitted", "result", "done")
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request that the provider accepted, as the ledger knows it.

    Attributes:
        request_id: Empty for a synchronous call, which has none.
        task: Id of the task that it was for.
        input: As people know it.
        sent_at: Aware, by the clock of this machine.
        charged_usd: What the ledger has as its cost; 0 where it has none.
    """

    request_id: str
    endpoint: str
    task: str
    input: str
    attempt: int
    sent_at: datetime
    charged_usd: Decimal


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


@dataclass
class _Fold:
    """What has been read of a ledger.

    Attributes:
        labels: Task -> its input.
        sent: Task -> its latest submission.
        accepted: Task and attempt -> request id and submission.
        charged: Task and attempt -> amount.
    """

    labels: dict[str, str] = field(default_factory=dict)
    sent: dict[str, events.Submitting] = field(default_factory=dict)
    accepted: dict[tuple[str, int], tuple[str, events.Submitting]] = field(default_factory=dict)
    charged: dict[tuple[str, int], Decimal] = field(default_factory=dict)

    def add(self, event: events.AnyEvent) -> None:
        if isinstance(event, events.Seen):
            self.labels[event.id] = Source(root=event.root, path=event.path, url=event.url).label
        elif isinstance(event, events.Submitting):
            self.sent[event.id] = event
        elif isinstance(event, events.Submitted) and event.id in self.sent:
            self.accepted[event.id, event.attempt] = event.request_id, self.sent[event.id]
        elif isinstance(event, events.Result | events.Done) and event.charged_usd:
            self.charged[event.id, event.attempt] = event.charged_usd


def requests(lines: Iterable[bytes]) -> list[Request]:
    """Return the accepted requests that a ledger's *lines* tell of, in order."""
    fold = _Fold()
    for line in lines:
        if line.startswith(_TOLD):
            fold.add(events.decode(line))
    return [
        Request(
            request_id=request_id,
            endpoint=sent.endpoint,
            task=task,
            input=fold.labels.get(task, ""),
            attempt=attempt,
            sent_at=sent.at,
            charged_usd=fold.charged.get((task, attempt), Decimal(0)),
        )
        for (task, attempt), (request_id, sent) in fold.accepted.items()
    ]
