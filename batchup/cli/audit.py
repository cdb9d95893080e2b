"""`batchup audit`: what the account was really charged, against what the ledger says."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli import EXIT_LEDGER, print_json
from batchup.cli.begun import load_begun
from batchup.cli.options import Output, common, manifest_argument
from batchup.errors import FatalError, LedgerError
from batchup.terminal import escape

if TYPE_CHECKING:
    from batchup.bill import Request
    from batchup.events import Audited
    from batchup.manifest import Manifest
    from batchup.providers.fal.platform import Past, Platform
    from batchup.verdict import Told

_FAL = "fal"


@click.command(
    short_help="Compare the ledger with the account's bill.",
    epilog="Example:  batchup audit holiday.yaml",
)
@manifest_argument
@click.option("--all", "everything", is_flag=True, help="List every request, not only those that differ.")
@common
def audit(manifest: Path, *, everything: bool, output: Output) -> int:
    """Compare what the ledger of MANIFEST says was charged with the account's billing events, request by request.

    What the bill makes clear is written to the ledger: the bill's amount where it differs, and what a rejected or
    unconfirmed submission really cost, which is then no longer reserved. While a run is going on it only compares,
    and ends with 4 if there was something to write. What was done just now may not be on the bill yet.

    Tells also of requests to the same endpoints, in the same time, that the ledger does not know.
    """
    import anyio

    from batchup.bill import requests
    from batchup.cli.audit_text import Findings
    from batchup.ledger import open_view

    job = load_begun(manifest)
    with open_view(job.ledger_path) as view:
        every = requests(view.replay())
    sent = _of_fal(every)
    told = anyio.run(_asked, job, sent)
    written, refused = anyio.run(_written, job, sent, told)
    found = Findings(job.name, sent, told, written)
    if output.json:
        print_json(found.document())
    elif not output.quiet:
        for line in found.lines(everything=everything):
            click.echo(line)
    if len(sent) < len(every):
        others = ", ".join(sorted({one.provider for one in every} - {_FAL}))
        click.echo(escape(f"not compared: what {others} did; only fal's bill can be read"), err=True)
    if refused is not None:
        click.echo(escape(f"nothing was written: {refused}"), err=True)
        return EXIT_LEDGER
    return 0


def _of_fal(sent: "Sequence[Request]") -> "list[Request]":
    """Leave out what fal's bill says nothing about: it would look as if it had cost nothing."""
    return [one for one in sent if one.provider == _FAL]


async def _written(
    job: "Manifest", sent: "Sequence[Request]", told: "Told"
) -> "tuple[list[Audited], LedgerError | None]":
    """Write what the bill makes clear; return that, and why it could not be written."""
    from anyio import to_thread

    from batchup.bill import requests
    from batchup.clock import SystemClock
    from batchup.ledger import open_ledger
    from batchup.verdict import verdicts

    clock = SystemClock()
    clear = verdicts(sent, told, clock.utc())
    if not clear:
        return [], None
    try:
        async with open_ledger(job.ledger_path, create=False) as ledger:
            # A run may have gone on while the account was asked.
            sent = await to_thread.run_sync(lambda: _of_fal(requests(ledger.replay())))
            clear = verdicts(sent, told, clock.utc())
            if clear:
                await ledger.append(*clear)
            return clear, None
    except LedgerError as error:
        return [], error


async def _asked(job: "Manifest", sent: "Sequence[Request]") -> "Told":
    """Ask the account about all that was sent, and what else was sent in that time.

    Raises:
        FatalError: The bill cannot be had.
    """
    from batchup.clock import SystemClock
    from batchup.providers.fal.account import open_account
    from batchup.providers.fal.platform import PlatformUnavailable
    from batchup.verdict import Told

    named = [one.request_id for one in sent if one.request_id]
    if not named and all(one.lost is None for one in sent):
        return Told(pasts={})
    start, clock = min(one.sent_at for one in sent), SystemClock()
    async with open_account(os.environ, connect_s=job.timeouts.connect_s, clock=clock) as account:
        try:
            charges = await account.platform.charges(named, start)
        except PlatformUnavailable as error:
            msg = f"the account's billing events cannot be read now, or not with this key: {error}"
            raise FatalError(msg, stopped="account") from error
        try:
            pasts = await _pasts(account.platform, sent)
            others = Told(pasts=pasts).strangers(named)
            costs = await account.platform.charges(others, start) if others else {}
        except PlatformUnavailable:
            return Told(charges)
    return Told({**charges, **costs}, pasts)


async def _pasts(platform: "Platform", sent: "Sequence[Request]") -> "Mapping[str, Sequence[Past]]":
    """Return all requests to each endpoint, between the first and the last of *sent*."""
    from batchup.providers.fal.platform import DELAY, SKEW

    spans: dict[str, list[datetime]] = {}
    for one in sent:
        if one.endpoint:
            spans.setdefault(one.endpoint, []).append(one.sent_at)
    lost = {one.endpoint for one in sent if one.lost is not None}
    return {
        endpoint: [
            past
            async for past in platform.requests(
                endpoint, min(moments) - SKEW, max(moments) + SKEW + DELAY, payloads=endpoint in lost
            )
        ]
        for endpoint, moments in spans.items()
    }
