"""`batchup audit`: what the account was really charged, against what the ledger says."""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchup.cli import print_json
from batchup.cli.options import Output, common, manifest_argument
from batchup.errors import FatalError
from batchup.terminal import columns, count, escape, table

if TYPE_CHECKING:
    from batchup.bill import Bill, Entry, Request
    from batchup.manifest import Manifest
    from batchup.providers.fal.platform import Platform

SHOWN = 40
"""Requests that a person is shown without asking for more."""


@click.command(
    short_help="Compare the ledger with the account's bill.",
    epilog="Example:  batchup audit holiday.yaml",
)
@manifest_argument
@click.option("--all", "everything", is_flag=True, help="List every request, not only those that differ.")
@common
def audit(manifest: Path, *, everything: bool, output: Output) -> int:
    """Compare what the ledger of MANIFEST says was charged with the account's billing events, request by request.

    Tells also of requests to the same endpoints, in the same time, that the ledger does not know. Changes nothing,
    and may be asked while a run is going on; what was done just now may not be on the bill yet.
    """
    import anyio

    from batchup.bill import requests
    from batchup.errors import LedgerError
    from batchup.ledger import open_view
    from batchup.manifest import load
    from batchup.terminal import program

    job = load(manifest)
    if not job.ledger_path.exists():
        raise LedgerError(f"{job.ledger_path}: no ledger yet; {program()} run {manifest} begins one")
    with open_view(job.ledger_path) as view:
        sent = requests(line for _, line in view.replay())
    named = [one for one in sent if one.request_id]
    bill, strangers = anyio.run(_asked, job, named)
    if output.json:
        print_json(_document(job.name, bill, strangers, len(sent) - len(named)))
    elif not output.quiet:
        for line in _lines(job.name, bill, strangers, len(sent) - len(named), everything=everything):
            click.echo(line)
    return 0


async def _asked(
    job: "Manifest", sent: "Sequence[Request]"
) -> "tuple[Bill, dict[str, Decimal | None] | None]":
    """Return the bill of what was sent, and what else there is: request id -> charge; None where that is unknown.

    Raises:
        FatalError: The bill cannot be had.
    """
    from batchup.bill import Bill
    from batchup.clock import SystemClock
    from batchup.providers.fal.account import open_account
    from batchup.providers.fal.platform import PlatformUnavailable

    if not sent:
        return Bill(()), {}
    start, clock = min(one.sent_at for one in sent), SystemClock()
    async with open_account(os.environ, connect_s=job.timeouts.connect_s, clock=clock) as account:
        try:
            charges = await account.platform.charges((one.request_id for one in sent), start)
        except PlatformUnavailable as error:
            msg = f"the account's billing events cannot be read now, or not with this key: {error}"
            raise FatalError(msg, stopped="account") from error
        try:
            unknown = await _strangers(account.platform, sent)
            costs = await account.platform.charges(unknown, start) if unknown else {}
        except PlatformUnavailable:
            return Bill.of(sent, charges), None
    return Bill.of(sent, charges), {request_id: costs.get(request_id) for request_id in unknown}


async def _strangers(platform: "Platform", sent: "Sequence[Request]") -> list[str]:
    """Return the ids of other requests to the same endpoints, between the first and the last of *sent*."""
    from batchup.providers.fal.platform import DELAY, SKEW

    known = {one.request_id for one in sent}
    spans: dict[str, list[datetime]] = {}
    for one in sent:
        spans.setdefault(one.endpoint, []).append(one.sent_at)
    return [
        past.request_id
        for endpoint, moments in spans.items()
        async for past in platform.requests(
            endpoint, min(moments) - SKEW, max(moments) + SKEW + DELAY, payloads=False
        )
        if past.request_id not in known
    ]


def _document(
    job: str, bill: "Bill", strangers: "dict[str, Decimal | None] | None", unnamed: int
) -> dict[str, Any]:
    return {
        "job": job,
        "requests": len(bill.entries),
        "synchronous": unnamed,
        "cost_usd": {
            "ledger": float(bill.ledger_usd),
            "billed": float(bill.billed_usd),
            "difference": float(bill.difference_usd),
        },
        "items": [_item(entry) for entry in bill.entries],
        "unknown": None
        if strangers is None
        else [
            {"request_id": request_id, "billed_usd": _number(usd)} for request_id, usd in strangers.items()
        ],
    }


def _item(entry: "Entry") -> dict[str, Any]:
    request = entry.request
    return {
        "request_id": request.request_id,
        "endpoint": request.endpoint,
        "task": request.task,
        "input": request.input,
        "attempt": request.attempt,
        "sent_at": request.sent_at,
        "ledger_usd": float(request.charged_usd),
        "billed_usd": _number(entry.billed_usd),
        "difference_usd": None if entry.billed_usd is None else float(entry.difference_usd),
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _lines(
    job: str,
    bill: "Bill",
    strangers: "dict[str, Decimal | None] | None",
    unnamed: int,
    *,
    everything: bool,
) -> Iterator[str]:
    from batchup.manifest.quantities import format_usd

    shown = list(bill.entries) if everything else [entry for entry in bill.entries if entry.difference_usd]
    most = len(shown) if everything else SHOWN
    if shown:
        heads = ["input", "request", "ledger", "billed", "difference"]
        yield from table([_cells(entry) for entry in shown[:most]], heads, columns())
        if len(shown) > most:
            yield f"… and {len(shown) - most:,} more; --all shows every request"
        yield ""
    requests, more = count(len(bill.entries), "request"), bill.difference_usd
    ledger, billed = format_usd(bill.ledger_usd), format_usd(bill.billed_usd)
    told = (
        f"{format_usd(abs(more))} {'more' if more > 0 else 'less'} than the ledger says"
        if more
        else "no difference"
    )
    yield escape(f"{job}: {requests}, {ledger} by the ledger, {billed} on the bill: {told}")
    missing = bill.unbilled
    if missing:
        usd = format_usd(sum((entry.request.charged_usd for entry in missing), Decimal(0)))
        yield _row(
            "unbilled", f"{count(len(missing), 'request')}, {usd} by the ledger: not on the bill, or not yet"
        )
    yield from _others(strangers)
    if unnamed:
        yield _row(
            "no id",
            f"{count(unnamed, 'synchronous call')} cannot be compared: no request id is told for them",
        )


def _others(strangers: "dict[str, Decimal | None] | None") -> Iterator[str]:
    """Yield what the account has besides."""
    from batchup.manifest.quantities import format_usd

    if strangers is None:
        yield _row("unknown", "the request history cannot be read, so nobody can tell what else was sent")
    elif strangers:
        usd = format_usd(sum((usd for usd in strangers.values() if usd), Decimal(0)))
        yield _row(
            "unknown",
            f"{count(len(strangers), 'request')} to these endpoints in that time, billed {usd}, by others:",
        )
        for request_id in list(strangers)[:SHOWN]:
            yield _row("", f"   {request_id}")


def _cells(entry: "Entry") -> list[str]:
    from batchup.manifest.quantities import format_usd

    request, billed = entry.request, entry.billed_usd
    sign = "+" if entry.difference_usd > 0 else ""
    return [
        request.input,
        request.request_id,
        format_usd(request.charged_usd),
        "not yet" if billed is None else format_usd(billed),
        sign + format_usd(entry.difference_usd) if entry.difference_usd else "",
    ]


def _row(head: str, text: str) -> str:
    return f"  {head:<9} {escape(text)}"
