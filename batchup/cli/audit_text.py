"""What an audit found, as a document and as text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from batchup.bill import Bill, Entry, Request
from batchup.events import Audited
from batchup.manifest.quantities import format_usd
from batchup.terminal import columns, count, escape, row, table
from batchup.verdict import Told

SHOWN = 40
"""Requests that a person is shown without asking for more."""


@dataclass(frozen=True)
class Findings:
    """What an audit found.

    Attributes:
        sent: What the ledger knew before the audit.
        written: To the ledger.
    """

    job: str
    sent: Sequence[Request]
    told: Told
    written: Sequence[Audited]

    @cached_property
    def bill(self) -> Bill:
        """The comparison of all requests that have an id."""
        return Bill.of(self.sent, self.told.charges)

    @cached_property
    def strangers(self) -> dict[str, Decimal | None] | None:
        """Requests that the ledger does not know, and what each was charged; None where nobody can tell."""
        known = {one.request_id for one in self.sent} | {one.request_id for one in self.written}
        others = self.told.strangers(known)
        return None if others is None else {one: self.told.charges.get(one) for one in others}

    @property
    def unnamed(self) -> int:
        """Number of synchronous calls."""
        return sum(1 for one in self.sent if not one.request_id and one.lost is None)

    @property
    def open(self) -> list[Request]:
        """Submissions for which something stays reserved."""
        clear = {(one.id, one.attempt) for one in self.written}
        return [one for one in self.sent if one.reserved_usd and (one.task, one.attempt) not in clear]

    @property
    def released_usd(self) -> Decimal:
        """How much less is reserved now."""
        return _reserved(self.sent) - _reserved(self.open)

    def document(self) -> dict[str, Any]:
        """Return what ``audit --json`` prints."""
        bill, strangers = self.bill, self.strangers
        return {
            "job": self.job,
            "requests": len(bill.entries),
            "synchronous": self.unnamed,
            "cost_usd": {
                "ledger": float(bill.ledger_usd),
                "billed": float(bill.billed_usd),
                "difference": float(bill.difference_usd),
                "reserved": float(_reserved(self.open)),
            },
            "items": [_item(entry) for entry in bill.entries],
            "written": [_line(one) for one in self.written],
            "unknown": None
            if strangers is None
            else [
                {"request_id": request_id, "billed_usd": _number(usd)}
                for request_id, usd in strangers.items()
            ],
        }

    def lines(self, *, everything: bool) -> Iterator[str]:
        """Yield what a person is shown: each request that differs, or *everything*, and the sums."""
        bill = self.bill
        yield from _entries(bill, everything=everything)
        requests, more = count(len(bill.entries), "request"), bill.difference_usd
        ledger, billed = format_usd(bill.ledger_usd), format_usd(bill.billed_usd)
        told = (
            f"{format_usd(abs(more))} {'more' if more > 0 else 'less'} than the ledger says"
            if more
            else "no difference"
        )
        yield escape(f"{self.job}: {requests}, {ledger} by the ledger, {billed} on the bill: {told}")
        if self.written:
            charged = format_usd(sum((one.charged_usd for one in self.written), Decimal(0)))
            what = f"{count(len(self.written), 'submission')} at {charged}, as the bill has it"
            less = f"; {format_usd(self.released_usd)} less is reserved" if self.released_usd else ""
            yield row("written", what + less)
        if self.open:
            usd, number = format_usd(_reserved(self.open)), count(len(self.open), "submission")
            yield row("reserved", f"{number}, {usd}: not clear yet whether they were charged")
        if bill.unbilled:
            usd = format_usd(sum((entry.request.charged_usd for entry in bill.unbilled), Decimal(0)))
            number = count(len(bill.unbilled), "request")
            yield row("unbilled", f"{number}, {usd} by the ledger: not on the bill, or not yet")
        yield from _others(self.strangers)
        if self.unnamed:
            calls = count(self.unnamed, "synchronous call")
            yield row("no id", f"{calls} cannot be compared: no request id is told for them")


def _reserved(requests: Sequence[Request]) -> Decimal:
    return sum((one.reserved_usd for one in requests), Decimal(0))


def _line(one: Audited) -> dict[str, Any]:
    return {
        "task": one.id,
        "attempt": one.attempt,
        "request_id": one.request_id or None,
        "charged_usd": float(one.charged_usd),
    }


def _item(entry: Entry) -> dict[str, Any]:
    request = entry.request
    return {
        "request_id": request.request_id,
        "endpoint": request.endpoint,
        "task": request.task,
        "input": request.input,
        "attempt": request.attempt,
        "sent_at": request.sent_at,
        "ledger_usd": float(request.charged_usd),
        "reserved_usd": float(request.reserved_usd),
        "billed_usd": _number(entry.billed_usd),
        "difference_usd": None if entry.billed_usd is None else float(entry.difference_usd),
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _entries(bill: Bill, *, everything: bool) -> Iterator[str]:
    """Yield a table of the requests that differ, or of all."""
    shown = [entry for entry in bill.entries if everything or entry.difference_usd]
    most = len(shown) if everything else SHOWN
    if not shown:
        return
    heads = ["input", "request", "ledger", "billed", "difference"]
    yield from table([_cells(entry) for entry in shown[:most]], heads, columns())
    if len(shown) > most:
        yield f"… and {len(shown) - most:,} more; --all shows every request"
    yield ""


def _others(strangers: dict[str, Decimal | None] | None) -> Iterator[str]:
    """Yield what the account has besides."""
    if strangers is None:
        yield row("unknown", "the request history cannot be read, so nobody can tell what else was sent")
    elif strangers:
        usd = format_usd(sum((usd for usd in strangers.values() if usd), Decimal(0)))
        yield row(
            "unknown",
            f"{count(len(strangers), 'request')} to these endpoints in that time, billed {usd}, by others:",
        )
        for request_id in list(strangers)[:SHOWN]:
            yield row("", f"   {request_id}")
        if len(strangers) > SHOWN:
            yield row("", f"   and {len(strangers) - SHOWN:,} more; --json has all")


def _cells(entry: Entry) -> list[str]:
    request, billed = entry.request, entry.billed_usd
    sign = "+" if entry.difference_usd > 0 else ""
    return [
        request.input,
        request.request_id,
        format_usd(request.charged_usd),
        "not yet" if billed is None else format_usd(billed),
        sign + format_usd(entry.difference_usd) if entry.difference_usd else "",
    ]
