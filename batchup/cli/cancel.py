"""`batchup cancel`: asks the platform to cancel what is still queued, and says what may be billed all the same."""

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchup.cli import print_json
from batchup.cli.options import Output, common, manifest_argument
from batchup.terminal import columns, count, escape, table

if TYPE_CHECKING:
    from batchup.cancellation import Answer
    from batchup.manifest import Manifest

_SAID = {
    "requested": "was queued; its end was asked for",
    "running": "runs already; left to finish",
    "completed": "is finished; the next run collects it",
    "gone": "is not known any more",
    "unconfirmed": "may have been accepted, or not",
    "unclear": "no answer",
    "left": "its provider takes nothing back",
}
_NEVER_BILLED = frozenset({"requested"})


@click.command(
    short_help="Ask for the end of what is still queued.", epilog="Example:  batchup cancel holiday.yaml"
)
@manifest_argument
@common
def cancel(manifest: Path, *, output: Output) -> int:
    """Ask the platform to cancel what MANIFEST's runs have submitted and what is still queued.

    What runs already is left to finish, since it is billed all the same. Nothing is recorded: the next run finds out
    what became of each request, collects what was finished, and counts as failed what was cancelled. Needs the
    ledger for itself, so a run that is going on has to be stopped first.
    """
    import anyio

    from batchup.manifest import load
    from batchup.manifest.quantities import format_usd

    job = load(manifest)
    answers = anyio.run(_asked, job)
    if output.json:
        print_json({"job": job.name, "items": answers, "billed_all_the_same_usd": float(_due(answers))})
    elif not output.quiet:
        for line in _lines(job.name, answers, format_usd(_due(answers))):
            click.echo(line)
    return 0


async def _asked(job: "Manifest") -> "list[Answer]":
    from anyio import to_thread

    from batchup.cancellation import Cancellation, asks_fal, in_flight
    from batchup.clock import SystemClock
    from batchup.history import History
    from batchup.ledger import open_ledger
    from batchup.providers.fal.account import open_account

    clock = SystemClock()
    async with open_ledger(job.ledger_path, create=False) as ledger:
        history = await to_thread.run_sync(lambda: History(ledger.read_line).fold(ledger.replay()))
        if not in_flight(history):
            return []
        async with AsyncExitStack() as stack:
            queue = None
            if asks_fal(history):
                account = open_account(os.environ, connect_s=job.timeouts.connect_s, clock=clock)
                queue = (await stack.enter_async_context(account)).queue
            asking = Cancellation(history, queue, job.retry.policy, clock)
            return [answer async for answer in asking.answers()]


def _due(answers: "list[Answer]") -> Decimal:
    """Return what may be billed although it was asked to end, or could not be asked."""
    late = (answer.price_usd for answer in answers if answer.outcome not in _NEVER_BILLED)
    return sum((price for price in late if price is not None), Decimal(0))


def _lines(job: str, answers: "list[Answer]", due: str) -> Iterator[str]:
    from batchup.manifest.quantities import format_usd

    if not answers:
        yield escape(f"{job}: nothing is in flight")
        return
    rows = [
        [
            answer.input,
            answer.request_id or "-",
            f"{_SAID[answer.outcome]}{f': {answer.message}' if answer.message else ''}",
            "unknown" if answer.price_usd is None else format_usd(answer.price_usd),
        ]
        for answer in answers
    ]
    yield from table(rows, ["input", "request", "what", "price"], columns())
    yield ""
    requested = sum(answer.outcome == "requested" for answer in answers)
    yield escape(f"{job}: {count(len(answers), 'task')} in flight, the end of {requested:,} asked for")
    if requested < len(answers):
        yield f"  {'billed':<9} up to {due} all the same, for the others"
    if requested:
        yield f"  {'note':<9} one that starts before fal hears of it may still be billed"
    yield f"  {'next':<9} the next run collects what was finished, and tells what was cancelled"
